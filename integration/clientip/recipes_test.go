package clientip_test

import (
	"context"
	"net"
	"net/http"
	"net/netip"

	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/middleware"
	"github.com/remotedbg/remotedbg/middleware/proxyproto"
)

// The functions of this file are the Go code of docs/client-address.md; they are
// tried in recipes_run_test.go.

func prefixes(list ...string) []netip.Prefix {
	var ps []netip.Prefix
	for _, text := range list {
		ps = append(ps, netip.MustParsePrefix(text))
	}
	return ps
}

func direct() (*gate.Gate, error) {
	return gate.New(gate.Config{})
}

func ceiling() (*gate.Gate, error) {
	return gate.New(gate.Config{
		Allow: prefixes("203.0.113.0/28", "2001:db8:77::/48"), // the office
	})
}

func behindList() (*gate.Gate, error) {
	return gate.New(gate.Config{
		TrustedProxies: prefixes("10.1.0.0/28"), // the proxies, and nothing else
		Source:         gate.FromXForwardedFor(),
	})
}

func behindSingle() (*gate.Gate, error) {
	return gate.New(gate.Config{
		TrustedProxies: prefixes("10.1.0.0/28"),
		Source:         gate.FromHeader("X-Real-Ip"),
	})
}

func behindForwarded() (*gate.Gate, error) {
	return gate.New(gate.Config{
		TrustedProxies: prefixes("10.1.0.0/28"),
		Source:         gate.FromForwarded(),
	})
}

func behindGoogle() (*gate.Gate, error) {
	return gate.New(gate.Config{
		TrustedProxies: prefixes(
			"35.191.0.0/16", "130.211.0.0/22", // the Google Front Ends: the peer
			"198.51.100.7/32", // the forwarding rule: the last entry
		),
		Source: gate.FromXForwardedFor(),
	})
}

func behindCloudflare() (*gate.Gate, error) {
	return gate.New(gate.Config{
		TrustedProxies: prefixes(
			"173.245.48.0/20", "2400:cb00::/32", // and the rest of www.cloudflare.com/ips
		),
		Source: gate.FromHeader("Cf-Connecting-Ip"),
	})
}

func behindCloudflareAndOurs() (*gate.Gate, error) {
	return gate.New(gate.Config{
		TrustedProxies: prefixes(
			"173.245.48.0/20", "2400:cb00::/32", // and the rest of www.cloudflare.com/ips
			"10.1.0.0/28", // our own, behind it
		),
		Source: gate.FromXForwardedFor(),
	})
}

func onUnixSocket() (*gate.Gate, error) {
	return gate.New(gate.Config{
		TrustUnix: true, // the socket's file mode says who this is
		Source:    gate.FromXForwardedFor(),
	})
}

func serveProxyProtocol(ln net.Listener, h http.Handler) error {
	proxied, err := proxyproto.Listen(ln, prefixes("10.1.0.0/28"))
	if err != nil {
		return err
	}
	g, err := gate.New(gate.Config{}) // the peer is the client
	if err != nil {
		return err
	}
	return http.Serve(proxied, middleware.New(g)(h))
}

func withConnContext(rewrites func(http.Handler) http.Handler, h http.Handler) (*http.Server, error) {
	g, err := gate.New(gate.Config{
		PeerFromConn:   true, // not RemoteAddr, which rewrites changes
		TrustedProxies: prefixes("10.1.0.0/28"),
		Source:         gate.FromXForwardedFor(),
	})
	if err != nil {
		return nil, err
	}
	return &http.Server{
		Handler:     rewrites(middleware.New(g)(h)),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return gate.ConnContext(ctx, c) },
	}, nil
}
