package opening_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/remotedbg/remotedbg/internal/door/opening"
)

// fromReader is a connection that can only be read.
type fromReader struct {
	net.Conn
	r io.Reader
}

func (f fromReader) Read(p []byte) (int, error) { return f.r.Read(p) }

func TestOpenings(t *testing.T) {
	for _, tt := range []struct {
		name, in     string
		kind         opening.Kind
		host, origin string
		silent       bool
	}{
		{name: "DAP", in: "Content-Length: 2\r\n\r\n{}", kind: opening.DAP},
		{name: "DAP in lower case", in: "content-length:2\n\n{}", kind: opening.DAP},
		{name: "DAP with a type first", in: "Content-Type: x\r\nContent-Length: 2\r\n\r\n{}", kind: opening.DAP},
		{name: "a method called like a field of DAP", in: "CONTENT-LENGTH / HTTP/1.1\r\nHost: x\r\n\r\n", kind: opening.HTTP, host: "x"},
		{name: "JSON-RPC", in: `{"method":"RPCServer.State"}`, kind: opening.JSONRPC},
		{name: "GET", in: "GET / HTTP/1.1\r\nHost: localhost:2345\r\n\r\n", kind: opening.HTTP, host: "localhost:2345"},
		{name: "a form of another page", in: "POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: https://evil.example\r\nContent-Length: 9\r\n\r\n{\"a\":1}  ", kind: opening.HTTP, host: "127.0.0.1", origin: "https://evil.example"},
		{name: "a name that was rebound", in: "GET / HTTP/1.1\r\nhost: evil.example:2345\r\n\r\n", kind: opening.HTTP, host: "evil.example:2345"},
		{name: "HTTP without a version", in: "GET /\r\n", kind: opening.HTTP},
		{name: "HTTP/2", in: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", kind: opening.HTTP},
		{name: "preflight", in: "OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\n\r\n", kind: opening.HTTP, host: "a", origin: "http://b"},
		{name: "a long method", in: "UPDATEREDIRECTREF / HTTP/1.1\r\n\r\n", kind: opening.HTTP},
		{name: "WebSocket", in: "GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: http://e\r\n\r\n", kind: opening.WebSocket, host: "h", origin: "http://e"},
		{name: "proxy", in: "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n", kind: opening.Connect, host: "x:443"},
		{name: "proxy in lower case", in: "connect x:443 HTTP/1.1\r\n\r\n", kind: opening.Connect},
		{name: "an end in the middle of the header", in: "GET / HTTP/1.1\r\nHost: h\r\nX", kind: opening.HTTP, host: "h"},
		{name: "an endless header", in: "GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("X: y\r\n", 5000), kind: opening.HTTP, host: "h"},
		{name: "a host that paints", in: "GET / HTTP/1.1\r\nHost: \x1b[2Jh\xff\r\n\r\n", kind: opening.HTTP, host: "[2Jh"},
		{name: "TLS", in: "\x16\x03\x01\x02\x00\x01", kind: opening.TLS},
		{name: "a record that is not TLS", in: "\x16\x05", kind: opening.Unknown},
		{name: "SSH", in: "SSH-2.0-OpenSSH_9.6\r\n", kind: opening.SSH},
		{name: "Content of another kind", in: "Content-Encoding: gzip\r\n", kind: opening.Unknown},
		{name: "a long word", in: strings.Repeat("A", 100), kind: opening.Unknown},
		{name: "zeros", in: "\x00\x00\x00\x00", kind: opening.Unknown},
		{name: "a space first", in: " {}", kind: opening.Unknown},
		{name: "nothing", in: "", silent: true},
		{name: "half a word", in: "Conte", silent: true},
		{name: "half a record", in: "\x16", silent: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for what, r := range map[string]io.Reader{
				"at once":      strings.NewReader(tt.in),
				"byte by byte": iotest.OneByteReader(strings.NewReader(tt.in)),
			} {
				conn := fromReader{r: r}
				o, err := opening.Read(conn)
				if errors.Is(err, opening.ErrSilent) != tt.silent {
					t.Fatalf("%s: error %v", what, err)
				}
				if !tt.silent && o.Kind != tt.kind || o.Host != tt.host || o.Origin != tt.origin {
					t.Errorf("%s: %s, host %q, origin %q", what, o.Kind, o.Host, o.Origin)
				}
				if len(o.Read) > opening.Limit || !o.IsHTTP() && len(o.Read) > 20 {
					t.Errorf("%s: %d bytes were read", what, len(o.Read))
				}
				if whole, _ := io.ReadAll(o.Whole(conn)); string(whole) != tt.in {
					t.Errorf("%s: handed on is %q", what, whole)
				}
			}
		})
	}
}

// FuzzOpening: nothing is lost, the bounds hold, and what is called ours begins
// like ours.
func FuzzOpening(f *testing.F) {
	for _, seed := range []string{"Content-Length: 1\r\n\r\n1", "{}", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT", "\x16\x03\x01", "SSH-2.0"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		conn := fromReader{r: bytes.NewReader(in)}
		o, err := opening.Read(conn)
		if len(o.Read) > opening.Limit {
			t.Errorf("%d bytes were read", len(o.Read))
		}
		if whole, _ := io.ReadAll(o.Whole(conn)); !bytes.Equal(whole, in) {
			t.Errorf("handed on is %q, not %q", whole, in)
		}
		if err != nil {
			return
		}
		lower := strings.ToLower(string(in))
		begins := map[opening.Kind]bool{
			opening.DAP:     strings.HasPrefix(lower, "content-"),
			opening.JSONRPC: strings.HasPrefix(lower, "{"),
		}
		for kind, ok := range begins {
			if (o.Kind == kind) && !ok {
				t.Errorf("%q is taken for %s", in, kind)
			}
		}
	})
}
