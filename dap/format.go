//go:build linux && amd64

package dap

import (
	"fmt"
	"go/constant"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/go-delve/delve/service/api"

	"github.com/remotedbg/remotedbg/internal/redact/taint"
)

// maxText bounds the one-line text of a value with children, in bytes: more
// does not fit a variables pane.
const maxText = 256

// text is a value on one line.
func text(g *taint.Guard, v *proc.Variable) string {
	s := fullText(g, v)
	if v.Kind == reflect.String {
		return s
	}
	return clipText(s, maxText)
}

// clipText cuts s to about n bytes, between two characters.
func clipText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	cut := n
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..."
}

// fullText is text without a bound on its length.
func fullText(g *taint.Guard, v *proc.Variable) (s string) {
	// Delve's printer indexes children that a value read half-way lacks.
	defer func() {
		if p := recover(); p != nil {
			s = fmt.Sprintf("(unreadable: %v)", p)
		}
	}()
	switch {
	case v.Unreadable != nil:
		return unreadable(v.Unreadable)
	case v.Kind == reflect.String:
		return quoted(v)
	case v.Kind == reflect.Interface && len(v.Children) == 0:
		return "nil"
	case v.Kind == reflect.Struct && v.Value != nil:
		// Delve decodes time.Time; its three fields say nothing to a person.
		return constant.StringVal(v.Value)
	}
	shown := api.ConvertVar(v)
	g.API(shown, false)
	return shown.SinglelineString()
}

// quoted is a string, with its full length if it was cut.
func quoted(v *proc.Variable) string {
	if v.Value == nil {
		return `""`
	}
	val := constant.StringVal(v.Value)
	if more := v.Len - int64(len(val)); more > 0 {
		return fmt.Sprintf("%q... (%d bytes, %d more)", val, v.Len, more)
	}
	return fmt.Sprintf("%q", val)
}

// unreadable says plainly why a value cannot be shown. The texts are those of
// proc.(*BinaryInfo).locationExpr and dwarf/op, which have no error values.
func unreadable(err error) string {
	msg := err.Error()
	switch {
	case strings.Contains(msg, "could not find loclist entry"),
		strings.Contains(msg, "no location attribute"),
		strings.Contains(msg, "empty OP stack"):
		return "(optimized away)"
	case strings.HasPrefix(msg, "register ") && strings.HasSuffix(msg, " not available"),
		strings.Contains(msg, " from register ") && strings.HasSuffix(msg, "(size: 0)"),
		msg == "read out of bounds": // of the pieces of a register that is not known (proc.compositeMemory)
		return "(optimized away: it was in a register that a later call used)"
	}
	return "(unreadable: " + msg + ")"
}

// typeName is the static type, with the dynamic one of an interface.
func typeName(v *proc.Variable) string {
	name := v.TypeString()
	if v.Kind == reflect.Interface && len(v.Children) > 0 && v.Children[0].Kind != reflect.Invalid && v.Children[0].Addr != 0 {
		return name + "(" + v.Children[0].TypeString() + ")"
	}
	return name
}
