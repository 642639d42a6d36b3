//go:build linux && amd64

package session_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/session"
)

// fanShop is a shop with an engine and an IDE whose events nobody looks at.
func fanShop(b *testing.B, noFollow bool) (url string, pid int) {
	b.Helper()
	cmd, url := launch(b, build(b, shopDir), "-addr", "127.0.0.1:0")
	e, err := session.Open(context.Background(), session.Config{PID: cmd.Process.Pid, Allow: allow, For: time.Hour, NoFollow: noFollow})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		e.Close("end of the benchmark")
		_ = cmd.Process.Kill() // it runs
		_ = cmd.Wait()         // says that it was killed
	})
	s, err := e.NewSession(access.Identity{Role: access.Control})
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		for range s.Events() {
		}
	}()
	s.Start()
	return url, cmd.Process.Pid
}

// cpu is the processor time that a process has used so far, by its clock
// (clock_getcpuclockid(3)).
func cpu(b *testing.B, pid int) time.Duration {
	b.Helper()
	const sched = 2 // CPUCLOCK_SCHED, include/linux/posix-timers_types.h
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|sched), &ts); err != nil {
		b.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// BenchmarkFanOut is a request that starts 20 goroutines and waits for them: of
// others, debugged alone, and debugged with its goroutines. It reports the time
// of one of the 20 over what the request takes without any.
func BenchmarkFanOut(b *testing.B) {
	for _, c := range []struct {
		name, from string
		noFollow   bool
	}{
		{"others", others, false},
		{"debugged", allowed, true},
		{"followed", allowed, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			url, pid := fanShop(b, c.noFollow)
			type costs struct{ took, service, engine time.Duration }
			add := func(sum *costs, n int) {
				began, service, engine := time.Now(), cpu(b, pid), cpu(b, os.Getpid())
				if status, err := get(c.from, fmt.Sprintf("%s/fan?how=go&n=%d", url, n)); status != 200 {
					b.Fatalf("status %d, %v", status, err)
				}
				sum.took += time.Since(began)
				sum.service += cpu(b, pid) - service
				sum.engine += cpu(b, os.Getpid()) - engine
			}
			var none, twenty costs
			for b.Loop() {
				add(&none, 0)
				add(&twenty, 20)
			}
			each := func(d time.Duration) float64 { return float64(d.Microseconds()) / 20 / float64(b.N) }
			b.ReportMetric(each(twenty.took-none.took), "us/goroutine")
			b.ReportMetric(each(twenty.service-none.service), "service-cpu-us/goroutine")
			b.ReportMetric(each(twenty.engine-none.engine), "engine-cpu-us/goroutine")
		})
	}
}

// served is how many requests of others a service answers within a second, while a
// request that starts 20 goroutines is debugged every 100 ms.
func served(b *testing.B, url string) float64 {
	b.Helper()
	client := clientFrom(others)
	client.Transport.(*http.Transport).DisableKeepAlives = false
	defer client.CloseIdleConnections()
	var n atomic.Int64
	var wg sync.WaitGroup
	end := time.Now().Add(time.Second)
	for range 2 {
		wg.Go(func() {
			for time.Now().Before(end) {
				resp, err := client.Get(url + "/orders/3")
				if err != nil {
					b.Error(err)
					return
				}
				_, err = io.Copy(io.Discard, resp.Body)
				if err := errors.Join(err, resp.Body.Close()); err != nil {
					b.Error(err)
					return
				}
				n.Add(1)
			}
		})
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(end) {
		if status, err := get(allowed, url+"/fan?how=go&n=20"); status != 200 {
			b.Errorf("the debugged request: %d, %v", status, err)
			return 0
		}
		<-tick.C
	}
	wg.Wait()
	return float64(n.Load())
}

// BenchmarkFanOutOthers is what following costs everybody else: the median of
// interleaved pairs of seconds, followed and not, and beside it that of two services
// whose goroutines are both not followed.
func BenchmarkFanOutOthers(b *testing.B) {
	on, _ := fanShop(b, false)
	off, _ := fanShop(b, true)
	control, _ := fanShop(b, true)
	var ratios, controls []float64
	for b.Loop() {
		without := served(b, off)
		ratios = append(ratios, served(b, on)/without)
		controls = append(controls, served(b, control)/without)
	}
	for name, list := range map[string][]float64{"followed": ratios, "control": controls} {
		slices.Sort(list)
		b.ReportMetric(list[len(list)/2], name)
		b.Logf("%s: %s", name, fmt.Sprintf("%.3f", list))
	}
}
