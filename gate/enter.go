package gate

import "net/http"

// Request is what the gate needs to know about a request. It is independent of
// net/http, so that adapters for other frameworks can fill it in.
type Request struct {
	Client Client
	Method string      // as sent: "GET"; for RPC systems whatever stands for it
	Path   string      // decoded, without the query: "/orders/7"
	Host   string      // the Host header, which net/http keeps apart
	Header http.Header // canonical names; nil if there are none
}

// Ticket says what became of a request. The zero Ticket is a request that runs
// untouched.
type Ticket struct {
	slot *slot
	gen  uint32
}

// Trapped reports whether an agent has accepted the request: it may be stopped
// for as long as a person thinks. An adapter SHOULD lift the deadlines that
// would end the request meanwhile.
func (t Ticket) Trapped() bool { return t.slot != nil }

// Armed reports whether an agent wants requests. It costs one atomic load and
// is meant to be asked before anything else is done for a request.
func (g *Gate) Armed() bool { return g != nil && armed() }

// Enter offers q to the agent if the gate is armed, a rule of the agent matches
// q, and the ceiling admits it. It waits for the agent's answer for at most
// 100 ms; without one the request runs untouched.
//
// If the Ticket is trapped, the calling goroutine is locked to its thread, and
// it MUST call [Ticket.Leave] when the request is over, deferred, so that
// panics and runtime.Goexit release it too. For other Tickets Leave does
// nothing. A request that is already trapped is not offered again.
//
// Enter does not allocate, never fails and never panics.
func (g *Gate) Enter(q Request) Ticket {
	if !g.Armed() {
		return Ticket{}
	}
	return g.enter(&q, currentRules())
}

// EnterHTTP is Enter for a request of net/http. It does not change r.
func (g *Gate) EnterHTTP(r *http.Request) Ticket {
	if r == nil || !g.Armed() {
		return Ticket{}
	}
	rules := currentRules()
	addr, reason := g.client(r.RemoteAddr, r.Header)
	if !rules.admits(addr) {
		return Ticket{}
	}
	return g.enterHTTP(r, Client{Addr: addr, Reason: reason}, rules)
}

// enterHTTP is the part of EnterHTTP for requests from an admitted address. It
// is not inlined, so that the others need not make room for a Request.
//
//go:noinline
func (g *Gate) enterHTTP(r *http.Request, client Client, rules *ruleSet) Ticket {
	q := Request{Client: client, Method: r.Method, Host: r.Host, Header: r.Header}
	if r.URL != nil {
		q.Path = r.URL.Path
	}
	return g.enter(&q, rules)
}

func (g *Gate) enter(q *Request, rules *ruleSet) Ticket {
	if !rules.matches(q) || !g.underCeiling(q.Client.Addr) {
		return Ticket{}
	}
	return offer(q)
}

// Leave ends a trapped request: the agent is told to let go of the thread, and
// the goroutine is unlocked from it. It MUST be called by the goroutine that
// called Enter. It returns as soon as the agent has let go, after one second at
// the latest. Further calls do nothing.
func (t Ticket) Leave() {
	if t.slot != nil {
		release(t.slot, t.gen)
	}
}
