//go:build linux && amd64 && sshd

package integration_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// sshd is an OpenSSH server of the test's own, on a loopback port. It lets one key
// in, as the user of the test.
type sshd struct {
	*harness.Process
	home string // with an .ssh in it that has the key, and knows the host
	port string
}

// startSSHD starts one. make test-sshd installs the program.
func startSSHD(t *testing.T) *sshd {
	t.Helper()
	const program = "/usr/sbin/sshd" // it must be started by its absolute path
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("install openssh-server: %v", err)
	}
	dir := shortDir(t)
	s := &sshd{home: filepath.Join(dir, "home")}
	must(t, os.MkdirAll(filepath.Join(s.home, ".ssh"), 0o700))
	// sshd(8): its privilege separation directory, that of the package.
	must(t, os.MkdirAll("/run/sshd", 0o755))
	for _, name := range []string{filepath.Join(dir, "host"), filepath.Join(s.home, ".ssh", "id_ed25519")} {
		out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", name).CombinedOutput()
		if err != nil {
			t.Fatalf("ssh-keygen: %v: %s", err, out)
		}
	}
	s.port = freePort(t)
	binary, err := builder.Agent()
	must(t, err)
	// The program that connect runs there to find the agent.
	bin := filepath.Join(dir, "bin")
	must(t, os.Mkdir(bin, 0o755))
	must(t, os.Symlink(binary, filepath.Join(bin, "remotedbg")))
	config := fmt.Sprintf(`
ListenAddress 127.0.0.1:%s
HostKey %s
AuthorizedKeysFile %s
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
SetEnv PATH=%s:/usr/bin:/bin
`, s.port, filepath.Join(dir, "host"), filepath.Join(s.home, ".ssh", "id_ed25519.pub"), bin)
	must(t, os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600))
	s.Process, err = harness.Start(program, "-D", "-e", "-f", filepath.Join(dir, "config"))
	must(t, err)
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("sshd wrote:\n%s", s.Stderr)
		}
	})
	_, err = s.Stderr.WaitLine("Server listening on 127.0.0.1", 10*time.Second)
	must(t, err)

	public, err := os.ReadFile(filepath.Join(dir, "host.pub"))
	must(t, err)
	line := fmt.Sprintf("[127.0.0.1]:%s %s", s.port, public)
	must(t, os.WriteFile(filepath.Join(s.home, ".ssh", "known_hosts"), []byte(line), 0o600))
	t.Setenv("HOME", s.home)
	t.Setenv("SSH_AUTH_SOCK", "")
	return s
}

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	must(t, err)
	return port
}

// TestSSHD debugs over an OpenSSH server: by the socket's path and by looking for the
// agent, with a key of a file and of ssh-agent; and is refused where it must be.
func TestSSHD(t *testing.T) {
	s := startSSHD(t)
	r := newRig(t, harness.Variant{})
	a := r.attach("--listen", "unix")
	path := strings.TrimPrefix(a.Addr, "unix://")
	target := "ssh://127.0.0.1:" + s.port
	c := r.ide(r.connect(target+path), nil, "order-loaded", "order-price")
	r.debugThrough(c)
	must(t, c.Close())

	through := r.connect(target)
	if _, err := through.Stderr.WaitLine(fmt.Sprintf("(pid %d), until ", r.service.PID), 10*time.Second); err != nil {
		t.Errorf("it does not say whom it has found: %v: %s", err, through.Stderr)
	}
	c = r.ide(through, nil, "order-loaded", "order-price")
	r.debugThrough(c)
	// The IDE is gone: the agent learns it over ssh.
	p := r.request("/orders/7")
	c.stopped("breakpoint", "order-loaded")
	p.held(t)
	must(t, c.Close())
	p.ok(t)

	known := filepath.Join(s.home, ".ssh", "known_hosts")
	line, err := os.ReadFile(known)
	must(t, err)
	must(t, os.Remove(known))
	code, said := runConnect(t, nil, target)
	if code != 1 || !strings.Contains(said, "not a known host") || !strings.Contains(said, strings.TrimSpace(strings.TrimSuffix(string(line), "\n"))[:60]) {
		t.Errorf("an unknown host: exit code %d: %s", code, said)
	}
	must(t, os.WriteFile(known, []byte(strings.Replace(string(line), "AAAA", "AAAB", 1)), 0o600))
	if code, said = runConnect(t, nil, target); code != 1 {
		t.Errorf("a broken line: exit code %d: %s", code, said)
	}
	must(t, os.WriteFile(known, line, 0o600))

	key := filepath.Join(s.home, ".ssh", "id_ed25519")
	must(t, os.Rename(key, key+".away"))
	if code, said = runConnect(t, nil, target); code != 1 || !strings.Contains(said, "there is no key") {
		t.Errorf("without a key: exit code %d: %s", code, said)
	}
	socket := filepath.Join(s.home, "agent")
	keyring, err := harness.Start("/usr/bin/ssh-agent", "-D", "-a", socket)
	must(t, err)
	t.Cleanup(func() { keyring.Stop(syscall.SIGTERM, endTimeout) })
	must(t, harness.Until(5*time.Second, "ssh-agent is there", func() error {
		_, err := os.Stat(socket)
		return err
	}))
	t.Setenv("SSH_AUTH_SOCK", socket)
	if out, err := exec.Command("ssh-add", key+".away").CombinedOutput(); err != nil {
		t.Fatalf("ssh-add: %v: %s", err, out)
	}
	r.debugThrough(r.ide(r.connect(target), nil, "order-loaded", "order-price"))

	// Over the standard streams.
	adapter := startAdapter(t, target)
	c = &ide{adapter.client, t}
	must(t, c.SessionWith(nil, ""))
	c.breakAt("order-loaded", "order-price")
	r.debugThrough(c)
	adapter.stdin.Close()
	adapter.ends(0)
}
