// Package dap is the Debug Adapter Protocol server of the agent: what VS Code,
// nvim-dap, vimspector and every other DAP client talk to.
//
// It owns the protocol: framing, the order of messages, the handles (frames
// and variables) a client is given, the mapping of source paths, and how Go
// values are shown. A DAP thread is one allowlisted request in flight. It
// reads stacks and variables with Delve's proc package, and only inside
// [Session.Inspect].
//
// It must not know how a request is stopped, what the board looks like, or
// that ptrace exists: all of that is behind [Session]. Nothing a client sends
// may end or harm the debugged service, but for the values that a person sets:
// setVariable, setExpression and writeMemory write what they are told to, where
// that is not certain to break it. A client that misbehaves loses its
// connection at worst.
//
// # Goroutines
//
// Every connection has three. The one that called [Server.ServeConn] owns all
// state of the connection and runs every handler and every event, one after
// the other; it is why there is no mutex here and why an event caused by a
// request can never overtake that request's response. A reader takes frames
// off the connection, a writer puts them on it; a write that makes no progress
// for [Config].WriteTimeout closes the connection, so a client that stops
// reading blocks nobody for longer than that. ServeConn stops both before it
// returns. Where an answer may take long and the client shows progress, a fourth
// computes it while the first waits for it and reports. [Server.Serve] adds one
// goroutine a connection and waits for all.
//
// Deployment: the server MUST listen on a loopback address; it has no
// authentication of its own.
package dap
