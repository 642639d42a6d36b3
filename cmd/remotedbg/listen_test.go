package main

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/remotedbg/remotedbg/internal/access"
)

func TestListenFlags(t *testing.T) {
	any := netip.MustParseAddrPort("0.0.0.0:2345")
	loopback := netip.MustParseAddrPort("127.0.0.1:0")
	for _, tt := range []struct {
		name string
		f    listenFlags
		want listenOptions
	}{
		{"nothing said", listenFlags{listen: defaultListen}, listenOptions{}},
		{"a socket of its own", listenFlags{listen: "unix:///run/x.sock", allowUser: "alice"}, listenOptions{path: "/run/x.sock", allowUser: "alice"}},
		{"loopback", listenFlags{listen: "127.0.0.1:0"}, listenOptions{proof: proofLoopback, addr: loopback}},
		{"mapped loopback", listenFlags{listen: "[::ffff:127.0.0.1]:0"}, listenOptions{proof: proofLoopback, addr: loopback}},
		{"from outside", listenFlags{listen: "0.0.0.0:2345"}, listenOptions{proof: proofInvited, addr: any, invitations: 1}},
		{"loopback with invitations", listenFlags{listen: "127.0.0.1:0", inviteGiven: true, invite: "3"}, listenOptions{proof: proofInvited, addr: loopback, invitations: 3}},
		{"a certificate, and a token", listenFlags{listen: "0.0.0.0:2345", tlsCert: "c", tlsKey: "k"},
			listenOptions{proof: proofInvited, addr: any, tlsCert: "c", tlsKey: "k", invitations: 1}},
		{"certificates", listenFlags{listen: "0.0.0.0:2345", tlsCert: "c", tlsKey: "k", clientCA: "a", clientNames: []string{"alice", "spiffe://x/y=z", "bob@example.com=mutate", "*=observe"}},
			listenOptions{proof: proofOwn, addr: any, tlsCert: "c", tlsKey: "k", clientCA: "a",
				names: []clientName{{"alice", 0}, {"spiffe://x/y=z", 0}, {"bob@example.com", access.Mutate}, {"*", access.Observe}}}},
		{"nothing at all", listenFlags{listen: "0.0.0.0:2345", dangerouslyListenWithoutTLS: true}, listenOptions{proof: proofNothing, addr: any}},
		{"nothing at all on loopback", listenFlags{listen: "127.0.0.1:0", dangerouslyListenWithoutTLS: true}, listenOptions{proof: proofNothing, addr: loopback}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.f.invite == "" {
				tt.f.invite = "1"
			}
			var ms mistakes
			got := tt.f.check(&ms)
			if len(ms) > 0 || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v; want %+v", got, ms, tt.want)
			}
		})
	}
}

func TestListenFlagsMistakes(t *testing.T) {
	const outside = "0.0.0.0:2345"
	for _, tt := range []struct {
		name       string
		f          listenFlags
		text, hint string
	}{
		{"no address", listenFlags{listen: ":2345"}, "not an IP address", "127.0.0.1:2345"},
		{"host name", listenFlags{listen: "localhost:99"}, "not an IP address", "0.0.0.0:99"},
		{"zone", listenFlags{listen: "[fe80::1%eth0]:99"}, "not an IP address", ""},
		{"no port", listenFlags{listen: "127.0.0.1"}, "not an address and a port", "127.0.0.1:2345"},
		{"port too high", listenFlags{listen: "127.0.0.1:65536"}, "not a port", "0 takes a free one"},
		{"two slashes", listenFlags{listen: "unix://x.sock"}, "not the absolute path", "three slashes"},
		{"a socket with TLS", listenFlags{listen: "unix", tlsCert: "c", tlsKey: "k"}, "a Unix socket has no TLS", "--listen 0.0.0.0:2345"},
		{"invitations to a socket", listenFlags{listen: "unix", inviteGiven: true, invite: "2"}, "a Unix socket has no TLS", ""},
		{"a socket without TLS", listenFlags{listen: "unix", dangerouslyListenWithoutTLS: true}, "needs no TLS", ""},
		{"a certificate without its key", listenFlags{listen: outside, tlsCert: "c"}, "belong together", "made for this session"},
		{"a key without its certificate", listenFlags{listen: outside, tlsKey: "k"}, "belong together", ""},
		{"authorities without names", listenFlags{listen: outside, tlsCert: "c", tlsKey: "k", clientCA: "a"}, "--client-ca needs --client-name", "'*'"},
		{"authorities without a certificate", listenFlags{listen: outside, clientCA: "a", clientNames: []string{"x"}}, "a certificate for the agent", "--tls-cert"},
		{"names without authorities", listenFlags{listen: outside, clientNames: []string{"x"}}, "--client-name needs --client-ca", ""},
		{"both proofs", listenFlags{listen: outside, tlsCert: "c", tlsKey: "k", clientCA: "a", clientNames: []string{"x"}, inviteGiven: true}, "either invitations or certificates", ""},
		{"a role that is none", listenFlags{listen: outside, tlsCert: "c", tlsKey: "k", clientCA: "a", clientNames: []string{"alice=root"}}, "not a role", "mutate"},
		{"nobody", listenFlags{listen: outside, tlsCert: "c", tlsKey: "k", clientCA: "a", clientNames: []string{""}}, "the name is missing", ""},
		{"no invitation", listenFlags{listen: outside, invite: "0", inviteGiven: true}, "--invite 0", "nobody could connect"},
		{"a crowd", listenFlags{listen: outside, invite: "9", inviteGiven: true}, "--invite 9", "1 to 8"},
		{"TLS and none", listenFlags{listen: outside, tlsCert: "c", tlsKey: "k", dangerouslyListenWithoutTLS: true}, "contradict", ""},
		{"a user from outside", listenFlags{listen: outside, allowUser: "alice"}, "no telling which user", "certificates"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.f.invite == "" {
				tt.f.invite = "1"
			}
			var ms mistakes
			tt.f.check(&ms)
			if len(ms) != 1 {
				t.Fatalf("got %v, want one mistake", ms)
			}
			var h hinter
			if !errors.As(error(ms[0]), &h) || !strings.Contains(ms[0].text, tt.text) || !strings.Contains(ms[0].hint, tt.hint) || ms[0].hint == "" {
				t.Errorf("mistake %q, hint %q; want %q, %q", ms[0].text, ms[0].hint, tt.text, tt.hint)
			}
		})
	}
}
