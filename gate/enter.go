package gate

import (
	"net/http"
	"strings"
)

// Header is what the gate reads of a request's header, or of the metadata of an
// RPC. [http.Header] is one.
type Header interface {
	// Values returns the values of the field of that name, in the order in
	// which they were sent; name is in canonical form ("X-Forwarded-For"). The
	// gate does not change the slice and does not keep it.
	Values(name string) []string
}

// Request is what the gate needs to know about a request. It is independent of
// net/http, so that adapters for other frameworks can fill it in.
type Request struct {
	Client Client
	Method string // as sent: "GET"; for RPC systems whatever stands for it
	Path   string // decoded, without the query: "/orders/7"
	Peer   string // the remote end of the connection, for a person who looks for the client's address
	Route  string // the framework's pattern for Path, if it is known: "/orders/{id}"
	Host   string // the Host header, which net/http keeps apart
	Header Header // nil if there is none

	token string // that it carried, empty if none is asked for
}

// Ticket says what became of a request. The zero Ticket is a request that runs
// untouched.
type Ticket struct {
	slot  *slot
	gen   uint32
	epoch uint32 // in which the end of an untouched request is to be counted; 0: nowhere
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
// The calling goroutine MUST call [Ticket.Leave] when the request is over,
// whatever became of it, and deferred, so that panics and runtime.Goexit do it
// too. If the Ticket is trapped, the goroutine is locked to its thread until
// then. A request that is already trapped is not offered again.
//
// Enter does not allocate, never fails and never panics.
func (g *Gate) Enter(q Request) Ticket {
	if !g.Armed() {
		return Ticket{}
	}
	rules := currentRules()
	if looked() {
		show(q.Peer, q.Client, q.Method, q.Path)
	}
	if rules.wantToken() {
		q.token = takeToken(q.Header)
	}
	return g.enter(&q, rules)
}

// EnterHTTP is Enter for a request of net/http. route is the pattern that the
// request's router has matched, "/orders/{id}", and only names the request to
// the person who debugs it; empty is the one of [http.ServeMux], if the request
// has passed one. It does not change r, but for taking away the token that the
// agent asked for, if it did.
func (g *Gate) EnterHTTP(r *http.Request, route string) Ticket {
	if r == nil || !g.Armed() {
		return Ticket{}
	}
	rules := currentRules()
	addr, reason := g.client(r)
	if looked() {
		showHTTP(r, Client{Addr: addr, Reason: reason})
	}
	var token string
	if rules.wantToken() {
		token = takeTokenHTTP(r)
	}
	if !rules.admits(addr) {
		return pass()
	}
	return g.enterHTTP(r, route, Client{Addr: addr, Reason: reason}, token, rules)
}

// enterHTTP is the part of EnterHTTP for requests from an admitted address. It
// is not inlined, so that the others need not make room for a Request.
//
//go:noinline
func (g *Gate) enterHTTP(r *http.Request, route string, client Client, token string, rules *ruleSet) Ticket {
	if route == "" {
		route = patternPath(r.Pattern)
	}
	q := Request{Client: client, Method: r.Method, Path: path(r), Route: route, Host: r.Host, Header: r.Header, token: token}
	return g.enter(&q, rules)
}

//go:noinline
func showHTTP(r *http.Request, client Client) { show(r.RemoteAddr, client, r.Method, path(r)) }

func path(r *http.Request) string {
	if r.URL == nil {
		return ""
	}
	return r.URL.Path
}

// patternPath is a pattern of http.ServeMux without its method: "GET /orders/{id}".
func patternPath(pattern string) string {
	if _, path, ok := strings.Cut(pattern, " "); ok {
		return strings.TrimLeft(path, " \t")
	}
	return pattern
}

func (g *Gate) enter(q *Request, rules *ruleSet) Ticket {
	if !rules.matches(q) || !g.underCeiling(q.Client.Addr) {
		return pass()
	}
	if t := offer(q, origin{}); t.Trapped() {
		return t
	}
	return pass()
}

// Leave ends a request. Of a trapped one the agent is told to let go of the
// thread, and the goroutine is unlocked from it. It MUST be called by the
// goroutine that called Enter, once. It returns as soon as the agent has let go,
// after one second at the latest.
func (t Ticket) Leave() {
	switch {
	case t.slot != nil:
		release(t.slot, t.gen)
	case t.epoch != 0:
		end(t.epoch &^ counted)
	}
}
