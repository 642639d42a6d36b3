// Package gate lets a debugger freeze single requests of a running service
// while all others run on.
//
// It owns the service's half of that: which requests an agent may have at most
// (the ceiling in [Config]), whose request it is ([Gate.Client]), and the board,
// a table in the service's own memory on which matching requests are offered to
// an agent. The agent is another process on the same machine, `remotedbg
// attach`. It writes its rules on the board, and traces the one thread of a
// request that it has accepted. The gate must not know what the agent does with
// it, nor of any framework but net/http's request type, and it imports the
// standard library alone.
//
// There is no socket, no listener and no goroutine in here. Everything happens
// in the goroutine of the request, and everything that waits for the agent is
// bounded: 100 ms for its answer, one second for its letting go. Whatever the
// agent does or fails to do, the request completes. Only a frozen request waits
// longer; its agent ends that.
//
// The engine works on linux/amd64. Elsewhere the package compiles and every
// request passes through.
//
// # Deployment
//
// Services on net/http use the middleware package next to this one. What it
// does, adapters for other frameworks MUST do as well:
//
//   - An adapter MUST call [Gate.Enter] in the goroutine that runs the handler,
//     and the handler in that goroutine.
//   - It MUST defer [Ticket.Leave] before it calls the handler, in the same
//     goroutine. It MUST NOT recover panics.
//   - It MUST take the client from the gate ([Gate.Client], [Gate.ClientFrom]),
//     with the remote end of the connection as the peer, and not from a header
//     or from the framework's own idea of the client.
//   - It SHOULD ask [Gate.Armed] first, so that requests of a service that nobody
//     debugs pay one atomic load.
//   - It SHOULD lift the deadlines of a trapped request.
//
// Whoever runs the service:
//
//   - SHOULD set a ceiling where the addresses of those who debug are known. It
//     is the last word: an agent's rules narrow it and never widen it.
//   - MUST NOT let middleware outside of the gate overwrite RemoteAddr with a
//     header that clients can send, or MUST set [Config.PeerFromConn] and make
//     [ConnContext] the server's. Without it the gate refuses such values unless
//     they have a port, but it cannot tell a made-up address with a port from a
//     peer's.
//   - MUST know that who may trace the process (same user or CAP_SYS_PTRACE, and
//     what yama allows) may arm the gate. The gate adds no way in: whoever may
//     do that can read and change the whole process without it.
//   - MUST NOT strip the binary (-ldflags=-s or -w): the agent finds the board by
//     its symbol and reads its layout from DWARF.
//   - SHOULD know that a frozen request keeps what it holds: locks, transactions,
//     pooled connections. Time limits in its context run on.
//
// # Proxies
//
// Behind a proxy every peer is the proxy. The gate then needs to be told who the
// proxies are ([Config.TrustedProxies]) and in which one header they name the
// client ([Config.Source]). Whatever it cannot read makes the client unknown,
// and an unknown client is never debugged. Whoever runs the service:
//
//   - MUST name in TrustedProxies the proxies and nothing else. Whoever connects
//     from there can claim to be anybody. A whole private network is too much if
//     anything else lives in it.
//   - MUST choose the header that the proxies write. One that they pass on is
//     the client's to make up: a proxy that appends to X-Forwarded-For commonly
//     leaves Forwarded and X-Real-Ip as they came.
//   - MUST, with [FromHeader], have the outermost proxy replace the header on
//     every request, and those behind it keep it. With lists every proxy MUST
//     append the address it was connected from.
//   - SHOULD have the outermost proxy drop the list that clients sent. It is
//     refused beyond 32 entries or 4 KiB, made-up ones included.
//   - MUST NOT set [Config.TrustUnix] unless the proxy alone can connect to the
//     socket (its mode and that of its folder).
//   - MUST treat a listener that speaks the PROXY protocol as the connection:
//     what it gives as the remote end is the peer. It MUST accept the protocol
//     from the proxies only, since the gate cannot see who sent it.
//   - SHOULD know that people behind one NAT or VPN have one address.
//
// # Costs
//
// Unarmed, a request pays one atomic load. Armed, one that matches no rule pays
// for parsing the peer's address and comparing it with the rules, some tens of
// nanoseconds, and nothing is allocated. Behind proxies it also pays for reading
// the header, about 100 ns for three hops in X-Forwarded-For and twice that in
// Forwarded, and nothing is allocated either, whatever was sent. One that matches pays for the agent's
// answer, at worst 100 ms, and is locked to its thread while it is trapped.
//
// A service that uses SIGURG with os/signal sees additional ones: they are how
// agent and gate wake each other.
package gate
