package invite

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// Protocols that a connection to the agent asks for (ALPN). A browser asks for
// others and does not get past the handshake.
const (
	Protocol      = "remotedbg-invite/1" // to use an invitation; no client certificate
	DebugProtocol = "remotedbg/1"        // to debug; with one
)

// maxMessage bounds a message in bytes, without its length.
const maxMessage = 2 << 10

// maxName bounds what a client calls itself, in bytes.
const maxName = 64

// request is what the client sends.
type request struct {
	Version int    `json:"version"`
	Name    string `json:"name"`    // what the client calls itself; proves nothing
	Process []byte `json:"process"` // which process the link is for
	CSR     []byte `json:"csr"`     // certificate request, DER
	Proof   []byte `json:"proof"`
}

// reply is what the agent answers. Either Certificate or Refused is set.
type reply struct {
	Certificate []byte `json:"certificate,omitempty"` // DER
	Role        string `json:"role,omitempty"`
	Process     string `json:"process,omitempty"` // for people
	Refused     Reason `json:"refused,omitempty"`
}

// send writes one message.
func send(w io.Writer, message any) error {
	body, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("remotedbg: invitation: %w", err)
	}
	if len(body) > maxMessage {
		return fmt.Errorf("remotedbg: invitation: the message has %d bytes, at most %d may be sent", len(body), maxMessage)
	}
	// One write: the length alone would be a TLS record of its own.
	_, err = w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(body))), body...))
	return err
}

// receive reads one message. It reads no byte more.
func receive(r io.Reader, message any) error {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint16(head[:])
	if n > maxMessage {
		return fmt.Errorf("remotedbg: invitation: a message of %d bytes, at most %d may be sent", n, maxMessage)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	if err := json.Unmarshal(body, message); err != nil {
		return fmt.Errorf("remotedbg: invitation: %w", err)
	}
	return nil
}

// Binding is what ties a proof to one TLS connection (RFC 9266 section 2): no
// other has the same, and both ends know it.
func Binding(state tls.ConnectionState) ([]byte, error) {
	if !state.HandshakeComplete || state.Version != tls.VersionTLS13 {
		return nil, errNotBound
	}
	key, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotBound, err)
	}
	return key, nil
}

// proof shows that whoever made it has the secret of l, on the connection of
// binding, and wants a certificate for csr. binding is always 32 bytes and the
// link's part of fixed length, so that no two inputs look the same.
func (l Link) proof(binding, csr []byte) []byte {
	mac := hmac.New(sha256.New, l.secret[:])
	raw := l.raw()
	io.WriteString(mac, "remotedbg invitation proof\x00")
	mac.Write(raw[:len(raw)-secretSize])
	mac.Write(binding)
	mac.Write(csr)
	return mac.Sum(nil)
}
