package gatetest

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// theBoard is gate's variable of that name.
//
//go:linkname theBoard github.com/remotedbg/remotedbg/gate.theBoard
var theBoard board

// poll is how often the agent looks at the board, which an agent has to poll:
// the gate calls nobody.
const poll = 200 * time.Microsecond

// Lease is how long the board stays armed if the Agent does not end it.
const Lease = 5 * time.Minute

// Rule is one allow rule. Empty texts match anything.
type Rule struct {
	Prefix                      netip.Prefix
	Method, Path, Header, Value string
}

// Answer is what the Agent says to an offered request.
type Answer int

// The answers.
const (
	Accept Answer = iota
	Decline
	Silence
)

// Request is a request that was offered to the Agent.
type Request struct {
	Method, Path, Route, Client string
	TID                         int
	Gen                         uint32
	Slot                        int

	// Of a goroutine that belongs to a request, see gate.Go: the slot and
	// generation of the one that started it; otherwise -1 and 0.
	Parent    int
	ParentGen uint32
	Entry     uintptr
}

// Counts are the gate's counters since the Agent armed it.
type Counts struct {
	Matched, Declined, Silent, Full uint64
}

// Agent is the stand-in. Its methods are safe for concurrent use.
type Agent struct {
	base Counts
	stop chan struct{}
	done chan struct{}

	mu     sync.Mutex
	answer Answer
	hoard  bool // do not release threads
	seen   [numSlots]uint32
	offers []Request
}

// one is held while an Agent exists: a process has one board.
var one sync.Mutex

// Arm arms the gates of this process with rules until the test ends, and
// accepts every request that they offer. It fails the test if, at the end,
// requests are left that have not been released. Tests that use it run one
// after the other.
func Arm(t testing.TB, rules ...Rule) *Agent {
	t.Helper()
	if theBoard.magic != boardMagic || theBoard.abi != boardABI || theBoard.size != uint32(unsafe.Sizeof(board{})) {
		t.Fatalf("gatetest: the board is not the one this package knows: magic %#x, ABI %d, %d bytes (want %d)",
			theBoard.magic, theBoard.abi, theBoard.size, unsafe.Sizeof(board{}))
	}
	one.Lock()
	a := &Agent{stop: make(chan struct{}), done: make(chan struct{})}
	a.base = counters()
	for i := range a.seen {
		a.seen[i] = atomic.LoadUint32(&theBoard.slots[i].gen)
	}
	a.SetRules(t, rules...)
	atomic.StoreUint32(&theBoard.agentPID, uint32(syscall.Getpid()))
	a.SetLease(Lease)
	atomic.StoreUint32(&theBoard.armed, 1)
	go a.run()
	t.Cleanup(func() {
		a.disarm(t)
		one.Unlock()
	})
	return a
}

// SetRules replaces the rules.
func (a *Agent) SetRules(t testing.TB, rules ...Rule) {
	t.Helper()
	if len(rules) > numRules {
		t.Fatalf("gatetest: %d rules: the board has room for %d", len(rules), numRules)
	}
	var raw [numRules]rule
	for i, r := range rules {
		raw[i] = encode(t, r)
	}
	odd := atomic.LoadUint32(&theBoard.ruleGen) | 1
	atomic.StoreUint32(&theBoard.ruleGen, odd)
	err := transfer(sysProcessVMWritev, unsafe.Pointer(&raw), unsafe.Pointer(&theBoard.rules), unsafe.Sizeof(raw))
	if err != nil {
		t.Fatal(err)
	}
	atomic.StoreUint32(&theBoard.ruleCount, uint32(len(rules)))
	atomic.StoreUint32(&theBoard.ruleGen, odd+1)
}

// Numbers of system calls, arch/x86/entry/syscalls/syscall_64.tbl.
const (
	sysProcessVMReadv  = 310
	sysProcessVMWritev = 311
)

// transfer moves size bytes between a local variable and the board, through the
// kernel as an agent does. The race detector would object to plain loads and
// stores: that each side notices by generations what the other one does is
// beyond it.
func transfer(nr uintptr, local, remote unsafe.Pointer, size uintptr) error {
	from := syscall.Iovec{Base: (*byte)(local), Len: uint64(size)}
	to := syscall.Iovec{Base: (*byte)(remote), Len: uint64(size)}
	n, _, errno := syscall.Syscall6(nr, uintptr(syscall.Getpid()),
		uintptr(unsafe.Pointer(&from)), 1, uintptr(unsafe.Pointer(&to)), 1, 0)
	if n != size {
		return fmt.Errorf("gatetest: process_vm access to the board: %d of %d bytes: %w", int(n), size, errno)
	}
	return nil
}

func encode(t testing.TB, r Rule) rule {
	t.Helper()
	var raw rule
	addr, bits := r.Prefix.Addr(), r.Prefix.Bits()
	if addr.Is4() {
		bits += 96
		raw.is4 = 1
	}
	raw.addr, raw.bits = addr.As16(), uint8(bits)
	raw.method.n = put(t, raw.method.b[:], r.Method)
	raw.path.n = put(t, raw.path.b[:], r.Path)
	raw.header.n = put(t, raw.header.b[:], r.Header)
	raw.value.n = put(t, raw.value.b[:], r.Value)
	return raw
}

func put(t testing.TB, dst []byte, text string) uint16 {
	t.Helper()
	if len(text) > len(dst) {
		t.Fatalf("gatetest: %q is longer than %d bytes", text, len(dst))
	}
	return uint16(copy(dst, text))
}

// SetLease ends the lease d from now; a negative d has ended it already.
func (a *Agent) SetLease(d time.Duration) {
	atomic.StoreInt64(&theBoard.lease, monotonic()+int64(d))
}

func monotonic() int64 {
	const clockMonotonic = 1
	var ts syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}

// SetAnswer says how the offers from now on are answered.
func (a *Agent) SetAnswer(answer Answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = answer
}

// SetHoard makes the Agent keep the threads of requests that are over, or let
// go of them.
func (a *Agent) SetHoard(hoard bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hoard = hoard
}

// Offers returns the requests that were offered so far.
func (a *Agent) Offers() []Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]Request(nil), a.offers...)
}

// Counts returns what the gate has counted since Arm.
func (a *Agent) Counts() Counts {
	c := counters()
	c.Matched -= a.base.Matched
	c.Declined -= a.base.Declined
	c.Silent -= a.base.Silent
	c.Full -= a.base.Full
	return c
}

func counters() Counts {
	return Counts{
		Matched:  atomic.LoadUint64(&theBoard.matched),
		Declined: atomic.LoadUint64(&theBoard.declined),
		Silent:   atomic.LoadUint64(&theBoard.silent),
		Full:     atomic.LoadUint64(&theBoard.full),
	}
}

func (a *Agent) run() {
	defer close(a.done)
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		select {
		case <-a.stop:
			return
		case <-tick.C:
			for i := range theBoard.slots {
				a.look(i)
			}
		}
	}
}

// look does for slot i what its state asks for.
func (a *Agent) look(i int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := &theBoard.slots[i]
	gen := atomic.LoadUint32(&s.gen)
	switch atomic.LoadUint32(&s.state) {
	case slotOffered:
		if gen != a.seen[i] {
			a.seen[i] = gen
			a.take(i, gen)
		}
	case slotDone, slotAbandoned:
		if !a.hoard && atomic.LoadUint32(&s.freed) != gen {
			atomic.StoreUint32(&s.freed, gen)
			wake(s)
		}
	}
}

// take notes the offer in slot i and answers it. An offer that it cannot read
// it leaves unanswered, so that the test fails for lack of it.
func (a *Agent) take(i int, gen uint32) {
	var offer slot
	s := &theBoard.slots[i]
	if transfer(sysProcessVMReadv, unsafe.Pointer(&offer), unsafe.Pointer(s), unsafe.Sizeof(offer)) != nil {
		return
	}
	a.offers = append(a.offers, Request{
		Method: string(offer.method.b[:offer.method.n]),
		Path:   string(offer.path.b[:offer.path.n]),
		Client: string(offer.client.b[:offer.client.n]),
		Route:  string(offer.route.b[:offer.route.n]),
		TID:    int(offer.tid),
		Gen:    gen,
		Slot:   i,

		Parent:    int(offer.parent) - 1,
		ParentGen: offer.parentGen,
		Entry:     uintptr(offer.entry),
	})
	answer := gen << 1
	switch a.answer {
	case Silence:
		return
	case Accept:
		answer |= 1
	}
	atomic.StoreUint32(&s.answer, answer)
	wake(s)
}

// wake interrupts the thread's futex wait as an agent does. It may be gone.
func wake(s *slot) {
	tid := uintptr(atomic.LoadInt32(&s.tid))
	syscall.Syscall(syscall.SYS_TGKILL, uintptr(syscall.Getpid()), tid, uintptr(syscall.SIGURG))
}

// disarm ends the Agent and leaves the board as it was found.
func (a *Agent) disarm(t testing.TB) {
	t.Helper()
	atomic.StoreUint32(&theBoard.armed, 0)
	a.SetHoard(false)
	deadline := time.Now().Add(5 * time.Second)
	for inUse() != "" && time.Now().Before(deadline) {
		time.Sleep(poll)
	}
	if left := inUse(); left != "" {
		t.Errorf("gatetest: not released at the end of the test: %s", left)
	}
	close(a.stop)
	<-a.done
	a.SetLease(-1)
}

// inUse names the slots of requests that nobody has released.
func inUse() string {
	var left string
	for i := range theBoard.slots {
		s := &theBoard.slots[i]
		state := atomic.LoadUint32(&s.state)
		released := state == slotAbandoned && atomic.LoadUint32(&s.freed) == atomic.LoadUint32(&s.gen)
		if state != slotFree && !released {
			left += fmt.Sprintf("slot %d in state %d ", i, state)
		}
	}
	return left
}
