//go:build linux && amd64

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// The faults in this file are the service's own: it ends, or becomes another
// process, while it is being debugged. It must end as it would have, and the
// agent with it.

// exitGone is the agent's exit code when the process has exited.
const exitGone = 3

// ending is a way a service ends.
type ending struct {
	what   string
	bring  func(t *trial) error
	code   int    // its exit code, or minus the signal that killed it
	stderr string // what it says
}

var endings = []ending{
	{"exit", func(t *trial) error { return t.post("/exit?code=7") }, 7, ""},
	{"SIGKILL", func(t *trial) error { return t.service.Signal(syscall.SIGKILL) }, -int(syscall.SIGKILL), ""},
	{"panic in another goroutine", func(t *trial) error { return t.post("/crash") }, 2, "panic: shop: asked to crash"},
	{"SIGTERM, and nobody continues", func(t *trial) error { return t.service.Signal(syscall.SIGTERM) }, 0, ""},
}

// endService ends the service in each of the ways, in each state.
func endService(t *trial) error {
	const own = 4 // the other ways, which have functions of their own
	kind := t.number % (len(endings) + own)
	s := steppingStates[t.number/(len(endings)+own)%len(steppingStates)]
	switch kind - len(endings) {
	case 0:
		return t.graceful(false)
	case 1:
		return t.graceful(true)
	case 2:
		return t.renewed(s, harness.Others)
	case 3:
		return t.renewed(idle, harness.Allowed)
	}
	e := endings[kind]
	a, err := t.enter(s)
	if err != nil {
		return err
	}
	t.label += ", " + e.what
	t.counted(e.what)
	t.strike()
	if err := e.bring(t); err != nil {
		return err
	}
	return errors.Join(t.serviceEnds(e), t.agentEnds(a))
}

// post asks for the end and does not wait for an answer, which need not come.
func (t *trial) post(path string) error {
	client := t.others
	t.working.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		client.Send(ctx, http.MethodPost, path, nil)
	})
	return nil
}

func (t *trial) serviceEnds(e ending) error {
	code, err := t.service.Wait(endTimeout)
	if err != nil || code != e.code {
		return fmt.Errorf("%s: the service ended with %d, not %d: %w", e.what, code, e.code, err)
	}
	if !strings.Contains(t.service.Stderr.String(), e.stderr) {
		return fmt.Errorf("%s: the service did not say %q", e.what, e.stderr)
	}
	return nil
}

func (t *trial) agentEnds(a *harness.Agent) error {
	began := time.Now()
	code, err := a.Wait(endTimeout)
	if err != nil || code != exitGone {
		return fmt.Errorf("the service is gone and the agent ended with %d, not %d: %w", code, exitGone, err)
	}
	t.measured("agent ended behind the service after", time.Since(began))
	return nil
}

// graceful has the service shut down in good order while a request is frozen:
// it waits for the request, which is continued by the IDE, or goes on because
// the agent is killed.
func (t *trial) graceful(kill bool) error {
	a, err := t.attach()
	if err != nil {
		return err
	}
	c, err := t.dial(a)
	if err != nil {
		return err
	}
	stop, err := t.freeze(c)
	if err != nil {
		return err
	}
	t.label = "SIGTERM, then continue"
	if kill {
		t.label = "SIGTERM, then SIGKILL to the agent"
	}
	t.counted(t.label)
	t.strike()
	if err := t.service.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	pause(t.between(50*time.Millisecond, time.Second)) // it gives its requests five
	if !t.service.Running() {
		return errors.New("the service did not wait for its request")
	}
	if kill {
		err = a.Signal(syscall.SIGKILL)
	} else {
		err = c.Continue(stop.ThreadId)
	}
	if err != nil {
		return err
	}
	err = errors.Join(t.answered(), t.serviceEnds(ending{what: t.label}))
	if !kill {
		err = errors.Join(err, t.agentEnds(a))
	}
	return err
}

// renewed has the service replace itself by exec, on the request of a client
// that is not allowlisted or of one that is: then the thread that calls execve
// is itself traced. The new program must be as if nothing had been.
func (t *trial) renewed(s state, from string) error {
	a, err := t.enter(s)
	if err != nil {
		return err
	}
	t.label += ", exec from " + from
	t.counted("exec")
	client := harness.NewClient(t.service.URL, from, 1)
	defer client.Close()
	t.strike()
	t.working.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		client.Send(ctx, http.MethodPost, "/exec", nil)
	})
	const ready = "shop listening on "
	var addr string
	err = harness.Until(endTimeout, "the new program listens", func() error {
		lines := strings.Split(t.service.Stdout.String(), ready)
		if len(lines) < 3 || !strings.HasSuffix(lines[2], "\n") {
			return errors.New("it has not said so")
		}
		addr = strings.TrimSpace(lines[2])
		return nil
	})
	if err != nil {
		return err
	}
	t.connect("http://" + addr)
	// Its tracer has been told of the exec, and needs a processor to let go.
	listens := time.Now()
	err = harness.Until(3*time.Second, "the new program is let go of", func() error { return harness.Untraced(t.service.PID) })
	if err != nil {
		return err
	}
	t.measured("a new program, listening, was let go of after", time.Since(listens))
	if err := t.serves(1000); err != nil { // with the agent still there, perhaps
		return fmt.Errorf("the new program: %w", err)
	}
	began := time.Now()
	if _, err := a.Wait(endTimeout); err != nil {
		return fmt.Errorf("the service is another program and the agent goes on: %w", err)
	}
	t.measured("agent ended behind an exec after", time.Since(began))
	return t.check(1000)
}
