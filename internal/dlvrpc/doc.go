// Package dlvrpc speaks Delve's JSON-RPC API v2, for GoLand's Go Remote, `dlv
// connect`, vim-go, gdlv and whatever else has an rpc2.RPCClient.
//
// It owns what that protocol believes in and the engine does not: a process that
// is either running or stopped, and one current thread. The process here is
// "stopped" for a client as soon as one of its requests is; the service never
// is. Arguments and replies are Delve's own types. How breakpoints are set and
// requests moved is internal/session's; how connections are accepted, and that
// DAP exists, it must not know.
//
// Goroutines, for each connection: the caller's own (Server.ServeConn), which
// carries out one call after the other; a reader; a pump of the session's
// events; one for each call that waits for a stop. All of them end before
// ServeConn returns. Nothing here blocks a request of the service: a
// connection that ends, or whose client reads no answers, closes its session,
// and that thaws what it holds.
//
// Locks: world.mu and breakpoints.mu are never held together, nor while Delve's
// tables are in use, except world.mu by the capture of a trace point.
package dlvrpc
