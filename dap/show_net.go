//go:build linux && amd64

package dap

import (
	bin "encoding/binary"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
)

// maxPart bounds a text that is a part of a line, in bytes.
const maxPart = 128

// part is a string field, cut with dots.
func part(v val) string {
	s, n, _ := v.str(maxPart)
	if n > int64(len(s)) {
		s += "..."
	}
	return printed(s)
}

// printed replaces what would break a line or a terminal.
func printed(s string) string {
	q := strconv.Quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

func showRequest(v val) (string, bool) {
	method, target := part(v.field("Method")), part(v.field("RequestURI"))
	if method == "" {
		method = "GET" // what a client's request means by it
	}
	if target == "" {
		target, _ = showURL(v.field("URL").deref())
	}
	if target == "" {
		return "", false
	}
	s := method + " " + target + " " + part(v.field("Proto"))
	if host := part(v.field("Host")); host != "" {
		s += ", Host: " + host
	}
	if from := part(v.field("RemoteAddr")); from != "" {
		s += ", from " + from
	}
	if n, ok := v.field("ContentLength").int(); ok && n > 0 {
		s += fmt.Sprintf(", %d bytes", n)
	}
	return s, true
}

func showResponse(v val) (string, bool) {
	status := part(v.field("Status"))
	s := status + " " + part(v.field("Proto"))
	if n, ok := v.field("ContentLength").int(); ok && n >= 0 {
		s += fmt.Sprintf(", %d bytes", n)
	}
	return s, status != ""
}

// showURL leaves the password out; it is in the fields.
func showURL(v val) (string, bool) {
	text := func(name string) string {
		s, n, _ := v.field(name).str(longString)
		if n > int64(len(s)) {
			s += "..."
		}
		return s
	}
	if !v.ok() || !v.field("Path").ok() {
		return "", false
	}
	u := url.URL{
		Scheme: text("Scheme"), Opaque: text("Opaque"), Host: text("Host"), Path: text("Path"),
		RawPath: text("RawPath"), RawQuery: text("RawQuery"), Fragment: text("Fragment"),
	}
	if user := v.field("User").deref(); user.ok() {
		name, _, _ := user.field("username").str(maxPart)
		u.User = url.User(name)
		if set, _ := user.field("passwordSet").uint(); set != 0 {
			u.User = url.UserPassword(name, "x")
		}
	}
	s := u.Redacted()
	return printed(s), s != ""
}

func readAddr(v val) (addr netip.Addr, ok bool) {
	hi, ok1 := v.path("addr", "hi").uint()
	lo, ok2 := v.path("addr", "lo").uint()
	z := v.path("z", "value")
	if !ok1 || !ok2 || !z.ok() {
		return addr, false
	}
	detail := z.deref()
	if !detail.ok() {
		return addr, z.isNil()
	}
	is6, ok := detail.field("isV6").uint()
	if !ok {
		return addr, false
	}
	var b [16]byte
	bin.BigEndian.PutUint64(b[:], hi)
	bin.BigEndian.PutUint64(b[8:], lo)
	addr = netip.AddrFrom16(b)
	if is6 == 0 {
		return addr.Unmap(), true
	}
	zone, _, _ := detail.field("zoneV6").str(maxPart)
	return addr.WithZone(zone), true
}

func showNetipAddr(v val) (string, bool) {
	addr, ok := readAddr(v)
	return addr.String(), ok
}

func showNetipAddrPort(v val) (string, bool) {
	addr, ok1 := readAddr(v.field("ip"))
	port, ok2 := v.field("port").uint()
	return netip.AddrPortFrom(addr, uint16(port)).String(), ok1 && ok2
}

func showNetipPrefix(v val) (string, bool) {
	addr, ok1 := readAddr(v.field("ip"))
	bits, ok2 := v.field("bitsPlusOne").uint()
	return netip.PrefixFrom(addr, int(bits)-1).String(), ok1 && ok2
}

func showIP(v val) (string, bool) {
	b, n, ok := v.bytes(net.IPv6len)
	if !ok || n != net.IPv4len && n != net.IPv6len {
		return "", false
	}
	return net.IP(b).String(), true
}

func showIPNet(v val) (string, bool) {
	ip, n, ok1 := v.field("IP").bytes(net.IPv6len)
	mask, m, ok2 := v.field("Mask").bytes(net.IPv6len)
	if !ok1 || !ok2 || n != m || n != net.IPv4len && n != net.IPv6len {
		return "", false
	}
	return (&net.IPNet{IP: ip, Mask: mask}).String(), true
}

func showSocketAddr(v val) (string, bool) {
	ip, ok := showIP(v.field("IP"))
	if !ok {
		if _, n, read := v.field("IP").bytes(0); !read || n != 0 {
			return "", false
		}
	}
	if zone := part(v.field("Zone")); zone != "" {
		ip += "%" + zone
	}
	if !v.field("Port").ok() {
		return ip, true
	}
	port, ok := v.field("Port").int()
	return net.JoinHostPort(ip, strconv.FormatInt(port, 10)), ok
}

// maxWords bounds the big numbers that are written out: 2048 bits, 617 digits.
const maxWords = 32

func readBig(v val) (*big.Int, bool) {
	abs := v.field("abs")
	neg, ok := v.field("neg").uint()
	if _, isSlice := abs.real().(*godwarf.SliceType); !ok || !isSlice {
		return nil, false
	}
	words, n := abs.elems(maxWords)
	if n > maxWords {
		return nil, false
	}
	var bits []big.Word
	for _, w := range words {
		u, ok := w.uint()
		if !ok {
			return nil, false
		}
		bits = append(bits, big.Word(u))
	}
	i := new(big.Int).SetBits(bits)
	if neg != 0 {
		i.Neg(i)
	}
	return i, true
}

func showBigInt(v val) (string, bool) {
	if i, ok := readBig(v); ok {
		return i.String(), true
	}
	return "", false
}

func showBigRat(v val) (string, bool) {
	a, ok1 := readBig(v.field("a"))
	b, ok2 := readBig(v.field("b"))
	if !ok1 || !ok2 {
		return "", false
	}
	if b.Sign() == 0 || b.IsInt64() && b.Int64() == 1 { // 0 stands for 1
		return a.String(), true
	}
	return a.String() + "/" + b.String(), true
}
