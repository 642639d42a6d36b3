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
//   - It MUST take the client from the connection ([Gate.Client], [Peer]), not
//     from a header of its own choosing.
//   - It SHOULD ask [Gate.Armed] first, so that requests of a service that nobody
//     debugs pay one atomic load.
//   - It SHOULD lift the deadlines of a trapped request.
//
// Whoever runs the service:
//
//   - SHOULD set a ceiling where the addresses of those who debug are known. It
//     is the last word: an agent's rules narrow it and never widen it.
//   - MUST NOT let middleware outside of the gate overwrite RemoteAddr with a
//     header that clients can send: the gate refuses such values unless they
//     have a port, but it cannot tell a made-up address with a port from a
//     peer's.
//   - MUST know that who may trace the process (same user or CAP_SYS_PTRACE, and
//     what yama allows) may arm the gate. The gate adds no way in: whoever may
//     do that can read and change the whole process without it.
//   - MUST NOT strip the binary (-ldflags=-s or -w): the agent finds the board by
//     its symbol and reads its layout from DWARF.
//   - SHOULD know that a frozen request keeps what it holds: locks, transactions,
//     pooled connections. Time limits in its context run on.
//
// # Costs
//
// Unarmed, a request pays one atomic load. Armed, one that matches no rule pays
// for parsing the peer's address and comparing it with the rules, some tens of
// nanoseconds, and nothing is allocated. One that matches pays for the agent's
// answer, at worst 100 ms, and is locked to its thread while it is trapped.
//
// A service that uses SIGURG with os/signal sees additional ones: they are how
// agent and gate wake each other.
package gate
