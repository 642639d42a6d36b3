package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/gate"
)

func newServer(t *testing.T) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(newMux(new(gate.Gate), newService(newStore())))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of /panic
	srv.Start()
	t.Cleanup(srv.Close)
	return srv
}

func get200(t *testing.T, url string) map[string]any {
	t.Helper()
	status, body := fetch(t, url)
	if status != http.StatusOK {
		t.Fatalf("GET %s: status %d: %s", url, status, body)
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatalf("GET %s: %v: %s", url, err, body)
	}
	return m
}

func fetch(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestOrders(t *testing.T) {
	srv := newServer(t)
	m := get200(t, srv.URL+"/orders/7")
	order := m["order"].(map[string]any)
	if len(order["items"].([]any)) != 3 || order["attributes"].(map[string]any)["gift"] != "yes" ||
		order["customer"].(map[string]any)["name"] != "Edsger" || m["payment_text"] != "invoice, 30 days" {
		t.Errorf("order 7 = %v", m)
	}
	// 1995 + 12*149 + 2*4900, less 10 % of the pens.
	if m["total_cents"] != 13405.0 || m["discount_cents"] != 178.0 {
		t.Errorf("price of order 7: %v less %v", m["total_cents"], m["discount_cents"])
	}
	get200(t, srv.URL+"/orders/1")
	get200(t, srv.URL+"/orders/20")
	for path, want := range map[string]int{
		"/orders/21": http.StatusNotFound, "/orders/0": http.StatusBadRequest, "/orders/x": http.StatusBadRequest,
	} {
		if status, body := fetch(t, srv.URL+path); status != want || !strings.Contains(body, "error") {
			t.Errorf("%s: status %d, want %d: %s", path, status, want, body)
		}
	}
	if resp, err := http.Post(srv.URL+"/orders/7", "", nil); err != nil || resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %v, %v", resp, err)
	}
}

func TestOtherRoutes(t *testing.T) {
	srv := newServer(t)
	for path, want := range map[string]map[string]any{
		"/slow?ms=1":       {"slept_ms": 1.0},
		"/spawn":           {"sum": 14.0},
		"/recursive?n=100": {"sum": 5050.0},
		"/recursive?n=0":   {"sum": 0.0},
		"/whoami":          {"addr": "127.0.0.1", "reason": gate.ReasonDirectPeer},
		"/steps": {"depth": 4.0, "slept": 41.0, "locked": 42.0, "got": 43.0,
			"health": "ok\n", "summary": 129.0},
	} {
		got := get200(t, srv.URL+path)
		if len(got) != len(want) {
			t.Errorf("%s = %v, want %v", path, got, want)
		}
		for k, v := range want {
			if got[k] != v {
				t.Errorf("%s: %s = %v, want %v", path, k, got[k], v)
			}
		}
	}
	for _, path := range []string{"/slow?ms=x", "/slow?ms=-1", "/recursive?n=1001"} {
		if status, _ := fetch(t, srv.URL+path); status != http.StatusBadRequest {
			t.Errorf("%s: status %d", path, status)
		}
	}
	if status, body := fetch(t, srv.URL+"/healthz"); status != http.StatusOK || body != "ok\n" {
		t.Errorf("/healthz: %d %q", status, body)
	}
}

func TestWhoamiOfAnUnknownClient(t *testing.T) {
	r := httptest.NewRequest("GET", "/whoami", nil)
	r.RemoteAddr = "@"
	w := httptest.NewRecorder()
	newMux(new(gate.Gate), newService(newStore())).ServeHTTP(w, r)
	if want := `{"addr":"","reason":"` + gate.ReasonNotIPAndPort + "\"}\n"; w.Body.String() != want {
		t.Errorf("whoami = %q, want %q", w.Body, want)
	}
}

func TestPanicEndsTheConnectionOnly(t *testing.T) {
	srv := newServer(t)
	if resp, err := http.Get(srv.URL + "/panic"); err == nil {
		t.Errorf("status %d", resp.StatusCode)
	}
	if status, _ := fetch(t, srv.URL+"/healthz"); status != http.StatusOK {
		t.Error("the service is down")
	}
}

// buildShop builds the shop the way a user would.
func buildShop(t *testing.T) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "shop")
	cmd := exec.Command("go", "build", "-o", exe, ".")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return exe
}

// TestProcess starts the program, asks it something, and ends it while a
// request is in flight.
func TestProcess(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, buildShop(t), "-addr", "127.0.0.1:0", "-gc", "10ms")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stdout := bufio.NewReader(out)
	line, err := stdout.ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "shop listening on ")
	if err != nil || !ok {
		t.Fatalf("first line %q, %v", line, err)
	}
	if _, port, err := net.SplitHostPort(addr); err != nil || port == "0" {
		t.Errorf("address %q", addr)
	}
	get200(t, "http://"+addr+"/orders/7")
	slow := make(chan string)
	go func() {
		_, body := fetch(t, "http://"+addr+"/slow?ms=500")
		slow <- body
	}()
	time.Sleep(100 * time.Millisecond) // let it get there
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if body := <-slow; body != "{\"slept_ms\":500}\n" {
		t.Errorf("the request in flight got %q", body)
	}
	rest, _ := io.ReadAll(stdout)
	if err := cmd.Wait(); err != nil || len(rest) > 0 {
		t.Errorf("it ended with %v, after printing %q", err, rest)
	}
}
