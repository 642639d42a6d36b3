package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestFindCheckout(t *testing.T) {
	root := t.TempDir()
	deep := filepath.Join(root, "cmd", "remotedbg")
	for _, dir := range []string{deep, filepath.Join(root, targetsDir, "shop")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := findCheckout(deep); err == nil {
		t.Error("found a checkout without go.work")
	}
	if err := os.WriteFile(filepath.Join(root, "go.work"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{root, deep} {
		if got, err := findCheckout(dir); err != nil || got != root {
			t.Errorf("from %s: %q, %v", dir, got, err)
		}
	}
}

func TestFindMarker(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a.go")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("package a\n\nvar x = 1 //bp:here\n// not //bp:here but in the text\nvar y = 1 //bp:here-too\n")
	if got, err := findMarker(dir, "//bp:here"); err != nil || got != (place{file, 3}) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := findMarker(dir, "//bp:nowhere"); err == nil {
		t.Error("found a marker that is not there")
	}
	write("//bp:here\n//bp:here\n")
	if _, err := findMarker(dir, "//bp:here"); err == nil {
		t.Error("took one of two markers")
	}
}

func TestPercentile(t *testing.T) {
	d := make([]time.Duration, 100)
	for i := range d {
		d[len(d)-1-i] = time.Duration(i + 1) // unsorted
	}
	for percent, want := range map[int]time.Duration{50: 50, 99: 99, 100: 100, 1: 1} {
		if got := percentile(d, percent); got != want {
			t.Errorf("p%d = %d, want %d", percent, got, want)
		}
	}
	if percentile(nil, 99) != 0 || percentile(d[:1], 99) != 100 {
		t.Error("wrong for none or one")
	}
}

// The load must come from the address it is told to, count errors, and count
// only in the phases.
func TestLoad(t *testing.T) {
	from := net.IPv4(127, 0, 0, 3)
	fail := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		select {
		case <-fail:
			w.WriteHeader(http.StatusInternalServerError)
		default:
			if host != from.String() {
				w.WriteHeader(http.StatusForbidden)
			}
		}
	}))
	defer server.Close()
	l := startLoad(t.Context(), from, server.URL)
	reached := func(p phase, of func(counts) int) {
		t.Helper()
		deadline := time.Now().Add(10 * time.Second)
		for {
			l.mu.Lock()
			n := of(l.counts[p])
			l.mu.Unlock()
			if n >= 20 {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("phase %d has counted %d", p, n)
			}
			time.Sleep(time.Millisecond)
		}
	}
	l.enter(phaseBefore)
	reached(phaseBefore, func(c counts) int { return len(c.latencies) })
	l.enter(phaseOther)
	close(fail)
	l.enter(phaseFrozen)
	reached(phaseFrozen, func(c counts) int { return c.failed })
	l.enter(phaseOther)
	l.stop()

	// A request counts for the phase it was sent in, and each worker may have
	// had one on its way when the errors began.
	if failed := l.counts[phaseBefore].failed; failed > loadWorkers {
		t.Errorf("%d errors before there were any", failed)
	}
	var table strings.Builder
	if err := l.printTable(&table); err != nil {
		t.Fatal(err)
	}
	for _, row := range []string{"requests served", "errors", "p50", "p99"} {
		if !strings.Contains(table.String(), row) {
			t.Errorf("no row %q in\n%s", row, &table)
		}
	}
}

func TestChild(t *testing.T) {
	t.Run("first line and orderly end", func(t *testing.T) {
		c, err := startChild("sh", io.Discard, "sh", "-c", "printf 'rea'; printf 'dy\nmore\n'; read x")
		if err != nil {
			t.Fatal(err)
		}
		line, err := c.firstOutput(t.Context())
		// Its stdin is /dev/null, so it may have ended already; the line is there.
		if line != "ready" {
			t.Errorf("got %q, %v", line, err)
		}
		if err := c.end(10 * time.Second); err != nil {
			t.Error(err)
		}
	})
	t.Run("no line", func(t *testing.T) {
		c, err := startChild("false", io.Discard, "false")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.firstOutput(t.Context()); err == nil {
			t.Error("a child that ended without a word counts as ready")
		}
		if err := c.end(time.Second); err != nil {
			t.Error(err)
		}
	})
	t.Run("deaf", func(t *testing.T) {
		c, err := startChild("sh", io.Discard, "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.firstOutput(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := c.end(100 * time.Millisecond); err == nil {
			t.Error("a killed child counts as ended in order")
		}
		if err := syscall.Kill(c.cmd.Process.Pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("still there: %v", err)
		}
	})
	t.Run("given up", func(t *testing.T) {
		c, err := startChild("sleep", io.Discard, "sleep", "60")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.firstOutput(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if err := c.end(10 * time.Second); err != nil {
			t.Error(err)
		}
	})
}
