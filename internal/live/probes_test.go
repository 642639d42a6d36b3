//go:build linux && amd64

package live_test

import (
	"bytes"
	"debug/elf"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/live"
)

// clean says whether the text in memory is that of the executable.
func (s *service) clean(t *testing.T) bool {
	t.Helper()
	have := make([]byte, len(s.text))
	if _, err := s.proc.Mem.ReadMemory(have, s.textAddr); err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(have, s.text)
}

// awaitClean waits for the probes to be gone and says how long that took.
func (s *service) awaitClean(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	eventually(t, "the text is as it was", func() bool { return s.clean(t) })
	return time.Since(began)
}

// allLines are the first addresses of all lines of the service's own package.
func (s *service) allLines() []uint64 {
	var list []uint64
	for _, addrs := range s.sym.lines {
		list = append(list, addrs[0])
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// TestProbes stops a request at every line of its own code, by probes alone.
// Each must show the thread in front of the line, and the same ones must be seen
// as by single-steps.
func TestProbes(t *testing.T) {
	s := newShop(t, "-gc", "20ms")
	start := s.sym.at(t, "order-entry")
	lines := slices.Collect(maps.Values(s.sym.linesOf(s.sym.around(start))))

	// visit runs from stop to stop and gives them all.
	visit := func(first live.Plan, plan func(fr *live.Frozen) live.Plan) (seen []string) {
		r := s.trap(t, "/orders/7", first)
		for {
			ev := r.next(t)
			switch {
			case ev.Gone != nil:
				if ev.Gone.Err != nil {
					t.Fatal(ev.Gone.Err)
				}
				r.reply.ok(t)
				s.awaitClean(t)
				return seen
			case ev.Frozen == nil:
				t.Fatalf("after %d stops: %s", len(seen), describe(ev))
			}
			fr := ev.Frozen
			seen = append(seen, fmt.Sprintf("%#x", fr.Addr))
			if len(seen) > 200 {
				t.Fatal("does not come to an end")
			}
			if took := s.awaitClean(t); took > 200*time.Millisecond {
				t.Errorf("frozen for %v with probes", took)
			}
			r.Resume(plan(fr))
		}
	}
	want := visit(live.Plan{Stops: []uint64{start}}, func(*live.Frozen) live.Plan {
		return live.Plan{Frame: lines, Within: s.sym.bounds(start)}
	})
	all := visit(live.Plan{Probes: lines}, func(fr *live.Frozen) live.Plan {
		if fr.State.Regs.Rip < fr.Addr || fr.State.Regs.Rip > fr.Addr+64 {
			t.Errorf("frozen at %#x for the probe at %#x", fr.State.Regs.Rip, fr.Addr)
		}
		return live.Plan{Probes: lines}
	})
	got := all[max(slices.Index(all, want[0]), 0):] // from where the other began
	if !slices.Equal(got, want) {
		t.Errorf("by probes\n%v\nby single-steps\n%v", got, want)
	}
	if len(got) < 5 {
		t.Errorf("only %d stops", len(got))
	}
}

// TestManyProbes: all lines of the program at once; those of others' requests do
// not stop.
func TestManyProbes(t *testing.T) {
	s := newShop(t, "-gc", "20ms")
	lines := s.allLines()
	if len(lines) < 200 {
		t.Fatalf("only %d lines", len(lines))
	}
	began := time.Now()
	r := s.trap(t, "/orders/7", live.Plan{Probes: lines[:min(len(lines), live.MaxProbes)]})
	stops := 0
	for {
		ev := r.next(t)
		if ev.Gone != nil {
			if ev.Gone.Err != nil {
				t.Fatal(ev.Gone.Err)
			}
			break
		}
		if ev.Frozen == nil {
			t.Logf("%s", describe(ev))
			continue
		}
		stops++
		r.Resume(live.Plan{Probes: lines[:min(len(lines), live.MaxProbes)]})
	}
	r.reply.ok(t)
	t.Logf("%d stops in %v", stops, time.Since(began))
	if stops < 20 {
		t.Errorf("%d stops", stops)
	}
	s.awaitClean(t)
}

// TestProbesOfTwo: a request whose probes are taken away does not wait for those
// that another one has in the same places.
func TestProbesOfTwo(t *testing.T) {
	s := newShop(t)
	lines := []uint64{s.sym.at(t, "order-entry"), s.sym.at(t, "service-load"), s.sym.at(t, "repo-find")}
	r := s.trap(t, "/orders/7", live.Plan{Probes: lines})
	r.frozen(t)
	other := s.trap(t, "/slow?ms=1900", live.Plan{Probes: lines})
	began := time.Now()
	r.Resume(live.Plan{})
	r.gone(t)
	if took := time.Since(began); took > 500*time.Millisecond {
		t.Errorf("it went on after %v", took)
	}
	r.reply.ok(t)
	if s.clean(t) {
		t.Error("the other one has no probes")
	}
	other.gone(t)
	other.reply.ok(t)
	s.awaitClean(t)
}

// TestProbeLimits: what slows others down goes, and that is told.
func TestProbeLimits(t *testing.T) {
	s := newShop(t)
	s.proc.Probes = live.ProbeLimits{Hits: 50, Time: 300 * time.Millisecond}
	hot, cold := s.sym.at(t, "order-entry"), s.sym.at(t, "account-code")
	r := s.trap(t, "/slow?ms=1500", live.Plan{Probes: []uint64{hot, cold}})
	s.serveOthers(t, 200)
	ev := r.next(t)
	if ev.Passed == nil || ev.Passed.Cause != live.CauseProbes || !slices.Equal(ev.Passed.Addrs, []uint64{hot}) {
		t.Fatalf("%s", describe(ev))
	}
	ev = r.next(t)
	if ev.Passed == nil || ev.Passed.Cause != live.CauseProbes || !slices.Equal(ev.Passed.Addrs, []uint64{cold}) {
		t.Fatalf("%s", describe(ev))
	}
	s.awaitClean(t)
	r.gone(t)
	r.reply.ok(t)
}

// textBegins is where an executable's text is in memory.
func textBegins(t *testing.T, exe string) uint64 {
	t.Helper()
	f, err := elf.Open(exe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return f.Section(".text").Addr
}
