package clientip_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// answer is what comes of a request when the addresses of the table are allowed.
type answer string

const (
	match   answer = "match"    // of a client on the allowlist: may be stopped
	noMatch answer = "no match" // of a client that is not on it
	unknown answer = "unknown"  // the client's address is not known
)

// table is a file of requests, as the gate's own tests read it.
type table struct {
	name           string         // of the file, without its ending
	TrustedProxies []netip.Prefix `json:"trusted_proxies"`
	Allow          []netip.Prefix `json:"allow"`
	Header         string         `json:"header"`
	TrustUnix      bool           `json:"trust_unix"`
	Rows           []row          `json:"rows"`
}

// row is one request and what the gate is to make of it: an address and a
// reason, or only an answer.
type row struct {
	Name    string      `json:"name"`
	Peer    string      `json:"peer"`
	Headers [][2]string `json:"headers"`
	Addr    string      `json:"addr"`
	Reason  string      `json:"reason"`
	Expect  string      `json:"expect"`
}

// allowed are the clients in the gate's tables who may be stopped: everybody
// else in them is a stranger or a proxy.
var allowed = []netip.Prefix{netip.MustParsePrefix("192.0.2.10/32"), netip.MustParsePrefix("2001:db8:5::/48")}

// readTables reads the gate's tables and this package's.
func readTables(t *testing.T) []table {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "gate", "testdata", "*.json"))
	if err != nil || len(files) != 4 {
		t.Fatalf("tables of the gate: %v, %v", files, err)
	}
	var tables []table
	for _, file := range append(files, filepath.Join("testdata", "vectors.json")) {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tb := table{name: strings.TrimSuffix(filepath.Base(file), ".json")}
		if err := json.Unmarshal(raw, &tb); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if tb.Allow == nil {
			tb.Allow = allowed
		}
		if len(tb.Rows) == 0 {
			t.Fatalf("%s has no rows", file)
		}
		tables = append(tables, tb)
	}
	return tables
}

// list reports whether the header of the table is one that proxies append to.
func (tb *table) list() bool { return tb.Header == "X-Forwarded-For" || tb.Header == "Forwarded" }

// expected is what the gate is to answer.
func (tb *table) expected(r row) answer {
	if r.Expect != "" {
		return answer(strings.ReplaceAll(r.Expect, "_", " "))
	}
	return tb.judge(r.Addr)
}

// judge is the answer for a client as a library gives it. It is generous: what
// can be read as an address is, and mapped addresses are unmapped.
func (tb *table) judge(client string) answer {
	addr, err := netip.ParseAddr(client)
	if err != nil {
		return unknown
	}
	for _, p := range tb.Allow {
		if p.Contains(addr.Unmap()) {
			return match
		}
	}
	return noMatch
}

// request is r as a server of net/http hands it to a handler. Fields of the
// table's single-value header get the name as, if there is one, for libraries
// that know that name only.
func (tb *table) request(r row, as string) *http.Request {
	req := httptest.NewRequest(http.MethodGet, "/", nil)
	req.RemoteAddr = r.Peer
	for _, field := range r.Headers {
		name := http.CanonicalHeaderKey(field[0])
		if as != "" && !tb.list() && name == http.CanonicalHeaderKey(tb.Header) {
			name = as
		}
		req.Header.Add(name, field[1])
	}
	var local net.Addr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}
	if strings.HasPrefix(r.Peer, "@") || strings.HasPrefix(r.Peer, "/") {
		local = &net.UnixAddr{Name: "/run/service.sock", Net: "unix"}
	}
	return req.WithContext(context.WithValue(req.Context(), http.LocalAddrContextKey, local))
}

func (tb *table) prefixes() []string {
	var texts []string
	for _, p := range tb.TrustedProxies {
		texts = append(texts, p.String())
	}
	return texts
}
