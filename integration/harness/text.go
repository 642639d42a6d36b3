//go:build linux

package harness

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// TextIntact fails if the program text in the memory of a process is not,
// byte for byte, that of its executable: nothing may have been patched.
func TextIntact(pid int) error {
	f, err := elf.Open(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return fmt.Errorf("harness: %w", err)
	}
	defer f.Close()
	bias, err := loadBias(pid, f)
	if err != nil {
		return err
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return fmt.Errorf("harness: %w", err)
	}
	defer mem.Close()
	compared := 0
	for _, p := range f.Progs {
		if p.Type != elf.PT_LOAD || p.Flags&elf.PF_X == 0 {
			continue
		}
		want, err := io.ReadAll(p.Open())
		if err != nil {
			return fmt.Errorf("harness: %w", err)
		}
		have := make([]byte, len(want))
		if _, err := mem.ReadAt(have, int64(p.Vaddr+bias)); err != nil {
			return fmt.Errorf("harness: read the text of process %d: %w", pid, err)
		}
		for i := range want {
			if want[i] != have[i] {
				return fmt.Errorf("harness: the text of process %d differs from its executable at %#x: %#x, not %#x",
					pid, p.Vaddr+bias+uint64(i), have[i], want[i])
			}
		}
		compared += len(want)
	}
	if compared == 0 {
		return fmt.Errorf("harness: process %d: no executable segment was found", pid)
	}
	return nil
}

// loadBias is how far the kernel has moved a position-independent executable:
// the entry point in the auxiliary vector minus the one in the file.
func loadBias(pid int, f *elf.File) (uint64, error) {
	const atEntry = 9 // AT_ENTRY of <elf.h>
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/auxv", pid))
	if err != nil {
		return 0, fmt.Errorf("harness: %w", err)
	}
	r := bytes.NewReader(raw)
	for {
		var pair [2]uint64
		if err := binary.Read(r, binary.LittleEndian, &pair); err != nil {
			return 0, errors.New("harness: no entry point in the auxiliary vector")
		}
		if pair[0] == atEntry {
			return pair[1] - f.Entry, nil
		}
	}
}
