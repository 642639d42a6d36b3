// Package invite gets a client a certificate for one debug session, in exchange
// for a secret that somebody pasted.
//
// It owns the certificates of a session ([Authority]), the invitation in its
// pasted form ([Link]), what client and agent say to each other when it is used
// ([Redeem], [Desk]), and which invitations have been used. It must not know what a
// debug session is, nor listen or dial: internal/door accepts the connections on
// the agent's side, the connect command makes them on the other. It starts no
// goroutine. It builds on every system.
//
// # The exchange
//
// An invitation is HOST:PORT#TEXT. TEXT is 61 bytes in unpadded base64url
// (RFC 4648 section 5): the format's version, when the invitation expires (Unix
// seconds), which process it is for, the SHA-256 of the agent's certificate, and a
// secret of 128 bits.
//
// The client makes a TLS 1.3 connection with the protocol [Protocol] (ALPN,
// RFC 7301) and goes on only if the agent's certificate is the one of the link. It
// then sends a certificate request (RFC 2986) for a key that it has just made, and a
// proof: the HMAC-SHA256, under the secret, of everything else in the link, of the
// certificate request, and of keying material exported from this TLS connection
// (RFC 9266 "tls-exporter"). The secret itself is never sent. What a listener has
// recorded, or what somebody in the middle was told, is of no use on another
// connection. The agent answers with the certificate and closes. All other
// connections use that certificate, with the protocol [DebugProtocol].
//
// Each message is its length in two bytes, big endian, and JSON; one of each goes
// each way, of at most 2 KiB.
package invite
