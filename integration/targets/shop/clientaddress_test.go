package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/gate"
)

func TestWhoamiBehindProxies(t *testing.T) {
	for _, c := range []struct {
		name, proxies, header, peer string
		sent                        http.Header
		addr, reason                string
	}{
		{"no flags", "", "", "127.0.0.1:5000", http.Header{"X-Forwarded-For": {"192.0.2.10"}}, "127.0.0.1", gate.ReasonDirectPeer},
		{"X-Forwarded-For", "10.1.0.0/16,127.0.0.0/8", "x-forwarded-for", "127.0.0.1:5000", http.Header{"X-Forwarded-For": {"192.0.2.66, 192.0.2.10, 10.1.2.3"}}, "192.0.2.10", gate.ReasonXForwardedFor},
		{"Forwarded", "127.0.0.0/8", "Forwarded", "127.0.0.1:5000", http.Header{"Forwarded": {`for="[2001:db8::10]:80"`}}, "2001:db8::10", gate.ReasonForwarded},
		{"single header", "127.0.0.0/8", "X-Real-IP", "127.0.0.1:5000", http.Header{"X-Real-Ip": {"192.0.2.10"}}, "192.0.2.10", gate.ReasonHeader},
		{"stranger", "10.1.0.0/16", "X-Real-IP", "127.0.0.1:5000", http.Header{"X-Real-Ip": {"192.0.2.10"}}, "127.0.0.1", gate.ReasonNoProxy},
		{"garbage", " 10.1.0.0/16 , ::ffff:127.0.0.0/104", "X-Forwarded-For", "127.0.0.1:5000", http.Header{"X-Forwarded-For": {"what"}}, "", gate.ReasonXForwardedForNoAddress},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, err := newGate(c.proxies, c.header)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest("GET", "/whoami", nil)
			r.RemoteAddr, r.Header = c.peer, c.sent
			w := httptest.NewRecorder()
			newMux(g, newService(newStore())).ServeHTTP(w, r)
			if want := `{"addr":"` + c.addr + `","reason":"` + c.reason + "\"}\n"; w.Body.String() != want {
				t.Errorf("whoami = %q, want %q", w.Body, want)
			}
		})
	}
}

// TestMistakesInFlags: the shop does not start, and says everything at once.
func TestMistakesInFlags(t *testing.T) {
	exe := buildShop(t)
	for _, c := range []struct {
		proxies, header string
		want            []string
	}{
		{"", "X-Forwarded-For", []string{"X-Forwarded-For needs trusted proxies"}},
		{"10.1.0.0/16", "", []string{"Source is missing"}},
		{"10.1.0.0/16", "X Real Ip", []string{`"X Real Ip" is not a valid header name`}},
		{"10.1.0.0/16", "X-Original-Forwarded-For", []string{"not a header with a single address"}},
		{"proxy.example", "X-Forwarded-For", []string{`"proxy.example" in place 0 is no prefix`}},
		{"203.0.113.7/24,10.1.0.7,0.0.0.0/0,10.1.0.0/16,", "a:b", []string{
			`"10.1.0.7" in place 1 is no prefix`, `"" in place 4 is no prefix`,
			"TrustedProxies[0]: 203.0.113.7/24 has host bits set", "TrustedProxies[2]: 0.0.0.0/0 admits every address",
			`"a:b" is not a valid header name`,
		}},
	} {
		t.Run(c.proxies+" "+c.header, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, exe, "-addr", "127.0.0.1:0", "-trusted-proxies", c.proxies, "-client-ip-header", c.header)
			var stderr strings.Builder
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 2 || len(out) > 0 {
				t.Fatalf("it ended with %v, after printing %q", err, out)
			}
			lines := strings.Split(strings.TrimSuffix(stderr.String(), "\n"), "\n")
			if len(lines) != len(c.want) {
				t.Fatalf("mistakes %q, want %d", lines, len(c.want))
			}
			for i, line := range lines {
				if !strings.HasPrefix(line, "shop: ") || !strings.Contains(line, c.want[i]) {
					t.Errorf("line %q, want %q in it", line, c.want[i])
				}
			}
		})
	}
}
