package main

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/access"
)

// someBudgets are the defaults, as pflag sets them.
var someBudgets = budgetFlags{maxHold: "5m", maxFrozen: "2", stallGuard: "24", follow: "children", extra: "2s"}

var (
	someListen = listenFlags{listen: "127.0.0.1:2345", invite: "1"}
	someRights = rightsFlags{role: "control"}
)

func TestCheckFlags(t *testing.T) {
	f := attachFlags{
		budgets: someBudgets,
		pid:     "4711", allow: []string{"203.0.113.7"}, method: "POST", path: "/orders/",
		headers: []string{"x-debug:  alice "}, duration: "90s",
		listen: listenFlags{listen: "[::1]:0", invite: "1"}, rights: rightsFlags{role: "observe"},
	}
	got, err := f.check()
	want := attachOptions{
		pid: 4711, allow: []netip.Prefix{netip.MustParsePrefix("203.0.113.7/32")}, method: "POST", path: "/orders/",
		headerName: "X-Debug", headerValue: "alice", duration: 90 * time.Second,
		listen: listenOptions{proof: proofLoopback, addr: netip.MustParseAddrPort("[::1]:0")}, rights: rights{role: access.Observe},
		budgets: budgets{maxHold: 5 * time.Minute, maxFrozen: 2, stallGuard: 24, extraFor: 2 * time.Second},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestCheckFlagsMistakes(t *testing.T) {
	good := attachFlags{pid: "1", allow: []string{"127.0.0.2"}, duration: "15m", listen: someListen, rights: someRights, budgets: someBudgets}
	if _, err := good.check(); err != nil {
		t.Fatalf("the base of this table is wrong: %v", err)
	}
	tests := []struct {
		name   string
		change func(*attachFlags)
		text   string
		hint   string
	}{
		{"no target", func(f *attachFlags) { f.pid = "" }, "one of --pid and --name", "--pid 4711"},
		{"two targets", func(f *attachFlags) { f.name = "shop" }, "--pid and --name both", "only one"},
		{"pid is a word", func(f *attachFlags) { f.pid = "shop" }, "--pid shop: not a process id", "ps"},
		{"pid 0", func(f *attachFlags) { f.pid = "0" }, "not a process id", ""},
		{"process group", func(f *attachFlags) { f.pid = "-5" }, "not a process id", ""},
		{"pid overflows", func(f *attachFlags) { f.pid = "4294967297" }, "not a process id", ""},
		{"no allow", func(f *attachFlags) { f.allow = nil }, "--allow is required", "203.0.113.7"},
		{"lower case method", func(f *attachFlags) { f.method = "get" }, "upper case", "--method GET"},
		{"two methods", func(f *attachFlags) { f.method = "GET,POST" }, "not a request method", ""},
		{"relative path", func(f *attachFlags) { f.path = "orders" }, "slash", "--path /orders"},
		{"header without colon", func(f *attachFlags) { f.headers = []string{"X-Debug"} }, "not a header", "X-Debug: alice"},
		{"header without name", func(f *attachFlags) { f.headers = []string{": x"} }, "not a header", ""},
		{"header without value", func(f *attachFlags) { f.headers = []string{"x-debug:"} }, "value is missing", "X-Debug: alice"},
		{"two headers", func(f *attachFlags) { f.headers = []string{"A: 1", "B: 2"} }, "2 times", "keep"},
		{"no unit", func(f *attachFlags) { f.duration = "15" }, "not a duration", "15m"},
		{"no time", func(f *attachFlags) { f.duration = "0s" }, "longer than nothing", "15m"},
		{"negative time", func(f *attachFlags) { f.duration = "-1m" }, "longer than nothing", ""},
		{"for ever", func(f *attachFlags) { f.duration = "100000h" }, "too long", "at most 24h"},
		{"extra breakpoints for ever", func(f *attachFlags) { f.budgets.extra = "0" }, "--extra-breakpoints 0: not a duration", "2s"},
		{"hold for ever", func(f *attachFlags) { f.budgets.maxHold = "0" }, "--max-hold 0: not a duration", "5m"},
		{"nothing frozen", func(f *attachFlags) { f.budgets.maxFrozen = "0" }, "--max-frozen 0: not a number", "1 or more"},
		{"stall guard on", func(f *attachFlags) { f.budgets.stallGuard = "on" }, "--stall-guard on: not a number", "off"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := good
			tt.change(&f)
			_, err := f.check()
			var ms mistakes
			if !errors.As(err, &ms) || len(ms) != 1 {
				t.Fatalf("got %v, want one mistake", err)
			}
			if !strings.Contains(ms[0].text, tt.text) || !strings.Contains(ms[0].hint, tt.hint) || ms[0].hint == "" {
				t.Errorf("mistake %q, hint %q; want %q, %q", ms[0].text, ms[0].hint, tt.text, tt.hint)
			}
		})
	}
}

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		24 * time.Hour: "24h", 15 * time.Minute: "15m", 70 * time.Second: "1m10s", 90 * time.Minute: "1h30m", 10 * time.Second: "10s",
	} {
		if got := formatDuration(d); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
