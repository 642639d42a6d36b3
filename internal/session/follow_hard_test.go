//go:build linux && amd64

package session_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/session"
)

const goroutinesDir = "../../integration/targets/goroutines"

// answer is the status and the body of a response, or why there was none.
func answer(from, url string) string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	resp, err := clientFrom(from).Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return fmt.Sprint(resp.StatusCode, " ", string(body), err)
}

// followed is an IDE that counts what it is told of.
type followed struct {
	s          *session.Session
	requests   atomic.Int32
	goroutines atomic.Int32
	log        *logLines // what the console had
	done       chan struct{}
}

// count attaches an IDE without breakpoints whose events are counted.
func (r *rig) count(t *testing.T) *followed {
	t.Helper()
	s, err := r.NewSession(access.Identity{Role: access.Mutate})
	if err != nil {
		t.Fatal(err)
	}
	f := &followed{s: s, log: &logLines{}, done: make(chan struct{})}
	go func() {
		defer close(f.done)
		for ev := range s.Events() {
			switch {
			case ev.Kind == session.EventOutput:
				f.log.add(ev.Text)
			case ev.Kind == session.EventStarted && ev.Request.Root != 0:
				f.goroutines.Add(1)
			case ev.Kind == session.EventStarted:
				f.requests.Add(1)
			}
		}
	}()
	s.Start()
	return f
}

// TestFollowHard has requests start goroutines in every way there is, and as fast as
// they can. Each answers as it does without a debugger, and so do others' meanwhile.
func TestFollowHard(t *testing.T) {
	for _, c := range []struct {
		path string
		n    int
		all  bool // of its n goroutines all are followed, as the gate has room for them
	}{
		{path: "storm", n: 5000},
		{path: "brief", n: 3000},
		{path: "nested", n: 6},
		{path: "signals", n: 200},
		{path: "childlocked", n: 60, all: true},
		{path: "parentlocked", n: 60, all: true},
		{path: "values", n: 20},
		{path: "deferred", n: 60, all: true},
		{path: "goexit", n: 60, all: true},
		{path: "deep", n: 200},
		{path: "arguments", n: 60, all: true},
		{path: "collected", n: 60},
		{path: "late", n: 100},
		{path: "busy", n: 60},
	} {
		t.Run(c.path, func(t *testing.T) {
			r := newRigOf(t, goroutinesDir)
			url := fmt.Sprintf("%s/%s?n=%d", r.url, c.path, c.n)
			want := answer(allowed, url)
			if !strings.HasPrefix(want, "200 ") {
				t.Fatalf("without a debugger: %s", want)
			}
			r.open(t, 10*time.Minute)
			f := r.count(t)
			best := int32(0) // of three, since machines are busy
			for range 3 {
				began := time.Now()
				before := f.goroutines.Load()
				other := make(chan string)
				go func() { other <- answer(others, url) }()
				if got := answer(allowed, url); got != want {
					t.Fatalf("debugged: %s, want %s", got, want)
				}
				best = max(best, f.goroutines.Load()-before)
				t.Logf("%d goroutines followed, in %v", f.goroutines.Load()-before, time.Since(began).Round(time.Millisecond))
				if got := <-other; got != want {
					t.Fatalf("another's: %s, want %s", got, want)
				}
			}
			if err := f.s.Close(); err != nil {
				t.Error(err)
			}
			<-f.done
			if f.goroutines.Load() == 0 || f.requests.Load() == 0 {
				t.Errorf("%d requests with %d goroutines were followed", f.requests.Load(), f.goroutines.Load())
			}
			if c.all && int(best) < c.n*9/10 {
				t.Errorf("%d of %d goroutines were followed at best; the console says %q", best, c.n, f.log)
			}
			if strings.Contains(f.log.String(), "the machine is too busy") {
				t.Logf("console: %s", f.log)
			}
		})
	}
}
