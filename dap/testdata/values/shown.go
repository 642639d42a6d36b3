package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// UUID is like everybody's.
type UUID [16]byte

type ring struct {
	Name string
	Next *ring
	Any  any
}

type box[T any] struct {
	Held T
	Many []T
}

type keyType struct{}

// loop is an error that wraps itself.
type loop struct{ Err error }

func (l *loop) Error() string { return "round and round" }
func (l *loop) Unwrap() error { return l.Err }

// custom is a context of the service's own.
type custom struct {
	context.Context
	tenant string
}

// shown has values that a debugger can show as a person writes them.

//go:noinline
func shown() {
	zone := time.FixedZone("CEST", 2*3600)
	placed := time.Date(2024, 5, 6, 7, 8, 9, 120, zone)
	now := time.Now()
	var zeroTime time.Time
	wait := 90 * time.Second

	target, _ := url.Parse("https://ada:secret@shop.example/orders/7?full=1#top")
	req, _ := http.NewRequest("POST", "http://shop.example/orders", strings.NewReader("{}"))
	req.RemoteAddr = "203.0.113.7:4711"
	addr4, addr6 := netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("fe80::1%eth0")
	prefix, port := netip.MustParsePrefix("10.0.0.0/8"), netip.MustParseAddrPort("[::1]:80")
	var noAddr netip.Addr
	ip := net.ParseIP("192.0.2.1")
	_, network, _ := net.ParseCIDR("192.0.2.0/24")

	huge, _ := new(big.Int).SetString("-123456789012345678901234567890", 10)
	third := big.NewRat(1, 3)

	var free, held sync.Mutex
	held.Lock()
	var reading, writing sync.RWMutex
	reading.RLock()
	reading.RLock()
	writing.Lock()
	var group sync.WaitGroup
	group.Add(3)
	var once sync.Once
	once.Do(func() {})
	var count atomic.Int64
	count.Store(-5)
	var flag atomic.Bool
	flag.Store(true)
	var current atomic.Pointer[item]
	current.Store(&item{SKU: "A-1", Qty: 2})
	var anything atomic.Value
	anything.Store("x")

	body, binary := []byte("hello wörld"), []byte{0, 1, 2, 255}
	rawJSON := json.RawMessage("{\"a\":\n 1}")
	id := UUID{0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}

	_, errOpen := os.Open("/does/not/exist")
	wrapped := fmt.Errorf("loading: %w", errOpen)
	joined := errors.Join(errors.New("first"), fmt.Errorf("second: %w", &shopError{Code: 7}))
	looped := &loop{}
	looped.Err = looped
	var endless error = looped
	notFound := error(&fs.PathError{Op: "stat", Path: "/x", Err: fs.ErrNotExist})

	ctx := context.WithValue(context.Background(), keyType{}, "ada")
	ctx, stop := context.WithDeadline(ctx, time.Now().Add(time.Hour))
	defer stop()
	ctx = custom{context.WithValue(ctx, "trace", 42), "acme"}
	over, cancel := context.WithCancelCause(ctx)
	cancel(errors.New("the user left"))
	detached := context.WithoutCancel(over)

	circle := &ring{Name: "a"}
	circle.Next, circle.Any = &ring{Name: "b", Next: circle}, circle
	boxed := box[[]order]{Many: make([][]order, 2)}
	manyBytes := make([]byte, 3<<20)
	for i := range manyBytes {
		manyBytes[i] = 'm'
	}
	document := string(manyBytes)
	shownOn(placed)                                                                                      //bp:shown
	keep(now, zeroTime, wait, target, req, addr4, addr6, prefix, port, noAddr, ip, network, huge, third) //bp:shown-end
	keep(&free, &held, &reading, &writing, &group, &once, &count, &flag, &current, &anything, body, binary, id)
	keep(rawJSON, wrapped, joined, endless, notFound, ctx, over, detached, circle, boxed, manyBytes, document)
}

//go:noinline
func shownOn(t time.Time) { keep(t) }
