//go:build linux && amd64

package session_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/session"
)

// returnsService is the target returned with an IDE that stops nowhere, or with the
// filter on, whose condition is never true.
func returnsService(b *testing.B, on bool) (pid int, url string) {
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
	return cmd.Process.Pid, url
}

// used is how much of the processors the threads of a process have used.
func used(b *testing.B, pid int) (sum time.Duration) {
	b.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		b.Fatal(files, err)
	}
	for _, file := range files {
		var ns int64
		text, err := os.ReadFile(file)
		if _, serr := fmt.Sscan(string(text), &ns); err != nil || serr != nil {
			b.Fatal(err, serr)
		}
		sum += time.Duration(ns)
	}
	return sum
}

// BenchmarkReturned is what a request takes that returns errors, three times the
// same one, of others, of one that is debugged, and of one with the filter on that
// never stops.
func BenchmarkReturned(b *testing.B) {
	for _, c := range []struct {
		name, from string
		on         bool
	}{{"others", others, false}, {"debugged", allowed, false}, {"watched", allowed, true}} {
		_, url := returnsService(b, c.on)
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

// costs is what one request of others takes of the processors, in a service where a
// debugged one runs. It is not what the machine does besides that decides it, as it
// would the time.
func costs(b *testing.B, pid int, url, path string) float64 {
	b.Helper()
	done := ask(allowed, url+"/slow?v=1500")
	client := clientFrom(others)
	client.Transport.(*http.Transport).DisableKeepAlives = false
	defer client.CloseIdleConnections()
	<-time.After(200 * time.Millisecond) // it runs
	const most = 400
	n := 0
	before := used(b, pid)
	for ; n < most && done.pending(); n++ {
		resp, err := client.Get(url + path)
		if err != nil {
			b.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	after := used(b, pid)
	<-done.done
	return float64(after-before) / float64(n)
}

// BenchmarkReturnedOthers is what the filter costs everybody else while a request
// runs: the median of ratios to the same without it, and that of a second one
// without it beside it.
func BenchmarkReturnedOthers(b *testing.B) {
	pidOn, on := returnsService(b, true)
	pidOff, off := returnsService(b, false)
	pidControl, control := returnsService(b, false)
	for _, path := range []string{"/wrapped?v=", "/wrapped?v=x"} {
		b.Run(path, func(b *testing.B) {
			var ratios, controls []float64
			var ns, nsOn float64
			for b.Loop() {
				without, with := costs(b, pidOff, off, path), costs(b, pidOn, on, path)
				ns, nsOn = ns+without, nsOn+with
				ratios = append(ratios, with/without)
				controls = append(controls, costs(b, pidControl, control, path)/without)
			}
			for name, list := range map[string][]float64{"watched": ratios, "control": controls} {
				slices.Sort(list)
				b.ReportMetric(list[len(list)/2], name)
				b.Logf("%s: %s", name, fmt.Sprintf("%.3f", list))
			}
			b.ReportMetric((nsOn-ns)/float64(b.N)/1000, "us-more")
		})
	}
}
