//go:build linux && amd64

package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

const (
	// answerTimeout bounds how long a held request may take once the fault has
	// happened. Its client waits; a second of silence is the gate's.
	answerTimeout = 10 * time.Second
	// slotTimeout bounds how long a slot that a dead agent left may be taken:
	// the lease is five seconds.
	slotTimeout = 8 * time.Second
)

// check holds the service against what it must be when nobody debugs it: alive,
// no thread traced or stopped, its text untouched, the next n requests answered
// with 200, and the slots free: at once if the agent ended in good order,
// otherwise when the lease has run out.
func (g *rig) check(n int) error {
	pid := g.service.PID
	if err := g.serves(n); err != nil {
		return err
	}
	err := errors.Join(g.slotsFree(slotTimeout), harness.Untraced(pid))
	text := textIntact(pid)
	if text != nil && g.row.unwatched {
		g.counted("uprobes left until recover")
		if text = g.recover(); text == nil {
			text = textIntact(pid)
		}
	}
	return errors.Join(err, text)
}

// slotsFree waits until every slot is free. The gate has no goroutine: it is the
// next request of an allowed client that takes back what a dead agent left.
func (g *rig) slotsFree(timeout time.Duration) error {
	return harness.Until(timeout, "every slot is free", func() error {
		if err := harness.SlotsFree(g.service.PID); err == nil {
			return nil
		}
		return errors.Join(g.allowed.All(1, "/orders/7", 10*time.Second), harness.SlotsFree(g.service.PID))
	})
}

// serves is the part of check that does not wait for the lease.
func (g *rig) serves(n int) error {
	if !g.service.Running() {
		code, _ := g.service.Wait(time.Second)
		return fmt.Errorf("the service has died: it ended with %d", code)
	}
	// For as long as the lease of a dead agent runs, an allowed request waits
	// 100 ms for its answer: so only a few of the n are allowed ones.
	const fromAllowed = 10
	return errors.Join(
		harness.Untraced(g.service.PID),
		g.allowed.All(fromAllowed, "/orders/7", 30*time.Second),
		g.others.All(n-fromAllowed, "/orders/3", 2*time.Minute),
	)
}

// checkRecovered is check behind remotedbg recover, which does not wait for the
// lease.
func (g *rig) checkRecovered(n int) error {
	pid := g.service.PID
	if err := g.serves(n); err != nil {
		return err
	}
	if !g.row.unwatched { // otherwise recovering is how it becomes so
		if err := textIntact(pid); err != nil {
			return err
		}
	}
	return errors.Join(g.recover(), g.slotsFree(time.Second), harness.Untraced(pid), textIntact(pid))
}

// recover runs remotedbg recover.
func (g *rig) recover() error {
	p, err := harness.Start(g.agent, "recover", "--pid", strconv.Itoa(g.service.PID))
	if err != nil {
		return err
	}
	if code, err := p.Wait(20 * time.Second); err != nil || code != 0 {
		p.Kill()
		return fmt.Errorf("remotedbg recover ended with %d: %w\n%s%s", code, err, p.Stdout, p.Stderr)
	}
	if strings.Contains(p.Stdout.String(), "left in the program text") {
		g.counted("times that recover removed uprobes")
	}
	return nil
}

// tail is the end of a long text.
func tail(text string) string {
	const most = 1500
	if len(text) > 2*most { // how a crash begins says more than how it ends
		return text[:most] + "\n...\n" + text[len(text)-most:]
	}
	return text
}

// textTimeout bounds how long uprobes are left when nothing runs that needs them:
// 10 ms in which the agent may need them again, and the kernel's time to take them
// out. Of an agent that was killed it does so link by link, waiting for a grace
// period behind each; those that it leaks (internal/live/leaked_linux.go) the
// watchdog removes then.
const textTimeout = 2 * time.Second

func textIntact(pid int) error {
	return harness.Until(textTimeout, "no uprobe is in the service", func() error { return harness.TextIntact(pid) })
}
