package main

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
)

// counter is what every request needs.
var counter struct {
	sync.Mutex
	n int
}

// needCounter starts n goroutines that all need the counter; the first has it when
// the others begin.
func needCounter(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.FormValue("n")) // none is 0
	var wg sync.WaitGroup
	has := make(chan struct{})
	wg.Add(n)
	if n > 0 {
		go func() {
			defer wg.Done()
			holdCounter(has)
		}()
		<-has
	}
	for range n - 1 {
		go func() {
			defer wg.Done()
			count()
		}()
	}
	if n == 0 {
		count()
	}
	wg.Wait()
	fmt.Fprintln(w, "counted", n) //bp:counter-end
}

func holdCounter(has chan<- struct{}) {
	counter.Lock()
	defer counter.Unlock()
	close(has)
	counter.n++ //bp:counter-held
}

func count() {
	counter.Lock()
	defer counter.Unlock()
	counter.n++
}

// needLock starts n goroutines that all need a lock of this request's own; the first
// has it when the others begin.
func needLock(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.FormValue("n")) // none is 0
	var l sync.Mutex
	var s sum
	s.Add(n)
	has := make(chan struct{})
	for i := range n {
		go func() {
			if i > 0 {
				<-has
			}
			l.Lock()
			defer l.Unlock()
			if i == 0 {
				close(has)
				i = square(i) //bp:lock-held
			}
			s.add(i)
		}()
	}
	s.Wait()
	fmt.Fprintln(w, "total", s.total.Load())
}

// all has n goroutines pass a line.
func all(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.FormValue("n")) // none is 0
	var s sum
	s.Add(n)
	for i := range n {
		go func() {
			s.add(square(i)) //bp:all-part
		}()
	}
	s.Wait()
	fmt.Fprintln(w, "total", s.total.Load())
}

// shared is what goroutines of /watched write, one after the other.
type shared struct {
	sync.Mutex
	by int
}

// watched has its goroutines write to what the request itself and each of them looks
// at.
func watched(w http.ResponseWriter, r *http.Request) {
	s := &shared{}
	look(s) //bp:watched-begin
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			s.Lock()
			defer s.Unlock()
			s.by += i + 1
			look(s) //bp:watched-child
		}()
	}
	wg.Wait()
	s.by *= 2
	fmt.Fprintln(w, "by", s.by)
}

//go:noinline
func look(s *shared) int { return s.by }

// cancelled waits until its client has gone, and then for the goroutine it started.
func cancelled(w http.ResponseWriter, r *http.Request) {
	done := make(chan int)
	go func() {
		n := square(6)
		n += square(2) + 2 //bp:cancelled-child
		done <- n
	}()
	<-r.Context().Done()
	cancellations <- <-done
}

// cancellations are what those have worked out whose clients have gone.
var cancellations = make(chan int, 100)

// worked answers with the next of them.
func worked(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, <-cancellations) }

// dies takes the service down: by starting a nil function (how=nil), or by a panic of
// a goroutine beside three others when /wish says so.
func dies(_ http.ResponseWriter, r *http.Request) {
	var f func()
	if r.FormValue("how") == "nil" {
		go f()
	}
	var s sum
	s.Add(3)
	for i := range 3 {
		go func() {
			s.add(square(i)) //bp:dies-work
		}()
	}
	go func() {
		<-deathWish
		panic("nobody recovers this")
	}()
	s.Wait()
	select {}
}

//go:noinline
func square(i int) int { return i * i }

var deathWish = make(chan struct{})

func wish(http.ResponseWriter, *http.Request) { close(deathWish) }
