//go:build linux && amd64

package session

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/stall"
)

// Status is how an Engine stands, and what one Session has seen of it.
type Status struct {
	PID   int
	Armed bool
	Until time.Time // when the Engine ends by itself
	Rules []string  // the allow rules, as a person reads them

	// Of this session's requests. Passed ones reached a breakpoint and were not
	// stopped, since MaxFrozen were; the others ran untouched.
	Taken, Stopped, Passed, Thawed int
	// Of all requests that matched the rules since the session began. Declined:
	// no session wanted them. Silent: the agent did not answer in time. Full: the
	// gate's slots were taken.
	Matched, Declined, Silent, Full uint64

	InFlight, Frozen int // of the whole Engine

	MaxHold    time.Duration
	MaxFrozen  int
	Slots      int
	StallGuard int // StallGuardOff: off
	Sessions   int // IDEs that are attached
}

// tally is what a Session counts, guarded by Engine.mu.
type tally struct {
	taken, stopped, passed, thawed int
	since                          *board.Counts // the gate's counters when the session first asked
}

// Status tells how things stand. It reads the board and blocks for nothing.
func (s *Session) Status() (Status, error) {
	e := s.e
	counts, err := e.board.Counts()
	if err != nil {
		return Status{}, fmt.Errorf("read the gate's counters: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if s.tally.since == nil {
		s.tally.since = &counts
	}
	t, base := &s.tally, *s.tally.since
	st := Status{
		PID: e.cfg.PID, Armed: e.state == engineArmed, Until: time.Now().Add(e.end - board.Now()),
		Taken: t.taken, Stopped: t.stopped, Passed: t.passed, Thawed: t.thawed,
		Matched: counts.Matched - base.Matched, Declined: counts.Declined - base.Declined,
		Silent: counts.Silent - base.Silent, Full: counts.Full - base.Full,
		InFlight: len(e.requests), Frozen: e.frozen(),
		MaxHold: e.cfg.MaxHold, MaxFrozen: e.cfg.MaxFrozen, Slots: e.board.NumSlots(),
		StallGuard: e.cfg.StallGuard, Sessions: len(e.sessions),
	}
	for _, r := range e.cfg.Allow {
		st.Rules = append(st.Rules, r.String())
	}
	return st, nil
}

// Details is what is known of a request besides Request. Goroutines are those
// that it has started, and theirs; GoroutinesErr says why they are not known.
type Details struct {
	Request       Request
	Rule          string        // the first allow rule that fits; empty: none does any more
	FrozenFor     time.Duration // at this stop; 0: it runs
	ReleasedIn    time.Duration // it goes on by itself after that (MaxHold, the Engine's end); 0: it runs
	StopOfThread  time.Duration // in ptrace-stops, in all
	Goroutines    []stall.Goroutine
	GoroutinesErr error
}

// Details looks at a request in flight, whose goroutine has the ID goroutine.
// The list of goroutines is read while the service runs.
func (s *Session) Details(id RequestID, goroutine uint64) (Details, error) {
	e := s.e
	e.mu.Lock()
	r, err := s.lookup(id)
	if err != nil {
		e.mu.Unlock()
		return Details{}, err
	}
	d := Details{Request: r.info, Rule: e.cfg.ruleFor(r.info), StopOfThread: r.thread.StoppedInAll()}
	if r.state == requestFrozen {
		d.FrozenFor = time.Since(r.frozenAt)
		d.ReleasedIn = max(min(e.cfg.MaxHold-d.FrozenFor, e.end-board.Now()), 0)
	}
	tid := r.slot.TID
	e.mu.Unlock()
	if e.goroutines == nil {
		d.GoroutinesErr = errNoGoroutines
		return d, nil
	}
	d.Goroutines, d.GoroutinesErr = e.goroutines.Family(goroutine, tid)
	return d, nil
}

var errNoGoroutines = errors.New("the runtime's list of goroutines cannot be read in this binary")

// ruleFor is the first rule that a request fits. The board does not keep which
// one it was, and not the headers that a rule may ask for.
func (c *Config) ruleFor(r Request) string {
	for _, rule := range c.Allow {
		if rule.Prefix.Contains(r.Client) && (rule.Method == "" || rule.Method == r.Method) && strings.HasPrefix(r.Path, rule.PathPrefix) {
			return rule.String()
		}
	}
	return ""
}

// String is the rule as a person reads it: "203.0.113.7/32 GET /orders".
func (r Rule) String() string {
	s := r.Prefix.String()
	if r.Method != "" {
		s += " " + r.Method
	}
	if r.PathPrefix != "" {
		s += " " + r.PathPrefix
	}
	if r.HeaderName != "" {
		s += " with header " + r.HeaderName // its value may be a secret
	}
	return s
}
