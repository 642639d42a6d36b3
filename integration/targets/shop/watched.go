package main

import (
	"net/http"
	"runtime"
	"sync"
	"time"
)

// The lease that a leader renews: whoever is late loses it.
const (
	leaseTime   = 2 * time.Second
	renewsEvery = 500 * time.Millisecond
)

// lease renews a lease from a goroutine of its own, as the member of a cluster
// does, and notes how late it was.
type lease struct {
	once     sync.Once
	mu       sync.Mutex
	renewed  time.Time
	worst    time.Duration
	renewals int
	missed   int
}

func registerWatched(mux *http.ServeMux) {
	l := new(lease)
	mux.HandleFunc("GET /lease", l.report)
	mux.HandleFunc("GET /stats", stats)
}

// report starts the renewals the first time, and tells how they go.
func (l *lease) report(w http.ResponseWriter, _ *http.Request) {
	l.once.Do(func() {
		l.renewed = time.Now()
		go l.renew()
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	late := max(l.worst, time.Since(l.renewed))
	reply(w, http.StatusOK, map[string]int64{
		"renewals": int64(l.renewals), "missed": int64(l.missed), "worst_ms": late.Milliseconds(),
	})
}

func (l *lease) renew() {
	for range time.Tick(renewsEvery) {
		now := time.Now() // not the tick: that may have waited for us
		l.mu.Lock()
		since := now.Sub(l.renewed)
		if since > leaseTime {
			l.missed++
		}
		l.worst, l.renewed = max(l.worst, since), now
		l.renewals++
		l.mu.Unlock()
	}
}

// stats tells what of the runtime a leak would show in.
func stats(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]int{"goroutines": runtime.NumGoroutine()})
}
