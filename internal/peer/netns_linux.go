package peer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// inNamespaceOf calls f where the kernel's tables are those of the network
// namespace that the socket is of. A listener can be of another one than the
// process: handed over by a service manager, or opened before it moved. The same
// four numbers name somebody else's socket there.
func inNamespaceOf(raw syscall.RawConn, f func() error) error {
	here, err := sameNamespace(raw)
	if err != nil {
		return err
	}
	if here {
		return f()
	}
	ns := -1
	controlErr := raw.Control(func(fd uintptr) { ns, err = unix.IoctlRetInt(int(fd), unix.SIOCGSKNS) })
	if err = errors.Join(controlErr, err); err != nil {
		return fmt.Errorf("the connection is of another network namespace: open it: %w", err)
	}
	defer unix.Close(ns)
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and nobody else
		// gets one in a foreign namespace.
		runtime.LockOSThread()
		if err := unix.Setns(ns, unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("the connection is of another network namespace: enter it: %w", err)
			return
		}
		done <- f()
	}()
	return <-done
}

// sameNamespace compares the cookie of the socket's namespace with that of a
// socket that is opened now.
func sameNamespace(raw syscall.RawConn) (bool, error) {
	var theirs, ours uint64
	var err error
	controlErr := raw.Control(func(fd uintptr) {
		theirs, err = unix.GetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	})
	if err = errors.Join(controlErr, err); err != nil {
		// Linux 5.13 has none, and then a foreign namespace shows as a socket
		// that is not found.
		if errors.Is(err, unix.ENOPROTOOPT) {
			return true, nil
		}
		return false, fmt.Errorf("tell the connection's network namespace: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, fmt.Errorf("tell this network namespace: %w", err)
	}
	defer unix.Close(fd)
	if ours, err = unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE); err != nil {
		return false, fmt.Errorf("tell this network namespace: %w", err)
	}
	return theirs == ours, nil
}
