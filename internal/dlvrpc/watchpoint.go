//go:build linux && amd64

package dlvrpc

import (
	"errors"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/service/api"
	"github.com/go-delve/delve/service/rpc2"

	"github.com/remotedbg/remotedbg/internal/session"
)

// CreateWatchpoint watches what an expression denotes in a stopped request. Only
// accesses of the request's own threads are seen.
func (s service) CreateWatchpoint(arg rpc2.CreateWatchpointIn, out *rpc2.CreateWatchpointOut) error {
	const what = "set watchpoint"
	if arg.Type&api.WatchWrite == 0 {
		return refuse("a watchpoint for reads alone", errors.New("the hardware watches writes, or reads and writes: use -w or -rw"))
	}
	st, err := s.request(arg.Scope.GoroutineID)
	switch {
	case err != nil:
		return wrap(what, err)
	case st == nil:
		return wrap(what, errNoScope)
	}
	place := session.Place{Read: arg.Type&api.WatchRead != 0}
	err = s.scope(arg.Scope, func(t *proc.Target, scope *proc.EvalScope) (err error) {
		if err := s.mayUse(scope, arg.Expr); err != nil {
			return err
		}
		place.Data, err = s.sess.Watchable(st.id, t, scope, arg.Expr)
		return err
	})
	if err != nil {
		return wrap(what, err)
	}
	const sizeShift = 4 // proc.WatchType.Size
	b := breakpoint{
		id: s.breakpoints.last + 1, place: place,
		info: &api.Breakpoint{WatchExpr: arg.Expr, WatchType: arg.Type&(api.WatchRead|api.WatchWrite) | api.WatchType(place.Data.Size)<<sizeShift},
	}
	if err := s.arm(&b); err != nil {
		_ = s.disarm(&b) // the engine has ended if it fails, and then it is gone anyway
		return wrap(what, err)
	}
	s.breakpoints.put(b)
	out.Breakpoint = s.show(b)
	return nil
}
