//go:build linux

package live_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/remotedbg/remotedbg/internal/live"
	"golang.org/x/sys/unix"
)

func TestHostTIDInOurNamespace(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, tid := range []int{os.Getpid(), unix.Gettid()} {
		if got, err := live.HostTID(os.Getpid(), tid); got != tid || err != nil {
			t.Errorf("HostTID(%d) = %d, %v", tid, got, err)
		}
	}
}

// TestHostTIDInAnotherNamespace: what a service in a container calls thread 1
// is another one to us.
func TestHostTIDInAnotherNamespace(t *testing.T) {
	cmd := exec.Command("/bin/cat")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	if os.Geteuid() != 0 { // anybody may make a user namespace with others in it
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}()
	pid := cmd.Process.Pid
	if got, err := live.HostTID(pid, 1); got != pid || err != nil {
		t.Errorf("HostTID(%d, 1) = %d, %v, want %d", pid, got, err, pid)
	}
	if got, err := live.HostTID(pid, 2); !errors.Is(err, unix.ESRCH) {
		t.Errorf("HostTID(%d, 2) = %d, %v, want ESRCH", pid, got, err)
	}
}

func TestHostTIDOfNoProcess(t *testing.T) {
	cmd := exec.Command("/bin/true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if got, err := live.HostTID(cmd.Process.Pid, 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("HostTID = %d, %v, want fs.ErrNotExist", got, err)
	}
}
