package main

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/remotedbg/remotedbg/gate"
)

// maxFan bounds the goroutines of one request.
const maxFan = 100

// fanOut prices n parts in goroutines of their own and adds them up. how says
// what starts them: the go statement with a method or a closure, gate.Go, a worker that was there before, or
// each the next.
func fanOut(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.FormValue("n"))
	if err != nil || n < 0 || n > maxFan {
		http.Error(w, "n must be a number up to 100", http.StatusBadRequest)
		return
	}
	parts := &fan{prices: make([]int, n)}
	parts.Add(n)
	switch how := r.FormValue("how"); how {
	case "go":
		for i := range n {
			go parts.price(i)
		}
	case "closure": // whose captured pointers are stored right before it is started
		for i := range n {
			go func() { parts.priceFor(r, i) }()
		}
	case "gate":
		for i := range n {
			gate.Go(func() { parts.price(i) })
		}
	case "worker":
		fanWorkers.Do(func() { go fanWorker() })
		for i := range n {
			fanJobs <- gate.Follow(func() { parts.price(i) })
		}
	case "chain":
		go parts.chain(n - 1)
	case "late":
		for i := range n {
			go func() {
				time.Sleep(300 * time.Millisecond) // when the request is over
				parts.price(i)
			}()
		}
		fmt.Fprintln(w, "later")
		return
	default:
		http.Error(w, "how must be go, closure, gate, worker, chain or late", http.StatusBadRequest)
		return
	}
	parts.Wait()
	total := 0
	for _, p := range parts.prices {
		total += p
	}
	fmt.Fprintln(w, "total", total) //bp:fan-total
}

// fan is the parts that one request prices.
type fan struct {
	sync.WaitGroup
	prices []int
}

// price prices one part.
func (f *fan) price(i int) {
	defer f.Done()
	cents := 100 + i
	if i%7 == 3 {
		cents = discounted(cents) //bp:fan-part
	}
	f.prices[i] = cents
}

// priceFor prices one part of a request.
func (f *fan) priceFor(r *http.Request, i int) {
	if r.Context().Err() == nil {
		f.price(i)
	} else {
		f.Done()
	}
}

// chain prices a part and has another goroutine price the one before.
func (f *fan) chain(i int) {
	if i > 0 {
		go f.chain(i - 1)
	}
	f.price(i)
}

//go:noinline
func discounted(cents int) int { return cents * 9 / 10 }

var (
	fanWorkers sync.Once
	fanJobs    = make(chan func())
)

// fanWorker is one goroutine for the jobs of all requests.
func fanWorker() {
	for job := range fanJobs {
		job()
	}
}
