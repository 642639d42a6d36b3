//go:build linux && amd64

package dap_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	godap "github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap"
)

const timestamp = `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)`

// TestShown looks at values of the types that are shown as a person writes
// them.
func TestShown(t *testing.T) {
	b, _ := frozenAt(t, "shown", "-gcflags=all=-N -l")
	locals, err := b.Locals(1)
	must(t, err)
	for name, want := range map[string]string{ // regular expressions
		"placed":   `2024-05-06T07:08:09.00000012\+02:00 CEST`,
		"now":      timestamp + `( \w+)? m=\+\d+\.\d+`,
		"zeroTime": `0001-01-01T00:00:00Z \(zero\)`,
		"wait":     `1m30s`,
		"target":   `https://ada:‹redacted›@shop.example/orders/7\?full=1#top`,
		"req":      `POST http://shop.example/orders HTTP/1.1, Host: shop.example, from 203.0.113.7:4711, 2 bytes`,
		"addr4":    `203\.0\.113\.7`, "addr6": `fe80::1%eth0`, "noAddr": `invalid IP`,
		"prefix": `10\.0\.0\.0/8`, "port": `\[::1\]:80`, "ip": `192\.0\.2\.1`, "network": `192\.0\.2\.0/24`,
		"huge": `-123456789012345678901234567890`, "third": `1/3`,
		"free": `unlocked`, "held": `locked`,
		"reading": `locked for reading by 2`, "writing": `locked for writing`,
		"group": `counter 3`, "once": `done`, "count": `-5`, "flag": `true`,
		"current":  `\*main\.item \{SKU: "A-1", Qty: 2, Price: 0\}`,
		"anything": `string "x"`,
		"body":     `\[\]uint8 len: 12, "hello wörld"`,
		"binary":   `\[\]uint8 len: 4, cap: 4, \[0,1,2,255\]`,
		"rawJSON":  `\{"a": 1\}`,
		"id":       `6ba7b810-9dad-11d1-80b4-00c04fd430c8`,
		"wrapped":  `error\(\*fmt\.wrapError\) "loading: open /does/not/exist: no such file or directory" <- \*fs\.PathError "open /does/not/exist: no such file or directory" <- syscall\.Errno "no such file or directory"`,
		"joined":   `error\(\*errors\.joinError\) "2 errors joined" <- \*errors\.errorString "first" & \*fmt\.wrapError "second: code 7" <- \*main\.shopError \{Code: 7\}`,
		"endless":  `error\(\*main\.loop\) \{Err: \*main\.loop\}( <- \*main\.loop .*)+`,
		"notFound": `error\(\*fs\.PathError\) "stat /x: file does not exist" <- \*errors\.errorString "file does not exist"`,
		"ctx":      `context\.Context\(main\.custom\) not cancelled; deadline in (1h0m0s|59m[\d.]+s) \(` + timestamp + `\); values: string\("trace"\), main\.keyType`,
		"over":     `context\.Context\(\*context\.cancelCtx\) cancelled: "context canceled", because of "the user left"; deadline in .*; values: string\("trace"\), main\.keyType`,
		"detached": `context\.Context\(context\.withoutCancelCtx\) not cancelled; values: string\("trace"\), main\.keyType`,
	} {
		v := b.row(t, locals, name)
		if ok, err := regexp.MatchString(`^`+want+`$`, v.Value); !ok || err != nil {
			t.Errorf("%s = %s\nwant %s (%v)", name, v.Value, want, err)
		}
	}
	if v := locals["boxed"]; v.Type != "main.box[[]main.order]" {
		t.Errorf("the type of boxed is %q", v.Type)
	}
}

// TestShownRaw: what is shown some other way can still be had as it is.
func TestShownRaw(t *testing.T) {
	b, _ := frozenAt(t, "shown", "-gcflags=all=-N -l")
	locals, err := b.Locals(1)
	must(t, err)
	over := b.open(t, locals["over"])
	for name, want := range map[string]string{
		"cancelled":         `cancelled: "context canceled", because of "the user left"`,
		`[string("trace")]`: `42`,
		"[main.keyType]":    `"ada"`,
		"(layers)":          `context.cancelCtx <- main.custom <- context.valueCtx <- context.timerCtx <- context.valueCtx <- context.backgroundCtx`,
	} {
		if v := b.row(t, over, name); !strings.Contains(v.Value, want) {
			t.Errorf("over: %s = %s, want %s", name, v.Value, want)
		}
	}
	raw := b.open(t, b.row(t, over, "(raw)"))
	if v := b.row(t, raw, "cause"); !strings.Contains(v.Value, "errorString) *{s:") {
		t.Errorf("the raw cause: %+v", v)
	}

	chain := b.open(t, b.row(t, b.open(t, locals["joined"]), "(chain)"))
	for name, want := range map[string]string{
		"[0]": `"2 errors joined"`, "[0.0]": `"first"`, "[0.1]": `"second: code 7"`, "[0.1.0]": `{Code: 7}`,
	} {
		if v := b.row(t, chain, name); v.Value != want {
			t.Errorf("joined: %s = %s, want %s", name, v.Value, want)
		}
	}
	if v := b.row(t, b.open(t, chain["[0.1.0]"]), "Code"); v.Value != "7" {
		t.Errorf("the innermost error: %+v", v)
	}
	if v := b.row(t, b.open(t, locals["current"]), "(target)"); b.open(t, v)["SKU"].Value != `"A-1"` {
		t.Errorf("the target of an atomic pointer: %+v", v)
	}
	if v := b.row(t, b.open(t, locals["placed"]), "ext"); v.Value == "" {
		t.Errorf("time.Time.ext: %+v", v)
	}

	top, _, err := b.StackTrace(1, 0, 1)
	must(t, err)
	again, err := b.Evaluate(over["(raw)"].EvaluateName, top[0].Id, "watch")
	if err != nil || !strings.Contains(again.Result, "context.cancelCtx {") {
		t.Errorf("%s = %+v, %v", over["(raw)"].EvaluateName, again, err)
	}
	got, err := b.Evaluate("wait,raw", top[0].Id, "repl")
	if err != nil || !strings.Contains(got.Result, "90000000000") {
		t.Errorf("wait,raw = %+v, %v", got, err)
	}
	if got, err := b.Evaluate("wait", top[0].Id, "repl"); err != nil || got.Result != "1m30s" {
		t.Errorf("wait = %+v, %v", got, err)
	}
}

// TestShownBounds opens what has no end, and what is large.
func TestShownBounds(t *testing.T) {
	b, _ := frozenAt(t, "shown", "-gcflags=all=-N -l")
	locals, err := b.Locals(1)
	must(t, err)
	at := locals["circle"]
	for range 50 {
		at = b.row(t, b.open(t, at), "Next")
	}
	if v := b.row(t, b.open(t, at), "Name"); v.Value != `"a"` {
		t.Errorf("fifty steps round a ring of two: %+v", v)
	}
	chain := b.open(t, b.row(t, b.open(t, locals["endless"]), "(chain)"))
	if len(chain) != 16 {
		t.Errorf("%d errors of a chain without end", len(chain))
	}
	many := locals["manyBytes"]
	if many.IndexedVariables != 3<<20 || len(many.Value) > 400 {
		t.Errorf("manyBytes: %d indexed, %s", many.IndexedVariables, many.Value)
	}
	rows, err := b.VariablesPage(godap.VariablesArguments{VariablesReference: many.VariablesReference, Filter: "indexed", Start: 1 << 20, Count: 3})
	if err != nil || len(rows) != 3 || rows[0].Name != fmt.Sprintf("[%d]", 1<<20) || rows[0].Value != "109" {
		t.Errorf("a page of manyBytes: %+v, %v", rows, err)
	}
	top, _, err := b.StackTrace(1, 0, 1)
	must(t, err)
	text, err := b.Evaluate("manyBytes", top[0].Id, "clipboard")
	if err != nil || len(text.Result) < 1<<20 || strings.Trim(text.Result, `m"`) != "" {
		t.Errorf("manyBytes for the clipboard has %d bytes, %v", len(text.Result), err)
	}
	item, err := b.Evaluate("current", top[0].Id, "clipboard")
	if err != nil || !strings.Contains(item.Result, "A-1") {
		t.Errorf("current for the clipboard: %+v, %v", item, err)
	}
	whole, err := b.Evaluate("document", top[0].Id, "clipboard")
	if err != nil || len(whole.Result) < 1<<20 {
		t.Errorf("document for the clipboard has %d bytes, %v", len(whole.Result), err)
	}
}

// TestPlainValues: with the attach argument nothing is shown another way than
// Delve's.
func TestPlainValues(t *testing.T) {
	p := startProgram(t, "shown", "-gcflags=all=-N -l")
	fake := newFake()
	fake.requests, fake.target = append(fake.requests, aRequest(1)), p.target()
	b := serve(t, fake, dap.Config{})
	must(t, b.SessionWith(map[string]any{"plainValues": true}, ""))
	b.stopped(t, 1)
	locals, err := b.Locals(1)
	must(t, err)
	plain := locals["held"]
	if !strings.Contains(plain.Value, "{") {
		t.Errorf("a mutex with plainValues: %s", plain.Value)
	}
	if v := locals["wrapped"]; strings.Contains(v.Value, "<-") {
		t.Errorf("an error with plainValues: %s", v.Value)
	}
}
