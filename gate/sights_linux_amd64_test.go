package gate

import (
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/remotedbg/remotedbg/gate/gatetest"
)

func looking(t *testing.T) {
	t.Helper()
	atomic.StoreUint32(&theBoard.looking, 1)
	t.Cleanup(func() { atomic.StoreUint32(&theBoard.looking, 0) })
}

// lastSight is the newest one, in texts.
func lastSight() (peer, client, reason, method, path string) {
	s := &theBoard.sights[atomic.LoadUint32(&theBoard.sighted)%numSights]
	return string(s.peer.b[:s.peer.n]), string(s.client.b[:s.client.n]), string(s.reason.b[:s.reason.n]),
		string(s.method.b[:s.method.n]), string(s.path.b[:s.path.n])
}

func TestSights(t *testing.T) {
	agent := gatetest.Arm(t) // without rules: nobody matches
	looking(t)
	var g Gate
	for _, c := range []struct{ from, client, reason string }{
		{"203.0.113.7:4711", "203.0.113.7", ReasonDirectPeer},
		{"[::ffff:203.0.113.8]:1", "203.0.113.8", ReasonDirectPeer},
		{"203.0.113.7", "", ReasonNotIPAndPort},
		{strings.Repeat("ä", 60), "", ReasonNotIPAndPort},
	} {
		if g.EnterHTTP(httpRequest(c.from), "").Trapped() {
			t.Fatal("trapped")
		}
		peer, client, reason, method, path := lastSight()
		if !strings.HasPrefix(c.from, peer) || len(peer) < min(len(c.from), 63) || client != c.client || reason != c.reason || method != "GET" || path != "/orders/7" {
			t.Errorf("%s: %q %q %q %q %q", c.from, peer, client, reason, method, path)
		}
	}
	g.Enter(Request{Client: Client{Addr: netip.MustParseAddr("2001:db8::7"), Reason: "r"}, Method: "POST", Path: "/a.B/C", Peer: "[2001:db8::7]:1"})
	if peer, client, _, method, path := lastSight(); peer != "[2001:db8::7]:1" || client != "2001:db8::7" || method != "POST" || path != "/a.B/C" {
		t.Errorf("%q %q %q %q", peer, client, method, path)
	}
	if n := len(agent.Offers()); n != 0 {
		t.Errorf("%d offers", n)
	}

	before := atomic.LoadUint32(&theBoard.sighted)
	agent.SetLease(-1)
	g.EnterHTTP(httpRequest("203.0.113.7:4711"), "")
	if atomic.LoadUint32(&theBoard.sighted) != before {
		t.Error("shown to an agent whose lease is over")
	}
}

// TestSightsOfManyAtATime: no place is written by two at the same time, which
// the race detector would tell, and all places are complete in the end.
func TestSightsOfManyAtATime(t *testing.T) {
	gatetest.Arm(t)
	looking(t)
	r := httpRequest("203.0.113.7:4711")
	var all sync.WaitGroup
	for range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			for range 2000 {
				new(Gate).EnterHTTP(r, "")
			}
		}()
	}
	all.Wait()
	for i := range theBoard.sights {
		if n := atomic.LoadUint32(&theBoard.sights[i].n); n == sightBusy {
			t.Errorf("sight %d is left unfinished", i)
		}
	}
}

func TestLookingDoesNotAllocate(t *testing.T) {
	gatetest.Arm(t)
	looking(t)
	r := httpRequest("203.0.113.7:4711")
	if n := testing.AllocsPerRun(200, func() { new(Gate).EnterHTTP(r, "").Leave() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
