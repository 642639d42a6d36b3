package keepalive

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pair is a TCP connection over loopback, both ends of it.
func pair(t *testing.T) (ours, peer *net.TCPConn) {
	t.Helper()
	ln, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if ours, err = net.DialTCP("tcp", nil, ln.Addr().(*net.TCPAddr)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	if peer, err = ln.AcceptTCP(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	return ours, peer
}

// control runs f with the descriptor of a connection.
func control(t *testing.T, conn *net.TCPConn, f func(fd int) error) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var inside error
	if err := raw.Control(func(fd uintptr) { inside = f(int(fd)) }); err != nil || inside != nil {
		t.Fatal(err, inside)
	}
}

// TestWatch: the options are those whose times add up to Timeout, as the kernel
// has taken them.
func TestWatch(t *testing.T) {
	conn, _ := pair(t)
	// What Go's own default is must not be what makes the test pass.
	if err := conn.SetKeepAlive(false); err != nil {
		t.Fatal(err)
	}
	if err := Watch(conn); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]int)
	control(t, conn, func(fd int) error {
		for name, opt := range map[string][2]int{
			"on": {unix.SOL_SOCKET, unix.SO_KEEPALIVE}, "idle": {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE},
			"interval": {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL}, "count": {unix.IPPROTO_TCP, unix.TCP_KEEPCNT},
			"unacknowledged": {unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT},
		} {
			n, err := unix.GetsockoptInt(fd, opt[0], opt[1])
			if err != nil {
				return err
			}
			got[name] = n
		}
		return nil
	})
	if got["on"] == 0 {
		t.Error("keepalive is off")
	}
	if noticed := time.Duration(got["idle"]+got["interval"]*got["count"]) * time.Second; noticed != Timeout {
		t.Errorf("an idle peer is noticed after %v, want %v: %v", noticed, Timeout, got)
	}
	if got["count"] < 2 {
		t.Errorf("%d probes: one lost packet would end the connection", got["count"])
	}
	if noticed := time.Duration(got["unacknowledged"]) * time.Millisecond; noticed != Timeout {
		t.Errorf("unacknowledged data is given up after %v, want %v", noticed, Timeout)
	}
}

// TestWatchOfAClosedConnection says so.
func TestWatchOfAClosedConnection(t *testing.T) {
	conn, _ := pair(t)
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Watch(conn); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Watch: %v, want %v", err, net.ErrClosed)
	}
}

// TestPeerGone: a peer whose machine takes and sends nothing any more is an error
// within Timeout, whether there is something to be sent to it or not. The time is
// the kernel's, so it has to pass.
func TestPeerGone(t *testing.T) {
	if testing.Short() {
		t.Skipf("takes %v", Timeout)
	}
	for _, c := range []struct {
		name string
		send bool
	}{{"idle", false}, {"with data under way", true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			conn, peer := pair(t)
			if err := Watch(conn); err != nil {
				t.Fatal(err)
			}
			unplug(t, peer)
			began := time.Now()
			if c.send {
				if _, err := conn.Write([]byte("are you there")); err != nil {
					t.Fatal(err)
				}
			}
			const slack = 5 * time.Second // a busy machine; the kernel's timers back off
			if err := conn.SetReadDeadline(began.Add(Timeout + slack)); err != nil {
				t.Fatal(err)
			}
			_, err := conn.Read(make([]byte, 1))
			took := time.Since(began)
			if !errors.Is(err, unix.ETIMEDOUT) {
				t.Errorf("after %v: %v, want %v", took, err, unix.ETIMEDOUT)
			}
			if took < Timeout/2 {
				t.Errorf("given up after %v already: a short outage would end a session", took)
			}
			t.Logf("noticed after %v", took)
		})
	}
}

// TestPeerBack: an outage shorter than Timeout does no harm.
func TestPeerBack(t *testing.T) {
	conn, peer := pair(t)
	if err := Watch(conn); err != nil {
		t.Fatal(err)
	}
	plug := unplug(t, peer)
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	// The kernel sends it again and again; the peer has taken none.
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for sent := 0; sent < 2; <-tick.C {
		control(t, conn, func(fd int) error {
			info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
			if err == nil {
				sent = int(info.Retransmits)
			}
			return err
		})
	}
	plug()
	if err := peer.SetReadDeadline(time.Now().Add(2 * Timeout)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(peer, make([]byte, 1)); err != nil {
		t.Errorf("after the outage: %v", err)
	}
}

// unplug has the kernel drop what arrives for conn, before TCP sees it, so that
// nothing is acknowledged; plug ends that.
func unplug(t *testing.T, conn *net.TCPConn) (plug func()) {
	t.Helper()
	drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K}} // accept 0 bytes
	control(t, conn, func(fd int) error {
		return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop[0]})
	})
	return func() {
		control(t, conn, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0) })
	}
}
