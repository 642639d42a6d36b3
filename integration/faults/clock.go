//go:build linux && amd64

package main

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// clockShift is how far the wall clock is set: a day, and an hour by which it
// shows in a log that tells the time of day alone.
const clockShift = 25 * time.Hour

// jumpFor is how long the clock jumps about in a state: longer than the lease,
// which is five seconds.
const jumpFor = 6 * time.Second

// clockCases are what must not be disturbed by it.
var clockCases = []struct {
	what  string
	args  []string
	state state
	check func(*trial, *clockRig) error
}{
	{"frozen", nil, frozen, (*trial).jumpWhileFrozen},
	{"frozen, --max-hold 3s", []string{"--max-hold", "3s"}, frozen, (*trial).jumpUntilHeldTooLong},
	{"stepping", nil, nexting, (*trial).jumpWhileStepping},
	{"armed and idle", nil, idle, (*trial).jumpWhileIdle},
	{"frozen, --for 8s", []string{"--for", "8s"}, frozen, (*trial).jumpUntilExpired},
	{"requests taken and let go", nil, passing, (*trial).jumpAlong},
}

// clockRig is what a trial with clocks has.
type clockRig struct {
	agent    *harness.Agent
	ide      *daptest.Client
	watchdog int
	clocks   []*harness.WallClock // of the service, the agent and the watchdog
	ahead    time.Duration        // what they are set to
	first    time.Duration        // where the first jump goes
	attached [2]time.Time         // before and after the agent did
	board    *harness.Board
}

// setClocks sets the wall clock of service, agent and watchdog forth and back
// by a day, several times, in each state. Nothing may be different for it.
func setClocks(t *trial) error {
	c := clockCases[t.number%len(clockCases)]
	r := &clockRig{first: clockShift}
	if t.number/len(clockCases)%2 == 1 {
		r.first = -clockShift
	}
	t.label = fmt.Sprintf("%s, first by %v", c.what, r.first)
	t.counted(c.what)
	defer r.close()
	if err := t.takeClocks(r, c.args); err != nil {
		return err
	}
	var err error
	if r.ide, err = t.bring(r.agent, c.state); err != nil {
		return err
	}
	watch := t.watchBoard(r.board)
	err = c.check(t, r)
	if c.args == nil || c.args[0] != "--for" { // then it is not armed any more
		err = errors.Join(err, watch.stop())
	}
	if err != nil {
		return err
	}
	return t.endClocks(r)
}

// takeClocks starts an agent and takes the three clocks.
func (t *trial) takeClocks(r *clockRig, args []string) (err error) {
	if r.board, err = harness.OpenBoard(t.service.PID); err != nil {
		return err
	}
	r.attached[0] = time.Now()
	if r.agent, err = t.attach(args...); err != nil {
		return err
	}
	r.attached[1] = time.Now()
	if r.watchdog, err = watchdogOf(r.agent); err != nil {
		return err
	}
	for _, pid := range []int{t.service.PID, r.agent.PID, r.watchdog} {
		c, err := harness.TakeWallClock(pid)
		if err != nil {
			return err
		}
		r.clocks = append(r.clocks, c)
	}
	return nil
}

// close sets the service's clock right again; the others are gone or will be.
func (r *clockRig) close() {
	for _, c := range r.clocks {
		_ = c.Set(0)
	}
	if r.board != nil {
		_ = r.board.Close()
	}
}

// set sets all clocks, and makes sure that they are.
func (t *trial) set(r *clockRig, ahead time.Duration) error {
	r.ahead = ahead
	for _, c := range r.clocks {
		if err := c.Set(ahead); err != nil {
			return err
		}
		if got, err := c.Ahead(); err != nil || got != ahead {
			return fmt.Errorf("a clock is ahead by %v, not %v: %w", got, ahead, err)
		}
	}
	t.counted("jumps")
	return t.dated(ahead)
}

// dated holds the Date header of the service, which net/http takes from
// time.Now, against what its clock is set to.
func (t *trial) dated(ahead time.Duration) error {
	before := time.Now()
	resp, err := t.others.HTTP.Get(t.service.URL + "/healthz")
	if err != nil {
		return err
	}
	resp.Body.Close()
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return fmt.Errorf("the service's Date: %w", err)
	}
	// It is cut to seconds.
	if date.Before(before.Add(ahead-time.Second)) || date.After(time.Now().Add(ahead)) {
		return fmt.Errorf("the service's clock says %v, which is not %v ahead", date, ahead)
	}
	return nil
}

// jump sets the clocks about until over is closed, for so long at most.
func (t *trial) jump(r *clockRig, over <-chan struct{}, length time.Duration) error {
	t.strike()
	end := time.After(length)
	for ahead := r.first; ; ahead = -ahead {
		if err := t.set(r, ahead); err != nil {
			return err
		}
		select {
		case <-over:
			return nil
		case <-end:
			return nil
		case <-time.After(t.between(50*time.Millisecond, 1200*time.Millisecond)):
		}
	}
}

func (t *trial) jumpWhileFrozen(r *clockRig) error {
	h := t.latest()
	if err := t.jump(r, h.over, jumpFor); err != nil {
		return err
	}
	if !h.frozen() {
		return fmt.Errorf("the frozen request was let go of after %v", h.at.Sub(t.fault))
	}
	return nil
}

// budgetSlack is what an end that is due may be late, on a machine this busy.
const budgetSlack = time.Second

func (t *trial) jumpUntilHeldTooLong(r *clockRig) error {
	// The request is frozen for up to 400 ms already: what enter waits.
	const budget, before = 3 * time.Second, 500 * time.Millisecond
	h := t.latest()
	if err := t.jump(r, h.over, budget+budgetSlack); err != nil {
		return err
	}
	if h.frozen() {
		return fmt.Errorf("the request is still frozen after %v", time.Since(t.fault))
	}
	took := h.at.Sub(t.fault)
	t.measured("--max-hold 3s ended, from the first jump, after", took)
	if took < budget-before || took > budget+budgetSlack {
		return fmt.Errorf("--max-hold %v ended after %v", budget, took)
	}
	if _, err := r.ide.WaitOutput("--max-hold"); err != nil {
		return fmt.Errorf("the IDE was not told: %w", err)
	}
	return nil
}

func (t *trial) jumpUntilExpired(r *clockRig) error {
	const length = 8 * time.Second
	h := t.latest()
	// Not to the very end: there is no clock to set in a process that has gone.
	if err := t.jump(r, r.agent.Done(), length-time.Second-time.Since(r.attached[1])); err != nil {
		return err
	}
	select {
	case <-h.over:
	case <-time.After(3 * time.Second):
		return fmt.Errorf("%v after the agent attached for %v the request is frozen", time.Since(r.attached[1]), length)
	}
	if code, err := r.agent.Wait(endTimeout); err != nil || code != 0 {
		return fmt.Errorf("the agent did not end when its time was over: %d, %w", code, err)
	}
	since, atMost := h.at.Sub(r.attached[0]), h.at.Sub(r.attached[1])
	t.measured("--for 8s ended after", atMost)
	if since < length || atMost > length+budgetSlack {
		return fmt.Errorf("--for %v ended %v to %v after the start", length, atMost, since)
	}
	return nil
}

func (t *trial) jumpWhileStepping(r *clockRig) error {
	before := t.times["steps"]
	if err := t.jump(r, nil, jumpFor); err != nil {
		return err
	}
	t.mu.Lock()
	steps := t.times["steps"] - before
	t.mu.Unlock()
	if steps == 0 {
		return errors.New("nothing was stepped while the clocks were set")
	}
	return nil
}

// jumpWhileIdle has the gate stay armed: a request is taken afterwards.
func (t *trial) jumpWhileIdle(r *clockRig) error {
	if err := t.jump(r, nil, jumpFor); err != nil {
		return err
	}
	stop, err := t.firstStop(r.ide, "/orders/7")
	if err != nil {
		return err
	}
	return r.ide.Continue(stop.ThreadId)
}

// jumpAlong leaves it to the requests that are sent all the time.
func (t *trial) jumpAlong(r *clockRig) error { return t.jump(r, nil, jumpFor) }

// endClocks ends the agent, which must not have noticed anything.
func (t *trial) endClocks(r *clockRig) error {
	if r.agent.Running() {
		if pid, err := watchdogOf(r.agent); err != nil || pid != r.watchdog {
			return fmt.Errorf("the watchdog is %d, and was %d: %w", pid, r.watchdog, err)
		}
	}
	now := time.Now()
	code, err := r.agent.Stop(termination, endTimeout)
	if err != nil || code != 0 {
		return fmt.Errorf("the agent ended with %d: %w", code, err)
	}
	return loggedAhead(r.agent.Stderr.String(), now, r.ahead)
}

var (
	logStamp  = regexp.MustCompile(`(?m)^(\d\d:\d\d:\d\d\.\d{3}) disarmed: `)
	logLength = regexp.MustCompile(`released after (\S+) `)
)

// loggedAhead looks for the agent's clock in the line of its log in which it
// says that it disarms, and for a length of time that the clock has spoilt.
func loggedAhead(log string, now time.Time, ahead time.Duration) error {
	found := logStamp.FindStringSubmatch(log)
	if found == nil {
		return errors.New("the agent did not log that it disarms")
	}
	stamp, err := time.ParseInLocation("15:04:05.000", found[1], now.Location())
	if err != nil {
		return err
	}
	want := now.Add(ahead)
	day := func(t time.Time) time.Duration {
		return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second
	}
	const most = 15 * time.Second // since now was taken, or before: it may have ended by itself
	off := (day(stamp) - day(want) + 36*time.Hour) % (24 * time.Hour)
	if off < 12*time.Hour-most || off > 12*time.Hour+most {
		return fmt.Errorf("the agent's log says %s, and its clock %s", found[1], want.Format("15:04:05"))
	}
	for _, m := range logLength.FindAllStringSubmatch(log, -1) {
		if took, err := time.ParseDuration(m[1]); err != nil || took < 0 || took > time.Minute {
			return fmt.Errorf("the agent says that a request was %s", m[0])
		}
	}
	return nil
}
