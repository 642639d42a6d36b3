//go:build linux && amd64

package dap

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/proc"
	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/internal/redact"
)

// showing is how a connection wants values shown, and what it has learnt about
// the service's types.
type showing struct {
	plain bool               // as Delve shows them: no showers
	types map[uint64]dynType // what interfaces hold, by their first word
}

// A shower writes values of one type as a person would. It reads the service's
// memory and calls nothing in it; what it cannot make sense of it leaves to
// Delve, by answering false.
type shower func(v val) (string, bool)

// showers by the full name of the type. Type parameters are cut off.
var showers map[string]shower

func init() { // an initialiser would be a cycle: some show what they hold
	showers = map[string]shower{
		"time.Time":     showTime,
		"time.Duration": showDuration,

		"net/http.Request":  showRequest,
		"net/http.Response": showResponse,
		"net/url.URL":       showURL,
		"net/netip.Addr":    showNetipAddr, "net/netip.AddrPort": showNetipAddrPort, "net/netip.Prefix": showNetipPrefix,
		"net.IP": showIP, "net.IPNet": showIPNet,
		"net.TCPAddr": showSocketAddr, "net.UDPAddr": showSocketAddr, "net.IPAddr": showSocketAddr,
		"math/big.Int": showBigInt, "math/big.Rat": showBigRat,

		"sync.Mutex": showMutex, "internal/sync.Mutex": showMutex,
		"sync.RWMutex": showRWMutex, "sync.WaitGroup": showWaitGroup, "sync.Once": showOnce,
		"sync/atomic.Int32": showAtomicInt, "sync/atomic.Int64": showAtomicInt,
		"sync/atomic.Uint32": showAtomicUint, "sync/atomic.Uint64": showAtomicUint, "sync/atomic.Uintptr": showAtomicUint,
		"sync/atomic.Bool": showAtomicBool, "sync/atomic.Pointer": showAtomicPointer, "sync/atomic.Value": showAtomicValue,

		"encoding/json.RawMessage": showRawMessage,
	}
}

// maxShowDepth bounds how far a shower follows pointers and interfaces: to
// **T -> *T -> T behind an interface.
const maxShowDepth = 4

// show writes v as a person would; not ok if there is no way known.
func (x *viewer) show(v val, depth int) (string, bool) {
	if !v.ok() || depth > maxShowDepth {
		return "", false
	}
	if x.g.Type(v.t) {
		return redact.Mark, true
	}
	name := v.typeName()
	if s := showers[generic(name)]; s != nil {
		return s(v)
	}
	switch t := v.real().(type) {
	case *godwarf.InterfaceType:
		return x.showInterface(v, name, depth)
	case *godwarf.PtrType:
		if v.isNil() {
			return "", false
		}
		return x.show(v.deref(), depth+1)
	case *godwarf.SliceType:
		return showBytes(v)
	case *godwarf.ArrayType:
		return showUUID(v, t)
	case *godwarf.StructType:
		if e, isErr := knownError(v, 0); isErr {
			return e, true
		}
		if isProto(t) {
			return shortType(name) + " " + fieldsLine(v, protoInternals), true
		}
		if isContext(name) {
			return showContext(v)
		}
	}
	return "", false
}

// showInterface names what is in it, and shows that if it can.
func (x *viewer) showInterface(v val, name string, depth int) (string, bool) {
	held := v.dynamic()
	if !held.ok() {
		return "", false
	}
	prefix := shortType(name) + "(" + shortType(held.typeName()) + ") "
	switch name {
	case "error":
		chain, _ := errorChain(held)
		return chain.line(), len(chain) > 0
	case "context.Context":
		s, ok := showContext(held)
		return prefix + s, ok
	}
	s, ok := x.show(held, depth+1)
	return prefix + s, ok
}

// text is v on one line, for a person unless the client wants it plain.
func (x *viewer) text(v *proc.Variable) string {
	if s, ok := x.shown(v); ok {
		return clipText(s, maxText)
	}
	return text(x.g, v)
}

// fullText is v to be copied: without a bound on its length, and with all fields.
func (x *viewer) fullText(v *proc.Variable) string {
	if x.plain || v.Unreadable != nil {
		return fullText(x.g, v)
	}
	at := x.of(v)
	if isBytes(at.real()) {
		if b, n, ok := at.bytes(copiedString); ok {
			if s, printable := asText(b, n > int64(len(b))); printable {
				return strconv.Quote(s)
			}
		}
	} else if s, ok := x.show(at, 0); ok {
		return s
	}
	return fullText(x.g, v)
}

func (x *viewer) shown(v *proc.Variable) (string, bool) {
	if x.plain || v.Unreadable != nil {
		return "", false
	}
	at := x.of(v)
	if s, ok := x.show(at, 0); ok {
		return s, true
	}
	if v.Kind == reflect.Slice {
		return showElements(at, v)
	}
	return x.showFields(at)
}

// maxLineElements bounds the elements on one line.
const maxLineElements = 8

// showElements shows a slice of structs, or of what leads to them, by the fields
// of its first elements.
func showElements(at val, v *proc.Variable) (string, bool) {
	list, n := at.elems(maxLineElements)
	if len(list) == 0 {
		return "", false
	}
	var parts []string
	for _, e := range list {
		s, ok := at.x.show(e, 1)
		if !ok {
			if s, ok = at.x.showFields(e); !ok {
				return "", false
			}
			if i := strings.Index(s, " {"); i > 0 && !strings.HasSuffix(s[:i], ")") {
				s = s[i+1:] // the slice's type says it
			}
		}
		if parts = append(parts, s); len(s) > maxText {
			break
		}
	}
	if int64(len(parts)) < n {
		parts = append(parts, "...")
	}
	return fmt.Sprintf("%s len: %d, cap: %d, [%s]", shortType(at.typeName()), v.Len, v.Cap, strings.Join(parts, ", ")), true
}

// showFields shows a struct, or what leads to one, by its fields: Delve's own
// text for it has addresses where a person wants values.
func (x *viewer) showFields(v val) (string, bool) {
	prefix := ""
	for range maxShowDepth {
		name := v.typeName()
		if x.g.Type(v.t) {
			return prefix + redact.Mark, true
		}
		switch v.real().(type) {
		case *godwarf.StructType:
			if prefix == "" || strings.HasSuffix(prefix, "*") {
				prefix += shortType(name) + " "
			}
			return prefix + fieldsLine(v, nil), true
		case *godwarf.PtrType:
			if prefix == "" {
				prefix = "*"
			} else if strings.HasSuffix(prefix, "*") {
				return "", false // a pointer to a pointer
			}
			v = v.deref()
		case *godwarf.InterfaceType:
			v = v.dynamic()
			prefix += shortType(name) + "(" + shortType(v.typeName()) + ") "
		default:
			return "", false
		}
	}
	return "", false
}

// cutRaw takes ",raw" off an expression: its value is shown as Delve shows it.
func cutRaw(expr string) (rest string, raw bool) {
	rest, raw = strings.CutSuffix(expr, ",raw")
	return strings.TrimSpace(rest), raw
}

// typeName is the type as a person writes it, with what an interface holds.
func (x *viewer) typeName(v *proc.Variable) string {
	if x.plain {
		return typeName(v)
	}
	return shortType(typeName(v))
}

// extra is the rows that a person wants to see of v besides what its type
// has, and whether they are instead of it. nil: none.
func (x *viewer) extra(v *proc.Variable) (rows func(x *viewer, expr string) []dap.Variable, instead bool) {
	if x.plain || v.Unreadable != nil {
		return nil, false
	}
	at := x.of(v)
	for range maxShowDepth {
		if !at.ok() {
			return nil, false
		}
		name := at.typeName()
		switch t := at.real().(type) {
		case *godwarf.InterfaceType:
			at = at.dynamic()
			if name == "error" && at.ok() {
				if chain, _ := errorChain(at); len(chain) > 1 {
					return func(x *viewer, _ string) []dap.Variable { return x.chainRow(at.in(x)) }, false
				}
			}
			continue
		case *godwarf.PtrType:
			at = at.deref()
			continue
		case *godwarf.StructType:
			switch {
			case isContext(name):
				return func(x *viewer, _ string) []dap.Variable { return x.contextRows(at.in(x)) }, true
			case isProto(t):
				return func(x *viewer, expr string) []dap.Variable { return x.protoRows(at.in(x), t, expr) }, true
			case generic(name) == "sync/atomic.Pointer":
				return func(x *viewer, _ string) []dap.Variable { return x.atomicTarget(at.in(x)) }, false
			}
		}
		return nil, false
	}
	return nil, false
}

// in is v for another inspection of the same stop.
func (v val) in(x *viewer) val {
	v.x = x
	return v
}

// row is a row for what is at v, with whatever can be opened below it. expr is an
// expression for it, or "".
func (x *viewer) row(v val, name, expr string) dap.Variable {
	switch {
	case !v.ok():
		return dap.Variable{Name: name, Value: "(unreadable)"}
	case v.v != nil:
		return x.present(v.v, name, expr)
	}
	got, err := x.at(v.t, v.addr)
	if err != nil {
		return dap.Variable{Name: name, Value: unreadable(err)}
	}
	return x.present(got, name, expr)
}

// virtual is a row whose children are made by rows.
func (x *viewer) virtual(name, value string, count int, rows func(x *viewer) []dap.Variable) dap.Variable {
	row := dap.Variable{Name: name, Value: clipText(value, maxText)}
	if count > 0 {
		row.VariablesReference = x.h.addNode(&node{frame: x.f, extra: func(x *viewer, _ string) []dap.Variable { return rows(x) }, instead: true})
		row.NamedVariables = count
	}
	return row
}

// generic cuts the type arguments off a name.
func generic(name string) string {
	if i := strings.IndexByte(name, '['); i > 0 {
		return name[:i]
	}
	return name
}

// directories are those of an import path in a type's name; the last element
// stays, as in Go source.
var directories = regexp.MustCompile(`[\pL\pN_.~%-]+/(?:[\pL\pN_.~%-]+/)*`)

// shortType is a type's name as a person writes it: without the directories of
// packages, and with type arguments that say what they are.
func shortType(name string) string {
	if strings.ContainsRune(name, '/') {
		name = directories.ReplaceAllString(name, "")
	}
	if strings.Contains(name, "go.shape.") {
		name = strings.ReplaceAll(name, "go.shape.", "")
	}
	if strings.Contains(name, "interface {}") {
		name = strings.ReplaceAll(name, "interface {}", "any")
	}
	return name
}
