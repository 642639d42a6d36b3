package main

import (
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/remotedbg/remotedbg/internal/access"
)

const (
	// defaultListen is the Unix socket in the runtime directory.
	defaultListen = "unix"
	unixScheme    = "unix://"
	// loopbackListen is where IDEs look by default.
	loopbackListen = "127.0.0.1:2345"
	// maxInvitations is invite.MaxInvitations: as many as an agent serves.
	maxInvitations = 8
)

// listenFlags are where clients connect and how they prove who they are. As typed,
// see attachFlags.
type listenFlags struct {
	listen, allowUser           string
	tlsCert, tlsKey, clientCA   string
	clientNames                 []string
	invite                      string
	dangerouslyListenWithoutTLS bool
	inviteGiven                 bool // whether --invite was typed
}

// proof is how clients prove who they are.
type proof int

const (
	proofSocket   proof = iota // a Unix socket: the kernel names their user
	proofLoopback              // a loopback port: the same
	proofInvited               // TLS, with certificates that invitations are exchanged for
	proofOwn                   // TLS, with the user's own certificates
	proofNothing               // --dangerously-listen-without-tls
)

// listenOptions are the flags once they are known to be right.
type listenOptions struct {
	proof     proof
	path      string         // of the socket; empty: PID.sock in the runtime directory
	addr      netip.AddrPort // of the others
	allowUser string         // name or number of one more user; empty: none

	tlsCert, tlsKey, clientCA string
	names                     []clientName
	invitations               int
}

// clientName is who may connect with a certificate of --client-ca.
type clientName struct {
	name string
	role access.Role // 0: that of --role
}

func (f *listenFlags) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.listen, "listen", defaultListen, "`ADDRESS` to serve IDEs on: unix, unix:///PATH, or IP:PORT (port 0 takes a free one)")
	flags.StringVar(&f.allowUser, "allow-user", "", "one more `USER`, by name or number, whose processes may connect to the socket or loopback port")
	flags.StringVar(&f.tlsCert, "tls-cert", "", "`FILE` with the agent's certificate for TLS, PEM (default: one is made for this session)")
	flags.StringVar(&f.tlsKey, "tls-key", "", "`FILE` with its key")
	flags.StringVar(&f.clientCA, "client-ca", "", "`FILE` with the authorities whose client certificates are accepted, instead of invitations")
	flags.StringArrayVar(&f.clientNames, "client-name", nil, "`NAME[=ROLE]` in a certificate of --client-ca that may connect (repeatable)")
	flags.StringVar(&f.invite, "invite", "1", "`NUMBER` of invitations to print, each for one person")
	flags.BoolVar(&f.dangerouslyListenWithoutTLS, "dangerously-listen-without-tls", false, "whoever reaches the port may debug the service, and run code in it")
}

// noteGiven takes note of which flags were typed.
func (f *listenFlags) noteGiven(given func(flag string) bool) {
	f.inviteGiven = given("invite")
}

// check turns the flags into options, or says what is wrong with them.
func (f listenFlags) check(ms *mistakes) listenOptions {
	o := listenOptions{allowUser: f.allowUser, tlsCert: f.tlsCert, tlsKey: f.tlsKey, clientCA: f.clientCA}
	before := len(*ms)
	if path, isUnix := f.socket(ms); isUnix {
		o.path = path
		f.checkSocket(ms)
		return o
	}
	o.addr = checkAddress(f.listen, ms)
	if len(*ms) > before {
		return o
	}
	o.proof = f.proofAt(o.addr.Addr())
	if f.allowUser != "" && o.proof != proofLoopback {
		ms.add("leave --allow-user away: certificates say who may connect", "--allow-user %s: there is no telling which user connects to %s", f.allowUser, f.listen)
	}
	if f.dangerouslyListenWithoutTLS && f.wantsTLS() {
		ms.add("leave --dangerously-listen-without-tls away", "--dangerously-listen-without-tls and flags for TLS contradict each other")
		return o
	}
	if o.proof == proofInvited || o.proof == proofOwn {
		f.checkTLS(&o, ms)
	}
	return o
}

// socket reads a --listen that is a Unix socket.
func (f listenFlags) socket(ms *mistakes) (path string, isUnix bool) {
	if f.listen == defaultListen {
		return "", true
	}
	path, isUnix = strings.CutPrefix(f.listen, unixScheme)
	if isUnix && !filepath.IsAbs(path) {
		ms.add("write --listen unix:///run/shop/debug.sock, with three slashes, or --listen unix", "--listen %s: not the absolute path of a socket", f.listen)
	}
	return path, isUnix
}

// checkSocket refuses what has no meaning for a Unix socket.
func (f listenFlags) checkSocket(ms *mistakes) {
	if f.wantsTLS() {
		ms.add("add --listen 0.0.0.0:2345, or another address that is reached from outside", "flags for TLS need an address to listen on: a Unix socket has no TLS")
	}
	if f.dangerouslyListenWithoutTLS {
		ms.add("leave it away", "--dangerously-listen-without-tls: a Unix socket needs no TLS")
	}
}

// wantsTLS says whether a flag was typed that has a meaning with TLS only.
func (f listenFlags) wantsTLS() bool {
	return f.tlsCert != "" || f.tlsKey != "" || f.clientCA != "" || len(f.clientNames) > 0 || f.inviteGiven
}

// proofAt is what clients that connect to addr have to prove themselves with.
func (f listenFlags) proofAt(addr netip.Addr) proof {
	switch {
	case f.dangerouslyListenWithoutTLS:
		return proofNothing
	case f.clientCA != "":
		return proofOwn
	case f.wantsTLS() || !addr.IsLoopback():
		return proofInvited
	}
	return proofLoopback
}

// checkTLS reads the flags for TLS.
func (f listenFlags) checkTLS(o *listenOptions, ms *mistakes) {
	if (f.tlsCert == "") != (f.tlsKey == "") {
		ms.add("give both, or none: then a certificate is made for this session", "--tls-cert and --tls-key belong together")
	}
	for _, text := range f.clientNames {
		o.names = append(o.names, parseClientName(text, ms))
	}
	if f.clientCA == "" {
		if len(f.clientNames) > 0 {
			ms.add("add --client-ca FILE, with the authority of their certificates", "--client-name needs --client-ca")
		}
		n, err := strconv.Atoi(f.invite)
		if err != nil || n < 1 || n > maxInvitations {
			ms.add("write a number from 1 to "+strconv.Itoa(maxInvitations)+"; without an invitation or --client-ca nobody could connect", "--invite %s: not a number of people", f.invite)
		}
		o.invitations = n
		return
	}
	if f.tlsCert == "" {
		ms.add("add --tls-cert FILE and --tls-key FILE, of an authority that the clients know", "--client-ca needs a certificate for the agent, too")
	}
	if f.inviteGiven {
		ms.add("leave one of them away", "--invite and --client-ca: clients have either invitations or certificates of yours")
	}
	if len(f.clientNames) == 0 {
		ms.add("add --client-name for each, as it is in their certificates; '*' is everybody who has one", "--client-ca needs --client-name: who may connect")
	}
}

// parseClientName reads NAME or NAME=ROLE. A name may have an equals sign in it.
func parseClientName(text string, ms *mistakes) clientName {
	name := clientName{name: text}
	if at := strings.LastIndexByte(text, '='); at >= 0 {
		if role, err := access.ParseRole(text[at+1:]); err == nil {
			name = clientName{text[:at], role}
		} else if !strings.ContainsAny(text, ":/@") {
			ms.add("write NAME, NAME=observe, NAME=control or NAME=mutate", "--client-name %s: %q is not a role", text, text[at+1:])
		}
	}
	if name.name == "" {
		ms.add("write --client-name alice@example.com", "--client-name %q: the name is missing", text)
	}
	return name
}

// checkAddress reads IP:PORT.
func checkAddress(text string, ms *mistakes) netip.AddrPort {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		ms.add("write an address and a port, such as "+loopbackListen+" or 0.0.0.0:2345, or unix", "--listen %s: not an address and a port", text)
		return netip.AddrPort{}
	}
	n, portErr := strconv.ParseUint(port, 10, 16)
	if portErr != nil {
		ms.add("write a port from 0 to 65535; 0 takes a free one", "--listen %s: %q is not a port", text, port)
		port = "2345"
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" {
		ms.add("write --listen "+net.JoinHostPort("127.0.0.1", port)+" for this machine, or --listen "+net.JoinHostPort("0.0.0.0", port)+" for others too", "--listen %s: %q is not an IP address", text, host)
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(n))
}
