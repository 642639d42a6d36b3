package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// parcelUUID is like everybody's UUID.
type parcelUUID [16]byte

// traceKey is the key of a context's value.
type traceKey struct{}

// parcel is what the handler in this file has of every kind of value that a
// debugger can show as a person writes it.
type parcel struct {
	ID      parcelUUID
	Sent    time.Time
	Transit time.Duration
	From    netip.Addr
	Network netip.Prefix
	Weight  *big.Int
	Label   []byte
	Meta    json.RawMessage
	Lock    sync.Mutex
	Shelf   sync.RWMutex
	Scans   atomic.Int64
	Loaded  sync.WaitGroup
	Stops   map[int]string
	Route   []int
	Manual  string
	Next    *parcel // leads back to the first
	Trouble error
}

func registerValues(mux *http.ServeMux) {
	mux.HandleFunc("GET /values", showValues)
}

// showValues keeps what it makes alive across its breakpoint, and has two
// goroutines that wait meanwhile.
func showValues(w http.ResponseWriter, r *http.Request) {
	ctx, stop := context.WithTimeout(context.WithValue(r.Context(), traceKey{}, "trace-7"), time.Hour)
	defer stop()
	p := makeParcel()
	p.Lock.Lock()
	defer p.Lock.Unlock()
	done := make(chan struct{})
	var waiters sync.WaitGroup
	for range 2 {
		waiters.Add(1)
		go func() {
			defer waiters.Done()
			waitForParcel(done)
		}()
	}
	weigh(ctx, p)
	sign(p, double(len(r.Method)))
	close(done) //bp:values
	waiters.Wait()
	fmt.Fprintln(w, p.Scans.Load(), p.Next == p, ctx.Err(), len(p.Manual), r.Method)
}

//go:noinline
func waitForParcel(done <-chan struct{}) { <-done }

//go:noinline
func weigh(ctx context.Context, p *parcel) {
	if ctx.Err() == nil {
		p.Scans.Add(1) //bp:values-inner
	}
}

// double is inlined.
func double(length int) int {
	twice := 2 * length
	scribble(twice) //bp:values-inlined
	return twice
}

// sign has no use for its number, and so no place for it, on its last lines.
//
//go:noinline
func sign(p *parcel, number int) {
	p.Scans.Add(int64(len(scribble(number))))
	p.Scans.Add(int64(number))
	if len(scribble(0)) > 0 { //bp:values-signed
		p.Scans.Add(1)
	}
}

//go:noinline
func scribble(n int) string { return fmt.Sprint(n) }

//go:noinline
func makeParcel() *parcel {
	p := &parcel{
		ID:      parcelUUID{0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0, 0xc0, 0x4f, 0xd4, 0x30, 0xc8},
		Sent:    time.Date(2024, time.May, 6, 7, 8, 9, 0, time.FixedZone("CEST", 2*3600)),
		Transit: 36 * time.Hour,
		From:    netip.MustParseAddr("203.0.113.7"), Network: netip.MustParsePrefix("10.0.0.0/8"),
		Weight: new(big.Int).Lsh(big.NewInt(1), 100),
		Label:  []byte("fragile"), Meta: json.RawMessage(`{"gift":true}`),
		Stops: make(map[int]string), Route: make([]int, 5000),
		Manual: string(make([]byte, 600_000)),
	}
	for i := range 150 {
		p.Stops[i] = fmt.Sprint("stop ", i)
	}
	p.Next = p
	p.Loaded.Add(2)
	p.Shelf.RLock()
	_, err := os.Open("/no/such/label")
	p.Trouble = errors.Join(fmt.Errorf("printing: %w", err), &DeliveryError{Carrier: "postal", Code: 17, Cause: ErrNotFound})
	return p
}
