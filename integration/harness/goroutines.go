//go:build linux

package harness

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
)

// States of a goroutine that is none, see runtime/runtime2.go: not yet or no
// longer in use. A scan of the garbage collector sets a further bit.
const (
	gIdle      = 0
	gDead      = 6
	gDeadExtra = 11 // a dead one that waits for a thread of C
	gScan      = 0x1000
)

// Goroutines counts the goroutines of a Go process from outside, while it runs:
// those of its runtime included, which runtime.NumGoroutine leaves out.
func Goroutines(pid int) (int, error) {
	f, err := elf.Open(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return 0, fmt.Errorf("harness: %w", err)
	}
	defer f.Close()
	data, err := f.DWARF()
	if err != nil {
		return 0, fmt.Errorf("harness: %w", err)
	}
	g, err := findStruct(data, "runtime.g")
	if err != nil {
		return 0, err
	}
	status := field(g, "atomicstatus")
	if status == nil {
		return 0, fmt.Errorf("harness: the runtime of process %d keeps no atomicstatus", pid)
	}
	states, err := goroutineStates(pid, f, status.ByteOffset)
	n := 0
	for _, s := range states {
		switch s &^ gScan {
		case gIdle, gDead, gDeadExtra:
		default:
			n++
		}
	}
	return n, err
}

// goroutineStates reads the status word of everything in the runtime's list of
// goroutines, which only ever grows. The length is read first: the runtime
// stores the array before it (runtime/proc.go, allgadd).
func goroutineStates(pid int, f *elf.File, offset int64) ([]uint32, error) {
	bias, err := loadBias(pid, f)
	if err != nil {
		return nil, err
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return nil, fmt.Errorf("harness: %w", err)
	}
	defer mem.Close()
	var list [2]uint64 // length and address
	for i, name := range []string{"runtime.allglen", "runtime.allgptr"} {
		at, err := symbolIn(f, name)
		if err != nil {
			return nil, err
		}
		var word [8]byte
		if _, err := mem.ReadAt(word[:], int64(at+bias)); err != nil {
			return nil, fmt.Errorf("harness: read %s: %w", name, err)
		}
		list[i] = binary.LittleEndian.Uint64(word[:])
	}
	pointers := make([]byte, 8*list[0])
	if _, err := mem.ReadAt(pointers, int64(list[1])); err != nil {
		return nil, fmt.Errorf("harness: read the goroutines of process %d: %w", pid, err)
	}
	states := make([]uint32, list[0])
	for i := range states {
		var word [4]byte
		at := int64(binary.LittleEndian.Uint64(pointers[8*i:])) + offset
		if _, err := mem.ReadAt(word[:], at); err != nil {
			return nil, fmt.Errorf("harness: read a goroutine of process %d: %w", pid, err)
		}
		states[i] = binary.LittleEndian.Uint32(word[:])
	}
	return states, nil
}
