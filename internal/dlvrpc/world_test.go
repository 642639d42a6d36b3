//go:build linux && amd64

package dlvrpc

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-delve/delve/service/api"

	"github.com/remotedbg/remotedbg/internal/session"
)

// moves records what the engine was asked to do.
type moves struct {
	ids []session.RequestID
	err error
}

func (m *moves) move(id session.RequestID) error {
	m.ids = append(m.ids, id)
	return m.err
}

// settled is where the world stands now, ok being false if it runs.
func settled(w *world) (current session.RequestID, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, ok = w.settle()
	return w.current, ok
}

func stopAt(id session.RequestID) *stop { return &stop{id: id, goroutine: int64(100 + id)} }

// TestTurns: frozen requests become current one after the other, and a continue
// releases the current one alone.
func TestTurns(t *testing.T) {
	w, m := newWorld(), &moves{}
	if err := w.resume(m.move, false); err != nil {
		t.Fatal(err)
	}
	if _, ok := settled(w); ok {
		t.Fatal("it stopped with nothing to stop at")
	}
	w.add(stopAt(1))
	w.add(stopAt(2))
	if cur, ok := settled(w); !ok || cur != 1 {
		t.Fatalf("current is %d, %v", cur, ok)
	}
	if err := w.resume(m.move, false); err != nil {
		t.Fatal(err)
	}
	if cur, ok := settled(w); !ok || cur != 2 {
		t.Fatalf("after a continue current is %d, %v, want the one that waited", cur, ok)
	}
	if len(m.ids) != 1 || m.ids[0] != 1 {
		t.Errorf("the engine was asked to move %v", m.ids)
	}
	if err := w.choose("goroutine 101", func(s *stop) bool { return s.goroutine == 101 }); err == nil {
		t.Error("one could switch to a request that runs")
	}
	w.add(stopAt(1))
	if err := w.choose("goroutine 101", func(s *stop) bool { return s.goroutine == 101 }); err != nil {
		t.Error(err)
	}
}

// TestStep: a step waits for its own request, whatever else stops.
func TestStep(t *testing.T) {
	w, m := newWorld(), &moves{}
	w.running = true
	w.add(stopAt(1))
	settled(w)
	if err := w.resume(m.move, true); err != nil {
		t.Fatal(err)
	}
	w.add(stopAt(2))
	if _, ok := settled(w); ok {
		t.Fatal("the stop of another request ended the step")
	}
	if err := w.resume(m.move, true); !errors.Is(err, errRunning) {
		t.Errorf("a step during a step: %v", err)
	}
	w.add(stopAt(1))
	if cur, ok := settled(w); !ok || cur != 1 {
		t.Fatalf("after the step current is %d, %v", cur, ok)
	}
	// The next one leads to the end of the request: the other one's turn.
	if err := w.resume(m.move, true); err != nil {
		t.Fatal(err)
	}
	w.gone(1, "it has finished")
	if cur, ok := settled(w); !ok || cur != 2 {
		t.Fatalf("after its end current is %d, %v", cur, ok)
	}
}

// TestThawedByTheEngine: the client is told why at its next step.
func TestThawedByTheEngine(t *testing.T) {
	w, m := newWorld(), &moves{}
	w.running = true
	w.add(stopAt(1))
	settled(w)
	w.gone(1, "it was held for 5m")
	if err := w.resume(m.move, true); err == nil || !strings.Contains(err.Error(), "it was held for 5m") {
		t.Errorf("a step of it: %v", err)
	}
	if err := w.resume(m.move, false); err != nil || len(m.ids) != 0 {
		t.Errorf("continue: %v, the engine was asked to move %v", err, m.ids)
	}
}

// TestTraceInStep: a trace point is told in the middle of a step, and the client
// comes back to the step by a continue.
func TestTraceInStep(t *testing.T) {
	w, m := newWorld(), &moves{}
	w.running = true
	w.add(stopAt(1))
	settled(w)
	if err := w.resume(m.move, true); err != nil {
		t.Fatal(err)
	}
	w.trace(hit{thread: &api.Thread{}}, api.TracepointResult{Line: 7})
	w.mu.Lock()
	o, ok := w.settle()
	w.mu.Unlock()
	if !ok || len(o.hits) != 1 || !o.step {
		t.Fatalf("outcome %+v, %v", o, ok)
	}
	w.add(stopAt(1)) // meanwhile
	if err := w.resume(m.move, false); err != nil {
		t.Fatal(err)
	}
	if cur, ok := settled(w); !ok || cur != 1 || len(m.ids) != 1 {
		t.Errorf("current is %d, %v; the engine was asked to move %v", cur, ok, m.ids)
	}
	if b := w.takeBuffered(); len(b) != 1 || b[0].Line != 7 || w.takeBuffered() != nil {
		t.Errorf("buffered were %+v", b)
	}
}

// TestHaltBounds: a halt of a request that does not stop is answered in time, and
// its stop, when it comes, is not wanted.
func TestHaltBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.running = true
		waited := make(chan outcome, 1)
		go func() { waited <- w.await(context.Background()) }()
		id, running := w.runner([]session.Request{{ID: 4, Frozen: true}, {ID: 5}})
		if id != 5 || !running {
			t.Fatalf("to be paused is %d, %v", id, running)
		}
		began := time.Now()
		w.halt(context.Background(), id, true)
		o := <-waited
		if o.err != nil || time.Since(began) != haltWait {
			t.Errorf("halted with %v after %v", o.err, time.Since(began))
		}
		if !w.late(5) || w.late(5) {
			t.Error("the pause that comes too late is wanted, or for ever unwanted")
		}
	})
}

// TestHaltAtOnce: nothing in flight, nothing touched.
func TestHaltAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		if id, running := w.runner(nil); id != 0 || running {
			t.Errorf("a world that stands still: %d, %v", id, running)
		}
		w.running = true
		id, running := w.runner(nil)
		if id != 0 || !running {
			t.Fatalf("a world that waits: %d, %v", id, running)
		}
		began := time.Now()
		w.halt(context.Background(), id, false)
		if o := w.await(context.Background()); o.err != nil || time.Since(began) != 0 {
			t.Errorf("halted with %v after %v", o.err, time.Since(began))
		}
		if len(w.lates) != 0 {
			t.Error("a request is marked that was not paused")
		}
	})
}

// TestEnd: whoever waits is told, and the first reason counts.
func TestEnd(t *testing.T) {
	w := newWorld()
	w.running = true
	w.end("expired after 15m", false)
	w.end("the connection has ended", true)
	if o := w.await(context.Background()); o.err == nil || !strings.Contains(o.err.Error(), "expired after 15m") {
		t.Errorf("what waited was told %v", o.err)
	}
	if w.exited {
		t.Error("a later reason counts")
	}
}
