//go:build linux && amd64

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// trial is one run of a row: the agents, IDEs and held requests in it.
type trial struct {
	*rig
	number int
	rng    *rand.Rand
	label  string    // what this trial did, for a person
	began  time.Time // before anything of it
	fault  time.Time // when the fault happened

	machine *pulse

	agents   []*harness.Agent
	ides     []*daptest.Client
	working  sync.WaitGroup // goroutines that drive an IDE or send requests
	stopping chan struct{}  // closed by end: they are to end

	// What the service and the agent used at first, see note.
	service0, agent0 usage

	heldMu  sync.Mutex
	pending []*held
	past    []*held // those that were checked

	seen strings.Builder // what failing saw
}

// held is an allowlisted request.
type held struct {
	path  string
	want  string
	sent  time.Time
	reply harness.Reply // valid when over is closed
	at    time.Time     // when it came
	over  chan struct{}
}

// strike notes that the fault happens now.
func (t *trial) strike() { t.fault = time.Now() }

// between is a random duration.
func (t *trial) between(least, most time.Duration) time.Duration {
	return least + time.Duration(t.rng.Int64N(int64(most-least)+1))
}

// pause waits: the random moment of a fault is a wait for nothing else.
func pause(d time.Duration) { <-time.After(d) }

// attach starts an agent.
func (t *trial) attach(args ...string) (*harness.Agent, error) {
	began := time.Now()
	a, err := harness.StartAgent(t.agent, t.service.PID, append([]string{"--role", "mutate"}, args...)...)
	if err != nil {
		return nil, err
	}
	t.attachTime = time.Since(began)
	t.agents = append(t.agents, a)
	return a, nil
}

// dial connects an IDE.
func (t *trial) dial(a *harness.Agent) (*daptest.Client, error) {
	c, err := a.Dial()
	if err == nil {
		t.ides = append(t.ides, c)
	}
	return c, err
}

// extraFile has a dozen marks that the trials' own requests do not pass: IDEs send
// all the breakpoints of a workspace. The order in which files are sent is random,
// so that either these or the ones that matter find no hardware and are uprobes
// while a request runs.
const extraFile = "memory.go"

// open makes a session with breakpoints at marks.
func (t *trial) open(c *daptest.Client, names ...string) error {
	if _, err := c.Initialize(); err != nil {
		return err
	}
	// The last IDE may have hung up a moment ago without a word.
	err := harness.Until(2*time.Second, "the agent takes another IDE", func() error { return c.Attach(nil) })
	if err != nil {
		return err
	}
	if _, err := c.WaitEvent("initialized"); err != nil {
		return err
	}
	lines := make(map[string][]int)
	for _, name := range names {
		m, found := t.marks[name]
		if !found {
			return fmt.Errorf("no line is marked //bp:%s", name)
		}
		lines[m.File] = append(lines[m.File], m.Line)
	}
	if t.uprobes {
		for _, m := range t.marks {
			if filepath.Base(m.File) == extraFile {
				lines[m.File] = append(lines[m.File], m.Line)
			}
		}
	}
	for file, list := range lines {
		bps, err := c.SetBreakpoints(file, list...)
		if err != nil {
			return err
		}
		for _, bp := range bps {
			if !bp.Verified {
				return fmt.Errorf("a breakpoint of %v is not verified: %s", names, bp.Message)
			}
		}
	}
	return c.ConfigurationDone()
}

// request sends an allowlisted request, which must be answered as if nobody
// debugged the service.
func (t *trial) request(path string) (*held, error) {
	want, err := t.body(path)
	if err != nil {
		return nil, err
	}
	h := &held{path: path, want: want, sent: time.Now(), over: make(chan struct{})}
	t.heldMu.Lock()
	t.pending = append(t.pending, h)
	t.heldMu.Unlock()
	client := t.allowed
	t.working.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		h.reply = client.Get(ctx, path)
		h.at = time.Now()
		close(h.over)
	})
	return h, nil
}

// latest is the request that was sent last.
func (t *trial) latest() *held {
	t.heldMu.Lock()
	defer t.heldMu.Unlock()
	return t.pending[len(t.pending)-1]
}

// answered waits until every request of the trial is answered, and checks the
// answers.
func (t *trial) answered() error {
	t.heldMu.Lock()
	defer t.heldMu.Unlock()
	timeout := time.After(answerTimeout)
	var errs []error
	for _, h := range t.pending {
		select {
		case <-h.over:
			errs = append(errs, h.check())
			if !t.fault.IsZero() {
				t.measured("the held request was answered after", h.at.Sub(t.fault))
			}
		case <-timeout:
			return fmt.Errorf("the held request %s was not answered within %v", h.path, answerTimeout)
		}
	}
	t.past, t.pending = append(t.past, t.pending...), nil
	return errors.Join(errs...)
}

func (h *held) check() error {
	r := h.reply
	if r.Err != nil || r.Status != http.StatusOK || r.Body != h.want {
		return fmt.Errorf("the held request %s: status %d, error %v, body %q; undisturbed it is %q", h.path, r.Status, r.Err, r.Body, h.want)
	}
	return nil
}

// frozen says whether h has not been answered yet.
func (h *held) frozen() bool {
	select {
	case <-h.over:
		return false
	default:
		return true
	}
}

// end ends what the trial left running: its agents and IDEs. Requests are
// awaited by answered.
func (t *trial) end() {
	close(t.stopping)
	for _, c := range t.ides {
		c.Close()
	}
	for _, a := range t.agents {
		a.Kill()
	}
}

func (t *trial) dump() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", t.label)
	for _, a := range t.agents {
		fmt.Fprintf(&b, "agent (pid %d) wrote:\n%s\n", a.PID, tail(a.Stderr.String()))
	}
	fmt.Fprintf(&b, "service (pid %d) wrote:\n%s", t.service.PID, tail(t.service.Stderr.String()))
	return b.String()
}
