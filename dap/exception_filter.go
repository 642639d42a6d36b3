//go:build linux && amd64

package dap

import (
	"context"
	"fmt"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/internal/session"
)

// Filters, as clients name them.
const (
	filterPanic     = "panic"
	filterRecovered = "recovered"
	filterFatal     = "fatal"
	filterError     = "error" // a response with status 500 or more
	filterReturned  = "returned"
)

const (
	panicConditionHelp    = `an expression in the frame that panicked, where panic is the value, panicText what it says and panicType its type; or /regular expression/ on type and text`
	returnedConditionHelp = `an expression in the function that returns the error, where err is the error, errText what it says and errType its type; or /regular expression/ on type and text`
	errorConditionHelp    = `an expression in the frame that responds, where status is the response's, such as status == 404; without one it is status >= 500`
)

// exceptionBreakpointFilters are all off: a request of a live service is stopped
// for what somebody asked for.
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
	{
		Filter: filterError, Label: "Error responses", SupportsCondition: true, ConditionDescription: errorConditionHelp,
		Description: "Stop a request where it responds with status 500 or more (net/http).",
	},
	{
		Filter: filterReturned, Label: "Errors returned by the program's own functions", SupportsCondition: true, ConditionDescription: returnedConditionHelp,
		Description: "Stop a request where a function of the program's main module returns an error, once for each error: not where it is passed on or wrapped.",
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
	conditions := make(map[string][]exceptionCondition)
	for i, w := range want {
		cond, err := newExceptionCondition(w.FilterId, w.Condition)
		if err != nil {
			results[i].Message = err.Error()
			continue
		}
		conditions[w.FilterId] = append(conditions[w.FilterId], cond)
	}
	set, err := c.sess.SetExceptionFilters(session.ExceptionFilters{
		Raised:    judge(conditions[filterPanic], c.guard()),
		Fatal:     judge(conditions[filterFatal], c.guard()),
		Recovered: judge(conditions[filterRecovered], c.guard()),
		Response:  judge(conditions[filterError], c.guard()),
		Returned:  judge(conditions[filterReturned], c.guard()),
	})
	if err != nil {
		return none, sessionError(err, kindBreakpoints)
	}
	for i, w := range want {
		if results[i].Message != "" {
			continue
		}
		bp := set.Raised
		switch w.FilterId {
		case filterRecovered:
			bp = set.Recovered
		case filterError:
			bp = set.Response
		case filterReturned:
			bp = set.Returned
		}
		results[i] = dap.Breakpoint{Id: bp.ID, Verified: bp.Verified, Message: bp.Message}
	}
	return dap.SetExceptionBreakpointsResponseBody{Breakpoints: results}, nil
}
