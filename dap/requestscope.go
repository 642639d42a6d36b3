//go:build linux && amd64

package dap

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/pkg/proc"
	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/internal/session"
	"github.com/remotedbg/remotedbg/internal/stall"
)

// requestRows is the scope Request: what is known of the request that the
// frames serve, without a look at any variable of theirs.
func (c *conn) requestRows(x *viewer, _ string) []dap.Variable {
	goroutine := uint64(0)
	if g, err := proc.GetG(x.t.CurrentThread()); err == nil && g != nil {
		goroutine = uint64(g.ID)
	}
	d, err := c.sess.Details(x.f.req, goroutine)
	if err != nil {
		return []dap.Variable{{Name: "(error)", Value: err.Error()}}
	}
	r := d.Request
	var rows []dap.Variable
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, dap.Variable{Name: name, Value: value})
		}
	}
	found := x.httpRequest()
	add("method", r.Method)
	add("path", r.Path)
	add("route", r.Route)
	add("client", r.Client.String())
	add("client chosen", x.whyClient(found, r.Client))
	add("rule", d.Rule)
	add("id", fmt.Sprint(r.ID))
	add("since", r.Since.Format(time.RFC3339Nano))
	add("elapsed", time.Since(r.Since).Round(time.Millisecond).String())
	if r.Frozen {
		add("frozen for", d.FrozenFor.Round(time.Millisecond).String())
		add("goes on by itself in", d.ReleasedIn.Round(time.Second).String())
	}
	add("thread was stopped for", d.StopOfThread.Round(10*time.Microsecond).String())
	if found.ok() {
		rows = append(rows, x.row(found.field("Header"), "headers", ""), x.row(found, "http.Request", ""))
	} else {
		add("http.Request", "(not found in a variable that the compiler kept)")
	}
	return append(rows, x.goroutines(d))
}

// onStack is what a look at the stack found: the address of an http.Request, 0
// if there is none.
type onStack struct {
	t    godwarf.Type
	addr uint64
}

// maxSearch bounds the frames whose variables are searched.
const maxSearch = 64

// nothing reads no more of a variable than where it is and what it points to.
var nothing = proc.LoadConfig{}

// httpRequest finds the *http.Request of the request that is frozen: in the
// innermost frame that has one, since middleware hands on copies. It is looked
// for once at a stop.
func (x *viewer) httpRequest() val {
	s := x.h.stop(x.f.req)
	if s.http == nil {
		s.http = &onStack{}
		x.searchStack(s.http)
	}
	return val{x: x, t: s.http.t, addr: s.http.addr}
}

func (x *viewer) searchStack(found *onStack) {
	g, _ := proc.GetG(x.t.CurrentThread())
	for i := range min(len(x.stack), maxSearch) {
		fn := x.stack[i].Call.Fn
		if fn == nil || fn.PackageName() == "runtime" {
			continue
		}
		scope := proc.FrameToScope(x.t, x.t.Memory(), g, x.t.CurrentThread().ThreadID(), x.stack[i:]...)
		args, err := scope.FunctionArguments(nothing)
		if err != nil {
			continue
		}
		vars, _ := scope.LocalVariables(nothing)
		for _, v := range append(args, vars...) {
			if r := requestIn(x.of(v)); r.ok() {
				found.t, found.addr = r.t, r.addr
				return
			}
		}
	}
}

// requestIn is the http.Request that v leads to: by itself, or as what answers
// it.
func requestIn(v val) val {
	switch v.typeName() {
	case "*net/http.Request":
	case "*net/http.response":
		v = v.deref().field("req")
	case "*net/http.http2responseWriter":
		v = v.path("rws", "req")
	case "net/http.ResponseWriter":
		if held := v.dynamic(); held.typeName() == "*net/http.response" {
			return requestIn(held)
		}
		return val{}
	default:
		return val{}
	}
	r := v.deref()
	if !r.ok() || !r.field("Header").ok() || part(r.field("Proto")) == "" {
		return val{}
	}
	return r
}

// clientHeaders are those in which proxies commonly name the client.
var clientHeaders = []string{
	"X-Forwarded-For", "Forwarded", "X-Real-Ip", "True-Client-Ip", "Cf-Connecting-Ip", "Fastly-Client-Ip",
}

// whyClient says where the gate has the client's address from, as far as the
// request still shows it: the gate's own reason is not kept.
func (x *viewer) whyClient(r val, client netip.Addr) string {
	if !r.ok() {
		return ""
	}
	remote := part(r.field("RemoteAddr"))
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	if peer, err := netip.ParseAddr(host); err == nil && peer.Unmap().WithZone("") == client {
		return "it is the remote end of the connection"
	}
	for _, name := range clientHeaders {
		at := fmt.Sprintf("(*(*%q)(%#x)).Header[%q]", "net/http.Request", r.addr, name)
		v, err := x.scope.EvalExpression(at, firstLook)
		if err != nil || v.Unreadable != nil {
			continue
		}
		for i := range v.Children {
			if s, _, ok := x.of(&v.Children[i]).str(longString); ok && strings.Contains(s, client.String()) {
				return fmt.Sprintf("a trusted proxy, %s, names it in %s", host, name)
			}
		}
	}
	return "the remote end of the connection is " + remote
}

// goroutines is the row of the goroutines that the request has started.
func (x *viewer) goroutines(d session.Details) dap.Variable {
	if d.GoroutinesErr != nil {
		return dap.Variable{Name: "other goroutines", Value: "(unknown: " + d.GoroutinesErr.Error() + ")"}
	}
	list := d.Goroutines
	return x.virtual("other goroutines", fmt.Sprintf("%d, read while they run", len(list)), len(list), func(x *viewer) (rows []dap.Variable) {
		for i, g := range list {
			if i == unpaged {
				return append(rows, dap.Variable{Name: "...", Value: fmt.Sprintf("%d more", len(list)-i)})
			}
			rows = append(rows, dap.Variable{Name: fmt.Sprintf("goroutine %d", g.ID), Value: x.whereabouts(g)})
		}
		return rows
	})
}

// whereabouts says what a goroutine does and where.
func (x *viewer) whereabouts(g stall.Goroutine) string {
	s := g.State
	if g.Reason != "" {
		s += " (" + g.Reason + ")"
	}
	if place := x.place(g); place != "" {
		s += " at " + place
	}
	return s + fmt.Sprintf(", started by goroutine %d", g.Parent)
}

// maxCallers bounds the frames that are looked at for the one of the user.
const maxCallers = 32

// place is where a goroutine that does not run is: its innermost frame in a
// module, or its outermost in the standard library. It follows the frame
// pointers, which Go keeps on amd64: all it costs is two words a frame, and what
// a goroutine that runs on meanwhile leaves behind is no text of the program, or
// harmless.
func (x *viewer) place(g stall.Goroutine) string {
	if g.State == "running" {
		return ""
	}
	t, err := x.t.BinInfo().FindType("runtime.g")
	if err != nil {
		return ""
	}
	sched := val{x: x, t: t, addr: g.Addr}.field("sched")
	pc, ok1 := sched.field("pc").uint()
	bp, ok2 := sched.field("bp").uint()
	place := ""
	for range maxCallers {
		if !ok1 || !ok2 {
			break
		}
		file, line, fn := x.t.BinInfo().PCToLine(pc)
		if fn == nil {
			break
		}
		if pkg := fn.PackageName(); pkg != "runtime" && !strings.Contains(fn.Name, ".gowrap") {
			place = fmt.Sprintf("%s %s:%d", functionName(fn), file[strings.LastIndexByte(file, '/')+1:], line)
			if ofAModule(pkg) {
				break
			}
		}
		if pc, ok1 = x.word(bp + 8); pc != 0 {
			pc-- // into the call
		}
		bp, ok2 = x.word(bp)
	}
	return place
}

// ofAModule tells main and what has a host's name in its path from the standard
// library.
func ofAModule(pkg string) bool {
	first, _, _ := strings.Cut(pkg, "/")
	return first == "main" || strings.Contains(first, ".")
}
