//go:build linux && amd64

package dap

import (
	"errors"
	"fmt"
	"go/constant"
	"go/parser"
	"go/scanner"
	"go/token"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-delve/delve/pkg/proc"

	"github.com/remotedbg/remotedbg/internal/redact/taint"
	"github.com/remotedbg/remotedbg/internal/session"
)

// exceptionCondition says for which exceptions a filter is. The zero value is for
// all panics but http.ErrAbortHandler, for responses with status 500 or more, and for
// all errors that are returned.
type exceptionCondition struct {
	pattern *regexp.Regexp
	expr    string
}

func newExceptionCondition(filter, condition string) (exceptionCondition, error) {
	var none exceptionCondition
	switch filter {
	case filterPanic, filterRecovered, filterFatal, filterError, filterReturned:
	default:
		return none, fmt.Errorf("there is no exception filter %q", clip(filter, maxKey))
	}
	condition = strings.TrimSpace(condition)
	if condition == "" {
		return none, nil
	}
	if len(condition) > 2 && condition[0] == '/' && condition[len(condition)-1] == '/' {
		pattern, err := regexp.Compile(condition[1 : len(condition)-1])
		return exceptionCondition{pattern: pattern}, err
	}
	if err := refuse(condition); err != nil {
		return none, err
	}
	if _, err := parser.ParseExpr(condition); err != nil {
		return none, fmt.Errorf("condition %q: %w", clip(condition, maxKey), err)
	}
	return exceptionCondition{expr: condition}, nil
}

// exception is what conditions are about.
type exception struct {
	at      session.ExceptionStop
	value   val // of a panic, or the error
	message string
	names   map[string]string // what names in a condition stand for
}

// exceptionHere reads what a request stands at.
func (x *viewer) exceptionHere(at session.ExceptionStop) (exception, error) {
	if at.Status != 0 {
		return exception{
			at: at, message: statusText(at.Status),
			names: map[string]string{"status": strconv.Itoa(at.Status)},
		}, nil
	}
	if at.Returned != 0 {
		return x.returnedHere(at)
	}
	p, err := x.panicked()
	if err != nil {
		return exception{}, err
	}
	e := exception{at: at, value: p, message: x.panicText(p)}
	e.names = map[string]string{
		"panic": at.Value(), "panicText": strconv.Quote(e.message), "panicType": strconv.Quote(e.typeName()),
	}
	return e, nil
}

func (e *exception) typeName() string { return detailsOf(e.value, "").FullTypeName }

// text is what a client shows of it.
func (e *exception) text() string {
	by := ""
	if e.at.By != "" {
		by = " by " + e.at.By
	}
	return clipText(exceptionKind(&e.at)+by+": "+e.message, maxDescription)
}

func statusText(status int) string {
	return strings.TrimSpace(fmt.Sprintf("status %d %s", status, http.StatusText(status)))
}

// judge makes a filter of its conditions, of which one must hold; nil if there
// is none.
func judge(conditions []exceptionCondition, guard *taint.Guard) *session.ExceptionFilter {
	if len(conditions) == 0 {
		return nil
	}
	return &session.ExceptionFilter{Judge: func(t *proc.Target, at session.ExceptionStop) (stop bool, text string) {
		defer func() {
			// Delve's reader of debug information has panics of its own.
			if p := recover(); p != nil {
				stop, text = true, exceptionKind(&at)
			}
		}()
		x, err := atException(t, guard, at)
		if err != nil {
			return true, exceptionKind(&at)
		}
		e, err := x.exceptionHere(at)
		if err != nil {
			return true, exceptionKind(&at)
		}
		for _, c := range conditions {
			ok, err := c.holds(x, &e)
			if err != nil {
				return true, clipText(fmt.Sprintf("%s (condition: %v)", e.text(), err), 2*maxDescription)
			}
			if ok {
				return true, e.text()
			}
		}
		return false, ""
	}}
}

// holds evaluates the condition for e.
func (c exceptionCondition) holds(x *viewer, e *exception) (bool, error) {
	switch {
	case c.pattern != nil && e.at.Status != 0:
		return c.pattern.MatchString(e.message), nil
	case c.pattern != nil:
		return c.pattern.MatchString(e.typeName() + ": " + e.message), nil
	case c.expr == "" && e.at.Status != 0:
		return e.at.Status >= http.StatusInternalServerError, nil
	case c.expr == "" && e.at.Returned != 0:
		return true, nil
	case c.expr == "":
		return !x.isAbort(e.value), nil
	}
	// Whether a request stops is an answer, too. What the names stand for has types
	// that tell secrets, which the names alone have not.
	expr := expandNames(c.expr, e.names)
	secret, err := x.g.Check(x.scope, expr, x.seen)
	if secret {
		err = fmt.Errorf("%s: %w", clip(c.expr, maxKey), taint.ErrRedacted)
	}
	if err != nil {
		return false, err
	}
	v, err := x.scope.EvalExpression(expr, firstLook)
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

// expandNames puts what names stand for into an expression.
func expandNames(expr string, names map[string]string) string {
	file := token.NewFileSet().AddFile("", -1, len(expr))
	var s scanner.Scanner
	s.Init(file, []byte(expr), nil, 0)
	var b strings.Builder
	done, selector := 0, false
	for {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			return b.String() + expr[done:]
		}
		if instead, ok := names[lit]; ok && tok == token.IDENT && !selector {
			at := file.Offset(pos)
			b.WriteString(expr[done:at] + instead)
			done = at + len(lit)
		}
		selector = tok == token.PERIOD
	}
}
