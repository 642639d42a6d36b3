package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/remotedbg/remotedbg/internal/invite"
)

// identity is what invitations are bound to. What cannot be read stays empty: the
// secret decides, and it is made for this agent.
func (p *process) identity() invite.Process {
	return invite.Process{PID: p.pid, Start: startOf(p.pid), BuildID: buildID(fmt.Sprintf("/proc/%d/exe", p.pid))}
}

// startOf is when a process began, in ticks since boot: field 22 of its stat
// (proc_pid_stat(5)). The second field has the program's name, with anything in it,
// between the first and the last parenthesis.
func startOf(pid int) uint64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const start = 22 - 3
	if len(fields) <= start {
		return 0
	}
	n, _ := strconv.ParseUint(fields[start], 10, 64)
	return n
}

// buildID is what the Go linker noted in an executable: an ELF note of the name Go
// and type 4 (cmd/internal/buildid).
func buildID(path string) string {
	f, err := elf.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	section := f.Section(".note.go.buildid")
	if section == nil {
		return ""
	}
	note, err := section.Data()
	const head = 16 // name's size, text's size, type, "Go\0\0"
	if err != nil || len(note) < head || string(note[12:head]) != "Go\x00\x00" {
		return ""
	}
	size := binary.LittleEndian.Uint32(note[4:])
	return string(note[head:min(len(note), head+int(size))])
}
