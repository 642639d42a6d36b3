//go:build linux

package harness

import (
	"debug/elf"
	"fmt"
)

// Symbol finds where a symbol of its executable is in the memory of a process.
func Symbol(pid int, name string) (uint64, error) {
	f, err := elf.Open(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return 0, fmt.Errorf("harness: %w", err)
	}
	defer f.Close()
	bias, err := loadBias(pid, f)
	if err != nil {
		return 0, err
	}
	value, err := symbolIn(f, name)
	return value + bias, err
}

// symbolIn is the value of a symbol as the file has it.
func symbolIn(f *elf.File, name string) (uint64, error) {
	symbols, err := f.Symbols()
	if err != nil {
		return 0, fmt.Errorf("harness: %w", err)
	}
	for _, s := range symbols {
		if s.Name == name {
			return s.Value, nil
		}
	}
	return 0, fmt.Errorf("harness: the binary has no symbol %s", name)
}
