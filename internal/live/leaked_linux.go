//go:build linux && amd64

package live

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// A thread that is being killed cannot take uprobes out: the kernel writes the
// text back by way of get_user_pages_remote, which gives up when a fatal signal is
// pending (mm/gup.c, __get_user_pages), and says so in its log ("failed to
// unregister, leaking uprobe"; kernel/events/uprobes.c). That is the thread that
// was just arming or closing a link when its agent was killed, or exited: exit_group
// kills the other threads. What the dying process still has open is closed when the
// signal is no longer pending, and goes.
//
// A leaked uprobe calls nobody and harms nothing; everybody who runs into it pays
// for the trap, for as long as the process lives. Whoever sets one at the same place
// and removes it takes it out.

// closing are the links that are being closed.
var closing sync.WaitGroup

// closeLink closes l without waiting for it: the probes go soon, the kernel's wait
// behind that is long.
func closeLink(l link.Link) {
	closing.Go(func() { _ = l.Close() }) // the descriptor is gone in any case
}

// AwaitProbes waits until no uprobe is just being removed, for at most a while. To
// be called before the process exits.
func AwaitProbes(atMost time.Duration) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		closing.Wait()
	}()
	select {
	case <-done:
	case <-time.After(atMost):
	}
}

// HealProbes takes the uprobes out of the text of process pid that an agent has
// left there, and says how many there were. It refuses while somebody traces the
// process, whose breakpoints would be taken for such.
func HealProbes(pid int) (int, error) {
	exe, err := openExecutable(pid)
	if err != nil {
		return 0, err
	}
	defer exe.close()
	addrs, err := leakedProbes(pid, exe.file)
	if err != nil || len(addrs) == 0 {
		return 0, err
	}
	if err := untraced(pid); err != nil {
		return 0, err
	}
	offsets, err := fileOffsets(pid, addrs)
	if err != nil {
		return 0, err
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.Kprobe, AttachType: ebpf.AttachTraceUprobeMulti,
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrProbes, err)
	}
	defer prog.Close()
	l, err := exe.probe(prog, pid, offsets, nil)
	if err != nil {
		return 0, err
	}
	if err := l.Close(); err != nil {
		return 0, err
	}
	return healed(pid, exe.file, addrs)
}

// healed counts the places of addrs from which the probe has gone. One that stays is
// in use: a tool for tracing, or for metrics, has set it.
func healed(pid int, exe *os.File, addrs []uint64) (int, error) {
	const often, atMost = 5 * time.Millisecond, 200 * time.Millisecond // kernels may do it later
	for deadline := time.Now().Add(atMost); ; time.Sleep(often) {
		left, err := leakedProbes(pid, exe)
		if err != nil {
			return 0, err
		}
		n := 0
		for _, a := range addrs {
			if !slices.Contains(left, a) {
				n++
			}
		}
		if n == len(addrs) || time.Now().After(deadline) {
			return n, nil
		}
	}
}

// untraced fails if a thread of process pid has a tracer.
func untraced(pid int) error {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it ended just now
		}
		for line := range strings.Lines(string(text)) {
			if tracer, ok := strings.CutPrefix(line, "TracerPid:"); ok && strings.TrimSpace(tracer) != "0" {
				return fmt.Errorf("process %s traces it, and the breakpoints in its text may be that one's", strings.TrimSpace(tracer))
			}
		}
	}
	return nil
}

const (
	pageSize = 4096
	// Bits of an entry of /proc/pid/pagemap (Documentation/admin-guide/mm/pagemap.rst).
	pagePresent = 1 << 63
	pageSwapped = 1 << 62
	pageOfFile  = 1 << 61
)

// leakedProbes are the places in the text of process pid where there is a
// breakpoint instruction and none in the file, exe. It looks at those pages alone
// that are not the file's any more.
func leakedProbes(pid int, exe *os.File) (addrs []uint64, err error) {
	text, err := textOf(pid)
	if err != nil {
		return nil, err
	}
	var files [2]*os.File
	for i, name := range []string{"mem", "pagemap"} {
		if files[i], err = os.Open(fmt.Sprintf("/proc/%d/%s", pid, name)); err != nil {
			return nil, err
		}
		defer files[i].Close()
	}
	for _, m := range text {
		pages := make([]byte, (m.to-m.from)/pageSize*8)
		if _, err := files[1].ReadAt(pages, int64(m.from/pageSize*8)); err != nil {
			return nil, err
		}
		for at := m.from; at < m.to; at += pageSize {
			entry := binary.LittleEndian.Uint64(pages[(at-m.from)/pageSize*8:])
			if entry&(pagePresent|pageSwapped) == 0 || entry&pageOfFile != 0 {
				continue
			}
			found, err := changed(exe, files[0], at-m.from+m.offset, at)
			if err != nil {
				return nil, err
			}
			addrs = append(addrs, found...)
		}
	}
	return addrs, nil
}

// changed compares a page of text in memory with its file.
func changed(exe, mem *os.File, offset, addr uint64) (addrs []uint64, err error) {
	const int3 = 0xcc
	var want, have [pageSize]byte
	n, err := exe.ReadAt(want[:], int64(offset))
	if n == 0 {
		return nil, err
	}
	if _, err := mem.ReadAt(have[:n], int64(addr)); err != nil {
		return nil, fmt.Errorf("read its text: %w", err)
	}
	for i := range n {
		if have[i] == int3 && want[i] != int3 {
			addrs = append(addrs, addr+uint64(i))
		}
	}
	return addrs, nil
}
