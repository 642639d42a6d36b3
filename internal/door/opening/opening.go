// Package opening says by a connection's first bytes what speaks there.
//
// It owns that judgement and the bounds of what is read for it, for every port of
// ours: those of the agent and the one of the connect command. It must not know who
// connects, nor what is done about it. It starts no goroutine; whoever calls it sets
// the connection's read deadline.
package opening

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"unicode"
)

// Limit is how many bytes are read at most before it is clear what speaks.
const Limit = 4 << 10

// Kind is what a connection's first bytes look like.
type Kind string

// Kinds. The first three are spoken to somewhere, the others nowhere.
const (
	DAP     Kind = "dap"      // Content-Length or Content-Type
	JSONRPC Kind = "json-rpc" // a brace
	TLS     Kind = "tls"      // a handshake record, RFC 8446 section 5.1

	HTTP      Kind = "http"      // a request line of any version, HTTP/2 included
	WebSocket Kind = "websocket" // HTTP that asks for an upgrade to it, RFC 6455 section 4.1
	Connect   Kind = "connect"   // HTTP that takes us for a proxy
	SSH       Kind = "ssh"       // RFC 4253 section 4.2
	Unknown   Kind = "unknown"
)

// Opening is what a connection began with.
type Opening struct {
	Kind Kind
	// Read is everything that was read; it has to be put before the rest.
	Read []byte
	// Host and Origin are those header fields of HTTP, for the audit: a page that
	// had its name rebound to our address gives itself away by them. Printable and
	// short; either may be empty.
	Host, Origin string
}

// Attack says whether nothing of ours begins like this.
func (o Opening) Attack() bool { return o.Kind != DAP && o.Kind != JSONRPC }

// IsHTTP says whether it is HTTP in one of its forms.
func (o Opening) IsHTTP() bool {
	return o.Kind == HTTP || o.Kind == WebSocket || o.Kind == Connect
}

// ErrSilent is returned when the connection ended or timed out before it was clear
// what it speaks.
var ErrSilent = errors.New("it did not say what it speaks")

// Read reads from conn until it is clear what speaks there. Of HTTP it reads the
// header too, as far as it comes, for what the audit is told. It reads no more than
// Limit bytes, and of what is not HTTP at most twenty.
func Read(conn net.Conn) (Opening, error) {
	var o Opening
	for {
		kind, clear := judge(o.Read)
		if clear {
			o.Kind = kind
			break
		}
		if err := o.more(conn, enough-len(o.Read)); err != nil {
			return o, err
		}
	}
	if o.Kind == HTTP || o.Kind == Connect {
		o.header(conn)
	}
	return o, nil
}

// more reads up to n bytes.
func (o *Opening) more(r io.Reader, n int) error {
	var buf [512]byte
	got, err := r.Read(buf[:min(n, len(buf))])
	o.Read = append(o.Read, buf[:got]...)
	if got > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return fmt.Errorf("%w: %w", ErrSilent, err)
}

// enough is how many bytes are always enough: the longest method that is registered
// has 17 (RFC 9110 section 16.1, UPDATEREDIRECTREF), and content-length with its colon 15.
const enough = 20

// ours are what a DAP message may begin with: a header field's name and its colon,
// without which "content-length" is as good a method of HTTP as any other word.
var ours = []string{"content-length:", "content-type:"}

// judge says what begins with b, and whether more bytes could change that.
func judge(b []byte) (kind Kind, clear bool) {
	switch {
	case len(b) == 0:
		return Unknown, false
	case b[0] == '{':
		return JSONRPC, true
	case b[0] == 0x16: // handshake; the version follows, 3.x since SSL 3.0
		if len(b) < 2 {
			return Unknown, false
		}
		if b[1] == 3 {
			return TLS, true
		}
		return Unknown, true
	}
	text := strings.ToLower(string(b))
	for _, field := range ours {
		if strings.HasPrefix(text, field) {
			return DAP, true
		}
		if strings.HasPrefix(field, text) {
			return Unknown, false
		}
	}
	if strings.HasPrefix(text, "ssh-") {
		return SSH, true
	}
	return judgeText(b)
}

// judgeText tells a request line, which begins with a method and a space (RFC 9112
// section 3), from anything else.
func judgeText(b []byte) (kind Kind, clear bool) {
	for i, c := range b {
		letter := 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || c == '-'
		switch {
		case letter:
		case c == ' ' && i > 0:
			if strings.EqualFold(string(b[:i]), "CONNECT") {
				return Connect, true
			}
			return HTTP, true
		default:
			return Unknown, true
		}
	}
	return Unknown, len(b) >= enough
}

// header reads the header of an HTTP request as far as it comes.
func (o *Opening) header(r io.Reader) {
	for !bytes.Contains(o.Read, []byte("\r\n\r\n")) && !bytes.Contains(o.Read, []byte("\n\n")) && len(o.Read) < Limit {
		if o.more(r, Limit-len(o.Read)) != nil {
			break
		}
	}
	for line := range strings.Lines(string(o.Read)) {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "host":
			o.Host = printable(value)
		case "origin":
			o.Origin = printable(value)
		case "upgrade":
			if o.Kind == HTTP && strings.EqualFold(value, "websocket") {
				o.Kind = WebSocket
			}
		}
	}
}

// printable keeps of s what is safe in a log.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	runes := []rune(s)
	return string(runes[:min(len(runes), 100)])
}

// Conn is a connection whose first bytes were read already. One goroutine reads it
// at a time.
type Conn struct {
	net.Conn
	first []byte
}

// Whole puts what was read back before the rest of conn.
func (o Opening) Whole(conn net.Conn) *Conn { return &Conn{Conn: conn, first: o.Read} }

// Read reads what was put back, and then the connection.
func (c *Conn) Read(p []byte) (int, error) {
	if len(c.first) > 0 && len(p) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// CloseWrite lets the peer close first, on connections that can.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
