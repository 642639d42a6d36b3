package proxyproto

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/remotedbg/remotedbg/gate"
)

// HeaderTimeout is how long a trusted proxy may take to send its header, unless
// [WithHeaderTimeout] says otherwise. The standard (section 2) asks for at least
// 3 s, so that a lost packet can be sent again.
const HeaderTimeout = 3 * time.Second

// maxPending is how many headers are awaited at the same time. If that many
// trusted proxies are silent, further connections wait in the kernel until one
// of them has sent its header or has run out of time.
const maxPending = 256

// Option changes what [Listen] does.
type Option func(*listener)

// TrustUnix trusts every peer on a unix socket. Who can connect to the socket is
// then decided by the file's permissions.
func TrustUnix() Option { return func(l *listener) { l.trustUnix = true } }

// WithHeaderTimeout changes [HeaderTimeout].
func WithHeaderTimeout(d time.Duration) Option { return func(l *listener) { l.timeout = d } }

// OnRefused has f called for each connection of a trusted proxy that was
// refused, with the proxy's address and the reason. f is called from several
// goroutines at the same time.
func OnRefused(f func(proxy net.Addr, err error)) Option {
	return func(l *listener) { l.refused = f }
}

type listener struct {
	net.Listener
	trusted   []netip.Prefix
	trustUnix bool
	timeout   time.Duration
	refused   func(net.Addr, error)

	start, stop sync.Once
	ready       chan net.Conn
	failed      chan error
	pending     chan struct{} // one for each connection between accept and Accept
	closed      chan struct{}
}

// Listen returns a listener that takes the connections of ln, which it owns from
// then on. trusted are the addresses of the proxies; empty, nobody is trusted and
// every connection is handed on as it came.
//
// The error joins all mistakes in trusted, each of them a *[gate.PrefixError];
// the rules are those of [gate.Config]: no host bits, no prefix for everybody,
// IPv4-mapped prefixes count as IPv4. ln is left open then.
func Listen(ln net.Listener, trusted []netip.Prefix, options ...Option) (net.Listener, error) {
	if ln == nil {
		return nil, errors.New("remotedbg: proxyproto: no listener to take connections from")
	}
	l := &listener{
		Listener: ln, timeout: HeaderTimeout, refused: func(net.Addr, error) {},
		ready: make(chan net.Conn), failed: make(chan error),
		pending: make(chan struct{}, maxPending), closed: make(chan struct{}),
	}
	for _, option := range options {
		option(l)
	}
	var errs []error
	if l.timeout <= 0 {
		errs = append(errs, fmt.Errorf("remotedbg: proxyproto: header timeout %v: it must be positive, since a peer can be silent for ever", l.timeout))
	}
	if len(trusted) > 0 { // the gate knows what is wrong with a prefix
		_, err := gate.New(gate.Config{Source: gate.FromXForwardedFor(), TrustedProxies: trusted})
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for _, p := range trusted {
		if a := p.Addr(); a.Is4In6() {
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		l.trusted = append(l.trusted, p)
	}
	return l, nil
}

// Accept implements net.Listener. It hands out connections in the order in which
// their headers are complete.
func (l *listener) Accept() (net.Conn, error) {
	l.start.Do(func() { go l.run() })
	select {
	case c := <-l.ready:
		return c, nil
	case err := <-l.failed:
		return nil, err
	case <-l.closed:
		return nil, &net.OpError{Op: "accept", Net: l.Addr().Network(), Addr: l.Addr(), Err: net.ErrClosed}
	}
}

// Close implements net.Listener. Connections that nobody has accepted are closed.
func (l *listener) Close() error {
	l.stop.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// run accepts until Close. Errors are Accept's caller's, who knows which of them
// pass: it is not called again before he has seen them.
func (l *listener) run() {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			select {
			case l.failed <- err:
				continue
			case <-l.closed:
				return
			}
		}
		if !l.trusts(c.RemoteAddr()) {
			l.deliver(c)
			continue
		}
		select {
		case l.pending <- struct{}{}:
			go l.await(c)
		case <-l.closed:
			c.Close()
			return
		}
	}
}

// await hands c on when its header has come.
func (l *listener) await(c net.Conn) {
	defer func() { <-l.pending }()
	conn, err := read(c, l.timeout)
	if err != nil {
		c.Close()
		l.refused(c.RemoteAddr(), fmt.Errorf("remotedbg: proxyproto: %w", err))
		return
	}
	l.deliver(conn)
}

func (l *listener) deliver(c net.Conn) {
	select {
	case l.ready <- c:
	case <-l.closed:
		c.Close()
	}
}

// trusts reports whether peer is a trusted proxy. A peer whose address cannot be
// read is none, nor is one with a zone: fe80::1%eth0 and fe80::1%eth1 may be two
// hosts.
func (l *listener) trusts(peer net.Addr) bool {
	switch a := peer.(type) {
	case *net.UnixAddr:
		return l.trustUnix
	case *net.TCPAddr:
		addr := a.AddrPort().Addr()
		for _, p := range l.trusted {
			if p.Contains(addr.Unmap()) {
				return true
			}
		}
	}
	return false
}
