//go:build linux

package vmem_test

import (
	"encoding/binary"
	"fmt"
	"os"
)

// auxVector reads the auxiliary vector of a process, see getauxval(3).
func auxVector(pid int) (map[uint64]uint64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/auxv", pid))
	if err != nil {
		return nil, err
	}
	auxv := make(map[uint64]uint64)
	for ; len(raw) >= 16; raw = raw[16:] {
		auxv[binary.LittleEndian.Uint64(raw)] = binary.LittleEndian.Uint64(raw[8:])
	}
	return auxv, nil
}
