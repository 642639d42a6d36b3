package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// cases start about n goroutines each and answer with what these have worked out.
var cases = map[string]func(n int) any{
	"storm":        storm,
	"brief":        brief,
	"nested":       nested,
	"signals":      signals,
	"childlocked":  childLocked,
	"parentlocked": parentLocked,
	"values":       values,
	"deferred":     deferred,
	"goexit":       goexit,
	"deep":         deep,
	"arguments":    arguments,
	"collected":    collected,
	"late":         late,
	"busy":         busy,
}

// sum adds what goroutines have worked out.
type sum struct {
	sync.WaitGroup
	total atomic.Int64
}

func (s *sum) add(i int) {
	defer s.Done()
	s.total.Add(int64(i))
}

// value is add for a receiver that is copied.
type value struct {
	s *sum
	i int
}

func (v value) run()  { v.s.add(v.i) }
func (v *value) ptr() { v.s.add(v.i) }

type runner interface{ run() }

// storm starts them as fast as it can.
func storm(n int) any {
	var s sum
	s.Add(n)
	for i := range n {
		go s.add(i)
	}
	s.Wait()
	return s.total.Load()
}

// brief starts goroutines that end at once, and does not wait.
func brief(n int) any {
	for range n {
		go func() {}()
	}
	return n
}

// nested has three levels, n each.
func nested(n int) any {
	var s sum
	s.Add(n * n * n)
	for i := range n {
		go func() {
			for j := range n {
				go func() {
					for k := range n {
						go s.add(i*100 + j*10 + k)
					}
				}()
			}
		}()
	}
	s.Wait()
	return s.total.Load()
}

// signals starts them while signals rain on the process and on this very thread.
func signals(n int) any {
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGUSR1)
	defer signal.Stop(got)
	pid, tid := syscall.Getpid(), syscall.Gettid()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_ = syscall.Tgkill(pid, tid, syscall.SIGUSR1) // the thread may be gone
				_ = syscall.Tgkill(pid, tid, syscall.SIGURG)
				_ = syscall.Kill(pid, syscall.SIGUSR1)
				time.Sleep(50 * time.Microsecond)
			}
		}
	}()
	total := storm(n)
	close(stop)
	<-stopped
	return total
}

// childLocked: goroutines that are locked to their threads, every other for good.
func childLocked(n int) any {
	var s sum
	s.Add(n)
	for i := range n {
		go func() {
			runtime.LockOSThread()
			if i%2 == 0 {
				defer runtime.UnlockOSThread()
			}
			s.add(i)
		}()
	}
	s.Wait()
	return s.total.Load()
}

// parentLocked is locked itself while it starts them.
func parentLocked(n int) any {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return storm(n)
}

// values starts methods of values, of pointers and of interfaces, and functions with
// and without a closure.
func values(n int) any {
	var s sum
	s.Add(5 * n)
	for i := range n {
		v := value{&s, i}
		var r runner = v
		bound := v.run
		go v.run()
		go v.ptr()
		go r.run()
		go bound()
		go value.run(v)
	}
	s.Wait()
	return s.total.Load()
}

// deferred starts them in a deferred function while it panics.
func deferred(n int) (result any) {
	var s sum
	defer func() {
		p := recover()
		s.Wait()
		result = fmt.Sprint(p, s.total.Load())
	}()
	defer func() {
		s.Add(n)
		for i := range n {
			go s.add(i)
		}
	}()
	panic("as it should")
}

// goexit has each end itself in the middle.
func goexit(n int) any {
	var s sum
	s.Add(n)
	for i := range n {
		go func() {
			defer s.add(i)
			runtime.Goexit()
		}()
	}
	s.Wait()
	return s.total.Load()
}

// deep starts each from a stack that has to grow.
func deep(n int) any {
	var s sum
	s.Add(n)
	var down func(i int) int
	down = func(i int) int {
		var room [128]int
		room[i%128] = i
		if i == 0 {
			return room[0]
		}
		go s.add(room[i%128] - 1)
		return down(i-1) + room[(i+1)%128]
	}
	down(n)
	s.Wait()
	return s.total.Load()
}

//go:noinline
func many(s *sum, a int, b string, c []int, d float64, e any, f [3]int) {
	s.add(a + len(b) + c[1] + int(d) + e.(int) + f[2])
}

// arguments have some of every kind.
func arguments(n int) any {
	var s sum
	s.Add(n)
	for i := range n {
		go many(&s, i, "four", []int{1, i}, float64(i)/2, i, [3]int{i, i, 7})
	}
	s.Wait()
	return s.total.Load()
}

// collected has the garbage collector run all the time.
func collected(n int) any {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	var s sum
	s.Add(n)
	for i := range n {
		garbage := make([]int, 1000)
		garbage[i%1000] = i
		go func() { s.add(garbage[i%1000]) }()
	}
	s.Wait()
	close(stop)
	<-stopped
	return s.total.Load()
}

// late: each starts the next and ends, and nobody waits for the last.
func late(n int) any {
	if n > 0 {
		go late(n - 1)
	}
	return n
}

// busy has n goroutines that all run for a while.
func busy(n int) any {
	var s sum
	s.Add(n)
	for i := range n {
		go func() {
			for until := time.Now().Add(200 * time.Millisecond); time.Now().Before(until); {
				runtime.Gosched()
			}
			s.add(i)
		}()
	}
	s.Wait()
	return s.total.Load()
}
