//go:build linux && amd64

package board_test

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
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for another process.
const patience = 20 * time.Second

// buildDir holds what the tests build; TestMain removes it.
var buildDir string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if buildDir, err = os.MkdirTemp("", "remotedbg-board-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(buildDir)
	return m.Run()
}

// buildShop builds the example service as its users build theirs, outside the
// workspace, once for each set of flags.
func buildShop(t *testing.T, flags ...string) string {
	t.Helper()
	exe := filepath.Join(buildDir, "shop"+strings.NewReplacer(" ", "", "/", "").Replace(strings.Join(flags, "")))
	if _, err := os.Stat(exe); err == nil {
		return exe
	}
	goBuild(t, filepath.Join("..", "..", "integration", "targets"), append(flags, "-o", exe, "./shop")...)
	return exe
}

func goBuild(t *testing.T, dir string, args ...string) {
	t.Helper()
	// -buildvcs=false: the checkout may belong to another user.
	cmd := exec.Command("go", append([]string{"build", "-buildvcs=false"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %v: %v\n%s", args, err, out)
	}
}

// start runs a program and kills it when the test ends. If first is not empty
// it waits for a line of output that begins so, and returns the rest of it.
func start(t *testing.T, first string, argv ...string) (pid int, line string) {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL) // fails if it has exited
		_ = cmd.Wait()                          // says that it was killed
	})
	if first == "" {
		return cmd.Process.Pid, ""
	}
	text, err := bufio.NewReader(out).ReadString('\n')
	line, ok := strings.CutPrefix(strings.TrimSpace(text), first)
	if !ok {
		t.Fatalf("%s wrote %q, %v", argv[0], text, err)
	}
	return cmd.Process.Pid, line
}

// startShop runs a shop and returns its process id and URL.
func startShop(t *testing.T, exe string) (pid int, url string) {
	t.Helper()
	pid, addr := start(t, "shop listening on ", exe, "-addr", "127.0.0.1:0")
	return pid, "http://" + addr
}

// get sends a request from the local address from, which Linux allows for all
// of 127.0.0.0/8, and returns its status.
func get(from, url string) (int, error) {
	return send(from, http.MethodGet, url, nil)
}

func send(from, method, url string, header http.Header) (int, error) {
	client := http.Client{
		Timeout: patience,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: (&net.Dialer{
				LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)},
			}).DialContext,
		},
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return 0, err
	}
	if header != nil {
		req.Header = header
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, nil
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

// inBackground runs f and gives a function that waits for it.
func inBackground(f func()) (wait func()) {
	var wg sync.WaitGroup
	wg.Go(f)
	return wg.Wait
}
