//go:build linux && amd64

package dap

import (
	"strconv"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/internal/session"
)

// returnedHere is exceptionHere for an error that is being returned. The client
// may use its address from now on.
func (x *viewer) returnedHere(at session.ExceptionStop) (exception, error) {
	where := at.Value()
	v, err := x.scope.EvalExpression(where, proc.LoadConfig{})
	if err != nil {
		return exception{}, err
	}
	x.seen.Add(x.g, v.DwarfType, v.Addr) // which is none of the process's: not noteShown
	e := exception{at: at, value: x.of(v).dynamic()}
	var known bool
	if e.message, known = errorWords(e.value, 0); !known {
		e.message = errorText(e.value)
	}
	e.names = map[string]string{"err": where, "errText": strconv.Quote(e.message), "errType": strconv.Quote(e.typeName())}
	return e, nil
}

// returnedRows show the error beside the variables of the frame that returns it:
// as a rule it is in none of them any more.
func (c *conn) returnedRows(x *viewer, _ string) []dap.Variable {
	at := c.handles.exceptionAt(x.f.req)
	if at == nil || at.Returned == 0 {
		return nil
	}
	where := at.Value()
	v, err := x.scope.EvalExpression(where, firstLook)
	if err != nil {
		return nil
	}
	x.seen.Add(x.g, v.DwarfType, v.Addr)
	return []dap.Variable{x.present(v, "(returned error)", where)}
}

// localsNode is what opens into the variables of a frame.
func (c *conn) localsNode(f *frame) *node {
	n := &node{frame: f}
	if at := c.handles.exceptionAt(f.req); at != nil && at.Returned != 0 && f.index == at.Hidden {
		n.extra = c.returnedRows
	}
	return n
}
