//go:build linux && amd64

package dap

import (
	"fmt"
	"net/netip"

	"github.com/remotedbg/remotedbg/internal/session"
)

// wantedRequests is the attach argument with which several IDEs at one agent
// share its requests; see session.Wants.
type wantedRequests struct {
	Client     string `json:"client"` // an address or a CIDR
	PathPrefix string `json:"pathPrefix"`
	Method     string `json:"method"`
}

func (w wantedRequests) wants() (session.Wants, error) {
	wants := session.Wants{PathPrefix: w.PathPrefix, Method: w.Method}
	if w.Client == "" {
		return wants, nil
	}
	if addr, err := netip.ParseAddr(w.Client); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		wants.Client = netip.PrefixFrom(addr, addr.BitLen())
		return wants, nil
	}
	prefix, err := netip.ParsePrefix(w.Client)
	if err != nil || prefix.Addr().Is4In6() || prefix != prefix.Masked() {
		return wants, fmt.Errorf("requests.client %q: write an address such as 203.0.113.7 or a prefix such as 203.0.113.0/24", clip(w.Client, 64))
	}
	wants.Client = prefix
	return wants, nil
}
