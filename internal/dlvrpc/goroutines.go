//go:build linux && amd64

package dlvrpc

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/service/api"
	"github.com/go-delve/delve/service/rpc2"
)

// maxGoroutines bounds one page of the list: reading a goroutine takes some tens
// of microseconds, and inspections run one at a time.
const maxGoroutines = 500

// ListGoroutines lists the stopped requests. The service's other goroutines come
// on demand: on the pages behind the first, for clients that go through pages,
// and whenever a client filters or groups. They are read while they run, and
// those that are running have no exact place.
func (s service) ListGoroutines(arg rpc2.ListGoroutinesIn, out *rpc2.ListGoroutinesOut) error {
	stops, _, err := s.world.now()
	if err != nil {
		return err
	}
	if err := s.mayFilter(arg.Filters); err != nil {
		return wrap("goroutines", err)
	}
	onDemand := len(arg.Filters) > 0 || arg.GroupBy != api.GoroutineFieldNone
	var list []*api.Goroutine
	ours := make(map[int64]bool)
	for _, st := range stops {
		err := s.sess.Inspect(st.id, func(t *proc.Target) error {
			ours[st.goroutine] = true
			if g := t.SelectedGoroutine(); g != nil && arg.Start == 0 && s.all(t, g, arg.Filters) {
				list = append(list, s.goroutine(t, st))
			}
			return nil
		})
		if err != nil {
			continue // it goes on already
		}
	}
	out.Nextg = -1
	switch {
	case arg.Start == 0 && !onDemand:
		out.Goroutines = list
		if arg.Count > 0 {
			out.Nextg = 1
		}
		return nil
	case arg.Start == 0:
		out.Goroutines = list
	}
	from, count := max(arg.Start-1, 0), arg.Count
	if count <= 0 || count > maxGoroutines {
		count = maxGoroutines
	}
	err = s.reader.Look(func(t *proc.Target) error {
		for _, f := range arg.Filters {
			if f.Kind == api.GoroutineWaitingOnChannel {
				return errors.New("a filter by channel needs the whole process to stand still")
			}
		}
		others, err := s.reader.Others()
		if err != nil {
			return err
		}
		gs, next, err := proc.GoroutinesInfo(t, from, count)
		if err != nil {
			return err
		}
		if out.Nextg = -1; next >= 0 {
			out.Nextg = next + 1
		}
		for _, g := range gs {
			if g.Unreadable == nil && !ours[g.ID] && !others[g.ID] && s.all(t, g, arg.Filters) {
				out.Goroutines = append(out.Goroutines, api.ConvertGoroutine(t, g))
			}
		}
		return nil
	})
	if err == nil && arg.GroupBy != api.GoroutineFieldNone {
		group(out, arg.GoroutineGroupingOptions)
	}
	return wrap("goroutines", err)
}

// all says whether g fits every filter.
func (c *conn) all(t *proc.Target, g *proc.G, filters []api.ListGoroutinesFilter) bool {
	for _, f := range filters {
		if fits(t, g, f) == f.Negated {
			return false
		}
	}
	return true
}

func fits(t *proc.Target, g *proc.G, f api.ListGoroutinesFilter) bool {
	at := func(l proc.Location) bool { return strings.Contains(place(api.ConvertLocation(l)), f.Arg) }
	switch f.Kind {
	case api.GoroutineCurrentLoc:
		return at(g.CurrentLoc)
	case api.GoroutineUserLoc:
		return at(g.UserCurrent())
	case api.GoroutineGoLoc:
		return at(g.Go())
	case api.GoroutineStartLoc:
		return at(g.StartLoc(t))
	case api.GoroutineLabel:
		key, value, exact := strings.Cut(f.Arg, "=")
		got, has := g.Labels()[key]
		return has && (!exact || got == value)
	case api.GoroutineRunning:
		return g.Status == proc.Grunning
	case api.GoroutineUser:
		return !g.System(t)
	}
	return true
}

// place is a location as filters and groups are about it.
func place(l api.Location) string {
	return fmt.Sprintf("%s:%d in %s", l.File, l.Line, l.Function.Name())
}

// group sorts what was listed into groups and keeps some members of each.
func group(out *rpc2.ListGoroutinesOut, opts api.GoroutineGroupingOptions) {
	key := func(g *api.Goroutine) string {
		switch opts.GroupBy {
		case api.GoroutineCurrentLoc:
			return place(g.CurrentLoc)
		case api.GoroutineUserLoc:
			return place(g.UserCurrentLoc)
		case api.GoroutineGoLoc:
			return place(g.GoStatementLoc)
		case api.GoroutineStartLoc:
			return place(g.StartLoc)
		case api.GoroutineLabel:
			return opts.GroupByKey + "=" + g.Labels[opts.GroupByKey]
		case api.GoroutineRunning:
			return fmt.Sprintf("running=%v", g.Status == proc.Grunning)
		}
		return "all"
	}
	members := make(map[string][]*api.Goroutine)
	for _, g := range out.Goroutines {
		k := key(g)
		members[k] = append(members[k], g)
	}
	out.Goroutines = nil
	for _, k := range sorted(members) {
		if opts.MaxGroups > 0 && len(out.Groups) >= opts.MaxGroups {
			out.TooManyGroups = true
			break
		}
		some := members[k]
		if opts.MaxGroupMembers > 0 {
			some = some[:min(len(some), opts.MaxGroupMembers)]
		}
		out.Groups = append(out.Groups, api.GoroutineGroup{Name: k, Offset: len(out.Goroutines), Count: len(some), Total: len(members[k])})
		out.Goroutines = append(out.Goroutines, slices.Clone(some)...)
	}
}
