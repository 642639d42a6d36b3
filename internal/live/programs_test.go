//go:build linux && amd64

package live_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait for another process.
const patience = 20 * time.Second

const (
	allowed = "127.0.0.2" // where gated requests come from
	others  = "127.0.0.1"

	shopDir = "../../integration/targets/shop"
	spinDir = "testdata/spin"
)

// buildDir holds what the tests build; TestMain removes it.
var buildDir string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if what := os.Getenv(armVariable); what != "" {
		fmt.Fprintln(os.Stderr, armForever(what))
		return 1
	}
	var err error
	if buildDir, err = os.MkdirTemp("", "remotedbg-live-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(buildDir)
	return m.Run()
}

// build builds a service as its users build theirs, optimised and outside the
// workspace, once for all tests.
func build(t *testing.T, dir string) string {
	t.Helper()
	exe := filepath.Join(buildDir, filepath.Base(dir))
	if _, err := os.Stat(exe); err == nil {
		return exe
	}
	// -buildvcs=false: the checkout may belong to another user.
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", exe, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build in %s: %v\n%s", dir, err, out)
	}
	return exe
}

// launch starts a service and waits until it listens.
func launch(t *testing.T, exe string, args ...string) (cmd *exec.Cmd, url string) {
	t.Helper()
	cmd = exec.Command(exe, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	_, addr, ok := strings.Cut(strings.TrimSpace(line), " listening on ")
	if !ok {
		t.Fatalf("%s wrote %q, %v", exe, line, err)
	}
	return cmd, "http://" + addr
}

// clientFrom is an HTTP client whose requests come from a local address, which
// Linux allows for all of 127.0.0.0/8.
func clientFrom(ip string) *http.Client {
	return &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext:       (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}).DialContext,
		},
	}
}

// get sends a request and returns the status of its response.
func get(from, url string) (int, error) { return getContext(context.Background(), from, url) }

func getContext(ctx context.Context, from, url string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := clientFrom(from).Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, nil
}

// reply is a response that is awaited.
type reply struct {
	hangUp context.CancelFunc // the client goes away
	done   chan struct{}      // closed when the rest is there
	status int
	err    error
}

func ask(from, url string) *reply {
	ctx, cancel := context.WithCancel(context.Background())
	r := &reply{hangUp: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		defer cancel()
		r.status, r.err = getContext(ctx, from, url)
	}()
	return r
}

// ok waits for a response with status 200.
func (r *reply) ok(t *testing.T) {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(patience):
		t.Fatalf("no response within %v", patience)
	}
	if r.err != nil || r.status != http.StatusOK {
		t.Fatalf("response: status %d, %v", r.status, r.err)
	}
}

// pending says whether the response is still to come.
func (r *reply) pending() bool {
	select {
	case <-r.done:
		return false
	default:
		return true
	}
}

// eventually waits until f is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// markers finds the //bp: marks in the sources of a service.
var markers = sync.OnceValues(func() (map[string]string, error) {
	found := make(map[string]string) // name -> "file:line"
	for _, dir := range []string{shopDir, spinDir, calleesDir} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			n := 0
			for line := range strings.Lines(string(text)) {
				n++
				if _, name, ok := strings.Cut(line, "//bp:"); ok {
					found[strings.TrimSpace(name)] = fmt.Sprintf("%s:%d", filepath.Base(file), n)
				}
			}
		}
	}
	return found, nil
})
