//go:build linux && amd64

package live

import (
	"fmt"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// executable is the file of a process's program. It is kept open: should the process
// replace its program by execve(2), probes that are set later go to the old file,
// which it does not run any more, and not to any place in the new one.
type executable struct {
	file *os.File
	link *link.Executable
}

func openExecutable(pid int) (*executable, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return nil, err
	}
	// The path is looked up each time that probes are set.
	l, err := link.OpenExecutable(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		_ = f.Close() // it was only read
		return nil, err
	}
	return &executable{f, l}, nil
}

// close may be called of nil.
func (e *executable) close() {
	if e != nil {
		_ = e.file.Close() // it was only read
	}
}

// probe puts uprobes at offsets for process pid; closing the link removes them.
// Without cookies each has 0.
func (e *executable) probe(prog *ebpf.Program, pid int, offsets, cookies []uint64) (link.Link, error) {
	l, err := e.link.UprobeMulti(nil, prog, &link.UprobeMultiOptions{Addresses: offsets, Cookies: cookies, PID: uint32(pid)})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProbes, err)
	}
	return l, nil
}

// mapping is a part of a file that a process has mapped as text.
type mapping struct{ from, to, offset uint64 }

// textOf lists what process pid has mapped of its executable as text (proc(5),
// /proc/pid/maps). What it runs of other files, such as plugins, is none of it: an
// address there has no place in the executable.
func textOf(pid int) (list []mapping, err error) {
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return nil, err
	}
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(maps)) {
		var m mapping
		var perms string
		_, err := fmt.Sscanf(line, "%x-%x %s %x", &m.from, &m.to, &perms, &m.offset)
		file := max(strings.IndexByte(line, '/'), 0) // what is before has none
		if err == nil && len(perms) >= 3 && perms[2] == 'x' && strings.TrimSuffix(line[file:], "\n") == path {
			list = append(list, m)
		}
	}
	return list, nil
}

// fileOffsets says where in the executable of process pid the addresses lie, which
// are in its text.
func fileOffsets(pid int, addrs []uint64) ([]uint64, error) {
	text, err := textOf(pid)
	if err != nil {
		return nil, err
	}
	offsets := make([]uint64, len(addrs))
	for i, a := range addrs {
		found := false
		for _, m := range text {
			if m.from <= a && a < m.to {
				offsets[i], found = a-m.from+m.offset, true
			}
		}
		if !found {
			return nil, fmt.Errorf("%w: the executable is not mapped at %#x", ErrProbes, a)
		}
	}
	return offsets, nil
}
