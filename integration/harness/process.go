//go:build linux

package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Process is a program that was started.
type Process struct {
	PID            int
	Stdout, Stderr *Output

	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has been reaped
}

// Start starts a program.
func Start(program string, args ...string) (*Process, error) {
	hangups()
	p := &Process{
		Stdout: newOutput(), Stderr: newOutput(),
		name: filepath.Base(program),
		cmd:  exec.Command(program, args...),
		done: make(chan struct{}),
	}
	p.cmd.Stdout, p.cmd.Stderr = p.Stdout, p.Stderr
	// A test binary that is killed must not leave services behind.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("harness: start: %w", err)
	}
	p.PID = p.cmd.Process.Pid
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // ExitCode tells
		p.Stdout.close()
		p.Stderr.close()
	}()
	return p, nil
}

// Done is closed when the process has ended and its output is complete.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running tells whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Signal sends a signal. A process that has ended is no error.
func (p *Process) Signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && p.Running() {
		return fmt.Errorf("harness: %v to %s (pid %d): %w", sig, p.name, p.PID, err)
	}
	return nil
}

// ErrStillRunning is wrapped by the error of a wait for a process's end that
// took too long.
var ErrStillRunning = errors.New("still running")

// Wait waits for the end of the process and returns its exit code, or minus
// the number of the signal that killed it.
func (p *Process) Wait(timeout time.Duration) (int, error) {
	select {
	case <-p.done:
	case <-time.After(timeout):
		return 0, fmt.Errorf("harness: %s (pid %d) is %w after %v", p.name, p.PID, ErrStillRunning, timeout)
	}
	if ws, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return -int(ws.Signal()), nil
	}
	return p.cmd.ProcessState.ExitCode(), nil
}

// Stop sends sig and waits for the end; a process that does not end is killed,
// and that is an error.
func (p *Process) Stop(sig syscall.Signal, timeout time.Duration) (int, error) {
	if err := p.Signal(sig); err != nil {
		return 0, err
	}
	code, err := p.Wait(timeout)
	if err != nil {
		p.Kill()
	}
	return code, err
}

// Kill ends the process if it runs and waits until it is gone.
func (p *Process) Kill() {
	_ = p.Signal(syscall.SIGKILL)
	<-p.done
}

// hangups makes sure that processes started from here on get SIGHUP: one that is
// ignored where the tests run, as under nohup, would be ignored in them, too.
var hangups = sync.OnceFunc(func() {
	if signal.Ignored(syscall.SIGHUP) {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
})
