package watchdog

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// startTimeout bounds the start of the watchdog, on a busy machine.
	startTimeout = 10 * time.Second
	// closeTimeout bounds how long Close waits for its end.
	closeTimeout = time.Second
)

// Bytes that the agent sends.
const (
	byteBeat = 'b'
	byteBye  = 'q' // what the agent held it has let go of: its silence is fine
)

// Guard is the agent's hold on its watchdog. Its methods may be called from any
// goroutine.
type Guard struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the watchdog has been reaped
	err  error         // of Wait; valid then

	mu         sync.Mutex
	closed     bool
	sock       int // valid unless closed
	unanswered int // beats since its last echo
}

// Start starts a watchdog of the calling process, the agent, which debugs the
// process service. It returns when the watchdog is up. From the first Beat on it
// kills the agent when there is none for 500 ms.
//
// It makes the agent the first to go when memory runs out, before the watchdog
// and the service, and it closes to later children every descriptor that this
// process was given when it started.
func Start(service int) (*Guard, error) {
	g, err := start(service)
	if err != nil {
		return nil, fmt.Errorf("remotedbg: start the watchdog: %w", err)
	}
	if err := g.awaitReady(); err != nil {
		_ = g.cmd.Process.Kill()
		<-g.done
		_ = unix.Close(g.sock)
		return nil, fmt.Errorf("remotedbg: start the watchdog: %w", err)
	}
	// After the start: the watchdog keeps what was there before. Raising one's
	// own is always allowed (proc_pid_oom_score_adj(5)); where /proc is read
	// only there is nothing to be done, and nothing depends on it.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	return g, nil
}

func start(service int) (*Guard, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socketpair: %w", err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "socket")
	defer theirs.Close()
	g := &Guard{sock: pair[0], done: make(chan struct{})}
	if err := g.exec(service, theirs); err != nil {
		_ = unix.Close(g.sock)
		return nil, err
	}
	go func() {
		defer close(g.done)
		g.err = g.cmd.Wait()
	}()
	return g, nil
}

// exec runs the watchdog. It gets descriptors that name the two processes, and
// go on naming them when their ids are used again.
func (g *Guard) exec(service int, sock *os.File) error {
	agentFD, err := openProcess(os.Getpid())
	if err != nil {
		return err
	}
	defer agentFD.Close()
	serviceFD, err := openProcess(service)
	if err != nil {
		return err
	}
	defer serviceFD.Close()

	// Go opens everything close-on-exec; this is for what the agent was given
	// by a shell or supervisor. A descriptor that stays open in the watchdog
	// would outlive the agent.
	if err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil && !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("close_range: %w", err)
	}
	g.cmd = &exec.Cmd{
		Path: "/proc/self/exe", // the file that runs, even if an upgrade has replaced it
		Args: []string{os.Args[0], childArg, strconv.Itoa(os.Getpid()), strconv.Itoa(service)},
		// Small: one P and a heap that is collected early.
		Env:         []string{"GOMAXPROCS=1", "GOGC=20"},
		Dir:         "/",
		Stderr:      os.Stderr,
		ExtraFiles:  []*os.File{sock, agentFD, serviceFD},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	return g.cmd.Start()
}

// openProcess opens a pidfd.
func openProcess(pid int) (*os.File, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("pidfd_open %d: %w", pid, err)
	}
	return os.NewFile(uintptr(fd), "pidfd"), nil
}

// awaitReady waits for the byte that the watchdog sends when it is up.
func (g *Guard) awaitReady() error {
	err := pollIn(g.sock, startTimeout)
	if err != nil {
		return fmt.Errorf("it is not up within %v: %w", startTimeout, err)
	}
	var b [1]byte
	if n, err := unix.Read(g.sock, b[:]); n != 1 {
		return fmt.Errorf("it ended at once: %w", errors.Join(err, errEnded))
	}
	return nil
}

var errEnded = errors.New("no word from it")

// Beat says that the agent lives and serves what it traces, and looks whether the
// watchdog lives. It does not block.
func (g *Guard) Beat() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	var echoes [64]byte
	if n, _, err := unix.Recvfrom(g.sock, echoes[:], unix.MSG_DONTWAIT); err == nil && n > 0 {
		g.unanswered = 0
	}
	err := unix.Sendto(g.sock, []byte{byteBeat}, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil)
	if g.unanswered++; g.unanswered > mostUnanswered || errors.Is(err, unix.EAGAIN) {
		// A stopped watchdog is none: Done is closed, and the agent ends.
		_ = g.cmd.Process.Kill()
	}
}

// mostUnanswered beats, of which there is one each tick, may be without an echo
// before the watchdog counts as hung: 2 s. It is not less, since on a busy
// machine a process that sleeps may be woken up more than a second late. They are
// counted, as the watchdog counts silence, so that time in which this process was
// suspended itself is not held against the watchdog.
const mostUnanswered = 20

// Done is closed when the watchdog has ended. Unless Close was called, it was
// killed, and the agent should let go of everything and end.
func (g *Guard) Done() <-chan struct{} { return g.done }

// Close tells the watchdog that the agent has let go of everything, and waits
// until it has looked for itself and ended, for a second at most. It is an error
// if it found a thread that is still stopped or traced. Further calls only wait.
func (g *Guard) Close() error {
	g.mu.Lock()
	if !g.closed {
		g.closed = true
		_ = unix.Sendto(g.sock, []byte{byteBye}, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil) // fails if it is gone
		_ = unix.Close(g.sock)
	}
	g.mu.Unlock()
	select {
	case <-g.done:
		if g.err != nil {
			return fmt.Errorf("remotedbg: watchdog: %w", g.err)
		}
		return nil
	case <-time.After(closeTimeout):
		return fmt.Errorf("remotedbg: watchdog: still at work after %v", closeTimeout)
	}
}
