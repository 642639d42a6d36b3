// Command together is a service in which much happens to one request at a time: it
// fans out over goroutines that run where everybody's requests run, and one of them
// panics.
package main

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"github.com/remotedbg/remotedbg/integration/targets/serve"
	"github.com/remotedbg/remotedbg/middleware"
)

func main() {
	serve.Main("together", &http.Server{Handler: routes()})
}

func routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/price", middleware.Handler(http.HandlerFunc(single)))
	mux.Handle("/orders/", middleware.Handler(http.HandlerFunc(single))) // as in the shop
	mux.Handle("/mixed", middleware.Handler(http.HandlerFunc(mixed)))
	mux.Handle("/seldom", middleware.Handler(http.HandlerFunc(seldom)))
	mux.HandleFunc("/release", release)
	return mux
}

// single prices one thing: what everybody does.
func single(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.FormValue("n")) // none: 0
	fmt.Fprintln(w, price(n))
}

// mixed prices three things at once. The third has no price: it panics, with
// wait=1 when somebody asks for /release.
func mixed(w http.ResponseWriter, r *http.Request) {
	var all sync.WaitGroup
	var cents [3]int
	wait := r.FormValue("wait") != ""
	all.Add(len(cents))
	go part(&all, &cents[0], 1)
	go part(&all, &cents[1], 2)
	go broken(&all, &cents[2], wait)
	all.Wait()
	fmt.Fprintln(w, "total", cents[0]+cents[1]+cents[2]) //bp:mixed-total
}

func part(all *sync.WaitGroup, cents *int, n int) {
	defer all.Done()
	*cents = price(n)
}

// released has a waiting goroutine go on.
var released = make(chan struct{})

func release(w http.ResponseWriter, r *http.Request) {
	select {
	case released <- struct{}{}:
		fmt.Fprintln(w, "released")
	case <-r.Context().Done():
	}
}

type product struct{ cents int }

//go:noinline
func find(n int) *product {
	if n < 3 {
		return &product{n}
	}
	return nil
}

func broken(all *sync.WaitGroup, cents *int, wait bool) {
	defer all.Done()
	defer func() {
		if recover() != nil {
			*cents = 7
		}
	}()
	if wait {
		<-released
	}
	missing := find(3)
	*cents = missing.cents //bp:broken
}

//go:noinline
func price(n int) int {
	base := plus(100, n)   //bp:price-base
	tax := plus(base, 19)  //bp:price-tax
	ship := plus(n, 5)     //bp:price-ship
	sum := plus(base, tax) //bp:price-sum
	sum = plus(sum, ship)  //bp:price-all
	return plus(sum, 1)    //bp:price-done
}

//go:noinline
func plus(a, b int) int { return a + b }

// seldom has lines for breakpoints that are not met.
func seldom(w http.ResponseWriter, _ *http.Request) {
	a := plus(1, 2)    //bp:seldom-1
	a = plus(a, 3)     //bp:seldom-2
	a = plus(a, 4)     //bp:seldom-3
	a = plus(a, 5)     //bp:seldom-4
	fmt.Fprintln(w, a) //bp:seldom-5
}
