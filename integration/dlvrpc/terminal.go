//go:build linux

// Package dlvrpc drives the stock dlv as a person does who types into `dlv
// connect`. It owns that process and what it prints; it knows neither the agent
// nor the service.
//
// Goroutines: one that copies dlv's output, which ends with the process.
package dlvrpc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const prompt = "(dlv) "

// Terminal is a running `dlv connect`. One goroutine types.
type Terminal struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	done  chan struct{}

	mu      sync.Mutex
	text    strings.Builder
	read    int           // how much of text was returned by Type and Await
	changed chan struct{} // closed and replaced with every output
}

// Connect starts dlv and waits for its first prompt. home is where it may write
// its configuration.
func Connect(dlv, addr, home string) (*Terminal, error) {
	t := &Terminal{cmd: exec.Command(dlv, "connect", addr), done: make(chan struct{}), changed: make(chan struct{})}
	t.cmd.Env = append(os.Environ(), "TERM=dumb", "HOME="+home, "XDG_CONFIG_HOME="+home)
	t.cmd.Stdout, t.cmd.Stderr = t, t
	t.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var err error
	if t.stdin, err = t.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := t.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = t.cmd.Wait() // its code is read from ProcessState
		close(t.done)
	}()
	if _, err := t.Await(prompt); err != nil {
		t.Kill()
		return nil, err
	}
	return t, nil
}

// Write takes what dlv prints.
func (t *Terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.changed)
	t.changed = make(chan struct{})
	return t.text.Write(p)
}

// Send types a line and waits for nothing.
func (t *Terminal) Send(line string) error {
	_, err := io.WriteString(t.stdin, line+"\n")
	return err
}

// Type types a line and returns what dlv prints until it asks for the next.
func (t *Terminal) Type(line string) (string, error) {
	if err := t.Send(line); err != nil {
		return "", err
	}
	return t.Await(prompt)
}

// Await waits until dlv prints end, and returns what it printed before, since the
// last time.
func (t *Terminal) Await(end string) (string, error) {
	const timeout = 30 * time.Second
	late := time.NewTimer(timeout)
	defer late.Stop()
	for {
		t.mu.Lock()
		fresh, changed := t.text.String()[t.read:], t.changed
		i := strings.Index(fresh, end)
		if i >= 0 {
			t.read += i + len(end)
		}
		t.mu.Unlock()
		if i >= 0 {
			return fresh[:i], nil
		}
		select {
		case <-changed:
		case <-t.done:
			return "", fmt.Errorf("dlv has ended without printing %q; it printed %q", end, fresh)
		case <-late.C:
			return "", fmt.Errorf("dlv did not print %q within %v; it printed %q", end, timeout, fresh)
		}
	}
}

// Interrupt is ctrl-C.
func (t *Terminal) Interrupt() error { return t.cmd.Process.Signal(os.Interrupt) }

// Wait waits for dlv's end and returns its exit code.
func (t *Terminal) Wait() (int, error) {
	select {
	case <-t.done:
		return t.cmd.ProcessState.ExitCode(), nil
	case <-time.After(20 * time.Second):
		return 0, errors.New("dlv does not end")
	}
}

// Kill ends dlv at once.
func (t *Terminal) Kill() {
	_ = t.cmd.Process.Kill()
	<-t.done
}

// Transcript is everything that dlv has printed.
func (t *Terminal) Transcript() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}
