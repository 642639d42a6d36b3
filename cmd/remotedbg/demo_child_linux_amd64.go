package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is a process the demo started and ends.
type child struct {
	name   string
	cmd    *exec.Cmd
	stdout firstLine
	exited chan struct{}
	err    error // of Wait; valid once exited is closed
}

// startChild starts a process in a group of its own, so that ctrl-C reaches
// the demo alone and the demo ends its children in the right order. Should the
// demo itself be killed, the kernel sends the child SIGTERM.
func startChild(name string, stderr io.Writer, path string, args ...string) (*child, error) {
	c := &child{name: name, cmd: exec.Command(path, args...), exited: make(chan struct{})}
	c.stdout.ready = make(chan struct{})
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	c.cmd.WaitDelay = time.Second

	started := make(chan error, 1)
	go func() {
		// The kernel sends Pdeathsig when the thread that forked ends, not the
		// process (prctl(2), PR_SET_PDEATHSIG): this one is kept until the
		// child has gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		started <- err
		if err == nil {
			c.err = c.cmd.Wait()
			close(c.exited)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("demo: start %s: %w", name, err)
	}
	return c, nil
}

// firstOutput waits for the child's first line on stdout: each of ours prints
// one as soon as it listens.
func (c *child) firstOutput(ctx context.Context) (string, error) {
	select {
	case <-c.stdout.ready:
		return c.stdout.String(), nil
	case <-c.exited:
		return "", fmt.Errorf("demo: %s ended before it was ready: %v", c.name, c.err)
	case <-ctx.Done():
		return "", fmt.Errorf("demo: wait for %s: %w", c.name, context.Cause(ctx))
	}
}

// end asks the child to end and makes it after grace.
func (c *child) end(grace time.Duration) error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have gone already
	select {
	case <-c.exited:
		return nil
	case <-time.After(grace):
	}
	_ = c.cmd.Process.Kill()
	<-c.exited
	return fmt.Errorf("demo: %s did not end within %s of SIGTERM and was killed", c.name, grace)
}

// firstLine keeps the first line written to it and drops the rest.
type firstLine struct {
	mu    sync.Mutex
	text  bytes.Buffer
	whole bool
	ready chan struct{} // closed when the line is there
}

func (f *firstLine) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.whole {
		line, _, found := bytes.Cut(p, []byte("\n"))
		f.text.Write(line)
		if found {
			f.whole = true
			close(f.ready)
		}
	}
	return len(p), nil
}

func (f *firstLine) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.text.String()
}

// prefixed writes whole lines to w, each behind prefix.
type prefixed struct {
	mu     sync.Mutex
	w      io.Writer
	prefix string
	rest   string // of a line that has not ended
}

func (p *prefixed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	lines := strings.Split(p.rest+string(b), "\n")
	p.rest = lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		fmt.Fprintf(p.w, "%s%s\n", p.prefix, line)
	}
	return len(b), nil
}

// tail keeps the end of what is written to it, for when something went wrong.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	const most = 4 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-most):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
