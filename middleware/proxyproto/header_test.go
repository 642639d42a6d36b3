package proxyproto

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// wire is a connection on which in has come.
type wire struct {
	net.Conn
	in *bytes.Reader
}

var peer = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}

func (w wire) Read(p []byte) (int, error)      { return w.in.Read(p) }
func (w wire) RemoteAddr() net.Addr            { return peer }
func (w wire) SetReadDeadline(time.Time) error { return nil }

// line is the reference for version 1: the standard's section 2.1, written down
// in another way.
var line = regexp.MustCompile(`^PROXY (?:(UNKNOWN)(?: [^\r\n]*)?|(TCP4|TCP6) ([^ \r\n%]+) ([^ \r\n%]+) (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4}))\r\n`)

// naive returns the address that the header at the start of in names, and what
// follows it.
func naive(in string) (remote, rest string, ok bool) {
	if strings.HasPrefix(in, "PROXY ") {
		m := line.FindStringSubmatch(in)
		if m == nil || len(m[0]) > 107 {
			return "", "", false
		}
		if m[1] != "" {
			return "unknown", in[len(m[0]):], true
		}
		for i, addr := range m[3:5] {
			a, err := netip.ParseAddr(addr)
			port, _ := strconv.Atoi(m[5+i])
			if err != nil || a.Is4() != (m[2] == "TCP4") || port > 65535 {
				return "", "", false
			}
		}
		port, _ := strconv.Atoi(m[5])
		a, _ := netip.ParseAddr(m[3])
		return netip.AddrPortFrom(a.Unmap(), uint16(port)).String(), in[len(m[0]):], true
	}
	if len(in) < 16 || in[:12] != "\r\n\r\n\x00\r\nQUIT\n" {
		return "", "", false
	}
	end := 16 + int(in[14])<<8 + int(in[15])
	if end > 16+4096 || len(in) < end {
		return "", "", false
	}
	body, rest := in[16:end], in[end:]
	if in[12] == 0x20 {
		return peer.String(), rest, true
	}
	size := map[byte]int{0x00: 0, 0x11: 12, 0x12: 12, 0x21: 36, 0x22: 36, 0x31: 216, 0x32: 216}
	want, known := size[in[13]]
	if in[12] != 0x21 || !known || len(body) < want {
		return "", "", false
	}
	switch in[13] >> 4 {
	case 1:
		a, _ := netip.AddrFromSlice([]byte(body[:4]))
		return netip.AddrPortFrom(a, uint16(body[8])<<8|uint16(body[9])).String(), rest, true
	case 2:
		a, _ := netip.AddrFromSlice([]byte(body[:16]))
		return netip.AddrPortFrom(a.Unmap(), uint16(body[32])<<8|uint16(body[33])).String(), rest, true
	}
	return "unknown", rest, true
}

// FuzzRead compares what is read of a connection with the reference.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"", "P", "PROXY ", "GET / HTTP/1.1\r\n\r\n",
		"PROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\nGET /",
		"PROXY TCP6 2001:db8::7 ::1 4711 80\r\n", "PROXY TCP6 ::ffff:203.0.113.7 ::1 4711 80\r\n",
		"PROXY TCP6 fe80::1%eth0 ::1 4711 80\r\n", "PROXY TCP4 203.0.113.7 10.0.0.1 04711 65536\r\n",
		"PROXY UNKNOWN\r\n", "PROXY UNKNOWN x\ry\r\n", "PROXY UNKNOWNx\r\n",
		"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00rest", "\r\n\r\n\x00\r\nQUIT\n\x21\x00\x00\x01xrest",
		"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x07\x0a\x00\x00\x01\x12\x67\x00\x50rest",
		"\r\n\r\n\x00\r\nQUIT\n\x21\x22\x00\x25" + strings.Repeat("a", 37) + "rest",
		"\r\n\r\n\x00\r\nQUIT\n\x21\x32\x00\xd8" + strings.Repeat("/", 216),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		want, rest, ok := naive(string(in))
		c, err := read(wire{in: bytes.NewReader(in)}, time.Second)
		if (err == nil) != ok {
			t.Fatalf("%q: %v, want an address: %v", in, err, ok)
		}
		if err != nil {
			return
		}
		if got := c.RemoteAddr().String(); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
		if got, err := io.ReadAll(c); err != nil || string(got) != rest {
			t.Errorf("%q: %q follows (%v), want %q", in, got, err, rest)
		}
	})
}

// BenchmarkHeader is what a connection of a trusted proxy costs, once, beside
// the wait for the header.
func BenchmarkHeader(b *testing.B) {
	for name, in := range map[string]string{
		"v1": "PROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\nGET / HTTP/1.1\r\n",
		"v2": "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x07\x0a\x00\x00\x01\x12\x67\x00\x50GET / HTTP/1.1\r\n",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := read(wire{in: bytes.NewReader([]byte(in))}, time.Second); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRead is what each read of a request costs beyond the bare connection,
// once the header is off.
func BenchmarkRead(b *testing.B) {
	data, buf := bytes.NewReader(make([]byte, 64)), make([]byte, 64)
	bare := wire{in: data}
	for name, c := range map[string]net.Conn{"bare": bare, "behind a header": &conn{Conn: bare, remote: peer}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				data.Seek(0, io.SeekStart)
				if _, err := c.Read(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
