//go:build linux && amd64

package recovery

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/vmem"
	"golang.org/x/sys/unix"
)

// patience bounds every wait for another process.
const patience = 20 * time.Second

// allowed is where the tests send gated requests from.
const allowed = "127.0.0.2"

// shop is the example service, built once.
var shop string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "remotedbg-recovery-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	shop = filepath.Join(dir, "shop")
	// -buildvcs=false: the checkout may belong to another user.
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", shop, "./shop")
	cmd.Dir = filepath.Join("..", "..", "integration", "targets")
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %v\n%s", cmd.Args, err, out)
		return 1
	}
	return m.Run()
}

// service is a shop whose board the test writes, as an agent does.
type service struct {
	*board.Board
	t   *testing.T
	pid int
	mem vmem.Process
	img *board.Image
	url string
}

func newService(t *testing.T) *service {
	t.Helper()
	cmd := exec.Command(shop, "-addr", "127.0.0.1:0")
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
	text, err := bufio.NewReader(out).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(text), "shop listening on ")
	if !ok {
		t.Fatalf("the shop wrote %q, %v", text, err)
	}
	s := &service{t: t, pid: cmd.Process.Pid, url: "http://" + addr}
	s.mem = vmem.Process{PID: s.pid}
	if s.img, err = board.Locate(s.pid); err != nil {
		t.Fatal(err)
	}
	if s.Board, err = board.Open(s.mem, s.img); err != nil {
		t.Fatal(err)
	}
	return s
}

// arm arms the gate for the agent with process id pid.
func (s *service) arm(pid int) {
	s.t.Helper()
	rule := board.Rule{Prefix: netip.MustParsePrefix(allowed + "/32")}
	if err := s.Arm(pid, []board.Rule{rule}, board.Now()+time.Minute); err != nil {
		s.t.Fatal(err)
	}
}

// deadPID is the process id of a process that has ended.
func deadPID(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

// slot waits until one is in a state, and returns it.
func (s *service) slot(want board.State) (found board.Slot) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("a slot in state %d", want), func() bool {
		for _, slot := range s.slots() {
			if slot.State == want {
				found = slot
				return true
			}
		}
		return false
	})
	return found
}

func (s *service) slots() []board.Slot {
	s.t.Helper()
	var buf []byte
	slots, err := s.ReadSlots(nil, &buf)
	if err != nil {
		s.t.Fatal(err)
	}
	return slots
}

// accept sends a gated request and accepts it, as an agent does that dies right
// then. response waits for its status.
func (s *service) accept(path string) (slot board.Slot, response func() int) {
	s.t.Helper()
	stop, seen := context.WithCancel(context.Background())
	s.t.Cleanup(seen)
	done := make(chan int, 1)
	go func() {
		for { // on a busy machine the 100 ms of an offer can go by unseen
			status, err := get(s.url + path)
			if err != nil {
				s.t.Error(err)
			}
			if stop.Err() != nil || err != nil {
				done <- status
				return
			}
		}
	}()
	slot = s.slot(board.StateOffered)
	seen()
	if err := s.Answer(slot.Index, slot.Gen, true); err != nil {
		s.t.Fatal(err)
	}
	_ = unix.Tgkill(s.pid, slot.TID, unix.SIGURG) // wakes it sooner
	return slot, func() int { return <-done }
}

// get sends a gated request and returns its status.
func get(url string) (int, error) {
	client := http.Client{
		Timeout: patience,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext:       (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(allowed)}}).DialContext,
		},
	}
	resp, err := client.Get(url)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// heal heals and checks the report.
func (s *service) heal(want Report) {
	s.t.Helper()
	got, err := Heal(s.pid, s.Board)
	if err != nil || got.String() != want.String() {
		s.t.Fatalf("Heal reports %q, %v; want %q", got, err, want)
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
