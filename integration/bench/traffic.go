//go:build linux && amd64

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// connections is how many clients send requests at the same time.
const connections = 8

// path is what the others ask for. Its handler runs over the breakpoint's line.
const path = "/orders/3"

// traffic is the outcome of (a): a window of each kind a round.
type traffic struct {
	none, control, frozen []harness.LoadResult
}

// measureTraffic measures the others in windows without a debugger, without a
// debugger again (the control), and with a request frozen. The order changes
// from round to round, so that a machine that grows slower favours none.
func (b *bench) measureTraffic() (*traffic, error) {
	t := &traffic{}
	err := b.interleave(
		func(s *harness.Service) error { return add(&t.none, s, b.window) },
		func(s *harness.Service) error { return add(&t.control, s, b.window) },
		func(s *harness.Service) error {
			return b.whileFrozen(s, func() error { return add(&t.frozen, s, b.window) })
		},
	)
	return t, err
}

// interleave measures each of windows once a round on a warm service of its own,
// each round beginning with the next one.
func (b *bench) interleave(windows ...func(*harness.Service) error) error {
	s, err := b.start()
	if err != nil {
		return err
	}
	defer s.Kill()
	if _, err := load(s, b.window); err != nil { // warm up
		return err
	}
	for round := range b.rounds {
		for i := range windows {
			if err := windows[(i+round)%len(windows)](s); err != nil {
				return err
			}
		}
	}
	return s.Shutdown()
}

func add(to *[]harness.LoadResult, s *harness.Service, window time.Duration) error {
	r, err := load(s, window)
	*to = append(*to, r)
	return err
}

// load measures one window.
func load(s *harness.Service, window time.Duration) (harness.LoadResult, error) {
	l := harness.StartLoad(s.URL, path, connections)
	<-time.After(window)
	r := l.Stop()
	if r.Failed > 0 {
		return r, fmt.Errorf("%d of the others' requests failed: %w", r.Failed, r.FirstBad)
	}
	return r, nil
}

// whileFrozen runs measure while a request is frozen.
func (b *bench) whileFrozen(s *harness.Service, measure func() error) error {
	d, err := b.attach(s)
	if err != nil {
		return err
	}
	defer d.close()
	stop, answered, err := d.freeze()
	if err != nil {
		return err
	}
	if err := measure(); err != nil {
		return err
	}
	if err := d.Continue(stop.ThreadID); err != nil {
		return err
	}
	if err := <-answered; err != nil {
		return err
	}
	return d.close()
}

// debugger is an agent and an IDE with a breakpoint at the line.
type debugger struct {
	*daptest.Client
	agent  *harness.Agent
	client *harness.Client
	closed bool
}

func (b *bench) attach(s *harness.Service) (*debugger, error) {
	a, err := harness.StartAgent(b.agent, s.PID)
	if err != nil {
		return nil, err
	}
	c, err := a.Dial()
	if err != nil {
		a.Kill()
		return nil, err
	}
	d := &debugger{Client: c, agent: a, client: harness.NewClient(s.URL, harness.Allowed, 1)}
	if err := errors.Join(unpin(a.Process), c.Session(b.line.File, b.line.Line)); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// stopped is where a request was frozen.
type stopped struct {
	ThreadID int
	Waited   time.Duration // from sending the request to the IDE's stopped event
}

// freeze sends a request and waits until it is frozen. answered tells when it
// has been answered.
func (d *debugger) freeze() (stopped, <-chan error, error) {
	answered := make(chan error, 1)
	sent := time.Now()
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		r := d.client.Get(ctx, "/orders/7")
		if r.Err == nil && r.Status != 200 {
			r.Err = fmt.Errorf("the frozen request was answered with %d", r.Status)
		}
		answered <- r.Err
	}()
	stop, err := d.WaitStopped(daptest.AnyThread)
	return stopped{stop.ThreadId, time.Since(sent)}, answered, err
}

// close ends the agent; everything goes on.
func (d *debugger) close() error {
	if d.closed {
		return nil
	}
	d.closed = true
	_ = d.Disconnect() // nothing is lost if it cannot be told
	d.Client.Close()
	d.client.Close()
	code, err := d.agent.Stop(syscall.SIGTERM, 10*time.Second)
	if err == nil && code != 0 {
		err = fmt.Errorf("the agent ended with %d:\n%s", code, d.agent.Stderr)
	}
	return err
}

// ratios are what windows of one kind came to, as shares of those without a
// debugger in the same round, sorted.
func (t *traffic) ratios(of []harness.LoadResult, figure func(harness.LoadResult) float64) []float64 {
	var list []float64
	for i, r := range of {
		list = append(list, figure(r)/figure(t.none[i]))
	}
	slices.Sort(list)
	return list
}

func throughput(r harness.LoadResult) float64 { return r.PerSecond() }
func p99(r harness.LoadResult) float64        { return float64(r.Quantile(0.99)) }

// median of a sorted list that is not empty.
func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// verdict fails if the throughput is below the promise, and below what the
// machine does to itself.
func (t *traffic) verdict() error {
	got, control := median(t.ratios(t.frozen, throughput)), t.ratios(t.control, throughput)
	if got < promise && got < control[0] {
		return fmt.Errorf("with a request frozen the others have %.3f of their throughput, promised is %.2f (none against none: %.3f to %.3f)",
			got, promise, control[0], control[len(control)-1])
	}
	return nil
}
