package gate

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/gate/gatetest"
)

var (
	testNet  = gatetest.Rule{Prefix: netip.MustParsePrefix("203.0.113.0/24")}
	otherNet = gatetest.Rule{Prefix: netip.MustParsePrefix("192.0.2.0/24")}
)

func httpRequest(remote string) *http.Request {
	return &http.Request{Method: "GET", URL: &url.URL{Path: "/orders/7"}, RemoteAddr: remote}
}

// states returns how many slots are in each state.
func states() map[uint32]int {
	m := make(map[uint32]int)
	for i := range theBoard.slots {
		m[atomic.LoadUint32(&theBoard.slots[i].state)]++
	}
	return m
}

func wantAllFree(t *testing.T) {
	t.Helper()
	if m := states(); m[slotFree] != numSlots {
		t.Errorf("slots by state: %v, want all free", m)
	}
}

// wantLocked checks whether the goroutine is locked to its thread: if it is,
// whatever it does it stays on it, and another goroutine never gets there.
func wantLocked(t *testing.T, want bool) {
	t.Helper()
	tid := syscall.Gettid()
	for range 200 {
		seen := make(chan bool)
		for range 4 {
			go func() { seen <- syscall.Gettid() == tid }()
		}
		other := false
		for range 4 {
			other = <-seen || other
		}
		if syscall.Gettid() != tid || other {
			if want {
				t.Error("the goroutine is not locked to its thread")
			}
			return
		}
	}
	if !want {
		t.Error("the goroutine is still locked to its thread")
	}
}

func TestAcceptedRequestIsTrapped(t *testing.T) {
	agent := gatetest.Arm(t, otherNet, testNet)
	var g Gate
	ticket := g.EnterHTTP(httpRequest("203.0.113.7:4711"), "")
	if !ticket.Trapped() {
		t.Fatal("not trapped")
	}
	if m := states(); m[slotRunning] != 1 || m[slotFree] != numSlots-1 {
		t.Errorf("slots by state: %v", m)
	}
	offers := agent.Offers()
	if len(offers) != 1 || offers[0].Method != "GET" || offers[0].Path != "/orders/7" ||
		offers[0].Client != "203.0.113.7" || offers[0].TID != syscall.Gettid() {
		t.Errorf("offers = %+v, want the request on thread %d", offers, syscall.Gettid())
	}
	if since := theBoard.slots[offers[0].Slot].since; since > monotonic() || since < monotonic()-int64(time.Minute) {
		t.Errorf("offered at %d, now it is %d", since, monotonic())
	}
	wantLocked(t, true)
	start := time.Now()
	ticket.Leave()
	if d := time.Since(start); d > 500*time.Millisecond {
		t.Errorf("Leave took %v", d)
	}
	wantAllFree(t)
	wantLocked(t, false)
	if c := agent.Counts(); c != (gatetest.Counts{Matched: 1}) {
		t.Errorf("counts = %+v", c)
	}
	ticket.Leave() // does nothing
	Ticket{}.Leave()
	wantAllFree(t)
}

func TestUntouchedRequests(t *testing.T) {
	agent := gatetest.Arm(t, testNet)
	under, err := New(Config{Allow: []netip.Prefix{netip.MustParsePrefix("203.0.113.128/25")}})
	if err != nil {
		t.Fatal(err)
	}
	var zero Gate
	for _, c := range []struct {
		name   string
		gate   *Gate
		remote string
	}{
		{"nil gate", nil, "203.0.113.7:1"},
		{"other address", &zero, "198.51.100.1:1"},
		{"unknown address", &zero, "@"},
		{"agent's rule is wider than the ceiling", under, "203.0.113.7:1"},
		{"ceiling is wider than the rule", under, "192.0.2.1:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.gate.EnterHTTP(httpRequest(c.remote), "").Trapped() {
				t.Error("trapped")
			}
			q := Request{Client: Peer(c.remote), Method: "GET", Path: "/"}
			if c.gate.Enter(q).Trapped() {
				t.Error("trapped by Enter")
			}
		})
	}
	if c := agent.Counts(); c != (gatetest.Counts{}) {
		t.Errorf("counts = %+v, want none", c)
	}
	if zero.EnterHTTP(nil, "").Trapped() || (*Gate)(nil).Armed() {
		t.Error("nil request or nil gate trapped")
	}
	noURL := &http.Request{RemoteAddr: "203.0.113.200:1"}
	ticket := under.EnterHTTP(noURL, "")
	if !ticket.Trapped() {
		t.Error("not trapped under the ceiling, without a URL")
	}
	ticket.Leave()
}

func TestUnarmedGateTrapsNobody(t *testing.T) {
	gatetest.Arm(t, testNet)
	atomic.StoreUint32(&theBoard.armed, 0)
	var g Gate
	if g.Armed() || g.EnterHTTP(httpRequest("203.0.113.7:1"), "").Trapped() ||
		g.Enter(Request{Client: Peer("203.0.113.7:1")}).Trapped() {
		t.Error("trapped though unarmed")
	}
}

func TestDeclinedRequestRunsUntouched(t *testing.T) {
	agent := gatetest.Arm(t, testNet)
	agent.SetAnswer(gatetest.Decline)
	var g Gate
	if g.EnterHTTP(httpRequest("203.0.113.7:1"), "").Trapped() {
		t.Error("trapped")
	}
	wantAllFree(t)
	wantLocked(t, false)
	if c := agent.Counts(); c != (gatetest.Counts{Matched: 1, Declined: 1}) {
		t.Errorf("counts = %+v", c)
	}
}

func TestSilenceIsBounded(t *testing.T) {
	agent := gatetest.Arm(t, testNet)
	agent.SetAnswer(gatetest.Silence)
	var g Gate
	start := time.Now()
	if g.EnterHTTP(httpRequest("203.0.113.7:1"), "").Trapped() {
		t.Error("trapped")
	}
	if d := time.Since(start); d < answerTimeout || d > 3*answerTimeout {
		t.Errorf("waited %v for an answer, want about 100 ms", d)
	}
	wantAllFree(t)
	wantLocked(t, false)
	if c := agent.Counts(); c != (gatetest.Counts{Matched: 1, Silent: 1}) {
		t.Errorf("counts = %+v", c)
	}
}

func TestAnswerToAnEarlierOfferDoesNotCount(t *testing.T) {
	agent := gatetest.Arm(t, testNet)
	agent.SetAnswer(gatetest.Silence)
	var g Gate
	g.EnterHTTP(httpRequest("203.0.113.7:1"), "")
	late := agent.Offers()[0]
	atomic.StoreUint32(&theBoard.slots[late.Slot].answer, late.Gen<<1|answerAccept)
	if g.EnterHTTP(httpRequest("203.0.113.7:1"), "").Trapped() {
		t.Error("the late answer was taken for the next request's")
	}
	if offers := agent.Offers(); offers[1].Slot != late.Slot || offers[1].Gen != late.Gen+1 {
		t.Errorf("offers = %+v", offers)
	}
}

func TestExpiredLeaseIsUnarmed(t *testing.T) {
	agent := gatetest.Arm(t, testNet)
	agent.SetLease(-time.Millisecond)
	var g Gate
	start := time.Now()
	if g.EnterHTTP(httpRequest("203.0.113.7:1"), "").Trapped() {
		t.Error("trapped")
	}
	if d := time.Since(start); d >= answerTimeout {
		t.Errorf("it took %v", d)
	}
	if c := agent.Counts(); c != (gatetest.Counts{}) || len(agent.Offers()) != 0 {
		t.Errorf("counts = %+v, offers %v", c, agent.Offers())
	}
	wantAllFree(t)
}

func TestOddRuleGenerationMatchesNobody(t *testing.T) {
	agent := gatetest.Arm(t, testNet)
	var g Gate
	atomic.AddUint32(&theBoard.ruleGen, 1)
	if g.EnterHTTP(httpRequest("203.0.113.7:1"), "").Trapped() {
		t.Error("trapped while the rules are being written")
	}
	agent.SetRules(t, testNet)
	ticket := g.EnterHTTP(httpRequest("203.0.113.7:1"), "")
	if !ticket.Trapped() {
		t.Error("not trapped afterwards")
	}
	ticket.Leave()
}

func TestFullBoardLetsRequestsRun(t *testing.T) {
	agent := gatetest.Arm(t, testNet)
	var g Gate
	var in, out sync.WaitGroup
	leave := make(chan struct{})
	for range numSlots {
		in.Add(1)
		out.Add(1)
		go func() {
			defer out.Done()
			ticket := g.EnterHTTP(httpRequest("203.0.113.7:1"), "")
			if !ticket.Trapped() {
				t.Error("not trapped")
			}
			in.Done()
			<-leave
			ticket.Leave()
		}()
	}
	in.Wait()
	tids := make(map[int]bool)
	for _, o := range agent.Offers() {
		tids[o.TID] = true
	}
	if len(tids) != numSlots {
		t.Errorf("%d threads for %d requests", len(tids), numSlots)
	}
	if g.EnterHTTP(httpRequest("203.0.113.7:1"), "").Trapped() {
		t.Error("trapped though every slot is taken")
	}
	if c := agent.Counts(); c != (gatetest.Counts{Matched: numSlots + 1, Full: 1}) {
		t.Errorf("counts = %+v", c)
	}
	close(leave)
	out.Wait()
	wantAllFree(t)
}

func TestNestedGatesOfferOnce(t *testing.T) {
	agent := gatetest.Arm(t, testNet)
	var outer, inner Gate
	ticket := outer.EnterHTTP(httpRequest("203.0.113.7:1"), "")
	nested := inner.EnterHTTP(httpRequest("203.0.113.7:1"), "")
	if !ticket.Trapped() || nested.Trapped() {
		t.Errorf("outer trapped %v, inner %v", ticket.Trapped(), nested.Trapped())
	}
	nested.Leave()
	wantLocked(t, true)
	ticket.Leave()
	wantAllFree(t)
	if c := agent.Counts(); c.Matched != 1 || len(agent.Offers()) != 1 {
		t.Errorf("counts %+v, offers %v", c, agent.Offers())
	}
}

func TestLongTextsAreCut(t *testing.T) {
	agent := gatetest.Arm(t, gatetest.Rule{Prefix: netip.MustParsePrefix("2001:db8::/32")})
	var g Gate
	// The path's 256th byte is the first of a two-byte character.
	path := "/" + strings.Repeat("x", 254) + "éé"
	ticket := g.Enter(Request{
		Client: Peer("[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
		Method: strings.Repeat("M", 20), Path: path,
	})
	ticket.Leave()
	offers := agent.Offers()
	if len(offers) != 1 || offers[0].Method != strings.Repeat("M", 16) || offers[0].Path != path[:255] ||
		offers[0].Client != "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff" {
		t.Errorf("offers = %+v", offers)
	}
}

// TestRulesChangeUnderLoad has a request match one of two rules that the agent
// swaps all the time: there must never be a moment when both or a mixture match.
func TestRulesChangeUnderLoad(t *testing.T) {
	agent := gatetest.Arm(t, testNet)
	agent.SetAnswer(gatetest.Decline)
	mixed := gatetest.Rule{Prefix: netip.MustParsePrefix("203.0.113.7/32"), Method: "POST"}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			select {
			case <-stop:
				return
			default:
				agent.SetRules(t, otherNet, mixed)
				agent.SetRules(t, mixed, gatetest.Rule{Prefix: otherNet.Prefix, Path: "/long/long/path"})
			}
		}
	}()
	agent.SetRules(t, mixed)
	var g Gate
	for range 20_000 {
		if g.EnterHTTP(httpRequest("203.0.113.7:1"), "").Trapped() {
			t.Fatal("trapped")
		}
	}
	close(stop)
	wg.Wait()
	if n := agent.Counts().Matched; n != 0 {
		t.Errorf("%d requests matched a rule that never was", n)
	}
}

func TestEnterDoesNotAllocate(t *testing.T) {
	agent := gatetest.Arm(t, otherNet, gatetest.Rule{Prefix: testNet.Prefix, Method: "POST", Header: "X-Debug"})
	var g Gate
	for name, remote := range map[string]string{
		"no match":              "198.51.100.1:1",
		"no match, IPv6":        "[2001:db8::1]:1",
		"address matches alone": "203.0.113.7:1",
	} {
		r := httpRequest(remote)
		if n := testing.AllocsPerRun(200, func() { g.EnterHTTP(r, "") }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	r := httpRequest("192.0.2.1:1")
	s := &theBoard.slots[0]
	if n := testing.AllocsPerRun(200, func() {
		// The answer is there before the question: the agent, which would
		// allocate, too, is not needed.
		atomic.StoreUint32(&s.answer, (atomic.LoadUint32(&s.gen)+1)<<1)
		g.EnterHTTP(r, "")
	}); n != 0 || agent.Counts().Declined < 200 {
		t.Errorf("declined: %v allocations, counts %+v", n, agent.Counts())
	}
	agent.SetLease(-1)
	if n := testing.AllocsPerRun(200, func() { g.EnterHTTP(r, "") }); n != 0 {
		t.Errorf("lease over: %v allocations", n)
	}
	atomic.StoreUint32(&theBoard.armed, 0)
	if n := testing.AllocsPerRun(200, func() { g.EnterHTTP(r, "") }); n != 0 {
		t.Errorf("unarmed: %v allocations", n)
	}
}
