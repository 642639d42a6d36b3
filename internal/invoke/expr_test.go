//go:build linux && amd64

package invoke

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/remotedbg/remotedbg/internal/live"
)

// prepared is the one call that an expression without operands to call makes.
func prepared(t *testing.T, e *Env, expr string) (*Evaluation, *live.Call, error) {
	t.Helper()
	ev, err := Parse(expr, false)
	if err != nil {
		t.Fatal(err)
	}
	c, err := ev.Next(e)
	return ev, c, err
}

// TestNext: what is called, and with what in which registers.
func TestNext(t *testing.T) {
	b, e := env(t, "main.work")
	neg := ^uint64(0)
	float := math.Float64bits
	for _, c := range []struct {
		expr, calls string
		ints        []uint64
		floats      []uint64
		stack       []uint64
	}{
		{"answer()", "main.answer", nil, nil, nil},
		{"main.add(1, -1)", "main.add", []uint64{1, neg}, nil, nil},
		{"not(true)", "main.not", []uint64{1}, nil, nil},
		{"double(1.5)", "main.double", nil, []uint64{float(1.5)}, nil},
		{"double(3)", "main.double", nil, []uint64{float(3)}, nil},
		{"turn(1 + 2i)", "main.turn", nil, []uint64{float(1), float(2)}, nil},
		{`mixed(-8, 65535, true, 1.5, "", 2.25, -9, 255)`, "main.mixed",
			[]uint64{0xf8, 0xffff, 1, 0, 0, neg - 8, 0xff}, []uint64{uint64(math.Float32bits(1.5)), float(2.25)}, nil},
		{"many(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)", "main.many", []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9}, nil, []uint64{10, 11, 12}},
		{"count(nil)", "main.count", []uint64{0}, nil, nil},
		{"join(nil, ``)", "main.join", []uint64{0, 0, 0, 0, 0}, nil, nil},
		{"why(nil)", "main.why", []uint64{0, 0}, nil, nil},
		{"strconv.Atoi(``)", "strconv.Atoi", []uint64{0, 0}, nil, nil}, // there is internal/strconv.Atoi, too
		{"sum(``)", "main.sum", []uint64{0, 0, 0, 0, 0}, nil, nil},
	} {
		ev, call, err := prepared(t, e, c.expr)
		if err != nil || call == nil {
			t.Errorf("%s: %v, %v", c.expr, call, err)
			continue
		}
		last := call.Steps[len(call.Steps)-1]
		if fn := b.function(t, c.calls); last.PC != fn.Entry || ev.Result().Func != c.calls {
			t.Errorf("%s calls %#x (%s), want %s at %#x", c.expr, last.PC, ev.Result().Func, c.calls, fn.Entry)
		}
		for i, want := range c.ints {
			if last.Ints[i] != (live.Word{Value: want}) {
				t.Errorf("%s: integer register %d holds %+v, want %#x", c.expr, i, last.Ints[i], want)
			}
		}
		for i, want := range c.floats {
			if last.Floats[i] != want {
				t.Errorf("%s: float register %d holds %#x, want %#x", c.expr, i, last.Floats[i], want)
			}
		}
		for i, want := range c.stack {
			if w := (live.StackWord{Offset: uint64(8 * i), Size: 8, Word: live.Word{Value: want}}); i >= len(last.Stack) || last.Stack[i] != w {
				t.Errorf("%s: on the stack %+v, want %+v", c.expr, last.Stack, w)
			}
		}
		if len(last.Stack) != len(c.stack) || !call.Fresh {
			t.Errorf("%s: %d words on the stack, fresh %t", c.expr, len(last.Stack), call.Fresh)
		}
		if first := call.Steps[0]; first.PC != b.function(t, "runtime.mallocgc").Entry || len(first.Keep) != 1 {
			t.Errorf("%s: the block is made by %+v", c.expr, first)
		}
	}
}

// TestNextMakesStrings: a text that the service does not have is written to the
// call's block, which its first step makes, and the argument points there.
func TestNextMakesStrings(t *testing.T) {
	_, e := env(t, "main.work")
	_, call, err := prepared(t, e, `upper("text")`)
	if err != nil {
		t.Fatal(err)
	}
	last := call.Steps[len(call.Steps)-1]
	at, length := last.Ints[0], last.Ints[1]
	if at.From != 1 || length != (live.Word{Value: 4}) {
		t.Fatalf("the string is %+v, %+v", at, length)
	}
	block := call.Steps[1].Writes[0]
	if block.To != inBlock(0) || at.Value+4 > uint64(len(block.Data)) || string(block.Data[at.Value:at.Value+4]) != "text" {
		t.Errorf("the block is %+v, the text at %d", block, at.Value)
	}
	if size := call.Steps[0].Ints[0].Value; size != uint64(len(block.Data)) {
		t.Errorf("the block is made of %d bytes, %d are written", size, len(block.Data))
	}
	// The result, a string, is saved to the block and what it points to kept.
	if len(last.Saves) != 2 || len(last.Keep) != 1 || last.Keep[0] != (live.Source{Where: live.InInt}) {
		t.Errorf("saved %+v, kept %+v", last.Saves, last.Keep)
	}
}

// TestNextMakesInterfaces: a number in an interface is its type and the address of
// a copy.
func TestNextMakesInterfaces(t *testing.T) {
	_, e := env(t, "main.work")
	_, call, err := prepared(t, e, "describe(5)")
	if err != nil {
		t.Fatal(err)
	}
	typ, err := e.Scope.BinInfo.FindType("int")
	if err != nil {
		t.Fatal(err)
	}
	addr, err := e.runtimeType(typ)
	if err != nil {
		t.Fatal(err)
	}
	last := call.Steps[len(call.Steps)-1]
	block := call.Steps[1].Writes[0].Data
	if last.Ints[0] != (live.Word{Value: addr}) || last.Ints[1].From != 1 || binary.LittleEndian.Uint64(block[last.Ints[1].Value:]) != 5 {
		t.Errorf("the interface is %+v, %+v in a block %x", last.Ints[0], last.Ints[1], block)
	}
}

// TestRefusals: what is not called, and why.
func TestRefusals(t *testing.T) {
	_, e := env(t, "main.work")
	for expr, why := range map[string]string{
		"add(1)":                              "takes 2 arguments, not 1",
		"add(1, 2, 3)":                        "takes 2 arguments, not 3",
		`add(1, "x")`:                         "string",
		"add(1, 1.5)":                         "cannot be made a int",
		"not(nil)":                            "nil is no bool",
		"add(int64(1), 2)":                    "cannot be used as a int",
		"not(1)":                              "bool",
		"pair(1, 2)":                          "generic",
		"missing(1)":                          "does not have such a function",
		"mixed(128, 0, true, 0, ``, 0, 0, 0)": "does not fit int8",
		"mixed(0, -1, true, 0, ``, 0, 0, 0)":  "does not fit uint16",
		"true && not(true)":                   "right of &&",
		"false || not(true)":                  "right of ||",
		"apply(add, 1)":                       "cannot be used as a func(int) int",
		"7()":                                 "",
		"errMissing()":                        "is no function",
	} {
		_, call, err := prepared(t, e, expr)
		if call != nil || err == nil && why != "" || err != nil && !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, %v, want no call and %q", expr, call, err, why)
		}
	}
}

// TestNothingToCall: expressions without calls are handed back for Delve.
func TestNothingToCall(t *testing.T) {
	_, e := env(t, "main.work")
	for _, expr := range []string{"1 + 2", "len(os.Args)", "int64(3)", "[]byte(`x`)", "main.errMissing", "time.Duration(5)"} {
		ev, call, err := prepared(t, e, expr)
		if call != nil || err != nil || !slices.Equal(ev.Result().Exprs, []string{expr}) || ev.Result().Func != "" {
			t.Errorf("%s: %v, %v, %+v", expr, call, err, ev.Result())
		}
	}
}

// TestInnermostFirst: operands are called before what they are operands of, from
// left to right, and stand in it with where their results lie.
func TestInnermostFirst(t *testing.T) {
	_, e := env(t, "main.work")
	ev, err := Parse("add(answer(), add(1, 2)) + 1", false)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for {
		call, err := ev.Next(e)
		if call == nil {
			if err == nil {
				t.Error("the last call's arguments were read: there is no memory at the results")
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		order = append(order, ev.Result().Func)
		if call.Fresh != (len(order) == 1) {
			t.Errorf("call %d: fresh %t", len(order), call.Fresh)
		}
		block := uint64(0x1000 * len(order))
		if err := ev.Done(e, &live.Called{First: []uint64{block}}); err != nil {
			t.Fatal(err)
		}
		made := ev.Made()
		if m := made[len(made)-1]; m.Addr != block+blockResults || typeName(m.Type) != "int" {
			t.Errorf("call %d: made %+v", len(order), m)
		}
	}
	if want := []string{"main.answer", "main.add"}; !slices.Equal(order, want) {
		t.Errorf("called %v, want %v", order, want)
	}
}

// TestDone: how a call can end.
func TestDone(t *testing.T) {
	_, e := env(t, "main.work")
	gone := errors.New("gone")
	for _, c := range []struct {
		name, expr string
		done       live.Called
		want       []string
		fails      string
	}{
		{"one result", "answer()", live.Called{First: []uint64{0x1000}}, []string{`*(*"int")(0x1010)`}, ""},
		{"two results", "cheapest(nil)", live.Called{First: []uint64{0x1000}}, []string{`*(*"main.Item")(0x1010)`, `*(*"error")(0x1028)`}, ""},
		{"no result", "nothing()", live.Called{First: []uint64{0x1000}}, []string{}, ""},
		{"two results as an operand", "len(load(1))", live.Called{First: []uint64{0x1000}}, nil, "2 results"},
		{"let go of", "answer()", live.Called{Err: gone}, nil, "gone"},
		{"Goexit", "leave()", live.Called{Exited: true}, nil, "runtime.Goexit"},
		{"no memory", "answer()", live.Called{}, nil, "could not make room"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev, call, err := prepared(t, e, c.expr)
			if err != nil || call == nil {
				t.Fatal(call, err)
			}
			err = ev.Done(e, &c.done)
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("%v, want %q", err, c.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if next, err := ev.Next(e); next != nil || err != nil {
				t.Fatalf("a further call: %v, %v", next, err)
			}
			if got := ev.Result().Exprs; !slices.Equal(got, c.want) || got == nil {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestTooManyCalls: one expression cannot keep a request busy for ever.
func TestTooManyCalls(t *testing.T) {
	_, e := env(t, "main.work")
	ev, err := Parse(strings.Repeat("answer()+", maxCalls)+"answer()", false)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		call, err := ev.Next(e)
		if err != nil {
			if n != maxCalls || !strings.Contains(err.Error(), "more than 16 calls") {
				t.Errorf("after %d calls: %v", n, err)
			}
			return
		}
		if call == nil || n > maxCalls {
			t.Fatalf("%d calls", n)
		}
		if err := ev.Done(e, &live.Called{First: []uint64{0x1000}}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCheck: what may not be handed to a function is asked about before.
func TestCheck(t *testing.T) {
	_, e := env(t, "main.work")
	var asked []string
	e.Check = func(expr string) error {
		asked = append(asked, expr)
		return errors.New("secret")
	}
	_, call, err := prepared(t, e, "why(errMissing)")
	if call != nil || err == nil || !strings.Contains(err.Error(), "secret") || !slices.Equal(asked, []string{"errMissing"}) {
		t.Errorf("%v, %v, asked about %q", call, err, asked)
	}
}

// TestEscape: pointers to the request's own stack are told from others.
func TestEscape(t *testing.T) {
	b, e := env(t, "main.work")
	data := func(words ...uint64) (d []byte) {
		for _, w := range words {
			d = binary.LittleEndian.AppendUint64(d, w)
		}
		return d
	}
	inside, heap := e.StackLo+8, uint64(0xc000000000)
	for _, c := range []struct {
		typ   string
		data  []byte
		stack bool
	}{
		{"int", data(inside), false}, // a number
		{"*main.Order", data(heap), false},
		{"*main.Order", data(inside), true},
		{"*main.Order", data(e.StackHi), false},
		{"*main.Order", data(e.StackLo), true},
		{"*main.Order", data(e.StackHi - 1), true},
		{"string", data(inside, 1), true},
		{"string", data(heap, inside), false}, // a length
		{"error", data(heap, inside), true},
		{"main.Item", data(heap, 1, inside), false},
		{"[2]string", data(heap, 1, inside, 1), true},
	} {
		err := e.checkEscape(c.data, goType(t, b, c.typ))
		if (err != nil) != c.stack {
			t.Errorf("%s %x: %v, on the stack %t", c.typ, c.data, err, c.stack)
		}
	}
}

// TestSplitName: type arguments may contain what separates a type's name.
func TestSplitName(t *testing.T) {
	for name, want := range map[string][2]string{
		"main.Order":                        {"main", "Order"},
		"net/http.Request":                  {"net/http", "Request"},
		"example.com/a.b/c.T":               {"example.com/a.b/c", "T"},
		"main.list[net/http.Request]":       {"main", "list[net/http.Request]"},
		"sync/atomic.Pointer[go.shape.int]": {"sync/atomic", "Pointer[go.shape.int]"},
	} {
		pkg, typ, ok := splitName(name)
		if !ok || [2]string{pkg, typ} != want {
			t.Errorf("%s: %q, %q, %t, want %q", name, pkg, typ, ok, want)
		}
	}
	if _, _, ok := splitName("int"); ok {
		t.Error("int has a package")
	}
}
