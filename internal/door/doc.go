//go:build linux

// Package door is where clients come in: it owns the agent's listeners and proves
// for every connection who is at the other end before anything that it says is
// acted on.
//
// There are four kinds of listeners, each with its own proof:
//
//   - a Unix socket in a private directory ([ListenUnix]) and loopback TCP
//     ([ListenLoopback]): the kernel names the user at the other end;
//   - TLS 1.3 ([ListenTLS]): a client certificate, or an invitation that is
//     exchanged for one;
//   - none ([DangerouslyListenWithoutTLS]).
//
// It also owns the bounds of what a stranger can use up (time, bytes, connections,
// attempts), the decision which protocol a connection speaks, and the audit of what
// comes to the door. It must not know what DAP and JSON-RPC are beyond their first
// bytes, nor what a role allows: it hands every connection with its identity to one
// of two functions.
//
// Goroutines: Serve runs in its caller's and starts one for each connection, which
// ends with it; Serve returns when all of them have ended.
package door
