package gate

import (
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// onThread runs f on a goroutine that is locked to a thread of its own, and
// returns the thread's id.
func onThread(f func()) (tid int, done <-chan struct{}) {
	id, over := make(chan int), make(chan struct{})
	go func() {
		defer close(over)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		id <- syscall.Gettid()
		<-id
		f()
	}()
	tid = <-id
	go func() { id <- 0 }()
	return tid, over
}

// hold makes slot i look like a frozen request of thread tid, and returns the
// way to thaw it.
func hold(t *testing.T, i, tid int) (thaw func()) {
	t.Helper()
	s := &theBoard.slots[i]
	beat := atomic.LoadInt64(&theBoard.beat)
	atomic.StoreInt64(&theBoard.beat, monotonic()+int64(time.Hour)) // an agent that lives
	t.Cleanup(func() { atomic.StoreInt64(&theBoard.beat, beat) })
	atomic.StoreInt32(&s.tid, int32(tid))
	atomic.StoreUint32(&s.held, 1)
	return func() { atomic.StoreUint32(&s.held, 0) }
}

func TestParkWaitsWhileHeld(t *testing.T) {
	start := make(chan struct{})
	tid, done := onThread(func() {
		<-start
		park()
	})
	thaw := hold(t, 5, tid)
	defer thaw()
	close(start)

	// While the request is frozen its thread sleeps in the futex, through any
	// signal, and the garbage collector does not wait for it.
	for range 20 {
		runtime.GC()
		syscall.Tgkill(syscall.Getpid(), tid, syscall.SIGURG)
	}
	select {
	case <-done:
		t.Fatal("park returned while held")
	case <-time.After(3 * heldSlice):
	}
	woken := time.Now()
	thaw()
	if err := syscall.Tgkill(syscall.Getpid(), tid, syscall.SIGURG); err != nil {
		t.Fatal(err)
	}
	<-done
	if d := time.Since(woken); d > heldSlice/2 {
		t.Errorf("park took %v to return after the signal", d)
	}
}

func TestParkReturnsWithoutASignal(t *testing.T) {
	start := make(chan struct{})
	tid, done := onThread(func() {
		<-start
		park()
	})
	thaw := hold(t, 5, tid)
	close(start)
	time.AfterFunc(50*time.Millisecond, thaw)
	select {
	case <-done:
	case <-time.After(2 * silence):
		t.Error("park does not look at the word again")
	}
}

func TestParkReturnsAtOnceForOtherThreads(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	tid, _ := onThread(func() { <-release }) // keeps its thread to itself
	thaw := hold(t, 5, tid)
	defer thaw()
	_, done := onThread(park)
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("park waits for another thread's request")
	}
}

func TestParkDoesNotAllocate(t *testing.T) {
	if n := testing.AllocsPerRun(100, park); n != 0 {
		t.Errorf("%v allocations", n)
	}
	var word uint32
	if n := testing.AllocsPerRun(10, func() { futexWait(&word, 0, 1000) }); n != 0 {
		t.Errorf("futexWait: %v allocations", n)
	}
}

func TestMonotonicIsTheKernelsClock(t *testing.T) {
	// The agent's clock is clock_gettime(2) in another process. What can be
	// checked from here is that it is that of the machine, which started before
	// this process, and that it runs as fast as Go's.
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		t.Fatal(err)
	}
	start, began := monotonic(), time.Now()
	if up := time.Duration(info.Uptime) * time.Second; time.Duration(start) > up+2*time.Second {
		t.Errorf("monotonic() = %v, up for %v", time.Duration(start), up)
	}
	time.Sleep(20 * time.Millisecond)
	if d := time.Duration(monotonic()-start) - time.Since(began); d < -5*time.Millisecond || d > 5*time.Millisecond {
		t.Errorf("it runs off by %v in 20 ms", d)
	}
}

func TestBoardIsAligned(t *testing.T) {
	// An agent reads and writes words of the board from outside: they are
	// atomic only if aligned.
	var b board
	for name, off := range map[string]uintptr{
		"lease": unsafe.Offsetof(b.lease), "beat": unsafe.Offsetof(b.beat), "matched": unsafe.Offsetof(b.matched),
		"slots": unsafe.Offsetof(b.slots), "slot size": unsafe.Sizeof(slot{}),
	} {
		if off%8 != 0 {
			t.Errorf("%s is at %d, not a multiple of 8", name, off)
		}
	}
	if theBoard.size != uint32(unsafe.Sizeof(b)) || uintptr(unsafe.Pointer(&theBoard))%8 != 0 {
		t.Errorf("the board says %d bytes at %p, want %d", theBoard.size, &theBoard, unsafe.Sizeof(b))
	}
}

// TestUntilSilent: a wait ends when the agent would have been silent for too long,
// whatever its last sign of life was, and not much more often.
func TestUntilSilent(t *testing.T) {
	const ms = 1_000_000
	for _, c := range []struct{ age, want int64 }{
		{0, silence},
		{99 * ms, silence - 99*ms},
		{silence - heldSlice, heldSlice},
		{silence - 1, heldSlice},
		{silence + 1, heldSlice},     // it is dead, and still the tracer
		{1 << 62, heldSlice},         // there never was one
		{-3600 * 1000 * ms, silence}, // the board is garbage
	} {
		if got := untilSilent(c.age); got != c.want {
			t.Errorf("untilSilent(%d) = %d, want %d", c.age, got, c.want)
		}
	}
}
