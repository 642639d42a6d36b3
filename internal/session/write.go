//go:build linux && amd64

package session

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Errors of WriteMemory.
var (
	ErrProgramText = errors.New("it is program text, which the debugger never changes")
	ErrNotWritable = errors.New("it is not mapped or not writable")
)

// WriteMemory writes data at addr of the service, which runs meanwhile, and
// returns how many bytes were written. If not all of it can be, nothing is
// written, unless partial: then what lies before the first byte that cannot
// be. Program text is refused altogether.
func (s *Session) WriteMemory(addr uint64, data []byte, partial bool) (int, error) {
	e := s.e
	e.brain.Lock()
	defer e.brain.Unlock()
	e.mu.Lock()
	ended := s.closed || e.state != engineArmed
	e.mu.Unlock()
	if ended {
		return 0, ErrEnded
	}
	if addr+uint64(len(data)) < addr {
		return 0, fmt.Errorf("%d bytes at %#x: %w", len(data), addr, ErrNotWritable)
	}
	if addr < e.text.end[len(e.text.end)-1] && e.text.start[0] < addr+uint64(len(data)) {
		return 0, fmt.Errorf("%d bytes at %#x: %w", len(data), addr, ErrProgramText)
	}
	if err := e.mayWrite(s, addr, len(data)); err != nil {
		return 0, err
	}
	// Asked first and not found out by writing: process_vm_writev(2) would
	// write the pages before the one that it cannot write.
	n, err := writable(e.cfg.PID, addr, uint64(len(data)))
	if err != nil {
		return 0, err
	}
	if n == 0 || n < uint64(len(data)) && !partial {
		return 0, fmt.Errorf("%d bytes at %#x, of which %d can be written: %w", len(data), addr, n, ErrNotWritable)
	}
	return e.mem.WriteMemory(addr, data[:n])
}

// writable tells how many of the n bytes at addr lie in writable mappings, up
// to the first that does not (proc(5), /proc/pid/maps).
func writable(pid int, addr, n uint64) (uint64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return writableIn(f, addr, n)
}

// writableIn is writable for the text of a map, which is sorted by address.
func writableIn(maps io.Reader, addr, n uint64) (uint64, error) {
	at, end := addr, addr+n
	lines := bufio.NewScanner(maps)
	for at < end && lines.Scan() {
		var from, to uint64
		var perms string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &perms); err != nil {
			return 0, fmt.Errorf("memory map: %q: %w", lines.Text(), err)
		}
		if to <= at {
			continue
		}
		if from > at || !strings.HasPrefix(perms, "rw") {
			break
		}
		at = to
	}
	return min(at, end) - addr, lines.Err()
}
