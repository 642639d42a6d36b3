//go:build linux && amd64

package session_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/session"
)

// returnsService is the target returned with an IDE that stops nowhere, or with the
// filter on, whose condition is never true.
func returnsService(b *testing.B, on bool) (url string) {
	b.Helper()
	cmd, url := launch(b, build(b, returnedDir), "-addr", "127.0.0.1:0")
	e, err := session.Open(b.Context(), session.Config{PID: cmd.Process.Pid, Allow: allow, For: time.Hour, ExtraFor: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	s, err := e.NewSession(access.Identity{Role: access.Mutate})
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		for range s.Events() { // not read further than this
		}
	}()
	if on {
		never := func(*proc.Target, session.ExceptionStop) (bool, string) { return false, "" }
		set, err := s.SetExceptionFilters(session.ExceptionFilters{Returned: &session.ExceptionFilter{Judge: never}})
		if err != nil || !set.Returned.Verified {
			b.Fatalf("%+v, %v", set, err)
		}
	}
	s.Start()
	b.Cleanup(func() {
		_ = e.Close("the end")
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return url
}

// BenchmarkReturned is what a request takes that returns errors, three times the
// same one, of others, of one that is debugged, and of one with the filter on that
// never stops.
func BenchmarkReturned(b *testing.B) {
	for _, c := range []struct {
		name, from string
		on         bool
	}{{"others", others, false}, {"debugged", allowed, false}, {"watched", allowed, true}} {
		url := returnsService(b, c.on)
		for _, path := range []string{"/wrapped?v=", "/wrapped?v=x", "/hot?v=100"} {
			b.Run(c.name+path, func(b *testing.B) {
				for b.Loop() {
					if _, err := get(c.from, url+path); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// answered is how many requests of others a service answers within half a second
// while a debugged one runs.
func answered(b *testing.B, url, path string) float64 {
	b.Helper()
	done := ask(allowed, url+"/slow?v=700")
	<-time.After(100 * time.Millisecond) // it runs
	client := clientFrom(others)
	client.Transport.(*http.Transport).DisableKeepAlives = false
	defer client.CloseIdleConnections()
	var n atomic.Int64
	var wg sync.WaitGroup
	end := time.Now().Add(500 * time.Millisecond)
	for range 2 {
		wg.Go(func() {
			for time.Now().Before(end) {
				resp, err := client.Get(url + path)
				if err != nil {
					b.Error(err)
					return
				}
				_ = resp.Body.Close()
				n.Add(1)
			}
		})
	}
	wg.Wait()
	<-done.done
	return float64(n.Load())
}

// BenchmarkReturnedOthers is what the filter costs everybody else while a request
// runs: the median of ratios to the same without it, and that of a second one
// without it beside it.
func BenchmarkReturnedOthers(b *testing.B) {
	on, off, control := returnsService(b, true), returnsService(b, false), returnsService(b, false)
	for _, path := range []string{"/wrapped?v=", "/wrapped?v=x"} {
		b.Run(path, func(b *testing.B) {
			var ratios, controls []float64
			for b.Loop() {
				without := answered(b, off, path)
				ratios = append(ratios, answered(b, on, path)/without)
				controls = append(controls, answered(b, control, path)/without)
			}
			for name, list := range map[string][]float64{"watched": ratios, "control": controls} {
				slices.Sort(list)
				b.ReportMetric(list[len(list)/2], name)
				b.Logf("%s: %s", name, fmt.Sprintf("%.3f", list))
			}
		})
	}
}
