package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/remotedbg/remotedbg/gate"
)

// newGate makes the gate that the flags -trusted-proxies and -client-ip-header
// describe. The error joins all mistakes in both.
func newGate(proxies, header string) (*gate.Gate, error) {
	prefixes, mistakes := parsePrefixes(proxies)
	g, err := gate.New(gate.Config{TrustedProxies: prefixes, Source: clientSource(header)})
	if err == nil {
		return g, nil
	}
	return nil, errors.Join(append(mistakes, withoutZero(err)...)...)
}

// parsePrefixes reads a list of prefixes. Those that are none are the zero
// Prefix, so that the others keep their places in the messages of gate.New.
func parsePrefixes(list string) (prefixes []netip.Prefix, mistakes []error) {
	if list == "" {
		return nil, nil
	}
	for i, text := range strings.Split(list, ",") {
		p, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("-trusted-proxies: %q in place %d is no prefix such as 10.1.0.0/16 or 10.1.0.7/32", text, i))
		}
		prefixes = append(prefixes, p)
	}
	return prefixes, mistakes
}

// clientSource is the source that -client-ip-header names.
func clientSource(header string) gate.ClientSource {
	switch http.CanonicalHeaderKey(header) {
	case "":
		return gate.ClientSource{}
	case "X-Forwarded-For":
		return gate.FromXForwardedFor()
	case "Forwarded":
		return gate.FromForwarded()
	default:
		return gate.FromHeader(header)
	}
}

// withoutZero returns the mistakes that gate.New has found, but for zero
// prefixes: parsePrefixes has said what stood there.
func withoutZero(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var rest []error
	for _, err := range joined.Unwrap() {
		var pe *gate.PrefixError
		if !errors.As(err, &pe) || pe.Prefix != (netip.Prefix{}) {
			rest = append(rest, err)
		}
	}
	return rest
}
