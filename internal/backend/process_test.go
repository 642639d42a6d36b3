//go:build linux && amd64

package backend

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/live"
)

// fakeMover is a request's thread that does what the test says.
type fakeMover struct {
	t      *testing.T
	tid    int
	brain  *sync.Mutex
	events chan live.Event
	answer func(live.Plan) []live.Event // what comes of Resume

	plans   []live.Plan
	stops   [][]uint64
	watches [][]live.Watch
	probes  [][]uint64
	pauses  int
}

func newFakeMover(t *testing.T, s *shop) *fakeMover {
	return &fakeMover{t: t, tid: s.pid, brain: &s.brain, events: make(chan live.Event, 16)}
}

func (m *fakeMover) TID() int                              { return m.tid }
func (m *fakeMover) Pause()                                { m.pauses++ }
func (m *fakeMover) SetStops(stops []uint64)               { m.stops = append(m.stops, stops) }
func (m *fakeMover) SetWatches(w []live.Watch)             { m.watches = append(m.watches, w) }
func (m *fakeMover) SetProbes(a []uint64, _ *live.Returns) { m.probes = append(m.probes, a) }
func (m *fakeMover) Events() <-chan live.Event             { return m.events }

func (m *fakeMover) Resume(plan live.Plan) {
	m.plans = append(m.plans, plan)
	if !m.brain.TryLock() {
		m.t.Error("the request moves while the brain lock is held")
	} else {
		m.brain.Unlock()
	}
	for _, ev := range m.answer(plan) {
		m.events <- ev
	}
}

// stopAt is a stop at an address, with nothing on the stack.
func stopAt(addr uint64) *live.Frozen {
	return &live.Frozen{Cause: live.CauseStop, Addr: addr, State: live.State{Regs: live.Regs{Rip: addr}}}
}

// bound makes a process with a target and binds it to a request that is frozen
// at fr.
func bound(t *testing.T, fr *live.Frozen) (*Process, *proc.TargetGroup, *fakeMover, *told) {
	t.Helper()
	s := theShop(t)
	s.brain.Lock()
	t.Cleanup(s.brain.Unlock)
	p := New(s.config())
	grp, err := p.Target()
	if err != nil {
		t.Fatal(err)
	}
	m, heard := newFakeMover(t, s), &told{}
	if err := p.Bind(grp.Selected, m, fr, heard.passed, heard.lost); err != nil {
		t.Fatal(err)
	}
	return p, grp, m, heard
}

// told keeps what the back end reported.
type told struct {
	passes []live.Passed
	losses []live.Gone
}

func (h *told) passed(p live.Passed) { h.passes = append(h.passes, p) }
func (h *told) lost(g live.Gone)     { h.losses = append(h.losses, g) }

// TestFirstContinueShowsTheStop: a request is bound when it stands at a
// breakpoint already; Delve must judge that stop before anything moves.
func TestFirstContinueShowsTheStop(t *testing.T) {
	addr := theShop(t).line(t, "order-loaded")
	p, grp, m, _ := bound(t, stopAt(addr))
	if p.Last() != nil {
		t.Error("a stop was shown already")
	}
	if _, err := grp.Selected.SetBreakpoint(7, addr, proc.UserBreakpoint, nil); err != nil {
		t.Fatal(err)
	}
	if err := grp.Continue(); err != nil {
		t.Fatal(err)
	}
	if len(m.plans) != 0 {
		t.Errorf("the request was moved: %+v", m.plans)
	}
	if reason := grp.Selected.StopReason; reason != proc.StopBreakpoint {
		t.Errorf("StopReason = %v", reason)
	}
	if bp := grp.Selected.CurrentThread().Breakpoint(); bp.Breakpoint == nil || bp.LogicalID() != 7 {
		t.Errorf("breakpoint %v, want that with id 7", bp.Breakpoint)
	}
	if p.Last() == nil || p.Last().Addr != addr {
		t.Errorf("Last = %+v", p.Last())
	}
}

func TestContinueRunsToTheNextStop(t *testing.T) {
	s := theShop(t)
	first, second := s.line(t, "order-entry"), s.line(t, "order-loaded")
	p, grp, m, heard := bound(t, stopAt(first))
	for id, addr := range map[int]uint64{1: first, 2: second} {
		if _, err := grp.Selected.SetBreakpoint(id, addr, proc.UserBreakpoint, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := grp.Continue(); err != nil { // shown the first stop
		t.Fatal(err)
	}
	m.answer = func(live.Plan) []live.Event {
		return []live.Event{{Passed: &live.Passed{Cause: live.CauseStop, Addr: first, Why: "test"}}, {Frozen: stopAt(second)}}
	}
	if err := grp.Continue(); err != nil {
		t.Fatal(err)
	}
	want := []uint64{first, second}
	slices.Sort(want)
	if len(m.plans) != 1 || !slices.Equal(m.plans[0].Stops, want) {
		t.Errorf("plans %+v, want one with the stops %x", m.plans, want)
	}
	if bp := grp.Selected.CurrentThread().Breakpoint(); bp.Breakpoint == nil || bp.LogicalID() != 2 {
		t.Errorf("breakpoint %v, want that with id 2", bp.Breakpoint)
	}
	if regs, err := grp.Selected.CurrentThread().Registers(); err != nil || regs.PC() != second {
		t.Errorf("PC %#x, %v, want %#x", regs.PC(), err, second)
	}
	if len(heard.passes) != 1 || heard.passes[0].Addr != first || len(heard.losses) != 0 {
		t.Errorf("told %+v", heard)
	}
	if ok, err := p.Valid(); !ok || err != nil {
		t.Errorf("Valid = %t, %v", ok, err)
	}
}

// TestStopElsewhereThanHit: if the place was no safe point the thread was moved
// on; the breakpoint is that of the address that was hit.
func TestStopElsewhereThanHit(t *testing.T) {
	addr := theShop(t).line(t, "order-loaded")
	fr := stopAt(addr)
	fr.State.Regs.Rip += 5
	_, grp, _, _ := bound(t, fr)
	if _, err := grp.Selected.SetBreakpoint(7, addr, proc.UserBreakpoint, nil); err != nil {
		t.Fatal(err)
	}
	if err := grp.Continue(); err != nil {
		t.Fatal(err)
	}
	if bp := grp.Selected.CurrentThread().Breakpoint(); bp.Breakpoint == nil || bp.LogicalID() != 7 {
		t.Errorf("breakpoint %v, want that with id 7", bp.Breakpoint)
	}
}

func TestGone(t *testing.T) {
	p, grp, m, heard := bound(t, stopAt(theShop(t).line(t, "order-entry")))
	if !p.Show() {
		t.Fatal("nothing to show")
	}
	why := errors.New("test")
	m.answer = func(live.Plan) []live.Event {
		m.events <- live.Event{Gone: &live.Gone{Err: why}}
		close(m.events)
		return nil
	}
	var exited proc.ErrProcessExited
	if err := grp.Continue(); !errors.As(err, &exited) {
		t.Errorf("Continue: %v, want ErrProcessExited", err)
	}
	if len(heard.losses) != 1 || heard.losses[0].Err != why {
		t.Errorf("told %+v, want the loss", heard)
	}
	if ok, err := p.Valid(); ok || err == nil {
		t.Errorf("Valid = %t, %v, of a request that is gone", ok, err)
	}
	// The target serves the next request.
	addr := theShop(t).line(t, "order-loaded")
	next := newFakeMover(t, theShop(t))
	if err := p.Bind(grp.Selected, next, stopAt(addr), heard.passed, heard.lost); err != nil {
		t.Fatal(err)
	}
	if ok, err := p.Valid(); !ok || err != nil {
		t.Errorf("Valid = %t, %v, after Bind", ok, err)
	}
	if !p.Show() || p.Last().Addr != addr {
		t.Errorf("Last = %+v, want the new request's stop", p.Last())
	}
}

func TestShow(t *testing.T) {
	addr := theShop(t).line(t, "order-entry")
	p, grp, m, _ := bound(t, &live.Frozen{Cause: live.CausePause, State: live.State{Regs: live.Regs{Rip: addr, Rsp: 0xc000}, G: 0x77}})
	if !p.Show() {
		t.Fatal("nothing to show")
	}
	if p.Show() {
		t.Error("shown twice")
	}
	regs, err := grp.Selected.CurrentThread().Registers()
	if err != nil {
		t.Fatal(err)
	}
	if g, ok := regs.GAddr(); regs.PC() != addr || regs.SP() != 0xc000 || g != 0x77 || !ok {
		t.Errorf("PC %#x, SP %#x, g %#x, %t", regs.PC(), regs.SP(), g, ok)
	}
	if bp := grp.Selected.CurrentThread().Breakpoint(); bp.Breakpoint != nil {
		t.Errorf("a pause is at breakpoint %v", bp.Breakpoint)
	}
	if len(m.plans)+m.pauses+len(m.stops) != 0 {
		t.Error("Show moved the request")
	}
}

// TestRefresh: a running request is told the breakpoints that Delve holds now.
func TestRefresh(t *testing.T) {
	s := theShop(t)
	a, b := s.line(t, "order-loaded"), s.line(t, "repo-find")
	p, grp, m, _ := bound(t, stopAt(s.line(t, "order-entry")))
	for id, addr := range map[int]uint64{1: a, 2: b} {
		if _, err := grp.Selected.SetBreakpoint(id, addr, proc.UserBreakpoint, nil); err != nil {
			t.Fatal(err)
		}
	}
	p.Refresh()
	if err := grp.Selected.ClearBreakpoint(b); err != nil {
		t.Fatal(err)
	}
	p.Refresh()
	both := []uint64{a, b}
	slices.Sort(both)
	if len(m.stops) != 2 || !slices.Equal(m.stops[0], both) || !slices.Equal(m.stops[1], []uint64{a}) {
		t.Errorf("told %x, want %x, then %x", m.stops, both, a)
	}
	if err := grp.RequestManualStop(); err != nil || m.pauses != 1 {
		t.Errorf("RequestManualStop: %v, %d pauses", err, m.pauses)
	}
}

// TestBindForgetsAStep: the request before this one ended in the middle of a
// step, whose breakpoints must not stop the next one.
func TestBindForgetsAStep(t *testing.T) {
	s := theShop(t)
	user, step := s.line(t, "order-loaded"), s.line(t, "repo-find")
	p, grp, m, heard := bound(t, stopAt(s.line(t, "order-entry")))
	if _, err := grp.Selected.SetBreakpoint(1, user, proc.UserBreakpoint, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := grp.Selected.SetBreakpoint(0, step, proc.NextBreakpoint, nil); err != nil {
		t.Fatal(err)
	}
	if err := p.Bind(grp.Selected, m, stopAt(user), heard.passed, heard.lost); err != nil {
		t.Fatal(err)
	}
	if stops := p.plan().Stops; !slices.Equal(stops, []uint64{user}) {
		t.Errorf("Stops = %x, want %x alone", stops, user)
	}
}

// TestNothingReachesTheService: neither breakpoints nor registers, calls,
// detaching or dumps.
func TestNothingReachesTheService(t *testing.T) {
	s := theShop(t)
	addr := s.line(t, "order-loaded")
	before := s.code(t, addr)
	p, grp, _, _ := bound(t, stopAt(addr))
	if _, err := grp.Selected.SetBreakpoint(1, addr, proc.UserBreakpoint, nil); err != nil {
		t.Fatal(err)
	}
	if after := s.code(t, addr); !slices.Equal(before, after) {
		t.Errorf("a breakpoint changed the text from %x to %x", before, after)
	}
	th := grp.Selected.CurrentThread()
	if err := th.SetReg(16, nil); err == nil {
		t.Error("a register could be set")
	}
	if err := th.RestoreRegisters(nil); err == nil {
		t.Error("registers could be restored")
	}
	if _, err := p.StartCallInjection(); err == nil {
		t.Error("a call could be injected")
	}
	if _, err := p.MemoryMap(); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("MemoryMap: %v", err)
	}
	if err := p.FollowExec(true); !errors.Is(err, errors.ErrUnsupported) || p.FollowExec(false) != nil {
		t.Errorf("FollowExec: %v", err)
	}
	if p.SupportsBPF() {
		t.Error("eBPF is promised")
	}
	if err := grp.Detach(true); err != nil {
		t.Errorf("Detach: %v", err)
	}
	if !s.alive() {
		t.Fatal("Detach with kill reached the service")
	}
}

func TestOneThread(t *testing.T) {
	p, _, m, _ := bound(t, stopAt(theShop(t).line(t, "order-entry")))
	if list := p.ThreadList(); len(list) != 1 || list[0].ThreadID() != m.tid {
		t.Errorf("ThreadList = %v", list)
	}
	if th, ok := p.FindThread(m.tid); !ok || th.ThreadID() != m.tid {
		t.Errorf("FindThread = %v, %t", th, ok)
	}
	if _, ok := p.FindThread(m.tid + 1); ok {
		t.Error("another thread was found")
	}
}

func TestRegistersCopy(t *testing.T) {
	r := newRegisters(live.State{Regs: live.Regs{Rip: 1, Rsp: 2, Rax: 3}, G: 4})
	c, err := r.Copy()
	if err != nil {
		t.Fatal(err)
	}
	if g, ok := c.GAddr(); c.PC() != 1 || c.SP() != 2 || g != 4 || !ok {
		t.Errorf("copy: PC %d, SP %d, g %d, %t", c.PC(), c.SP(), g, ok)
	}
	if _, ok := newRegisters(live.State{}).GAddr(); ok {
		t.Error("no goroutine, yet GAddr answers with one")
	}
}
