//go:build linux && amd64

package dap

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/google/go-dap"
)

// maxLayers bounds the contexts that are looked through: a service that wraps
// one in a loop has more.
const maxLayers = 64

// contexts are the standard library's.
var contexts = map[string]bool{
	"context.backgroundCtx": true, "context.todoCtx": true, "context.emptyCtx": true,
	"context.cancelCtx": true, "context.timerCtx": true, "context.valueCtx": true,
	"context.afterFuncCtx": true, "context.withoutCancelCtx": true, "context.stopCtx": true,
	"os/signal.signalCtx": true,
}

func isContext(name string) bool { return contexts[name] }

// contextState is a context with all that it is made of, flattened.
type contextState struct {
	known    bool
	deadline time.Time // zero: none
	err      val       // why it is cancelled; not ok: it is not, or that cannot be read
	cause    val
	values   []contextValue
	layers   []string
	rest     string // what could not be looked through
}

type contextValue struct {
	key   string
	value val // the interface
}

// readContext looks through the layers of a context, from the outside in.
func readContext(c val) (s contextState) {
	cancels := true // false behind context.WithoutCancel
	for range maxLayers {
		if _, isPtr := c.real().(*godwarf.PtrType); isPtr {
			c = c.deref()
		}
		if !c.ok() {
			return s
		}
		name := c.typeName()
		s.known = s.known || isContext(name)
		s.layers = append(s.layers, shortType(name))
		cancel := val{}
		switch name {
		case "context.cancelCtx":
			cancel = c
		case "context.timerCtx":
			cancel = c.field("cancelCtx")
			if t, _, _, ok := readTime(c.field("deadline")); ok && cancels && (s.deadline.IsZero() || t.Before(s.deadline)) {
				s.deadline = t
			}
		case "context.afterFuncCtx":
			cancel = c.field("cancelCtx")
		case "context.valueCtx":
			s.values = append(s.values, contextValue{contextKey(c.field("key")), c.field("val")})
		}
		if cancel.ok() && cancels && !s.err.ok() {
			if err := cancelError(cancel.field("err")); err.ok() {
				s.err, s.cause = err, cancel.field("cause").dynamic()
			}
		}
		next := parentContext(c, name, cancel)
		if name == "context.withoutCancelCtx" {
			cancels = false
		}
		if !next.ok() {
			if !isContext(name) {
				s.rest = shortType(name)
			}
			return s
		}
		c = next
	}
	s.rest = "more than " + strconv.Itoa(maxLayers) + " layers"
	return s
}

// parentContext is what the context c was made from.
func parentContext(c val, name string, cancel val) val {
	switch {
	case cancel.ok():
		return cancel.field("Context").dynamic()
	case name == "context.withoutCancelCtx":
		return c.field("c").dynamic()
	}
	// context.valueCtx, os/signal's, and everybody else's that embeds one.
	parent := c.field("Context")
	if _, ok := parent.real().(*godwarf.InterfaceType); !ok || parent.typeName() != "context.Context" {
		return val{}
	}
	return parent.dynamic()
}

// cancelError is why a cancelCtx is done: an error, in an atomic.Value since
// Go 1.25.
func cancelError(err val) val {
	if _, ok := err.real().(*godwarf.StructType); ok {
		err = err.field("v")
	}
	return err.dynamic()
}

// contextKey names a key: a person knows it by its type, or by its text.
func contextKey(key val) string {
	held := key.dynamic()
	if !held.ok() {
		return "(unreadable key)"
	}
	name := shortType(held.typeName())
	target := held
	if _, isPtr := held.real().(*godwarf.PtrType); isPtr {
		target = held.deref()
	}
	switch target.real().(type) {
	case *godwarf.StringType:
		return name + "(" + strconv.Quote(part(target)) + ")"
	case *godwarf.IntType:
		if n, ok := target.int(); ok {
			return fmt.Sprintf("%s(%d)", name, n)
		}
	case *godwarf.StructType:
		if s := part(target.field("name")); s != "" { // as net/http's keys
			return name + "(" + strconv.Quote(s) + ")"
		}
	}
	return name
}

func showContext(c val) (string, bool) {
	s := readContext(c)
	if !s.known {
		return "", false
	}
	parts := []string{s.cancelled()}
	if !s.deadline.IsZero() {
		parts = append(parts, "deadline "+s.until(time.Now()))
	}
	var keys []string
	for _, v := range s.values {
		keys = append(keys, v.key)
	}
	if len(keys) > 0 {
		parts = append(parts, "values: "+strings.Join(keys, ", "))
	}
	if s.rest != "" {
		parts = append(parts, "not looked through: "+s.rest)
	}
	return strings.Join(parts, "; "), true
}

func (s *contextState) cancelled() string {
	if !s.err.ok() {
		return "not cancelled"
	}
	text := "cancelled: " + errorText(s.err)
	if s.cause.ok() {
		if cause := errorText(s.cause); cause != errorText(s.err) {
			text += ", because of " + cause
		}
	}
	return text
}

// until tells the deadline and how far off it is. Services run on the same
// machine and so by the same clock.
func (s *contextState) until(now time.Time) string {
	left := s.deadline.Sub(now).Round(time.Millisecond)
	if left < 0 {
		return fmt.Sprintf("%v ago (%s)", -left, s.deadline.Format(time.RFC3339Nano))
	}
	return fmt.Sprintf("in %v (%s)", left, s.deadline.Format(time.RFC3339Nano))
}

// contextRows shows what a context says instead of how it is built.
func (x *viewer) contextRows(c val) []dap.Variable {
	s := readContext(c)
	rows := []dap.Variable{{Name: "cancelled", Value: s.cancelled()}}
	if !s.deadline.IsZero() {
		rows = append(rows, dap.Variable{Name: "deadline", Value: s.until(time.Now())})
	}
	for _, v := range s.values {
		if x.g.Key(v.key) {
			rows = append(rows, hiddenRow("["+v.key+"]", "", shortType(v.value.dynamic().typeName())))
			continue
		}
		rows = append(rows, x.row(v.value, "["+v.key+"]", ""))
	}
	rows = append(rows, dap.Variable{Name: "(layers)", Value: clipText(strings.Join(s.layers, " <- "), maxText)})
	if s.rest != "" {
		rows = append(rows, dap.Variable{Name: "(not looked through)", Value: s.rest})
	}
	return rows
}
