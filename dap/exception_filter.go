//go:build linux && amd64

package dap

import (
	"context"
	"errors"
	"fmt"
	"go/constant"
	"go/parser"
	"go/scanner"
	"go/token"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/internal/session"
)

// Filters for panics, as clients name them.
const (
	filterPanic     = "panic"
	filterRecovered = "recovered"
	filterFatal     = "fatal"
)

const panicConditionHelp = `an expression in the frame that panicked, where panic is the value, panicText what it says and panicType its type; or /regular expression/ on type and text`

// exceptionBreakpointFilters are all off: a request of a live service is stopped for what
// somebody asked for.
var exceptionBreakpointFilters = []dap.ExceptionBreakpointsFilter{
	{
		Filter: filterPanic, Label: "Panics", SupportsCondition: true, ConditionDescription: panicConditionHelp,
		Description: "Stop a request where it panics, before anything recovers. Not at http.ErrAbortHandler, unless a condition is true for it.",
	},
	{
		Filter: filterRecovered, Label: "Recovered panics", SupportsCondition: true, ConditionDescription: panicConditionHelp,
		Description: "Stop a request when a panic of it was just recovered: the frame that panicked is still shown.",
	},
	{
		Filter: filterFatal, Label: "Fatal panics", SupportsCondition: true, ConditionDescription: panicConditionHelp,
		Description: "Stop a request where it panics if nothing will recover it, which would end the process.",
	},
}

// setExceptionBreakpoints replaces the filters. The answer has one breakpoint for
// each that was asked for.
func (c *conn) setExceptionBreakpoints(_ context.Context, args dap.SetExceptionBreakpointsArguments) (dap.SetExceptionBreakpointsResponseBody, error) {
	var none dap.SetExceptionBreakpointsResponseBody
	want := make([]dap.ExceptionFilterOptions, 0, len(args.Filters)+len(args.FilterOptions))
	for _, id := range args.Filters {
		want = append(want, dap.ExceptionFilterOptions{FilterId: id})
	}
	if want = append(want, args.FilterOptions...); len(want) > maxBreakpoints {
		return none, kindBadArguments.becauseOf(fmt.Sprintf("%d exception filters, at most %d are accepted", len(want), maxBreakpoints))
	}
	results := make([]dap.Breakpoint, len(want))
	conditions := make(map[string][]panicCondition)
	for i, w := range want {
		cond, err := newPanicCondition(w.FilterId, w.Condition)
		if err != nil {
			results[i].Message = err.Error()
			continue
		}
		conditions[w.FilterId] = append(conditions[w.FilterId], cond)
	}
	raised, recovered, err := c.sess.SetPanicFilters(session.PanicFilters{
		Raised: judge(conditions[filterPanic]), Fatal: judge(conditions[filterFatal]), Recovered: judge(conditions[filterRecovered]),
	})
	if err != nil {
		return none, sessionError(err, kindBreakpoints)
	}
	for i, w := range want {
		if results[i].Message != "" {
			continue
		}
		bp := raised
		if w.FilterId == filterRecovered {
			bp = recovered
		}
		results[i] = dap.Breakpoint{Id: bp.ID, Verified: bp.Verified, Message: bp.Message}
	}
	return dap.SetExceptionBreakpointsResponseBody{Breakpoints: results}, nil
}

// panicCondition says for which panics a filter is; the zero value is for all but
// http.ErrAbortHandler.
type panicCondition struct {
	pattern *regexp.Regexp
	expr    string
}

func newPanicCondition(filter, condition string) (panicCondition, error) {
	var none panicCondition
	switch filter {
	case filterPanic, filterRecovered, filterFatal:
	default:
		return none, fmt.Errorf("there is no exception filter %q", clip(filter, maxKey))
	}
	condition = strings.TrimSpace(condition)
	if condition == "" {
		return none, nil
	}
	if len(condition) > 2 && condition[0] == '/' && condition[len(condition)-1] == '/' {
		pattern, err := regexp.Compile(condition[1 : len(condition)-1])
		return panicCondition{pattern: pattern}, err
	}
	if err := refuse(condition); err != nil {
		return none, err
	}
	if _, err := parser.ParseExpr(condition); err != nil {
		return none, fmt.Errorf("condition %q: %w", clip(condition, maxKey), err)
	}
	return panicCondition{expr: condition}, nil
}

// judge makes a filter of its conditions, of which one must hold; nil if there
// is none.
func judge(conditions []panicCondition) *session.PanicFilter {
	if len(conditions) == 0 {
		return nil
	}
	return &session.PanicFilter{Judge: func(t *proc.Target, at session.PanicStop) (stop bool, text string) {
		defer func() {
			// Delve's reader of debug information has panics of its own.
			if p := recover(); p != nil {
				stop, text = true, panicKind(&at)
			}
		}()
		x, err := atPanic(t, at)
		if err != nil {
			return true, panicKind(&at)
		}
		p, err := x.panicked()
		if err != nil {
			return true, panicKind(&at)
		}
		message := x.panicText(p)
		text = clipText(panicKind(&at)+": "+message, maxDescription)
		for _, c := range conditions {
			ok, err := c.holds(x, p, message)
			if err != nil {
				return true, clipText(fmt.Sprintf("%s (condition: %v)", text, err), 2*maxDescription)
			}
			if ok {
				return true, text
			}
		}
		return false, ""
	}}
}

// holds evaluates the condition for the panic with value p.
func (c panicCondition) holds(x *viewer, p val, message string) (bool, error) {
	name := detailsOf(p, "").FullTypeName
	switch {
	case c.pattern != nil:
		return c.pattern.MatchString(name + ": " + message), nil
	case c.expr == "":
		return !x.isAbort(p), nil
	}
	v, err := x.scope.EvalExpression(expandPanic(c.expr, name, message), firstLook)
	switch {
	case err != nil:
		return false, evaluationError(err)
	case v.Unreadable != nil:
		return false, v.Unreadable
	case v.Kind != reflect.Bool || v.Value == nil:
		return false, errors.New("it is not true or false")
	}
	return constant.BoolVal(v.Value), nil
}

// expandPanic puts what the names panic, panicText and panicType stand for into
// an expression.
func expandPanic(expr, typeName, message string) string {
	file := token.NewFileSet().AddFile("", -1, len(expr))
	var s scanner.Scanner
	s.Init(file, []byte(expr), nil, 0)
	var b strings.Builder
	done, selector := 0, false
	for {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			break
		}
		instead := ""
		if tok == token.IDENT && !selector {
			switch lit {
			case "panic":
				instead = panicValue
			case "panicText":
				instead = strconv.Quote(message)
			case "panicType":
				instead = strconv.Quote(typeName)
			}
		}
		if instead != "" {
			at := file.Offset(pos)
			b.WriteString(expr[done:at] + instead)
			done = at + len(lit)
		}
		selector = tok == token.PERIOD
	}
	return b.String() + expr[done:]
}
