//go:build linux && amd64

package dap

import (
	"strconv"
	"strings"
)

// panicText is the value of a panic as the Go runtime prints it, as far as that
// can be known without a call of its methods.
func (x *viewer) panicText(p val) string {
	if !p.ok() {
		return "nil"
	}
	if s, ok := runtimeErrorText(p); ok {
		return s
	}
	if s, ok := errorWords(p, 0); ok {
		return s
	}
	if s, n, ok := p.str(longString); ok {
		if n > int64(len(s)) {
			s += "..."
		}
		return s
	}
	if s, ok := x.show(p, 0); ok {
		return s
	}
	v, err := x.at(p.t, p.addr)
	if err != nil {
		return shortType(p.typeName())
	}
	return x.text(v)
}

// boundsFormats are those of runtime.boundsError (runtime/error.go), in the order
// of its codes (internal/abi/bounds.go); x and y stand for its fields.
var boundsFormats = []string{
	"index out of range [%x] with length %y",
	"slice bounds out of range [:%x] with length %y",
	"slice bounds out of range [:%x] with capacity %y",
	"slice bounds out of range [%x:%y]",
	"slice bounds out of range [::%x] with length %y",
	"slice bounds out of range [::%x] with capacity %y",
	"slice bounds out of range [:%x:%y]",
	"slice bounds out of range [%x:%y:]",
	"cannot convert slice with length %y to array or pointer to array with length %x",
}

// runtimeErrorText is what the Error methods of the runtime's own errors say.
func runtimeErrorText(p val) (string, bool) {
	const prefix = "runtime error: "
	switch p.typeName() {
	case "runtime.errorString", "internal/runtime/maps.unhashableTypeError":
		s, _, ok := p.str(longString)
		return prefix + s, ok
	case "runtime.plainError":
		s, _, ok := p.str(longString)
		return s, ok
	case "runtime.errorAddressString":
		s, _, ok := p.field("msg").str(longString)
		return prefix + s, ok
	case "runtime.boundsError":
		return boundsText(p)
	case "*runtime.PanicNilError":
		return "panic called with nil argument (use GODEBUG=panicnil=1 to disable)", true
	case "*runtime.TypeAssertionError":
		return assertionText(p.deref())
	}
	return "", false
}

// boundsText follows (runtime.boundsError).Error.
func boundsText(p val) (string, bool) {
	code, ok1 := p.field("code").uint()
	x, ok2 := p.field("x").int()
	y, ok3 := p.field("y").int()
	signed, ok4 := p.field("signed").uint()
	if !ok1 || !ok2 || !ok3 || !ok4 || code >= uint64(len(boundsFormats)) {
		return "", false
	}
	format := boundsFormats[code]
	first := strconv.FormatUint(uint64(x), 10)
	if signed == 1 && x < 0 {
		first = strconv.FormatInt(x, 10)
		format, _, _ = strings.Cut(format, " with ")
		format = strings.Replace(format, "%y", "", 1)
	}
	format = strings.Replace(format, "%x", first, 1)
	return "runtime error: " + strings.Replace(format, "%y", strconv.FormatInt(y, 10), 1), true
}

// assertionText follows (*runtime.TypeAssertionError).Error without the names of
// the types, which are offsets into tables of the runtime's.
func assertionText(e val) (string, bool) {
	concrete, ok := e.field("concrete").pointer()
	method, _, okMethod := e.field("missingMethod").str(maxPart)
	switch {
	case !ok || !okMethod:
		return "", false
	case concrete == 0:
		return "interface conversion: interface is nil", true
	case method != "":
		return "interface conversion: missing method " + method, true
	}
	return "interface conversion: interface holds another type", true
}
