package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/remotedbg/remotedbg/internal/door"
	"github.com/remotedbg/remotedbg/internal/invite"
)

// entrance is where clients connect.
type entrance struct {
	*door.Listener
	options listenOptions
	desk    *invite.Desk // nil: without invitations
}

// listenOn opens it.
func listenOn(o attachOptions, target *process) (*entrance, error) {
	l := o.listen
	e := &entrance{options: l}
	var err error
	switch l.proof {
	case proofSocket:
		e.Listener, err = listenSocket(o, target)
	case proofLoopback:
		var local door.Local
		if local, err = localUsers(o); err == nil {
			e.Listener, err = door.ListenLoopback(l.addr, local)
		}
	case proofNothing:
		e.Listener, err = door.DangerouslyListenWithoutTLS(l.addr, o.rights.role)
	default:
		err = e.listenTLS(o, target)
	}
	if err != nil {
		return nil, notListening(l, err)
	}
	return e, nil
}

// notListening says what to do when an address cannot be had.
func notListening(l listenOptions, err error) error {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return failure{
			err:  fmt.Errorf("listen on %s: the address is in use", l.addr),
			hint: "--listen " + net.JoinHostPort(l.addr.Addr().String(), "0") + " takes a free port; another agent may hold this one",
		}
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return failure{
			err:  fmt.Errorf("listen on %s: this machine does not have that address", l.addr),
			hint: "ip address shows those that it has; 0.0.0.0 is all of them",
		}
	case errors.Is(err, os.ErrPermission) && l.proof != proofSocket:
		return failure{
			err:  fmt.Errorf("listen on %s: not permitted", l.addr),
			hint: "choose a port above 1023, or 0 for a free one",
		}
	case errors.Is(err, door.ErrTaken):
		return failure{err: err, hint: "one agent at a time debugs a process; end the other one first"}
	}
	var h hinter
	if errors.As(err, &h) {
		return err
	}
	if l.proof == proofSocket {
		return failure{err: err, hint: "name another place, --listen unix:///PATH, or a loopback port, --listen " + loopbackListen}
	}
	return fmt.Errorf("listen: %w", err)
}

// listenSocket opens the Unix socket, by default one that has the service's pid for
// a name.
func listenSocket(o attachOptions, target *process) (*door.Listener, error) {
	local, err := localUsers(o)
	if err != nil {
		return nil, err
	}
	if o.listen.path != "" {
		return door.ListenUnix(o.listen.path, local)
	}
	dir, err := door.RuntimeDir(local.AlsoUID >= 0)
	if err != nil {
		return nil, err
	}
	door.RemoveStale(dir)
	path := filepath.Join(dir, strconv.Itoa(target.pid)+".sock")
	ln, err := door.ListenUnix(path, local)
	if err == nil {
		// remotedbg agents shows it. Nothing depends on it.
		_ = os.Chtimes(path, time.Time{}, time.Now().Add(o.duration))
	}
	return ln, err
}

// localUsers are those who may connect from this machine.
func localUsers(o attachOptions) (door.Local, error) {
	local := door.Local{Role: o.rights.role, AlsoUID: -1}
	text := o.listen.allowUser
	if text == "" {
		return local, nil
	}
	uid, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		found, err := user.Lookup(text)
		if err != nil {
			return local, failure{err: fmt.Errorf("--allow-user %s: no such user on this host", text), hint: "id -u shows a user's number"}
		}
		if uid, err = strconv.ParseUint(found.Uid, 10, 31); err != nil {
			return local, fmt.Errorf("--allow-user %s: its uid is %q", text, found.Uid)
		}
	}
	local.AlsoUID = int(uid)
	return local, nil
}

// listenTLS opens a listener with TLS, and makes what certificates are missing.
func (e *entrance) listenTLS(o attachOptions, target *process) error {
	l, until := o.listen, time.Now().Add(o.duration)
	cfg := door.TLS{Role: o.rights.role}
	authority, err := invite.NewAuthority(until)
	if err != nil {
		return err
	}
	if l.tlsCert == "" {
		cfg.Certificate, err = authority.Server(addresses(l.addr.Addr())...)
	} else if cfg.Certificate, err = tls.LoadX509KeyPair(l.tlsCert, l.tlsKey); err != nil {
		err = failure{err: fmt.Errorf("--tls-cert %s, --tls-key %s: %w", l.tlsCert, l.tlsKey, err), hint: "both are PEM files, of one certificate and its key"}
	}
	if err != nil {
		return err
	}
	if l.proof == proofOwn {
		if cfg.ClientCAs, err = readAuthorities(l.clientCA); err != nil {
			return err
		}
		for _, n := range l.names {
			cfg.Names = append(cfg.Names, door.Name{Name: n.name, Role: n.role})
		}
	} else {
		cfg.Guests = authority.Pool()
		e.desk, err = invite.NewDesk(invite.DeskConfig{
			Authority: authority, Server: cfg.Certificate, Role: cfg.Role, Expires: until,
			Process: target.identity(), About: target.String(),
		})
		if err != nil {
			return err
		}
		cfg.Desk = e.desk
	}
	e.Listener, err = door.ListenTLS(l.addr, cfg)
	return err
}

func readAuthorities(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, failure{err: fmt.Errorf("--client-ca: %w", err), hint: "it is a PEM file of the certificates that have signed those of the clients"}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, failure{err: fmt.Errorf("--client-ca %s: there is no certificate in it", path), hint: "it is a PEM file: -----BEGIN CERTIFICATE-----"}
	}
	return pool, nil
}

// tell prints where to connect and what to type next. Secrets go to stdout alone:
// stderr may end in a log.
func (e *entrance) tell(stdout io.Writer, log func(string)) error {
	how := "DAP"
	if e.options.proof == proofInvited || e.options.proof == proofOwn {
		how = "DAP over TLS"
	}
	if _, err := fmt.Fprintf(stdout, "listening on %s (%s)\n", e, how); err != nil {
		return fmt.Errorf("tell the address on stdout: %w", err)
	}
	_, port, _ := net.SplitHostPort(e.Addr().String())
	switch e.options.proof {
	case proofSocket:
		log("hint: for an IDE on this host: remotedbg connect " + e.String())
		log("hint: from your machine: remotedbg connect ssh://" + whereWeAre() + e.Addr().String())
	case proofLoopback:
		log("hint: an IDE on this host, of the same user, connects to " + e.String())
		log(fmt.Sprintf("hint: from your machine: ssh -L %s:%s %s", port, e, whereWeAre()))
	case proofOwn:
		log("hint: from your machine: remotedbg connect --tls-cert FILE --tls-key FILE --ca FILE " + e.reachedAt())
	case proofNothing:
		log("DANGER: " + e.String() + " is without TLS: whoever reaches it can run code in the service, and whoever is in between can read all that is debugged")
	}
	return e.invite(stdout, log)
}

// invite prints the invitations.
func (e *entrance) invite(stdout io.Writer, log func(string)) error {
	if e.desk == nil {
		return nil
	}
	for range e.options.invitations {
		link, err := e.desk.Invite(e.reachedAt())
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(stdout, "remotedbg connect %s\n", quoted(link.Text())); err != nil {
			return fmt.Errorf("tell the invitation on stdout: %w", err)
		}
	}
	if n := e.options.invitations; n == 1 {
		log("hint: paste that line on your machine; it is a secret, and good for one use")
	} else {
		log(fmt.Sprintf("hint: each of the %d lines is for one person, to paste on their machine; they are secrets, and good for one use", n))
	}
	if e.options.addr.Addr().IsUnspecified() {
		log("hint: if this host has another name or address there, put it before the port")
	}
	return nil
}

// quoted keeps a shell from taking the brackets of IPv6 for a pattern.
func quoted(link string) string {
	if link[0] == '[' {
		return "'" + link + "'"
	}
	return link
}

// reachedAt is HOST:PORT for somebody on another machine.
func (e *entrance) reachedAt() string {
	host, port, err := net.SplitHostPort(e.Addr().String())
	if err != nil {
		return e.String()
	}
	if e.options.addr.Addr().IsUnspecified() {
		host = hostName()
		if all := addresses(e.options.addr.Addr()); len(all) > 0 {
			host = all[0].String()
		}
	}
	return net.JoinHostPort(host, port)
}

// whereWeAre is USER@HOST for ssh.
func whereWeAre() string {
	name := "USER"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return name + "@" + hostName()
}

func hostName() string {
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "HOST"
}

// addresses are those that addr stands for: itself, or all of this machine that can
// be reached from elsewhere, IPv4 first.
func addresses(addr netip.Addr) []netip.Addr {
	if !addr.IsUnspecified() {
		return []netip.Addr{addr}
	}
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil // they only make a hint better
	}
	var v4, v6 []netip.Addr
	for _, a := range list {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil || !prefix.Addr().IsGlobalUnicast() {
			continue
		}
		switch a := prefix.Addr().Unmap(); {
		case a.Is4():
			v4 = append(v4, a)
		case addr.Is6():
			v6 = append(v6, a)
		}
	}
	return append(v4, v6...)
}
