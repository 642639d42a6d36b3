//go:build linux && amd64

package doctor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/vmem"
	"golang.org/x/sys/unix"
)

// subject is what the checks look at: the process, and ourselves. What several
// checks need is read once, when the first asks for it; an error is given to
// each of them.
type subject struct {
	Config
	pid  int    // as Config.PID
	proc string // where the proc file system is mounted
	sys  string // where the cgroup file systems are

	self   func() (status, error)
	target func() (status, error)
	exe    func() (*executable, error)
	access func() error // nil: the kernel lets us trace the process
	img    func() (*board.Image, error)
	board  func() (*board.Board, error)
}

func newSubject(c Config) *subject {
	s := &subject{Config: c, pid: c.PID, proc: "/proc", sys: "/sys/fs/cgroup"}
	s.self = sync.OnceValues(func() (status, error) { return s.readStatus("self") })
	s.target = sync.OnceValues(func() (status, error) { return s.readStatus(strconv.Itoa(s.pid)) })
	s.exe = sync.OnceValues(func() (*executable, error) { return readExecutable(s.targetFile("exe")) })
	s.access = sync.OnceValue(func() error { return tryAccess(s.pid) })
	s.img = sync.OnceValues(func() (*board.Image, error) { return board.Locate(s.pid) })
	s.board = sync.OnceValues(func() (*board.Board, error) {
		img, err := s.img()
		if err != nil {
			return nil, err
		}
		return board.Open(vmem.Process{PID: s.pid}, img)
	})
	return s
}

// targetFile is the path of a file of the process below /proc.
func (s *subject) targetFile(name string) string {
	return filepath.Join(s.proc, strconv.Itoa(s.pid), name)
}

func (s *subject) readStatus(id string) (status, error) {
	text, err := os.ReadFile(filepath.Join(s.proc, id, "status"))
	if err != nil {
		return nil, err
	}
	return parseStatus(string(text)), nil
}

// both reads our status and the process's.
func (s *subject) both() (self, target status, err error) {
	self, err = s.self()
	if err != nil {
		return nil, nil, err
	}
	target, err = s.target()
	return self, target, err
}

// capable says whether we have a capability in effect.
func (s *subject) capable(bit int) (bool, error) {
	self, err := s.self()
	if err != nil {
		return false, err
	}
	caps, err := self.caps("CapEff")
	return caps.has(bit), err
}

// tryAccess asks the kernel whether we may trace a process: process_vm_readv(2)
// needs the very right that PTRACE_SEIZE does (PTRACE_MODE_ATTACH_REALCREDS,
// security modules included) and is checked before the address is looked at
// (mm/process_vm_access.c, process_vm_rw_core). Nothing is mapped at address 0,
// so that nothing is read either.
func tryAccess(pid int) error {
	var b [1]byte
	_, err := vmem.Process{PID: pid}.ReadMemory(b[:], 0)
	if errors.Is(err, unix.EFAULT) {
		return nil
	}
	return err
}

// readWord reads a one-word file, such as a sysctl.
func readWord(path string) (string, error) {
	text, err := os.ReadFile(path)
	return strings.TrimSpace(string(text)), err
}

// readNumber reads a file that holds one decimal number.
func readNumber(path string) (int, error) {
	word, err := readWord(path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(word)
	if err != nil {
		return 0, fmt.Errorf("%s: %q is not a number", path, word)
	}
	return n, nil
}
