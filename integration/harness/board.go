//go:build linux

package harness

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// Board reads the header of the gate's board in a process, as often as asked:
// what it has to look up in the binary it looks up once.
type Board struct {
	mem                *os.File
	armed, lease, beat int64 // addresses
}

// Header is what an agent says of itself on the board.
type Header struct {
	Armed bool
	Lease time.Duration // from now; negative: run out
	Beat  time.Duration // since the last sign of life
}

// armedYes is the word's value while an agent debugs, see gate/board.go.
const armedYes = 1

// OpenBoard finds the board of a process. Close lets go of it.
func OpenBoard(pid int) (*Board, error) {
	f, err := elf.Open(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return nil, fmt.Errorf("harness: %w", err)
	}
	defer f.Close()
	bias, err := loadBias(pid, f)
	if err != nil {
		return nil, err
	}
	addr, err := boardAddress(f)
	if err != nil {
		return nil, err
	}
	data, err := f.DWARF()
	if err != nil {
		return nil, fmt.Errorf("harness: %w", err)
	}
	layout, err := findStruct(data, "github.com/remotedbg/remotedbg/gate.board")
	if err != nil {
		return nil, err
	}
	b := new(Board)
	for name, at := range map[string]*int64{"armed": &b.armed, "lease": &b.lease, "beat": &b.beat} {
		word := field(layout, name)
		if word == nil {
			return nil, fmt.Errorf("harness: the board has no %s", name)
		}
		*at = int64(addr+bias) + word.ByteOffset
	}
	if b.mem, err = os.Open(fmt.Sprintf("/proc/%d/mem", pid)); err != nil {
		return nil, fmt.Errorf("harness: %w", err)
	}
	return b, nil
}

// Close ends the use of the board.
func (b *Board) Close() error { return b.mem.Close() }

// Header reads the board.
func (b *Board) Header() (Header, error) {
	var words [3]int64
	for i, at := range []int64{b.armed, b.lease, b.beat} {
		var word [8]byte
		if _, err := b.mem.ReadAt(word[:], at); err != nil {
			return Header{}, fmt.Errorf("harness: read the board: %w", err)
		}
		words[i] = int64(binary.LittleEndian.Uint64(word[:]))
	}
	now := monotonic() // afterwards: a beat must not seem to come from the future
	return Header{
		Armed: uint32(words[0]) == armedYes,
		Lease: time.Duration(words[1] - now),
		Beat:  time.Duration(now - words[2]),
	}, nil
}

// monotonic is CLOCK_MONOTONIC in ns, the clock of the board.
func monotonic() int64 {
	const clockMonotonic = 1
	var ts syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}
