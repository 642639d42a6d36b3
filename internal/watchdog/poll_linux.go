package watchdog

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// errTimeout means that a descriptor was not ready in time.
var errTimeout = errors.New("timeout")

// pollIn waits until fd is readable, which for a pidfd means that its process
// has ended (pidfd_open(2)), and for a socket also that its other end is closed.
// A negative timeout is for ever.
func pollIn(fd int, timeout time.Duration) error {
	n, err := retry([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, timeout)
	if err == nil && n == 0 {
		err = errTimeout
	}
	return err
}

// retry is poll(2), gone on with after a signal: the Go runtime sends itself
// some. It uses CLOCK_MONOTONIC, as poll does.
func retry(fds []unix.PollFd, timeout time.Duration) (n int, err error) {
	deadline := time.Now().Add(timeout)
	for {
		ms := -1
		if timeout >= 0 {
			// Rounded up: a rest of less than 1 ms must not become a busy loop.
			ms = max(0, int((time.Until(deadline)+time.Millisecond-1)/time.Millisecond))
		}
		if n, err = unix.Poll(fds, ms); !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
