//go:build linux && amd64

package session

import (
	"errors"
	"fmt"
	"go/parser"
	"strings"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/service/api"
	"github.com/remotedbg/remotedbg/internal/redact"
)

// logMessage is the text of a log point: parts of text and of expressions, in
// turn (DAP, SourceBreakpoint.logMessage: "expressions within {} are
// interpolated").
type logMessage []logPart

type logPart struct{ text, expr string } // one of them is empty

// parseLogMessage reads "total {order.Total} of {len(items)}". Braces inside an
// expression must match, as in {struct{}{}}.
func parseLogMessage(message string) (logMessage, error) {
	var parts logMessage
	for message != "" {
		open := strings.IndexByte(message, '{')
		if open < 0 {
			parts = append(parts, logPart{text: message})
			break
		}
		if open > 0 {
			parts = append(parts, logPart{text: message[:open]})
		}
		end := closing(message[open:])
		if end < 0 {
			return nil, fmt.Errorf("the brace behind %q has no match", message[:open])
		}
		expr := strings.TrimSpace(message[open+1 : open+end])
		if expr == "" {
			return nil, errors.New("there is nothing between the braces")
		}
		if _, err := parser.ParseExpr(expr); err != nil {
			return nil, fmt.Errorf("{%s}: %w", expr, err)
		}
		parts = append(parts, logPart{expr: expr})
		message = message[open+end+1:]
	}
	return parts, nil
}

// closing is where the brace that text begins with is closed, -1 if nowhere.
func closing(text string) int {
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// logLoad is how much of a value a log point shows.
var logLoad = proc.LoadConfig{FollowPointers: true, MaxVariableRecurse: 1, MaxStringLen: 512, MaxArrayValues: 64, MaxStructFields: -1}

// render evaluates the message in a scope. What cannot be evaluated says so in
// its place.
func (m logMessage) render(s *Session, scope *proc.EvalScope) string {
	var b strings.Builder
	for _, part := range m {
		if part.expr == "" {
			b.WriteString(part.text)
			continue
		}
		v, redacted, err := s.evaluate(scope, part.expr, logLoad)
		switch {
		case redacted:
			b.WriteString(redact.Mark)
		case err != nil:
			fmt.Fprintf(&b, "{%s: %v}", part.expr, err)
		case v.Unreadable != nil:
			fmt.Fprintf(&b, "{%s: %v}", part.expr, v.Unreadable)
		default:
			shown := api.ConvertVar(v)
			s.Guard().API(shown, false)
			b.WriteString(shown.SinglelineString())
		}
	}
	return s.Guard().Text(b.String())
}

// atLogPoint finds the log point that the request stands at; nil if it stands
// at none. Called under the brain lock.
func (r *request) atLogPoint() *userBreakpoint {
	state := r.group.Selected.CurrentThread().Breakpoint()
	if state.Breakpoint == nil || !state.Active {
		return nil
	}
	for _, b := range r.session.verified() {
		if b.pub.ID == state.LogicalID() && b.asked.passing() {
			return b
		}
	}
	return nil
}

// passLogPoints goes on from log points until the request stops for another
// reason, which may be that a step ends at one.
func (r *request) passLogPoints(err error) error {
	t := r.group.Selected
	for err == nil {
		b := r.atLogPoint()
		if b == nil {
			return nil
		}
		if b.asked.exception != nil {
			if r.stopsAtException(b.asked.exception) {
				return r.group.ClearSteppingBreakpoints()
			}
		} else {
			r.tell(b)
		}
		if t.CurrentThread().Breakpoint().Stepping {
			return nil
		}
		err = r.continueStep()
	}
	return err
}

// tell logs what the log point b says.
func (r *request) tell(b *userBreakpoint) {
	t := r.group.Selected
	text := ""
	r.searchSometimes()
	if b.asked.log == "" {
		b.asked.place.Capture(r.id, t)
	} else if scope, err := proc.ThreadScope(t, t.CurrentThread()); err != nil {
		text = fmt.Sprintf("log point %d: %v", b.pub.ID, err)
	} else {
		text = b.log.render(r.session, scope)
	}
	r.e.mu.Lock()
	info := r.info
	r.e.mu.Unlock()
	r.session.queue.put(Event{Kind: EventLogPoint, Request: info, Breakpoint: b.pub, Text: text})
}

// continueStep goes on with what a log point interrupted. A step that ran over
// the call in which it was hit has its breakpoints in the calling function, more
// than a thread has hardware for, as a rule: so it goes back there first, and
// then steps the rest of the line.
func (r *request) continueStep() error {
	t := r.group.Selected
	if !t.Breakpoints().HasSteppingBreakpoints() {
		return r.group.Continue()
	}
	frame, found := r.steppedFrame()
	if !found {
		return r.group.Continue()
	}
	cond, err := parser.ParseExpr(fmt.Sprintf("runtime.frameoff == %d", frame.FrameOffset()))
	if err != nil {
		return err
	}
	if err := r.group.ClearSteppingBreakpoints(); err != nil {
		return err
	}
	if _, err := t.SetBreakpoint(0, frame.Current.PC, proc.NextBreakpoint, cond); err != nil {
		return err
	}
	if err := r.group.Continue(); err != nil {
		return err
	}
	regs, err := t.CurrentThread().Registers()
	if err != nil || regs.PC() != frame.Current.PC || !t.CurrentThread().Breakpoint().Stepping {
		return err // another breakpoint is on the way
	}
	return r.group.Next()
}

// steppedFrame finds the calling function that is being stepped.
func (r *request) steppedFrame() (proc.Stackframe, bool) {
	const deep = 100
	t := r.group.Selected
	frames, err := proc.ThreadStacktrace(t, t.CurrentThread(), deep)
	if err != nil {
		return proc.Stackframe{}, false
	}
	for i, f := range frames {
		fn := f.Current.Fn
		for addr, bp := range t.Breakpoints().M {
			if bp.IsStepping() && fn != nil && fn.Entry <= addr && addr < fn.End {
				return f, i > 0
			}
		}
	}
	return proc.Stackframe{}, false
}
