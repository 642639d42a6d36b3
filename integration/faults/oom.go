//go:build linux && amd64

package main

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// memoryGroups says why row oom cannot run here.
func memoryGroups() error {
	g, err := harness.NewMemoryGroup()
	if err != nil {
		return err
	}
	return g.Remove()
}

// killByKernel has agent and watchdog run in a cgroup of their own, which is
// then given little more memory than it uses, and the agent need more. The
// kernel's OOM killer has to choose the agent, whose watchdog sees to the rest.
func killByKernel(t *trial) (err error) {
	g, err := harness.NewMemoryGroup()
	if err != nil {
		return err
	}
	p, err := g.Start(t.agent, harness.AgentArgs(t.service.PID)...)
	if err != nil {
		return errors.Join(err, g.Remove())
	}
	defer func() {
		p.Kill()
		err = errors.Join(err, g.Remove())
	}()
	a, err := harness.AwaitAgent(p)
	if err != nil {
		return err
	}
	t.agents = append(t.agents, a)
	s := steppingStates[t.number%len(steppingStates)]
	t.label = string(s) + ", OOM killer"
	t.counted(string(s))
	if _, err := t.bring(a, s); err != nil {
		return err
	}
	used, err := g.Usage()
	if err != nil {
		return err
	}
	t.strike()
	if err := g.Limit(used + t.rng.Int64N(8<<20)); err != nil && !errors.Is(err, syscall.EBUSY) {
		return err
	}
	conns := fill(a.Addr)
	defer closeAll(conns)
	return t.killedByKernel(a, g)
}

func (t *trial) killedByKernel(a *harness.Agent, g *harness.MemoryGroup) error {
	if _, err := a.Wait(endTimeout); err != nil {
		return fmt.Errorf("%w: the agent lives in a cgroup without memory", errNotProvoked)
	}
	kills, err := g.Killed()
	if err != nil {
		return err
	}
	if kills != 1 {
		return fmt.Errorf("the OOM killer has killed %d processes of agent and watchdog", kills)
	}
	if err := t.gone(a, -int(syscall.SIGKILL)); err != nil {
		return err
	}
	if said := a.Stderr.String(); !strings.Contains(said, "has died; no thread of process") {
		return errors.New("the watchdog did not outlive the agent")
	}
	t.counted("killed by the kernel")
	return nil
}
