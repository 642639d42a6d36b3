//go:build linux && amd64

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// rig is the service of a row, which all trials use, and what they measured.
type rig struct {
	*lab
	row     row
	service *harness.Service // nil: to be started
	others  *harness.Client  // comes from an address that is not allowlisted
	allowed *harness.Client  // comes from the allowlisted one

	mu    sync.Mutex
	want  map[string]string        // bodies of the service when nobody debugs it, by path
	worst map[string]time.Duration // the longest of each thing measured
	times map[string]int           // how often each thing happened
	most  map[string]int64         // the largest of each
	notes []string                 // anything else worth a place in the table
}

// loadWorkers keep the service busy; the machine of the tests has few cores,
// and the agent needs one, too.
const loadWorkers = 2

// start starts the service if there is none.
func (g *rig) start() error {
	if g.service != nil {
		return nil
	}
	s, err := harness.StartService(g.shop, "-gc", "50ms")
	if err != nil {
		return err
	}
	g.service = s
	g.connect(s.URL)
	return nil
}

// connect makes the clients of the service at an address.
func (g *rig) connect(url string) {
	g.others = harness.NewClient(url, harness.Others, 64)
	g.allowed = harness.NewClient(url, harness.Allowed, 64)
	g.mu.Lock()
	g.want = make(map[string]string)
	g.mu.Unlock()
}

// stop ends the service.
func (g *rig) stop() {
	if g.service != nil {
		g.service.Kill()
		g.others.Close()
		g.allowed.Close()
		g.service = nil
	}
}

// finish ends the row: the last, long look at the service, which the short form
// spares itself, and its end in good order.
func (g *rig) finish(last int) (err error) {
	if g.service == nil {
		return nil
	}
	if !g.short {
		err = g.checkRecovered(10_000)
	}
	if err == nil {
		err = g.service.Shutdown()
	}
	if err != nil {
		t := &trial{rig: g, label: "after the last trial", began: time.Now(), number: last}
		t.failing(err)
		err = fmt.Errorf("%w\nall that is known: %s", err, t.keep(err, 0))
	}
	return err
}

// try runs one trial with its oracles.
func (g *rig) try(number int, seed uint64) (err error) {
	if err := g.start(); err != nil {
		return err
	}
	t := &trial{rig: g, number: number, began: time.Now(), rng: rand.New(rand.NewPCG(seed, 0)), stopping: make(chan struct{}), machine: startPulse()}
	defer t.machine.stop()
	var load *harness.Load
	if !g.row.quiet {
		load = harness.StartLoad(g.service.URL, "/orders/3", loadWorkers)
	}
	fault := g.row.trial(t)
	if fault != nil && !errors.Is(fault, errNotProvoked) {
		t.failing(fault)
		for _, a := range t.agents {
			quit(a.Process, syscall.SIGABRT)
		}
	}
	t.end()
	err = t.judge(load)
	if !errors.Is(fault, errNotProvoked) || err != nil { // then it fails all the same
		err = errors.Join(fault, err)
	}
	if err != nil {
		t.failing(err)
		err = fmt.Errorf("%w\n%s\nall that is known: %s", err, t.dump(), t.keep(err, seed))
	}
	if g.verbose {
		fmt.Fprintf(g.out, "%s: trial %d: %s: %v, machine late by %v, failed: %t\n", g.row.name, number, t.label,
			time.Since(t.began).Round(time.Millisecond), t.machine.late().Round(time.Millisecond), err != nil)
	}
	if g.row.ends || err != nil {
		g.stop()
	}
	if err == nil {
		err = fault
	}
	t.working.Wait()
	if errors.Is(err, errNotProvoked) {
		return err
	}
	return t.machine.excuse(err)
}

// judge holds the service against what it must be, behind a trial.
func (t *trial) judge(load *harness.Load) error {
	var err error
	if load != nil {
		if r := load.Stop(); !t.row.ends && r.Failed > 0 {
			err = fmt.Errorf("%d of %d others failed: %w", r.Failed, r.Failed+r.Served, r.FirstBad)
		}
	}
	if t.row.ends {
		return nil
	}
	return errors.Join(err, t.answered(), t.oracles())
}

// oracles looks at the service behind a trial. Most trials have it recovered,
// which takes no time; each fourth, in the short form each eighth, waits for the
// service to heal by itself.
func (t *trial) oracles() error {
	if t.number%t.scaled(4, 8) == 0 {
		return t.check(1000)
	}
	return t.checkRecovered(1000)
}

// body is the answer to path when nobody debugs the service. It has to be asked
// for before the first agent is there, or from an address not allowlisted.
func (g *rig) body(path string) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if body, known := g.want[path]; known {
		return body, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r := g.others.Get(ctx, path)
	if r.Err != nil || r.Status != http.StatusOK {
		return "", fmt.Errorf("%s of an undisturbed service: status %d: %w", path, r.Status, r.Err)
	}
	g.want[path] = r.Body
	return r.Body, nil
}

// measured notes how long something took; the longest is kept.
func (g *rig) measured(what string, took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.worst[what] = max(g.worst[what], took)
}

// counted notes that something happened.
func (g *rig) counted(what string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.times[what]++
}

// largest notes how much of something there was; the most is kept.
func (g *rig) largest(what string, n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.most[what] = max(g.most[what], n)
}

// figure notes something for the table.
func (g *rig) figure(text string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.notes = append(g.notes, text)
}

// figures are what was measured, for the table.
func (g *rig) figures() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var texts []string
	for _, what := range slices.Sorted(maps.Keys(g.times)) {
		texts = append(texts, fmt.Sprintf("%s %d", what, g.times[what]))
	}
	for _, what := range slices.Sorted(maps.Keys(g.worst)) {
		texts = append(texts, fmt.Sprintf("%s at most %v", what, g.worst[what].Round(time.Millisecond)))
	}
	for _, what := range slices.Sorted(maps.Keys(g.most)) {
		texts = append(texts, fmt.Sprintf("%s at most %d", what, g.most[what]))
	}
	return append(texts, g.notes...)
}
