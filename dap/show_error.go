//go:build linux && amd64

package dap

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/google/go-dap"
	"github.com/remotedbg/remotedbg/internal/redact/taint"
)

// maxChain bounds the errors of a chain: a ring of them has no end.
const maxChain = 16

// link is one error of a chain.
type link struct {
	path string // "[0]", and "[0.1]" for the second that [0] wraps
	typ  string
	text string
	at   val
}

// chain is an error with all that it wraps, depth first.
type chain []link

// line is the chain from the outside in: "A "text" <- B "text"".
func (c chain) line() string {
	var b strings.Builder
	for i, l := range c {
		switch {
		case i == 0:
			fmt.Fprintf(&b, "error(%s) %s", l.typ, l.text)
			continue
		case len(l.path) > len(c[i-1].path):
			b.WriteString(" <- ")
		default:
			b.WriteString(" & ")
		}
		b.WriteString(l.typ + " " + l.text)
	}
	return b.String()
}

// errorChain unwraps an error: what an interface holds. It follows fields that
// are errors instead of calling Unwrap; cut says that there are more.
func errorChain(held val) (c chain, cut bool) {
	var add func(e val, path string)
	add = func(e val, path string) {
		if len(c) >= maxChain {
			cut = true
			return
		}
		c = append(c, link{"[" + path + "]", shortType(e.typeName()), errorText(e), e})
		for i, inner := range wrapped(e) {
			add(inner, path+"."+strconv.Itoa(i))
		}
	}
	add(held, "0")
	return c, cut
}

// wrapped is what the errors in the fields of e hold.
func wrapped(e val) (inner []val) {
	if _, isPtr := e.real().(*godwarf.PtrType); isPtr {
		e = e.deref()
	}
	st, ok := e.real().(*godwarf.StructType)
	if !ok {
		return nil
	}
	for _, f := range st.Field {
		field := e.field(f.Name)
		if !field.ok() {
			continue
		}
		if s, isSlice := field.real().(*godwarf.SliceType); isSlice && isError(s.ElemType) {
			list, _ := field.elems(maxChain)
			for _, l := range list {
				if held := l.dynamic(); held.ok() {
					inner = append(inner, held)
				}
			}
			continue
		}
		if isError(f.Type) {
			if held := field.dynamic(); held.ok() {
				inner = append(inner, held)
			}
		}
	}
	return inner
}

// isError tells the interface type error.
func isError(t godwarf.Type) bool {
	if _, isInterface := taint.Resolved(t).(*godwarf.InterfaceType); !isInterface {
		return false
	}
	return t.Common().Name == "error"
}

// errorText is what the error says where that can be known without calling
// its method, quoted; otherwise its fields, in braces.
func errorText(e val) string {
	if s, ok := knownError(e, 0); ok {
		return s
	}
	if _, isPtr := e.real().(*godwarf.PtrType); isPtr {
		e = e.deref()
	}
	if s, n, ok := e.str(maxPart); ok {
		if n > int64(len(s)) {
			s += "..."
		}
		return strconv.Quote(s)
	}
	return fieldsLine(e, nil)
}

// knownError is the text of errors whose method is known.
func knownError(e val, depth int) (string, bool) {
	s, ok := errorWords(e, depth)
	if !ok {
		return "", false
	}
	return strconv.Quote(s), true
}

// errorWords is knownError without the quotes. The rules are those of the
// Error methods of the standard library and of github.com/pkg/errors.
func errorWords(e val, depth int) (string, bool) {
	if !e.ok() || depth > maxShowDepth {
		return "", false
	}
	if _, isPtr := e.real().(*godwarf.PtrType); isPtr {
		e = e.deref()
	}
	text := func(name string) string {
		s, n, _ := e.field(name).str(2 * maxPart)
		if n > int64(len(s)) {
			s += "..."
		}
		return s
	}
	inner := func(name string) string {
		held := e.field(name).dynamic()
		if s, ok := errorWords(held, depth+1); ok {
			return s
		}
		if !held.ok() {
			return "?"
		}
		return shortType(held.typeName())
	}
	switch e.typeName() {
	case "errors.errorString":
		return text("s"), true
	case "fmt.wrapError", "fmt.wrapErrors", "github.com/pkg/errors.fundamental", "encoding/json.SyntaxError":
		return text("msg"), true
	case "github.com/pkg/errors.withMessage":
		return text("msg") + ": " + inner("cause"), true
	case "github.com/pkg/errors.withStack":
		return inner("error"), true
	case "errors.joinError":
		list, n := e.field("errs").elems(maxChain)
		return fmt.Sprintf("%d errors joined", n), int64(len(list)) <= n
	case "context.deadlineExceededError":
		return "context deadline exceeded", true
	case "internal/poll.DeadlineExceededError":
		return "i/o timeout", true
	case "syscall.Errno":
		n, ok := e.uint()
		return syscall.Errno(n).Error(), ok
	case "io/fs.PathError":
		return text("Op") + " " + text("Path") + ": " + inner("Err"), true
	case "os.SyscallError":
		return text("Syscall") + ": " + inner("Err"), true
	case "os.LinkError":
		return text("Op") + " " + text("Old") + " " + text("New") + ": " + inner("Err"), true
	case "net/url.Error":
		return fmt.Sprintf("%s %q: %s", text("Op"), text("URL"), inner("Err")), true
	case "strconv.NumError":
		return fmt.Sprintf("strconv.%s: parsing %q: %s", text("Func"), text("Num"), inner("Err")), true
	case "net.OpError":
		return opError(e, text, inner), true
	case "net.DNSError":
		s := "lookup " + text("Name")
		if server := text("Server"); server != "" {
			s += " on " + server
		}
		return s + ": " + text("Err"), true
	}
	return "", false
}

// opError follows (*net.OpError).Error.
func opError(e val, text, inner func(string) string) string {
	s := text("Op")
	if network := text("Net"); network != "" {
		s += " " + network
	}
	source, haveSource := e.x.show(e.field("Source").dynamic(), 1)
	addr, haveAddr := e.x.show(e.field("Addr").dynamic(), 1)
	if haveSource {
		s += " " + source
	}
	if haveAddr {
		if haveSource {
			s += "->"
		} else {
			s += " "
		}
		s += addr
	}
	return s + ": " + inner("Err")
}

// chainRow is the row that opens into the errors of a chain, one each.
func (x *viewer) chainRow(held val) []dap.Variable {
	c, cut := errorChain(held)
	value := fmt.Sprintf("%d errors", len(c))
	if cut {
		value += ", and more"
	}
	return []dap.Variable{x.virtual("(chain)", value, len(c), func(x *viewer) (rows []dap.Variable) {
		for _, l := range c {
			row := x.row(l.at.in(x), l.path, "")
			row.Value, row.Type = clipText(l.text, maxText), l.typ
			rows = append(rows, row)
		}
		return rows
	})}
}
