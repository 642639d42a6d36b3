package taint_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/remotedbg/remotedbg/internal/redact"
	"github.com/remotedbg/remotedbg/internal/redact/taint"
)

// TestKeptMasks: whatever changes in a page, beside it or in what is known, a
// memory that has looked at all of it before shows what a new one shows.
func TestKeptMasks(t *testing.T) {
	r := &ram{base, make([]byte, 6*4096)}
	shared := new(taint.Shared)
	g := taint.NewGuard(nil, shared)
	kept := taint.NewMemory(r)
	lifted := taint.NewMemory(r)
	kept.Use(g)
	low := g.Lifted()
	lifted.Use(low)
	token := "eyJ" + strings.Repeat("a", 5000) + "." + strings.Repeat("b", 3000) + "." + strings.Repeat("c", 50)
	texts := []string{secret, "other-secret-2", "third-one-33", token, "password=hunter22;", strings.Repeat("plain ", 1000), strings.Repeat("\x00", 3000)}
	rnd := rand.New(rand.NewPCG(3, 4))
	masked := 0
	for round := range 400 {
		switch text := texts[rnd.IntN(len(texts))]; rnd.IntN(6) {
		case 0:
			shared.Secrets.Add(text[:min(len(text), 40)], rnd.IntN(8) == 0)
		case 1: // at the end of a page
			end := 4096 * (1 + rnd.IntN(5))
			copy(r.bytes[max(0, end-rnd.IntN(len(text)+1)):], text)
		case 2:
			r.bytes[rnd.IntN(len(r.bytes))] ^= 1
		default:
			copy(r.bytes[rnd.IntN(len(r.bytes)):], text)
		}
		kept.Forget()
		lifted.Forget()
		for range 1 + rnd.IntN(4) { // not all of it each time
			at, n := rnd.IntN(len(r.bytes)), 1+rnd.IntN(5000)
			n = min(n, len(r.bytes)-at)
			for _, m := range []struct {
				kept  *taint.Memory
				guard *taint.Guard
			}{{kept, g}, {lifted, low}} {
				fresh := taint.NewMemory(r)
				fresh.Use(m.guard)
				got, want := read(t, m.kept, base+uint64(at), n), read(t, fresh, base+uint64(at), n)
				if got != want {
					t.Fatalf("round %d, %d bytes at %d:\n%q\nnot\n%q", round, n, at, got, want)
				}
				if redact.Collapse(got) != got {
					masked++
				}
			}
		}
	}
	if masked < 100 {
		t.Errorf("only %d reads had a secret in them", masked)
	}
}

// What is learnt is hidden at once, in what was read before as well.
func TestMaskFollowsKnowledge(t *testing.T) {
	r, m, _ := masked()
	copy(r.bytes[5000:], "learnt-later-1 "+secret)
	if got := read(t, m, base+5000, 14); got != "learnt-later-1" {
		t.Fatalf("%q", got)
	}
	shared := new(taint.Shared)
	g := taint.NewGuard(nil, shared)
	m.Use(g)
	if got := read(t, m, base+5015, len(secret)); got != secret {
		t.Errorf("the secret of another guard is hidden: %q", got)
	}
	shared.Secrets.Add("learnt-later-1", false)
	if got := read(t, m, base+5000, 14); redact.Collapse(got) != redact.Mark {
		t.Errorf("%q", got)
	}
	m.Use(nil)
	if got := read(t, m, base+5000, 14); got != "learnt-later-1" {
		t.Errorf("without a guard: %q", got)
	}
	m.Use(g)
	if got := read(t, m, base+5000, 14); redact.Collapse(got) != redact.Mark {
		t.Errorf("%q", got)
	}
}

// A search is of one stop: when the thread has run it begins anew.
func TestSearchGoesStale(t *testing.T) {
	_, m, g := masked()
	s := g.NewSearch(nil, m, 8)
	m.Forget()
	if s.Stale() {
		t.Error("stale, and the thread has not run")
	}
	m.Resume()
	if !s.Stale() || g.NewSearch(nil, m, 8).Stale() {
		t.Error("the thread has run, and that does not show")
	}
}

// BenchmarkSnapshot reads what an inspection reads, when nothing has changed.
func BenchmarkSnapshot(b *testing.B) {
	r, m, _ := masked()
	copy(r.bytes[5000:], secret)
	buf := make([]byte, 8)
	for b.Loop() {
		m.Forget()
		for at := uint64(0); at < 4*4096; at += 512 {
			if _, err := m.ReadMemory(buf, base+at); err != nil {
				b.Fatal(err)
			}
		}
	}
}
