package watchdog

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// childArg is the first argument of a watchdog. ps shows it.
const childArg = "watchdog-of-agent"

// Descriptors of a watchdog, in the order of exec.Cmd.ExtraFiles.
const (
	fdSocket  = 3
	fdAgent   = 4 // pidfd
	fdService = 5 // pidfd
)

const (
	// tick and silentTicks: an agent that gives no sign of life for 5 ticks
	// one after the other is killed.
	tick        = 100 * time.Millisecond
	silentTicks = 5
	silence     = silentTicks * tick

	// graceTimeout is how long an agent that said goodbye may have a thread
	// of the service in its hands before it is killed, too.
	graceTimeout = 2 * time.Second
	// settleTimeout bounds the wait for the kernel to detach the threads of
	// an agent that is dead or dying. It takes milliseconds, but a process
	// that waits for a disk dies late.
	settleTimeout = 10 * time.Second
)

// Exit codes of a watchdog.
const (
	codeFine  = 0
	codeLeft  = 1 // a thread of the service is left stopped or traced
	codeUsage = 2
)

// Heal removes what a dead agent has left in the program text of process pid, and
// says how many places there were.
type Heal func(pid int) (int, error)

// Main is the watchdog if args, the process's own, say that this process was
// started to be one. Otherwise it does nothing and ours is false. To be called
// before anything else in main. heal may be nil.
func Main(args []string, heal Heal) (code int, ours bool) {
	if len(args) != 4 || args[1] != childArg {
		return 0, false
	}
	agent, err1 := strconv.Atoi(args[2])
	service, err2 := strconv.Atoi(args[3])
	var st unix.Stat_t
	if err := errors.Join(err1, err2, unix.Fstat(fdSocket, &st)); err != nil || st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		fmt.Fprintln(os.Stderr, "remotedbg: "+childArg+" is started by remotedbg attach only")
		return codeUsage, true
	}
	shield()
	w := &child{agent, service, heal}
	return w.run(), true
}

// shield leaves SIGKILL as the only signal that ends a watchdog: it ends when
// its agent does, however a supervisor or a terminal says goodbye to both.
func shield() {
	signal.Ignore(unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGPIPE,
		unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM)
	// What ps and top show; /proc/self/exe would make it "exe".
	_ = os.WriteFile("/proc/self/comm", []byte("remotedbg-watch"), 0)
	// Never as eager to go as the agent. Lowering takes CAP_SYS_RESOURCE; who
	// has it not, and starts us at the end of the scale, leaves it at that.
	if text, err := os.ReadFile("/proc/self/oom_score_adj"); err == nil && strings.TrimSpace(string(text)) == "1000" {
		_ = os.WriteFile("/proc/self/oom_score_adj", []byte("999"), 0)
	}
}

// child is a watchdog.
type child struct {
	agent, service int
	heal           Heal
}

// ending is how an agent's life came to its end.
type ending int

const (
	endingBye    ending = iota // it has let go of everything
	endingDead                 // it is dead, or its end of the socket is closed
	endingSilent               // no heartbeat
)

func (w *child) run() int {
	shrink()
	if _, err := unix.Write(fdSocket, []byte{byteBeat}); err != nil {
		return codeFine // the agent has gone already, and had nothing yet
	}
	end := w.listen(fdSocket)
	what := map[ending]string{
		endingBye:    fmt.Sprintf("the agent (pid %d) has ended its work", w.agent),
		endingDead:   fmt.Sprintf("the agent (pid %d) has died", w.agent),
		endingSilent: fmt.Sprintf("the agent (pid %d) gave no sign of life for %v: killed", w.agent, silence),
	}[end]
	if end == endingSilent {
		kill()
	}
	left, err := w.settle(end)
	if end == endingBye && len(left) > 0 {
		what = fmt.Sprintf("the agent (pid %d) did not let go of the service: killed", w.agent)
		kill()
		left, err = w.settle(endingDead)
	}
	if err == nil && end != endingBye {
		what += w.healProbes()
	}
	switch {
	case errors.Is(err, errServiceEnded):
		w.say("%s; so has process %d", what, w.service)
	case err != nil:
		w.say("%s; process %d cannot be checked: %v", what, w.service, err)
		return codeLeft
	case len(left) > 0:
		w.say("%s; of process %d are left: %s", what, w.service, strings.Join(left, ", "))
		return codeLeft
	default:
		w.say("%s; no thread of process %d is stopped or traced", what, w.service)
	}
	return codeFine
}

// listen waits for the agent's end.
func (w *child) listen(sock int) ending {
	silent, beating := 0, false
	var buf [64]byte
	for {
		timeout := time.Duration(-1)
		if beating {
			timeout = tick
		}
		switch ready := pollIn(sock, timeout); {
		case errors.Is(ready, errTimeout):
			if silent++; silent >= silentTicks {
				return endingSilent
			}
			continue
		case ready != nil:
			return endingDead
		}
		n, err := unix.Read(sock, buf[:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return endingDead
		}
		if strings.ContainsRune(string(buf[:n]), byteBye) {
			return endingBye
		}
		silent, beating = 0, true
		// The echo: the agent judges by it whether it has a watchdog. One that
		// does not read does not matter, and one that is gone is seen above.
		_ = unix.Sendto(sock, []byte{byteBeat}, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil)
	}
}

// settle waits until no thread of the service is left, and says which are.
func (w *child) settle(end ending) (threads []string, err error) {
	deadline := time.Now().Add(settleTimeout)
	if end == endingBye {
		deadline = time.Now().Add(graceTimeout)
	}
	for {
		if pollIn(fdService, 0) == nil {
			return nil, errServiceEnded
		}
		threads, err = left(w.service, w.agent)
		// A silent agent is killed, and its death is part of what is waited for:
		// until then it may take a thread that it does not have yet.
		dead := end != endingSilent || pollIn(fdAgent, 0) == nil
		if err == nil && len(threads) == 0 && dead || time.Now().After(deadline) {
			return threads, err
		}
		_ = pollIn(fdService, settleEvery)
	}
}

// healProbes removes the uprobes that an agent leaves in the service's text when it
// is killed while it sets or removes some, and says so.
func (w *child) healProbes() string {
	if w.heal == nil || pollIn(fdAgent, settleTimeout) != nil {
		return "" // or not even dead: the kernel is busy with it
	}
	n, err := w.heal(w.service)
	switch {
	case err != nil:
		return fmt.Sprintf("; uprobes may be left in its text: %v", err)
	case n > 0:
		return fmt.Sprintf("; %d uprobes were left and are removed", n)
	}
	return ""
}

// settleEvery is how often settle looks.
const settleEvery = 5 * time.Millisecond

var errServiceEnded = errors.New("the service has ended")

// kill kills the agent, and no other process that may have its id by now.
func kill() { _ = unix.PidfdSendSignal(fdAgent, unix.SIGKILL, nil, 0) } // fails if it is dead

// say writes a line for the operator of the agent, whose stderr it is, if that
// takes it within a second: a stopped terminal must not keep the watchdog alive.
// A pipe that is writable takes PIPE_BUF bytes without blocking (pipe(7)).
func (w *child) say(format string, args ...any) {
	line := "remotedbg: watchdog: " + fmt.Sprintf(format, args...) + "\n"
	fds := []unix.PollFd{{Fd: 2, Events: unix.POLLOUT}}
	if n, err := retry(fds, time.Second); err == nil && n == 1 && fds[0].Revents&unix.POLLOUT != 0 {
		_, _ = unix.Write(2, []byte(line[:min(len(line), 4096)]))
	}
}
