package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// The handlers in this file are for stepping: three levels of calls, with lines
// in between that block in each of the ways a request can block.

// trail is what /steps answers with: what each level saw.
type trail struct {
	Depth   int    `json:"depth"`
	Slept   int    `json:"slept"`
	Locked  int    `json:"locked"`
	Got     int    `json:"got"`
	Health  string `json:"health"`
	Summary int    `json:"summary"`
}

func (a *api) steps(w http.ResponseWriter, r *http.Request) {
	t := trail{Depth: 1} //bp:steps-entry
	base := localURL(r)
	sum, err := stepLevel1(r.Context(), base, &t) //bp:steps-call1
	if err != nil {
		fail(w, err)
		return
	}
	t.Summary = sum //bp:steps-back
	reply(w, http.StatusOK, t)
}

// localURL is the address that r came in on, so that the shop can call itself.
func localURL(r *http.Request) string {
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		return "http://" + addr.String()
	}
	return "http://" + r.Host
}

//go:noinline
func stepLevel1(ctx context.Context, base string, t *trail) (int, error) {
	t.Depth++ //bp:steps-level1
	before := t.Depth
	got, err := stepLevel2(ctx, base, t, before*10) //bp:steps-call2
	if err != nil {
		return 0, fmt.Errorf("level 1: %w", err)
	}
	return got + before, nil //bp:steps-level1-end
}

//go:noinline
func stepLevel2(ctx context.Context, base string, t *trail, seed int) (int, error) {
	t.Depth++                                    //bp:steps-level2
	got, err := stepLevel3(ctx, base, t, seed+1) //bp:steps-call3
	if err != nil {
		return 0, fmt.Errorf("level 2: %w", err)
	}
	return got + 1, nil //bp:steps-level2-end
}

// stepLevel3 has the lines that block.
//
//go:noinline
func stepLevel3(ctx context.Context, base string, t *trail, seed int) (int, error) {
	t.Depth++ //bp:steps-level3
	time.Sleep(20 * time.Millisecond)
	t.Slept = seed + 20 //bp:after-sleep

	mu := heldFor(20 * time.Millisecond)
	mu.Lock()            //bp:at-mutex
	t.Locked = seed + 21 //bp:after-mutex
	mu.Unlock()

	ch := sendAfter(20*time.Millisecond, seed+22)
	got := <-ch //bp:at-chan
	t.Got = got //bp:after-chan

	health, err := get(ctx, base+"/healthz") //bp:at-net
	t.Health = health                        //bp:after-net
	if err != nil {
		return 0, fmt.Errorf("level 3: %w", err)
	}
	return t.Slept + t.Locked + t.Got, nil //bp:steps-level3-end
}

// heldFor returns a mutex that another goroutine holds, for d.
//
//go:noinline
func heldFor(d time.Duration) *sync.Mutex {
	mu, held := new(sync.Mutex), make(chan struct{})
	go func() {
		mu.Lock()
		close(held)
		time.Sleep(d)
		mu.Unlock()
	}()
	<-held
	return mu
}

// sendAfter returns a channel that another goroutine sends n to, after d.
//
//go:noinline
func sendAfter(d time.Duration, n int) <-chan int {
	ch := make(chan int)
	go func() {
		time.Sleep(d)
		ch <- n
	}()
	return ch
}

// get fetches a small text over the network.
//
//go:noinline
func get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	return string(body), err
}

// recursive adds up the numbers to n by recursion.
func (a *api) recursive(w http.ResponseWriter, r *http.Request) {
	n, err := queryInt(r, "n", 5)
	if err != nil || n > 1000 {
		fail(w, fmt.Errorf("n must be 0 to 1000: %w", ErrBadID))
		return
	}
	sum := sumTo(n)                                     //bp:recursive-call
	reply(w, http.StatusOK, map[string]int{"sum": sum}) //bp:recursive-done
}

//go:noinline
func sumTo(n int) int {
	if n == 0 {
		return 0 //bp:recursive-bottom
	}
	rest := sumTo(n - 1) //bp:recursive
	return rest + n      //bp:recursive-up
}
