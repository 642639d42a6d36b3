package gate_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/remotedbg/remotedbg/gate"
)

// clientTable is a file of testdata: requests, and what the gate is to make of
// them.
type clientTable struct {
	TrustedProxies []netip.Prefix `json:"trusted_proxies"`
	Header         string         `json:"header"`
	TrustUnix      bool           `json:"trust_unix"`
	Rows           []clientRow    `json:"rows"`
}

type clientRow struct {
	Name    string      `json:"name"`
	Peer    string      `json:"peer"`
	Headers [][2]string `json:"headers"`
	Addr    string      `json:"addr"` // empty: unknown
	Reason  string      `json:"reason"`
}

func readTable(t testing.TB, file string) clientTable {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var table clientTable
	if err := json.Unmarshal(raw, &table); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if len(table.Rows) == 0 {
		t.Fatalf("%s has no rows", file)
	}
	return table
}

func (c clientTable) config() gate.Config {
	cfg := gate.Config{TrustedProxies: c.TrustedProxies, TrustUnix: c.TrustUnix}
	switch c.Header {
	case "X-Forwarded-For":
		cfg.Source = gate.FromXForwardedFor()
	case "Forwarded":
		cfg.Source = gate.FromForwarded()
	default:
		cfg.Source = gate.FromHeader(c.Header)
	}
	return cfg
}

func (r clientRow) want() gate.Client {
	c := gate.Client{Reason: r.Reason}
	if r.Addr != "" {
		c.Addr = netip.MustParseAddr(r.Addr)
	}
	return c
}

func (r clientRow) header() http.Header {
	h := http.Header{}
	for _, f := range r.Headers {
		h.Add(f[0], f[1])
	}
	return h
}

// metadata is a header as RPC systems have it: the keys are in lower case.
type metadata map[string][]string

func (m metadata) Values(name string) []string { return m[strings.ToLower(name)] }

func (r clientRow) metadata() metadata {
	m := metadata{}
	for _, f := range r.Headers {
		key := strings.ToLower(f[0])
		m[key] = append(m[key], f[1])
	}
	return m
}

// TestClientTables runs every row of testdata through the gate in all the ways
// in which a request can reach it.
func TestClientTables(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) != 4 {
		t.Fatalf("tables: %v, %v", files, err)
	}
	for _, file := range files {
		table := readTable(t, file)
		cfg := table.config()
		byAddr, err := gate.New(cfg)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		cfg.PeerFromConn = true
		byConn, err := gate.New(cfg)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, row := range table.Rows {
			t.Run(filepath.Base(file)+"/"+row.Name, func(t *testing.T) { checkRow(t, row, byAddr, byConn) })
		}
	}
}

func checkRow(t *testing.T, row clientRow, byAddr, byConn *gate.Gate) {
	check := func(how string, got gate.Client) {
		if want := row.want(); got != want {
			t.Errorf("%s: %v %q, want %v %q", how, got.Addr, got.Reason, want.Addr, want.Reason)
		}
	}
	r := &http.Request{RemoteAddr: row.Peer, Header: row.header()}
	check("Client", byAddr.Client(r))
	check("ClientFrom, header", byAddr.ClientFrom(row.Peer, row.header()))
	check("ClientFrom, metadata", byAddr.ClientFrom(row.Peer, row.metadata()))
	if r.RemoteAddr != row.Peer {
		t.Errorf("RemoteAddr was changed to %q", r.RemoteAddr)
	}
	conn := &peerConn{remote: textAddr(row.Peer)}
	r = r.WithContext(gate.ConnContext(context.Background(), conn))
	if strings.HasPrefix(row.Peer, "@") || strings.HasPrefix(row.Peer, "/") {
		conn.remote = &net.UnixAddr{Name: row.Peer, Net: "unix"}
	}
	r.RemoteAddr = "192.0.2.66:66"
	check("Client, from the connection", byConn.Client(r))
	if row.Addr != "" {
		if n := testing.AllocsPerRun(10, func() { byConn.Client(r) }); n != 0 {
			t.Errorf("%v allocations from the connection", n)
		}
	}
	r.RemoteAddr = row.Peer
	if n := testing.AllocsPerRun(10, func() { byAddr.Client(r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// textAddr is the address of a connection of a kind that the gate does not know.
type textAddr string

func (a textAddr) Network() string { return "test" }
func (a textAddr) String() string  { return string(a) }

// peerConn is a connection of which only the remote end matters.
type peerConn struct {
	net.Conn
	remote net.Addr
}

func (c *peerConn) RemoteAddr() net.Addr { return c.remote }
