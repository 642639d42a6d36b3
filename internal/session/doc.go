// Package session is the engine: it attaches to a service, takes the requests
// that its gate offers, holds the IDE's breakpoints, and moves each request on
// its own. dap and dlvrpc both speak to it.
//
// It must not know DAP, sockets or files of its own. It is the only package
// that calls Delve for control; front ends look at frozen requests through
// Session.Inspect.
//
// Goroutines, all started by Open and NewSession and ended by Close: the
// engine's watch (polls the board, renews the lease) and its wait for the
// process's exit; one for each request in flight (request.run), which alone
// moves it; one for each stop that looks for secrets while the client asks where
// the request is (request.searchAhead), for some milliseconds; one for each
// session's event queue. What may block on the service is only a request's own
// goroutine.
//
// Locks, in the order in which they may be taken: Engine.ahead (one search for
// secrets ahead at a time), Engine.brain (Delve: its symbol tables are shared and
// not safe for concurrent use; let go of while a request runs), then Engine.mu
// (everything else). None is ever taken by the goroutines of package live.
package session
