package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// stranger is a uid that nobody has. The tests of other users' processes need root.
const stranger = 54321

// TestMain makes the test binary a client too: child NETWORK ADDRESS HOW.
func TestMain(m *testing.M) {
	if len(os.Args) == 5 && os.Args[1] == "child" {
		if err := child(os.Args[2], os.Args[3], os.Args[4]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child connects, says that it is there, and stays until its stdin ends, or
// closes at once. "mapped" uses an AF_INET6 socket for an IPv4 address, as the JVM
// does.
func child(network, address, how string) error {
	var conn io.ReadWriteCloser
	var err error
	if how == "mapped" {
		conn, err = dialMapped(address)
	} else {
		conn, err = net.Dial(network, address)
	}
	if err != nil {
		return err
	}
	if _, err := conn.Write([]byte("here")); err != nil {
		return err
	}
	if how == "gone" {
		return conn.Close()
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

func dialMapped(address string) (*os.File, error) {
	a, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	sa := &unix.SockaddrInet6{Port: a.Port}
	copy(sa.Addr[:], a.IP.To16())
	if err := unix.Connect(fd, sa); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "mapped"), nil
}

// open makes a directory that every user may enter.
func open(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "peer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// program is the test binary where every user may execute it: go test builds it
// in a directory of its own user.
func program(t *testing.T) string {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(open(t), "child")
	if err := os.WriteFile(path, self, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// connect starts a child of the given user that connects to ln, and returns our
// end once it has said something; with "gone" once it has exited.
func connect(t *testing.T, path string, uid uint32, ln net.Listener, how string) net.Conn {
	t.Helper()
	cmd := exec.Command(path, "child", ln.Addr().Network(), ln.Addr().String(), how)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start a process of uid %d: %v", uid, err)
	}
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		stdin.Close()
		if how != "gone" {
			cmd.Wait()
		}
	})
	if how == "gone" {
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	return conn
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func TestUID(t *testing.T) {
	path := program(t)
	dir := open(t)
	for _, tt := range []struct{ name, network, address, how string }{
		{"IPv4", "tcp", "127.0.0.1:0", "stay"},
		{"IPv4, another loopback address", "tcp", "127.8.9.10:0", "stay"},
		{"IPv6", "tcp", "[::1]:0", "stay"},
		{"IPv4 by a socket for IPv6", "tcp", "127.0.0.1:0", "mapped"},
		{"Unix", "unix", filepath.Join(dir, "socket"), "stay"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ln := listen(t, tt.network, tt.address)
			if tt.network == "unix" {
				if err := os.Chmod(tt.address, 0o777); err != nil {
					t.Fatal(err)
				}
			}
			for _, want := range []uint32{uint32(os.Geteuid()), stranger} {
				conn := connect(t, path, want, ln, tt.how)
				got, err := UID(conn)
				if err != nil || got != int(want) {
					t.Errorf("a process of uid %d: %d, %v", want, got, err)
				}
				err = SameUser(conn)
				if same := want == uint32(os.Geteuid()); same && err != nil || !same && !errors.Is(err, ErrOther) {
					t.Errorf("a process of uid %d: %v", want, err)
				}
				if tt.network == "unix" {
					continue
				}
				theirs, ours, err := ends(conn)
				if err != nil {
					t.Fatal(err)
				}
				if s, err := lookInTable(theirs, ours); err != nil || s.uid != want || s.inode == 0 {
					t.Errorf("the table has %+v, %v for a process of uid %d", s, err, want)
				}
			}
		})
	}
}

// wrapped is a connection within another, as tls.Conn is one.
type wrapped struct{ net.Conn }

func (w wrapped) NetConn() net.Conn { return w.Conn }

// A listener for both families gives IPv4 clients mapped addresses.
func TestUIDDualStack(t *testing.T) {
	ln := listen(t, "tcp", "[::]:0")
	client, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", ln.Addr().(*net.TCPAddr).Port))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, err := UID(wrapped{conn}); err != nil || got != os.Geteuid() {
		t.Errorf("%d, %v", got, err)
	}
}

// TestUIDGone: who sends and closes is not taken for root, which is the owner that
// the kernel gives for a socket without a process. Both ways of closing: the socket
// waits for our end in FIN-WAIT, and for its time in TIME-WAIT.
func TestUIDGone(t *testing.T) {
	path := program(t)
	for _, halfClosed := range []bool{false, true} {
		conn := connect(t, path, stranger, listen(t, "tcp", "127.0.0.1:0"), "gone")
		if halfClosed {
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := UID(conn); !errors.Is(err, ErrUnknown) {
			t.Errorf("our end closed %t: uid %d, %v", halfClosed, got, err)
		}
		theirs, ours, err := ends(conn)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := lookInTable(theirs, ours); err == nil && s.inode != 0 {
			t.Errorf("our end closed %t: the table has %+v", halfClosed, s)
		}
	}
}

// A connection that does not run over loopback may be anybody's.
func TestUIDNotLoopback(t *testing.T) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		ip := a.(*net.IPNet).IP
		if ip.IsLoopback() || ip.IsLinkLocalUnicast() {
			continue
		}
		ln := listen(t, "tcp", net.JoinHostPort(ip.String(), "0"))
		client, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		conn, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if got, err := UID(conn); !errors.Is(err, ErrUnknown) {
			t.Errorf("over %s: uid %d, %v", ip, got, err)
		}
	}
	pipe, other := net.Pipe()
	defer other.Close()
	if got, err := UID(pipe); !errors.Is(err, ErrUnknown) {
		t.Errorf("a pipe: uid %d, %v", got, err)
	}
}

// TestUIDOfAnotherNamespace: a listener that was opened in another network
// namespace. In ours somebody else has a connection with the same addresses.
func TestUIDOfAnotherNamespace(t *testing.T) {
	path := program(t)
	there := inNewNamespace(t, func() (net.Listener, error) {
		return net.Listen("tcp", "127.0.0.1:0")
	})
	// The child connects in the namespace of the thread that starts it.
	ours := there.ln.Addr().(*net.TCPAddr)
	client := there.do(func() (any, error) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: ours.IP, Port: 40001}}
		return d.Dial("tcp", ours.String())
	}).(net.Conn)
	defer client.Close()
	conn, err := there.ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	if got, err := UID(conn); err != nil || got != os.Geteuid() {
		t.Errorf("our connection in the other namespace: %d, %v", got, err)
	}
	// The same port here, by a stranger.
	here := listen(t, "tcp", ours.String())
	strangers := connect(t, path, stranger, here, "stay")
	port := strangers.RemoteAddr().(*net.TCPAddr).Port
	spoofed := there.do(func() (any, error) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: ours.IP, Port: port}}
		return d.Dial("tcp", ours.String())
	}).(net.Conn)
	defer spoofed.Close()
	conn2, err := there.ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn2.Close()
	if got, err := UID(conn2); err != nil || got != os.Geteuid() {
		t.Errorf("with a stranger's connection of the same addresses here: %d, %v", got, err)
	}
	if got, err := UID(strangers); err != nil || got != stranger {
		t.Errorf("the stranger's: %d, %v", got, err)
	}
}

// namespace is a thread in a network namespace of its own.
type namespace struct {
	t  *testing.T
	do func(func() (any, error)) any
	ln net.Listener
}

func inNewNamespace(t *testing.T, listen func() (net.Listener, error)) *namespace {
	t.Helper()
	type job struct {
		f    func() (any, error)
		done chan error
		got  *any
	}
	jobs := make(chan job)
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		for {
			select {
			case <-ctx.Done():
				return
			case j := <-jobs:
				var err error
				*j.got, err = j.f()
				j.done <- err
			}
		}
	}()
	n := &namespace{t: t}
	n.do = func(f func() (any, error)) any {
		t.Helper()
		var got any
		j := job{f, make(chan error), &got}
		jobs <- j
		if err := <-j.done; err != nil {
			t.Fatal(err)
		}
		return got
	}
	n.do(func() (any, error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return nil, err
		}
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		defer unix.Close(fd)
		lo, err := unix.NewIfreq("lo")
		if err != nil {
			return nil, err
		}
		lo.SetUint16(unix.IFF_UP)
		return nil, unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
	})
	n.ln = n.do(func() (any, error) { return listen() }).(net.Listener)
	t.Cleanup(func() { n.ln.Close() })
	return n
}
