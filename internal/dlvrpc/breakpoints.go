//go:build linux && amd64

package dlvrpc

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-delve/delve/pkg/locspec"
	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/service/api"
	"github.com/go-delve/delve/service/rpc2"

	"github.com/remotedbg/remotedbg/internal/session"
)

// breakpoint is one of the client's. What the client may change without touching
// the engine lies in info, which is replaced and never written to.
type breakpoint struct {
	id     int
	place  session.Place // where; its When is the engine's present one
	engine int           // the engine's ID of it; 0: disabled
	info   *api.Breakpoint
}

func (b *breakpoint) owner() string { return strconv.Itoa(b.id) }

// breakpoints are a connection's. They are changed by the goroutine that carries
// out calls alone, and looked at by others.
type breakpoints struct {
	mu   sync.Mutex
	last int
	list map[int]*breakpoint
}

func newBreakpoints() *breakpoints { return &breakpoints{list: make(map[int]*breakpoint)} }

func (bs *breakpoints) get(id int) (b breakpoint, ok bool) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	p := bs.list[id]
	if p == nil {
		return breakpoint{}, false
	}
	return *p, true
}

func (bs *breakpoints) named(name string) (b breakpoint, ok bool) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	for _, p := range bs.list {
		if p.info.Name == name {
			return *p, true
		}
	}
	return breakpoint{}, false
}

func (bs *breakpoints) put(b breakpoint) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	bs.list[b.id] = &b
	bs.last = max(bs.last, b.id)
}

func (bs *breakpoints) drop(id int) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	delete(bs.list, id)
}

// all is sorted by ID.
func (bs *breakpoints) all() []breakpoint {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	var all []breakpoint
	for _, p := range bs.list {
		all = append(all, *p)
	}
	slices.SortFunc(all, func(a, b breakpoint) int { return cmp.Compare(a.id, b.id) })
	return all
}

// hitBy finds what the client knows of the breakpoint that the engine calls by
// one of ids.
func (c *conn) hitBy(ids []int) *api.Breakpoint {
	for _, b := range c.breakpoints.all() {
		if b.engine != 0 && slices.Contains(ids, b.engine) {
			return c.show(b)
		}
	}
	return nil
}

// show is a breakpoint as the client gets to see it, with the engine's counts.
func (c *conn) show(b breakpoint) *api.Breakpoint {
	shown := *b.info
	shown.ID, shown.Disabled = b.id, b.engine == 0
	if p, ok := c.sess.Placed(b.engine); b.engine != 0 && ok {
		shown.TotalHitCount = p.Hits
		shown.HitCount = make(map[string]uint64, len(p.ByGoroutine))
		for g, n := range p.ByGoroutine {
			shown.HitCount[strconv.FormatInt(g, 10)] = n
		}
	}
	return &shown
}

// arm sets b in the engine, and notes where it really is, also if it cannot be
// set there.
func (c *conn) arm(b *breakpoint) error {
	if b.info.Tracepoint || b.info.TraceReturn {
		b.place.Capture = c.capture(b.id)
	} else {
		b.place.Capture = nil
	}
	b.place.When = session.When{Condition: b.info.Cond, HitCondition: b.info.HitCond}
	b.place.PerGoroutine = b.info.HitCondPerG
	set, err := c.sess.SetPlace(b.owner(), &b.place)
	if err != nil {
		return err
	}
	p, _ := c.sess.Placed(set.ID)
	info := *b.info
	info.ID, info.File, info.Line, info.FunctionName = b.id, set.File, set.Line, p.Function
	info.Addrs, info.AddrPid = p.Addrs, slices.Repeat([]int{c.cfg.PID}, len(p.Addrs))
	if len(p.Addrs) > 0 {
		info.Addr = p.Addrs[0]
	}
	if d := b.place.Data; d.Size != 0 {
		info.Addr, info.Addrs, info.AddrPid = d.Addr, []uint64{d.Addr}, []int{c.cfg.PID}
	}
	b.engine, b.info = set.ID, &info
	if !set.Verified {
		return errors.New(set.Message)
	}
	return nil
}

// disarm removes b from the engine.
func (c *conn) disarm(b *breakpoint) error {
	_, err := c.sess.SetPlace(b.owner(), nil)
	b.engine = 0
	return err
}

// CreateBreakpoint sets a breakpoint at a line of a file, a line of a function,
// or addresses, the first that is given.
func (s service) CreateBreakpoint(arg rpc2.CreateBreakpointIn, out *rpc2.CreateBreakpointOut) error {
	want := arg.Breakpoint
	want.WatchExpr, want.WatchType = "", 0 // that is CreateWatchpoint's
	if err := s.acceptable(&want); err != nil {
		return err
	}
	if want.Name != "" {
		if _, taken := s.breakpoints.named(want.Name); taken {
			return fmt.Errorf("remotedbg: breakpoint name %q already exists", want.Name)
		}
	}
	if old, taken := s.breakpoints.get(want.ID); want.ID > 0 && taken {
		out.Breakpoint = *s.show(old)
		return proc.BreakpointExistsError{File: old.info.File, Line: old.info.Line, Addr: old.info.Addr}
	}
	if want.ID <= 0 {
		want.ID = s.breakpoints.last + 1
	}
	place, err := s.placeOf(&want, arg)
	if err != nil {
		return err
	}
	b := breakpoint{id: want.ID, place: place, info: &want}
	err = wrap("set breakpoint", s.arm(&b))
	for _, other := range s.breakpoints.all() {
		if other.engine != 0 && len(b.info.Addrs) > 0 && slices.Equal(other.info.Addrs, b.info.Addrs) {
			err = proc.BreakpointExistsError{File: other.info.File, Line: other.info.Line, Addr: other.info.Addr}
		}
	}
	if err != nil {
		_ = s.disarm(&b) // the engine has ended if it fails, and then it is gone anyway
		return err
	}
	s.breakpoints.put(b)
	out.Breakpoint = *s.show(b)
	return nil
}

// acceptable checks what a client asks of a breakpoint.
func (s service) acceptable(want *api.Breakpoint) error {
	if err := api.ValidBreakpointName(want.Name); err != nil {
		return fmt.Errorf("remotedbg: %w", err)
	}
	switch {
	case want.TraceFollowCalls > 0:
		return refuse("trace --follow-calls", errors.New("each function below needs hardware breakpoints of its own, of which a thread has 4"))
	}
	want.HitCount, want.TotalHitCount = nil, 0
	return nil
}

// placeOf says where a breakpoint is to be.
func (s service) placeOf(want *api.Breakpoint, arg rpc2.CreateBreakpointIn) (p session.Place, err error) {
	switch {
	case want.TraceReturn && want.Addr != 0:
		p.Addrs = []uint64{want.Addr}
	case want.File != "":
		p.File, p.Line = want.File, want.Line
	case want.FunctionName != "":
		p.Function, p.Line = want.FunctionName, max(want.Line, 0)
	case len(want.Addrs) > 0:
		p.Addrs = want.Addrs
	case want.Addr != 0:
		p.Addrs = []uint64{want.Addr}
	case arg.LocExpr != "":
		locs, _, err := s.find(arg.LocExpr, api.EvalScope{GoroutineID: -1}, false, arg.SubstitutePathRules)
		if err != nil {
			return p, err
		}
		for _, l := range locs {
			p.Addrs = append(p.Addrs, l.PCs...)
		}
	}
	if p.File == "" && p.Function == "" && len(p.Addrs) == 0 {
		if arg.Suspended {
			return p, refuse("suspended breakpoint", errors.New("it would wait for a plugin, and the place must be in the binary"))
		}
		return p, errors.New("remotedbg: set breakpoint: name a file and a line, a function, or an address")
	}
	return p, nil
}

// change gives a breakpoint other properties, and takes them back if the engine
// does not accept them.
func (s service) change(b breakpoint, want api.Breakpoint) error {
	if err := s.acceptable(&want); err != nil {
		return err
	}
	if other, taken := s.breakpoints.named(want.Name); want.Name != "" && taken && other.id != b.id {
		return fmt.Errorf("remotedbg: breakpoint name %q already exists", want.Name)
	}
	before := b
	info := *b.info
	info.Name, info.Cond, info.HitCond, info.HitCondPerG = want.Name, want.Cond, want.HitCond, want.HitCondPerG
	info.Tracepoint, info.TraceReturn = want.Tracepoint, want.TraceReturn
	info.Goroutine, info.Stacktrace, info.Variables = want.Goroutine, want.Stacktrace, want.Variables
	info.LoadArgs, info.LoadLocals, info.CustomCommands = want.LoadArgs, want.LoadLocals, want.CustomCommands
	b.info = &info

	old := before.info
	same := before.engine != 0 && !want.Disabled &&
		old.Cond == info.Cond && old.HitCond == info.HitCond && old.HitCondPerG == info.HitCondPerG &&
		(old.Tracepoint || old.TraceReturn) == (info.Tracepoint || info.TraceReturn)
	switch {
	case same: // the engine keeps it, and its counts
	case want.Disabled:
		if err := s.disarm(&b); err != nil {
			return wrap("disable breakpoint", err)
		}
	default:
		if err := s.arm(&b); err != nil {
			if before.engine == 0 {
				_ = s.disarm(&before)
			} else if again := s.arm(&before); again != nil {
				err = errors.Join(err, again)
			}
			s.breakpoints.put(before)
			return fmt.Errorf("remotedbg: change breakpoint %d: %w", b.id, err)
		}
	}
	s.breakpoints.put(b)
	return nil
}

// AmendBreakpoint changes all but the place of a breakpoint.
func (s service) AmendBreakpoint(arg rpc2.AmendBreakpointIn, _ *rpc2.AmendBreakpointOut) error {
	b, err := s.lookup(arg.Breakpoint.ID, "")
	if err != nil {
		return err
	}
	return s.change(b, arg.Breakpoint)
}

// ToggleBreakpoint turns one on or off.
func (s service) ToggleBreakpoint(arg rpc2.ToggleBreakpointIn, out *rpc2.ToggleBreakpointOut) error {
	b, err := s.lookup(arg.Id, arg.Name)
	if err != nil {
		return err
	}
	want := *b.info
	want.Disabled = b.engine != 0
	if err := s.change(b, want); err != nil {
		return err
	}
	b, _ = s.breakpoints.get(b.id)
	out.Breakpoint = s.show(b)
	return nil
}

// ClearBreakpoint removes one.
func (s service) ClearBreakpoint(arg rpc2.ClearBreakpointIn, out *rpc2.ClearBreakpointOut) error {
	b, err := s.lookup(arg.Id, arg.Name)
	if err != nil {
		return err
	}
	out.Breakpoint = s.show(b)
	if err := s.disarm(&b); err != nil {
		return wrap("clear breakpoint", err)
	}
	s.breakpoints.drop(b.id)
	return nil
}

// GetBreakpoint finds one by its name or ID.
func (s service) GetBreakpoint(arg rpc2.GetBreakpointIn, out *rpc2.GetBreakpointOut) error {
	b, err := s.lookup(arg.Id, arg.Name)
	if err != nil {
		return err
	}
	out.Breakpoint = *s.show(b)
	return nil
}

func (s service) lookup(id int, name string) (b breakpoint, err error) {
	if name != "" {
		b, ok := s.breakpoints.named(name)
		if !ok {
			return b, fmt.Errorf("remotedbg: no breakpoint with name %s", name)
		}
		return b, nil
	}
	b, ok := s.breakpoints.get(id)
	if !ok {
		return b, fmt.Errorf("remotedbg: no breakpoint with id %d", id)
	}
	return b, nil
}

// ListBreakpoints lists the client's own. There are no others: Delve's for
// panics and fatal errors are process-wide, and not set.
func (s service) ListBreakpoints(_ rpc2.ListBreakpointsIn, out *rpc2.ListBreakpointsOut) error {
	out.Breakpoints = []*api.Breakpoint{}
	for _, b := range s.breakpoints.all() {
		out.Breakpoints = append(out.Breakpoints, s.show(b))
	}
	return nil
}

// FindLocation finds the places that a location expression of Delve's means.
func (s service) FindLocation(arg rpc2.FindLocationIn, out *rpc2.FindLocationOut) error {
	var err error
	out.Locations, out.SubstituteLocExpr, err = s.find(arg.Loc, arg.Scope, arg.IncludeNonExecutableLines, arg.SubstitutePathRules)
	return err
}

func (c *conn) find(expr string, where api.EvalScope, anyLine bool, rules [][2]string) (locs []api.Location, subst string, err error) {
	spec, err := locspec.Parse(expr)
	if err != nil {
		return nil, "", fmt.Errorf("remotedbg: location %q: %w", expr, err)
	}
	look := func(t *proc.Target, scope *proc.EvalScope) error {
		var err error
		if addr, isExpr := strings.CutPrefix(strings.TrimSpace(expr), "*"); isExpr && scope != nil {
			if err := c.mayUse(scope, addr); err != nil {
				return err
			}
		}
		if locs, subst, err = spec.Find(t, nil, scope, expr, anyLine, rules); err != nil {
			return err
		}
		for i := range locs {
			l := &locs[i]
			if l.PC == 0 {
				continue
			}
			file, line, fn := t.BinInfo().PCToLine(l.PC)
			l.File, l.Line, l.Function = file, line, api.ConvertFunction(fn)
			c.relocate(l.PC, &l.File, &l.Line)
			l.PCPids = slices.Repeat([]int{c.cfg.PID}, len(l.PCs))
		}
		if len(locs) == 0 {
			return &locspec.ErrLocationNotFound{Spec: expr}
		}
		return nil
	}
	// Relative to where a request stands, if one does.
	if err := c.scope(where, look); !errors.Is(err, errNoScope) {
		return locs, subst, wrap("find location", err)
	}
	err = c.reader.Look(func(t *proc.Target) error { return look(t, nil) })
	return locs, subst, wrap("find location", err)
}

// sorted is the keys of a set in order.
func sorted[V any](set map[string]V) []string { return slices.Sorted(maps.Keys(set)) }
