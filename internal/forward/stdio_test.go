package forward

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/dap/daptest"
)

// adapter is a Stdio that runs, as an editor sees it.
type adapter struct {
	io.Reader
	io.WriteCloser
	done chan error
	stop context.CancelCauseFunc
}

func startStdio(t *testing.T, route Route) *adapter {
	t.Helper()
	in, toIn := io.Pipe()
	fromOut, out := io.Pipe()
	ctx, stop := context.WithCancelCause(context.Background())
	a := &adapter{fromOut, toIn, make(chan error, 1), stop}
	go func() {
		err := Stdio(ctx, in, out, route, func(line string) { t.Log(line) })
		out.Close() // as the end of the process does
		a.done <- err
	}()
	t.Cleanup(func() {
		stop(ErrStopped)
		toIn.Close()
	})
	return a
}

func (a *adapter) ends(t *testing.T) error {
	t.Helper()
	select {
	case err := <-a.done:
		return err
	case <-time.After(patience):
		t.Fatal("it does not end")
		return nil
	}
}

func TestStdio(t *testing.T) {
	agent := startStandIn(t)
	a := startStdio(t, &unixRoute{path: agent.path})
	c := daptest.New(a)
	if _, err := c.Initialize(); err != nil {
		t.Fatal(err)
	}
	a.Close()
	agent.visit().sawEnd(t)
	if err := a.ends(t); err != nil {
		t.Errorf("the editor has ended it: %v", err)
	}
	<-c.Done() // nothing is written after the end
}

// An agent that dies is an error, and the editor is told.
func TestStdioAgentDies(t *testing.T) {
	agent := startStandIn(t)
	agent.on["evaluate"] = func(v *visitor, seq int) { v.Close() }
	a := startStdio(t, &unixRoute{path: agent.path})
	c := daptest.New(a)
	if _, err := c.Initialize(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Evaluate("x", 1, "watch"); !errors.Is(err, daptest.ErrClosed) {
		t.Errorf("evaluate: %v", err)
	}
	if _, err := c.WaitEvent("terminated"); err != nil {
		t.Error(err)
	}
	if err := a.ends(t); !errors.Is(err, errAgentGone) {
		t.Errorf("it ends with %v", err)
	}
}

func TestStdioNoAgent(t *testing.T) {
	a := startStdio(t, failing{&Error{Err: errors.New("remotedbg: nobody there"), Advice: "go away"}})
	c := daptest.New(a)
	if _, err := c.Initialize(); err == nil || !strings.Contains(err.Error(), "nobody there (go away)") {
		t.Errorf("the editor is told %v", err)
	}
	if err := a.ends(t); err == nil || !strings.Contains(err.Error(), "nobody there") {
		t.Errorf("it ends with %v", err)
	}
}

// A signal ends it while the editor says nothing, with or without an agent.
func TestStdioStops(t *testing.T) {
	agent := startStandIn(t)
	for _, route := range []Route{&unixRoute{path: agent.path}, failing{errors.New("nobody")}} {
		a := startStdio(t, route)
		go io.Copy(io.Discard, a)
		if _, ok := route.(*unixRoute); ok {
			agent.visit()
		}
		a.stop(ErrStopped)
		a.ends(t)
	}
}
