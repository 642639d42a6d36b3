package proxyproto_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/middleware/proxyproto"
)

// Loopback addresses of the peers; Linux takes all of 127.0.0.0/8 for its own.
const (
	proxy  = "127.0.0.1" // trusted
	direct = "127.0.0.2"
)

const get = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

// v2 builds a version 2 header.
func v2(command, family byte, payload ...string) string {
	body := strings.Join(payload, "")
	b := []byte("\r\n\r\n\x00\r\nQUIT\n")
	b = append(b, command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return string(b) + body
}

const (
	v4 = "\xcb\x00\x71\x07\x0a\x00\x00\x01\x12\x67\x00\x50" // 203.0.113.7:4711 to 10.0.0.1:80

	v6       = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07" + v6tail
	v6mapped = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xcb\x00\x71\x07" + v6tail
	v6tail   = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x12\x67\x00\x50"
)

var (
	unix108 = "/tmp/socket" + strings.Repeat("\x00", 108-len("/tmp/socket"))
	noop    = func(n int) string { return "\x04" + string([]byte{byte(n >> 8), byte(n)}) + strings.Repeat("x", n) }
)

// Outcomes of a row that are no address.
const (
	refused = "refused"         // closed without an answer
	bad     = "400 Bad Request" // the header was taken for a request
	self    = "the peer"        // the address of the connection
)

// rows are connections as an attacker, or a proxy, may make them. want is the
// RemoteAddr that the handler sees.
var rows = []struct {
	name, from, header, want string
}{
	{"v1, TCP4", proxy, "PROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\n", "203.0.113.7:4711"},
	{"v1, TCP6", proxy, "PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\n", "[2001:db8::7]:4711"},
	{"v1, TCP6 in capitals and not shortened", proxy, "PROXY TCP6 2001:0DB8:0:0:0:0:0:7 2001:db8::1 4711 80\r\n", "[2001:db8::7]:4711"},
	{"v1, the longest line", proxy, "PROXY TCP6 2001:0db8:1111:2222:3333:4444:5555:6666 2001:0db8:1111:2222:3333:4444:5555:7777 65535 65535\r\n", "[2001:db8:1111:2222:3333:4444:5555:6666]:65535"},
	{"v1, port 0", proxy, "PROXY TCP4 203.0.113.7 10.0.0.1 0 0\r\n", "203.0.113.7:0"},
	{"v1, mapped address counts as IPv4", proxy, "PROXY TCP6 ::ffff:203.0.113.7 2001:db8::1 4711 80\r\n", "203.0.113.7:4711"},
	{"v1, UNKNOWN is nobody, not the proxy", proxy, "PROXY UNKNOWN\r\n", "unknown"},
	{"v1, UNKNOWN with addresses to be ignored", proxy, "PROXY UNKNOWN 203.0.113.7 10.0.0.1 4711 80\r\n", "unknown"},
	{"v2, TCP4", proxy, v2(0x21, 0x11, v4), "203.0.113.7:4711"},
	{"v2, TCP6", proxy, v2(0x21, 0x21, v6), "[2001:db8::7]:4711"},
	{"v2, UDP4, of a QUIC client", proxy, v2(0x21, 0x12, v4), "203.0.113.7:4711"},
	{"v2, mapped address counts as IPv4", proxy, v2(0x21, 0x21, v6mapped), "203.0.113.7:4711"},
	{"v2, TLVs", proxy, v2(0x21, 0x11, v4, noop(3), noop(300)), "203.0.113.7:4711"},
	{"v2, the longest TLV", proxy, v2(0x21, 0x11, v4, noop(4096-12-3)), "203.0.113.7:4711"},
	{"v2, LOCAL is the proxy itself", proxy, v2(0x20, 0x00), self},
	{"v2, LOCAL with an address to be ignored", proxy, v2(0x20, 0x11, v4), self},
	{"v2, LOCAL with a family that does not exist", proxy, v2(0x20, 0x99, "junk"), self},
	{"v2, UNSPEC is nobody, not the proxy", proxy, v2(0x21, 0x00), "unknown"},
	{"v2, UNSPEC with TLVs", proxy, v2(0x21, 0x00, noop(3)), "unknown"},
	{"v2, a unix socket is nobody, not a path that may be trusted", proxy, v2(0x21, 0x31, unix108, unix108), "unknown"},

	{"untrusted peer without a header", direct, "", self},
	{"untrusted peer claims an address, v1", direct, "PROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\n", bad},
	{"untrusted peer claims an address, v2", direct, v2(0x21, 0x11, v4), bad},
	{"untrusted peer claims to be a health check", direct, v2(0x20, 0x00), bad},

	{"trusted peer without a header", proxy, "", refused},
	{"client's header behind the proxy's, v1", proxy, "PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\r\nPROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\n", bad},
	{"client's header behind the proxy's, v2", proxy, v2(0x21, 0x11, v4) + v2(0x21, 0x21, v6), bad},
	{"client's header behind a health check's", proxy, v2(0x20, 0x00) + v2(0x21, 0x11, v4), bad},
	{"header behind an empty line", proxy, "\r\nPROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\n", refused},

	{"v1, lower case", proxy, "proxy tcp4 203.0.113.7 10.0.0.1 4711 80\r\n", refused},
	{"v1, lower case family", proxy, "PROXY tcp4 203.0.113.7 10.0.0.1 4711 80\r\n", refused},
	{"v1, no space after PROXY", proxy, "PROXYTCP4 203.0.113.7 10.0.0.1 4711 80\r\n", refused},
	{"v1, no family", proxy, "PROXY \r\n", refused},
	{"v1, leading zeros in the address", proxy, "PROXY TCP4 203.000.113.007 10.0.0.1 4711 80\r\n", refused},
	{"v1, leading zeros in the port", proxy, "PROXY TCP4 203.0.113.7 10.0.0.1 04711 80\r\n", refused},
	{"v1, port with a sign", proxy, "PROXY TCP4 203.0.113.7 10.0.0.1 +4711 80\r\n", refused},
	{"v1, port out of range", proxy, "PROXY TCP4 203.0.113.7 10.0.0.1 65536 80\r\n", refused},
	{"v1, negative port", proxy, "PROXY TCP4 203.0.113.7 10.0.0.1 -1 80\r\n", refused},
	{"v1, destination port out of range", proxy, "PROXY TCP4 203.0.113.7 10.0.0.1 4711 99999\r\n", refused},
	{"v1, zone", proxy, "PROXY TCP6 fe80::1%eth0 2001:db8::1 4711 80\r\n", refused},
	{"v1, host name", proxy, "PROXY TCP4 localhost 10.0.0.1 4711 80\r\n", refused},
	{"v1, IPv6 address as TCP4", proxy, "PROXY TCP4 2001:db8::7 10.0.0.1 4711 80\r\n", refused},
	{"v1, mapped address as TCP4", proxy, "PROXY TCP4 ::ffff:203.0.113.7 10.0.0.1 4711 80\r\n", refused},
	{"v1, IPv4 address as TCP6", proxy, "PROXY TCP6 203.0.113.7 10.0.0.1 4711 80\r\n", refused},
	{"v1, short of a field", proxy, "PROXY TCP4 203.0.113.7 10.0.0.1 4711\r\n", refused},
	{"v1, a field too many", proxy, "PROXY TCP4 203.0.113.7 10.0.0.1 4711 80 203.0.113.9\r\n", refused},
	{"v1, two spaces", proxy, "PROXY TCP4  203.0.113.7 10.0.0.1 4711 80\r\n", refused},
	{"v1, tabs", proxy, "PROXY TCP4\t203.0.113.7\t10.0.0.1\t4711\t80\r\n", refused},
	{"v1, no CR", proxy, "PROXY TCP4 203.0.113.7 10.0.0.1 4711 80\n", refused},
	{"v1, CR within the line", proxy, "PROXY UNKNOWN 203.0.113.7\r10.0.0.1\r\n", refused},
	{"v1, one byte too long", proxy, "PROXY UNKNOWN " + strings.Repeat("x", 92) + "\r\n", refused},
	{"v1, no end", proxy, "PROXY TCP4 " + strings.Repeat("1", 5000), refused},

	{"v2, oversized TLV", proxy, v2(0x21, 0x11, v4, noop(4096-12-3+1)), refused},
	{"v2, LOCAL with an oversized TLV", proxy, v2(0x20, 0x00, noop(8000)), refused},
	{"v2, shorter than its addresses", proxy, v2(0x21, 0x11, v4[:11]), refused},
	{"v2, IPv4 addresses as TCP6", proxy, v2(0x21, 0x21, v4), refused},
	{"v2, version 3", proxy, v2(0x31, 0x11, v4), refused},
	{"v2, a command that does not exist", proxy, v2(0x22, 0x11, v4), refused},
	{"v2, a family that does not exist", proxy, v2(0x21, 0x41, v4), refused},
	{"v2, a transport that does not exist", proxy, v2(0x21, 0x13, v4), refused},
	{"v2, a unix socket without a transport", proxy, v2(0x21, 0x30, unix108, unix108), refused},
	{"v2, one byte of the signature is wrong", proxy, "\r\n\r\n\x00\r\nQUIX\n\x21\x11\x00\x0c" + v4, refused},
}

func TestRows(t *testing.T) {
	for _, wrap := range []struct {
		name string
		wrap func(net.Listener) net.Listener
	}{
		{"in one packet", func(ln net.Listener) net.Listener { return ln }},
		{"byte by byte", func(ln net.Listener) net.Listener { return dribble{ln} }},
	} {
		addr := serve(t, wrap.wrap(listen(t)), proxyproto.WithHeaderTimeout(5*time.Second))
		for _, row := range rows {
			t.Run(wrap.name+"/"+row.name, func(t *testing.T) {
				c := dial(t, row.from, addr)
				want := row.want
				if want == self {
					want = c.LocalAddr().String()
				}
				go io.WriteString(c, row.header+get) // may end early if the server refuses
				if got := answer(c); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			})
		}
	}
}

// TestTruncated ends the connection, or says nothing more, at each byte of a
// header.
func TestTruncated(t *testing.T) {
	for name, header := range map[string]string{
		"v1": "PROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\n",
		"v2": v2(0x21, 0x11, v4, noop(3)),
	} {
		t.Run(name, func(t *testing.T) {
			reasons := make(chan error, 1)
			addr := serve(t, listen(t), proxyproto.WithHeaderTimeout(20*time.Millisecond),
				proxyproto.OnRefused(func(_ net.Addr, err error) { reasons <- err }))
			for n := range len(header) {
				for _, end := range []bool{true, false} {
					c := dial(t, proxy, addr)
					io.WriteString(c, header[:n])
					want := os.ErrDeadlineExceeded
					if end {
						c.CloseWrite()
						if want = io.EOF; n > 0 {
							want = io.ErrUnexpectedEOF
						}
					}
					if got := answer(c); got != refused {
						t.Errorf("%d bytes: %q", n, got)
					}
					if err := <-reasons; !errors.Is(err, want) || !strings.HasPrefix(err.Error(), "remotedbg: proxyproto: ") {
						t.Errorf("%d bytes, end %v: refused because of %v, want %v", n, end, err, want)
					}
				}
			}
		})
	}
}

// TestSilentProxiesDelayNobody has proxies connect and say nothing. The header
// timeout is longer than the test's.
func TestSilentProxiesDelayNobody(t *testing.T) {
	addr := serve(t, listen(t), proxyproto.WithHeaderTimeout(time.Hour))
	for range 50 {
		c := dial(t, proxy, addr)
		defer c.Close()
	}
	slow := dial(t, proxy, addr)
	io.WriteString(slow, "PROXY TCP4 203.")
	for range 5 {
		c := dial(t, direct, addr)
		io.WriteString(c, get)
		if got := answer(c); got != c.LocalAddr().String() {
			t.Errorf("direct client: %q", got)
		}
		c = dial(t, proxy, addr)
		io.WriteString(c, "PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\r\n"+get)
		if got := answer(c); got != "203.0.113.9:4711" {
			t.Errorf("proxied client: %q", got)
		}
	}
	io.WriteString(slow, "0.113.7 10.0.0.1 4711 80\r\n"+get)
	if got := answer(slow); got != "203.0.113.7:4711" {
		t.Errorf("slow proxy: %q", got)
	}
}

// TestDeadlineOfTheHeaderIsGone lets more time pass between header and request
// than a header may take.
func TestDeadlineOfTheHeaderIsGone(t *testing.T) {
	const timeout = 50 * time.Millisecond
	addr := serve(t, listen(t), proxyproto.WithHeaderTimeout(timeout))
	c := dial(t, proxy, addr)
	io.WriteString(c, "PROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\n")
	time.Sleep(3 * timeout)
	io.WriteString(c, get)
	if got := answer(c); got != "203.0.113.7:4711" {
		t.Errorf("got %q", got)
	}
}

func TestUnixSockets(t *testing.T) {
	const header = "PROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\n"
	for _, row := range []struct {
		name, header, want string
		options            []proxyproto.Option
	}{
		{"not named as trusted, claims an address", header, bad, nil},
		{"not named as trusted", "", "@", nil},
		{"trusted", header, "203.0.113.7:4711", []proxyproto.Option{proxyproto.TrustUnix()}},
		{"trusted, without a header", "", refused, []proxyproto.Option{proxyproto.TrustUnix()}},
	} {
		t.Run(row.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			ln, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			serve(t, ln, row.options...)
			c, err := net.Dial("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			io.WriteString(c, row.header+get)
			if got := answer(c); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

func TestMistakesAreAllReported(t *testing.T) {
	ln := listen(t)
	defer ln.Close()
	_, err := proxyproto.Listen(ln, []netip.Prefix{
		netip.MustParsePrefix("127.0.0.0/8"),
		netip.MustParsePrefix("203.0.113.7/24"),
		netip.MustParsePrefix("0.0.0.0/0"),
		netip.MustParsePrefix("::/0"),
		{},
		netip.MustParsePrefix("::ffff:0.0.0.0/90"),
	}, proxyproto.WithHeaderTimeout(0))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"[1]: 203.0.113.7/24 " + string(gate.PrefixHostBits), "[2]: 0.0.0.0/0 " + string(gate.PrefixEverybody),
		"[3]: ::/0 " + string(gate.PrefixEverybody), "[4]: invalid Prefix " + string(gate.PrefixInvalid),
		"[5]: ::ffff:0.0.0.0/90 " + string(gate.PrefixMixedSpace), "header timeout 0s",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not reported: %s\nin %v", want, err)
		}
	}
	var mistake *gate.PrefixError
	if !errors.As(err, &mistake) || mistake.Index != 1 {
		t.Errorf("the first *gate.PrefixError is %+v", mistake)
	}
	if _, err := proxyproto.Listen(nil, nil); err == nil {
		t.Error("no error without a listener")
	}
}

func TestMappedPrefixesAreNormalised(t *testing.T) {
	ln := listen(t)
	l, err := proxyproto.Listen(ln, []netip.Prefix{netip.MustParsePrefix("::ffff:127.0.0.1/128")})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := dial(t, proxy, ln.Addr().String())
	io.WriteString(c, "PROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\n")
	got, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if got.RemoteAddr().String() != "203.0.113.7:4711" {
		t.Errorf("got %v", got.RemoteAddr())
	}
	inner, ok := got.(interface{ NetConn() net.Conn })
	if !ok || inner.NetConn().RemoteAddr().String() != c.LocalAddr().String() {
		t.Errorf("the connection to the proxy is not to be had from %T", got)
	}
}

// TestNobodyTrusted: without proxies the listener is as good as none.
func TestNobodyTrusted(t *testing.T) {
	ln := listen(t)
	l, err := proxyproto.Listen(ln, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dial(t, proxy, ln.Addr().String())
	got, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if _, ok := got.(*net.TCPConn); !ok {
		t.Errorf("the connection was replaced by a %T", got)
	}
}

func TestClose(t *testing.T) {
	ln := listen(t)
	l, err := proxyproto.Listen(ln, []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")})
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan error)
	go func() { _, err := l.Accept(); accepted <- err }()
	// Complete, but nobody takes it: accepted is waiting for one only.
	first, second := dial(t, direct, ln.Addr().String()), dial(t, proxy, ln.Addr().String())
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	_ = first
	io.WriteString(second, "PROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\n")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := answer(second); got != refused {
		t.Errorf("a connection that nobody accepted: %q", got)
	}
	for range 3 {
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept after Close: %v", err)
		}
	}
}

// TestErrorsOfAcceptAreTheServers: net/http retries after some of them.
func TestErrorsOfAcceptAreTheServers(t *testing.T) {
	boom := errors.New("boom")
	ln := listen(t)
	l, err := proxyproto.Listen(&failing{Listener: ln, err: boom}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Accept(); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	dial(t, direct, ln.Addr().String())
	if c, err := l.Accept(); err != nil {
		t.Errorf("after an error: %v", err)
	} else {
		c.Close()
	}
}

// failing fails once.
type failing struct {
	net.Listener
	once sync.Once
	err  error
}

func (f *failing) Accept() (net.Conn, error) {
	failed := false
	f.once.Do(func() { failed = true })
	if failed {
		return nil, f.err
	}
	return f.Listener.Accept()
}

// dribble hands out connections from which every Read returns one byte.
type dribble struct{ net.Listener }

func (d dribble) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return oneByte{c.(*net.TCPConn)}, nil
}

type oneByte struct{ *net.TCPConn }

func (o oneByte) Read(p []byte) (int, error) { return o.TCPConn.Read(p[:min(len(p), 1)]) }

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// serve starts a server that answers with RemoteAddr, behind a trusted proxy.
func serve(t *testing.T, ln net.Listener, options ...proxyproto.Option) (addr string) {
	t.Helper()
	l, err := proxyproto.Listen(ln, []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr(proxy), 32)}, options...)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.RemoteAddr)
	})}
	done := make(chan error)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the server ended with %v", err)
		}
	})
	return ln.Addr().String()
}

// dial connects from a loopback address.
func dial(t *testing.T, from, to string) *net.TCPConn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
	c, err := d.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// answer is the body of the response, its status if that is not 200, or refused.
func answer(c net.Conn) string {
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return "no answer"
		}
		return refused
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return resp.Status
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}
