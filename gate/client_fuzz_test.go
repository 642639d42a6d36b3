package gate_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/remotedbg/remotedbg/gate"
)

// The reference resolvers are written from the rules alone: they join, split,
// match regular expressions and allocate as they like.

// wholeList joins the lines as RFC 9110 section 5.3 says. It is not ok if the
// list is too long to be looked at.
func wholeList(lines []string) (string, bool) {
	s := strings.Join(lines, ",")
	return s, len(lines) > 0 && len(s) <= 4096
}

// refAddress is the address that text stands for, if rules can be compared with
// it.
func refAddress(text string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(text)
	zone := addr.Zone() // Unmap drops it
	addr = addr.Unmap()
	return addr, err == nil && zone == "" && !addr.IsUnspecified()
}

var (
	refBracketed = regexp.MustCompile(`\A\[([^\]]*:[^\]]*)\](:[0-9]{1,5})?\z`)
	refDotted    = regexp.MustCompile(`\A([0-9.]*)(:[0-9]{1,5})?\z`)
)

// refNode is refAddress for an address with or without a port.
func refNode(text string) (netip.Addr, bool) {
	m := refBracketed.FindStringSubmatch(text)
	if m == nil {
		m = refDotted.FindStringSubmatch(text)
	}
	if m == nil {
		return netip.Addr{}, false
	}
	if m[2] != "" {
		if port, err := strconv.Atoi(m[2][1:]); err != nil || port > 65535 {
			return netip.Addr{}, false
		}
	}
	return refAddress(m[1])
}

// refWalk goes through the entries from the right to the left.
func refWalk(entries []string, read func(string) (netip.Addr, bool)) netip.Addr {
	if len(entries) > 32 {
		return netip.Addr{}
	}
	for i := len(entries) - 1; i >= 0; i-- {
		addr, ok := read(strings.Trim(entries[i], " \t"))
		if !ok {
			return netip.Addr{}
		}
		if !refTrusted(addr) {
			return addr
		}
	}
	return netip.Addr{}
}

func refXForwardedFor(lines []string) netip.Addr {
	s, ok := wholeList(lines)
	if !ok {
		return netip.Addr{}
	}
	return refWalk(strings.Split(s, ","), func(entry string) (netip.Addr, bool) {
		if addr, ok := refAddress(entry); ok {
			return addr, true
		}
		return refNode(entry)
	})
}

const (
	refToken  = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
	refQuoted = `"(?:[^\\"\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x08\x0a-\x1f\x7f])*"`
	refPair   = refToken + "=(?:" + refToken + "|" + refQuoted + ")"
)

var (
	// Quoted strings only where values are. [^"] takes the '=' before them.
	refQuotes  = regexp.MustCompile(`\A(?:[^"=]|=` + refQuoted + `(?:[ \t,;]|\z)|=)*\z`)
	refElement = regexp.MustCompile(`\A(?:` + refPair + `)?(?:[ \t]*;[ \t]*(?:` + refPair + `)?)*\z`)
	refFirst   = regexp.MustCompile(`\A[ \t;]*(` + refPair + `)`)
	refEscape  = regexp.MustCompile(`(?s)\\(.)`)
	refComma   = regexp.MustCompile(`\A((?:[^",]|` + refQuoted + `)*)(,|\z)`)
)

func refForwarded(lines []string) netip.Addr {
	if _, ok := wholeList(lines); !ok {
		return netip.Addr{}
	}
	var elements []string
	for _, line := range lines {
		if !refQuotes.MatchString(line) {
			return netip.Addr{}
		}
		for more := true; more; {
			m := refComma.FindStringSubmatch(line)
			elements = append(elements, m[1])
			line, more = line[len(m[0]):], m[2] != ""
		}
	}
	return refWalk(elements, refForwardedFor)
}

// refForwardedFor takes one pair after another off the element.
func refForwardedFor(element string) (netip.Addr, bool) {
	if !refElement.MatchString(element) {
		return netip.Addr{}, false
	}
	var values []string
	for {
		m := refFirst.FindStringSubmatch(element)
		if m == nil {
			break
		}
		element = element[len(m[0]):]
		if name, value, _ := strings.Cut(m[1], "="); strings.ToLower(name) == "for" {
			values = append(values, value)
		}
	}
	if len(values) != 1 {
		return netip.Addr{}, false
	}
	value := values[0]
	if strings.HasPrefix(value, `"`) {
		value = refEscape.ReplaceAllString(value[1:len(value)-1], "$1")
	}
	return refNode(value)
}

// fuzzLines makes field lines of s, which are separated by '|' in it.
func fuzzLines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "|")
}

func fuzzAgainst(f *testing.F, source gate.ClientSource, known string, ref func([]string) netip.Addr) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		for _, row := range readTable(f, file).Rows {
			if lines := row.header().Values(source.String()); len(lines) > 0 {
				f.Add(strings.Join(lines, "|"))
			}
		}
	}
	f.Add(strings.Repeat("10.1.0.1,", 33))
	f.Add(strings.Repeat("for=10.1.0.1,", 33))
	g, err := gate.New(gate.Config{TrustedProxies: proxyPrefixes, Source: source})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		lines := fuzzLines(s)
		r := &http.Request{RemoteAddr: "10.1.0.1:5000", Header: http.Header{source.String(): lines}}
		got, want := g.Client(r), ref(lines)
		if got.Addr != want || (got.Reason == known) != want.IsValid() {
			t.Errorf("%s %q: %v %q, want %v", source, lines, got.Addr, got.Reason, want)
		}
		if got.Addr.Is4In6() || got.Addr.Zone() != "" || refTrusted(got.Addr) {
			t.Errorf("%s %q: %v is no client", source, lines, got.Addr)
		}
		// Whoever is no proxy is the client whatever they send.
		r.RemoteAddr = "198.51.100.20:5000"
		if got := g.Client(r); fmt.Sprint(got.Addr) != "198.51.100.20" {
			t.Errorf("%s %q from a stranger: %v %q", source, lines, got.Addr, got.Reason)
		}
	})
}

func refTrusted(addr netip.Addr) bool {
	for _, p := range proxyPrefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

func FuzzXForwardedFor(f *testing.F) {
	fuzzAgainst(f, gate.FromXForwardedFor(), gate.ReasonXForwardedFor, refXForwardedFor)
}

func FuzzForwarded(f *testing.F) {
	fuzzAgainst(f, gate.FromForwarded(), gate.ReasonForwarded, refForwarded)
}
