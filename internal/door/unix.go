//go:build linux

package door

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/remotedbg/remotedbg/internal/access"
)

// maxSocketPath is how long the path of a socket may be (unix(7), sun_path, without
// the zero byte).
const maxSocketPath = 107

// ErrTaken is returned when somebody answers at the socket that was asked for.
var ErrTaken = errors.New("another agent listens there")

// ListenUnix listens on a Unix socket of mode 0600 and lets in processes of the
// agent's own user, and of the one that cfg names. A socket that a dead agent has
// left at path is replaced. The error is [ErrTaken] if a living one has it.
func ListenUnix(path string, cfg Local) (*Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("remotedbg: listen on %s: the path of a socket has at most %d bytes", path, maxSocketPath)
	}
	unlock, err := lock(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := removeStale(path); err != nil {
		return nil, err
	}
	// The mode is that of the open socket, less the umask (net/unix/af_unix.c,
	// unix_bind_bsd): it is never wider, not even for a moment.
	private := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var mode error
		err := raw.Control(func(fd uintptr) { mode = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(err, mode)
	}}
	ln, err := private.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	if cfg.AlsoUID >= 0 && cfg.AlsoUID != os.Geteuid() {
		// Who runs as root can connect to any socket.
		if err := os.Lchown(path, cfg.AlsoUID, -1); err != nil {
			ln.Close()
			return nil, stranger{fmt.Errorf("remotedbg: give %s to uid %d: %w", path, cfg.AlsoUID, err), "only root can let another user use its socket; a loopback port can do it: --listen 127.0.0.1:2345"}
		}
	}
	who := newLocal(cfg)
	return &Listener{ln: ln, addr: "unix://" + path, greet: func(nc net.Conn) (string, string, access.Identity, error) {
		from := peerProcess(nc)
		source, identity, err := who.judge(nc, from)
		return source, from, identity, err
	}}, nil
}

// peerProcess names the process at the other end, for people: it may have ended, and
// its number may be another's by then.
func peerProcess(nc net.Conn) string {
	const unknown = "a Unix socket"
	local, ok := nc.(*net.UnixConn)
	if !ok {
		return unknown
	}
	raw, err := local.SyscallConn()
	if err != nil {
		return unknown
	}
	var cred *unix.Ucred
	if controlErr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); controlErr != nil || err != nil || cred.Pid == 0 {
		return unknown // of another PID namespace
	}
	return fmt.Sprintf("pid %d", cred.Pid)
}

// lock keeps other agents out of dir: between bind(2) and listen(2) a socket looks
// like one that was left behind.
func lock(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("remotedbg: open the socket's directory: %w", err)
	}
	for {
		err = unix.Flock(int(d.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		d.Close()
		return nil, fmt.Errorf("remotedbg: lock %s: %w", dir, err)
	}
	return func() { d.Close() }, nil
}

// removeStale removes the socket at path if nobody listens there. Anything that is
// no socket is left alone.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("remotedbg: look at %s: %w", path, err)
	case info.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("remotedbg: listen on %s: there is something else than a socket", path)
	}
	nc, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		nc.Close()
		return fmt.Errorf("remotedbg: listen on %s: %w", path, ErrTaken)
	case errors.Is(err, unix.ECONNREFUSED):
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remotedbg: remove the socket of an agent that has gone: %w", err)
		}
		return nil
	case errors.Is(err, unix.ENOENT):
		return nil
	}
	return fmt.Errorf("remotedbg: listen on %s: find out whether an agent is there: %w", path, err)
}

// RemoveStale removes the sockets of agents that have gone from dir, which is as
// RuntimeDir returns it. Whatever cannot be removed is left for the next.
func RemoveStale(dir string) {
	unlock, err := lock(dir)
	if err != nil {
		return
	}
	defer unlock()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".sock") && entry.Type() == os.ModeSocket {
			_ = removeStale(filepath.Join(dir, entry.Name()))
		}
	}
}
