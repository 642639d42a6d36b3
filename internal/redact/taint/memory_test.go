package taint_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/go-delve/delve/service/api"

	"github.com/remotedbg/remotedbg/internal/redact"
	"github.com/remotedbg/remotedbg/internal/redact/taint"
)

// ram is some pages of a service that does not exist.
type ram struct {
	base  uint64
	bytes []byte
}

func (r *ram) ReadMemory(buf []byte, addr uint64) (int, error) {
	if addr < r.base || addr+uint64(len(buf)) > r.base+uint64(len(r.bytes)) {
		return 0, errors.New("not mapped")
	}
	return copy(buf, r.bytes[addr-r.base:]), nil
}

func (r *ram) WriteMemory(addr uint64, data []byte) (int, error) {
	return copy(r.bytes[addr-r.base:], data), nil
}

const (
	base   = 0xc000000000
	secret = "s3cret-of-the-header"
)

// masked is a memory of four pages with a guard that knows a secret.
func masked() (*ram, *taint.Memory, *taint.Guard) {
	r := &ram{base, make([]byte, 4*4096)}
	shared := new(taint.Shared)
	shared.Secrets.Add(secret, false)
	g := taint.NewGuard(nil, shared)
	m := taint.NewMemory(r)
	m.Use(g)
	return r, m, g
}

func read(t *testing.T, m *taint.Memory, addr uint64, n int) string {
	t.Helper()
	buf := make([]byte, n)
	if got, err := m.ReadMemory(buf, addr); err != nil || got != n {
		t.Fatalf("%d bytes at %#x: %d, %v", n, addr, got, err)
	}
	return string(buf)
}

// TestMasked reads a secret at every place of a page, whole and byte by byte.
func TestMasked(t *testing.T) {
	r, m, _ := masked()
	for _, at := range []int{0, 1, 100, 4096 - 10, 4096, 8192 - len(secret), 8192 - 1, len(r.bytes) - len(secret)} {
		clear(r.bytes)
		copy(r.bytes[at:], secret)
		m.Forget()
		whole := read(t, m, base+uint64(at), len(secret))
		if redact.Collapse(whole) != redact.Mark {
			t.Errorf("at %d: %q", at, whole)
		}
		for i := range secret {
			m.Forget()
			if one := read(t, m, base+uint64(at+i), 1); one != whole[i:i+1] {
				t.Errorf("at %d, byte %d: %q", at, i, one)
			}
		}
		if rest := read(t, m, base, at); strings.Trim(rest, "\x00") != "" {
			t.Errorf("before it: %q", rest)
		}
	}
}

// TestPatternBesidePage: what a secret is may be told by a text on the page before.
func TestPatternBesidePage(t *testing.T) {
	r, m, _ := masked()
	token := "eyJ" + strings.Repeat("a", 5000) + "." + strings.Repeat("b", 3000) + "." + strings.Repeat("c", 500)
	copy(r.bytes[2000:], token)
	for _, at := range []int{2000, 4500, 8000, 10000} {
		m.Forget()
		if got := read(t, m, base+uint64(at), 100); redact.Collapse(got) != redact.Mark {
			t.Errorf("at %d: %q", at, got)
		}
	}
}

func TestMemoryIsHonest(t *testing.T) {
	r, m, g := masked()
	copy(r.bytes[10:], "ordinary "+secret)
	if got := read(t, m, base+10, 9); got != "ordinary " {
		t.Errorf("%q", got)
	}
	if _, err := m.ReadMemory(make([]byte, 8), base+uint64(len(r.bytes))-4); err == nil {
		t.Error("what is not mapped was read")
	}
	copy(r.bytes[10:], "changed! ")
	if got := read(t, m, base+10, 9); got != "ordinary " {
		t.Errorf("without Forget: %q", got)
	}
	m.Forget()
	if got := read(t, m, base+10, 9); got != "changed! " {
		t.Errorf("after Forget: %q", got)
	}
	before := bytes.Clone(r.bytes)
	if _, err := m.WriteMemory(base+2000, []byte(read(t, m, base+19, len(secret)))); !errors.Is(err, taint.ErrRedacted) || !bytes.Equal(before, r.bytes) {
		t.Errorf("the place of a secret was written: %v", err)
	}
	m.Use(g.Lifted())
	if got := read(t, m, base+19, len(secret)); got != secret {
		t.Errorf("lifted: %q", got)
	}
	m.Use(nil)
	if got := read(t, m, base+19, len(secret)); got != secret {
		t.Errorf("without a guard: %q", got)
	}
}

// TestLearnt: what is found out later is hidden in what was read before.
func TestLearnt(t *testing.T) {
	r := &ram{base, make([]byte, 4096)}
	shared := new(taint.Shared)
	m := taint.NewMemory(r)
	m.Use(taint.NewGuard(nil, shared))
	copy(r.bytes[50:], secret)
	if got := read(t, m, base+50, len(secret)); got != secret {
		t.Fatalf("%q", got)
	}
	shared.Secrets.Add(secret, false)
	if got := read(t, m, base+50, len(secret)); redact.Collapse(got) != redact.Mark {
		t.Errorf("%q", got)
	}
}

func TestExtents(t *testing.T) {
	_, _, g := masked()
	word := &godwarf.UintType{BasicType: godwarf.BasicType{CommonType: godwarf.CommonType{ByteSize: 8, Name: "uint64", ReflectKind: reflect.Uint64}}}
	account := &godwarf.StructType{
		CommonType: godwarf.CommonType{ByteSize: 24, Name: "main.account"}, StructName: "main.account",
		Field: []*godwarf.StructField{
			{Name: "ID", Type: word, ByteOffset: 0}, {Name: "cardNumber", Type: word, ByteOffset: 8}, {Name: "Limit", Type: word, ByteOffset: 16},
		},
	}
	var e *taint.Extents
	if e.Has(base, 8) || e.Same(word, base) {
		t.Error("none was shown")
	}
	e = new(taint.Extents)
	e.Add(g, account, base)
	for _, r := range []struct {
		at, n uint64
		want  bool
	}{{0, 8, true}, {4, 4, true}, {8, 8, false}, {0, 9, false}, {16, 8, true}, {16, 9, false}, {15, 2, false}, {24, 1, false}, {0, 0, false}} {
		if got := e.Has(base+r.at, r.n); got != r.want {
			t.Errorf("%d bytes at +%d: %v", r.n, r.at, got)
		}
	}
	if n := e.Prefix(base+2, 100); n != 6 {
		t.Errorf("a prefix of %d", n)
	}
	if !e.Same(account, base) || e.Same(word, base) || e.Same(account, base+8) {
		t.Error("which value was shown is wrong")
	}
	e.AddElements(g, word, base+100, 4)
	e.AddRange(base+132, 10)
	if !e.Has(base+100, 42) || e.Has(base+99, 2) || e.Has(^uint64(0)-3, 8) {
		t.Error("neighbours are not joined")
	}
}

func TestAPI(t *testing.T) {
	_, _, g := masked()
	str := func(name, value string) api.Variable {
		return api.Variable{Name: name, Kind: reflect.String, Type: "string", RealType: "string", Value: value, Len: int64(len(value)), Addr: 8, Base: 16}
	}
	v := api.Variable{Name: "acct", Kind: reflect.Struct, Type: "main.account", RealType: "main.account", Children: []api.Variable{
		str("Owner", "Ada"), str("apiKey", "a-key"), str("Note", "with "+secret),
		{Name: "settings", Kind: reflect.Map, Type: "map[string]string", Children: []api.Variable{str("", "db_password"), str("", "abc"), str("", "colour"), str("", "teal")}},
		{Name: "c", Kind: reflect.Pointer, Type: "*net/http.Cookie", RealType: "*net/http.Cookie", Children: []api.Variable{str("Value", "abc")}},
		{Name: "attr", Kind: reflect.Struct, Type: "main.pair", Children: []api.Variable{str("Key", "token"), str("Value", "xyz")}},
	}}
	g.API(&v, true)
	text := fmt.Sprintf("%+v", v)
	for _, hidden := range []string{"a-key", secret, "abc", "xyz"} {
		if strings.Contains(text, hidden) {
			t.Errorf("%q is in %s", hidden, text)
		}
	}
	for _, shown := range []string{"Ada", "teal", "with " + redact.Mark, "db_password"} {
		if !strings.Contains(text, shown) {
			t.Errorf("%q is not in %s", shown, text)
		}
	}
	if key := v.Children[1]; key.Value != redact.Mark || key.Addr != 0 || key.Base != 0 || key.Len != int64(len(redact.Mark)) || key.Name != "apiKey" {
		t.Errorf("%+v", key)
	}
}

func TestWire(t *testing.T) {
	_, _, g := masked()
	in := []byte(`{"a":"x ` + secret + `","b":"~^~^~^~^","c":"token=abc"}`)
	if got := string(g.Wire(in, true)); got != `{"a":"x ‹redacted›","b":"‹redacted›","c":"token=‹redacted›"}` {
		t.Error(got)
	}
	if got := string(g.Wire(in, false)); !strings.Contains(got, "token=abc") || strings.Contains(got, secret) {
		t.Error(got)
	}
	var none *taint.Guard
	if got := none.Wire(in, true); !bytes.Equal(got, in) {
		t.Error("a guard that is none redacts")
	}
}
