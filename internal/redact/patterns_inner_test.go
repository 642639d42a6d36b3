package redact

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// findAll is Find without a choice of where to try: as it is meant.
func findAll(p *Policy, text string) []Span {
	was := begins
	defer func() { begins = was }()
	for i := range begins {
		begins[i] = ^uint64(0)
	}
	return p.Find([]byte(text))
}

// No pattern is missed because it is not tried where it begins.
func TestBegins(t *testing.T) {
	texts := []string{
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.sig-1_x", "4111 1111 1111 1111", "Bearer abcdef0123", "BASIC dTpwYXNz",
		"apikey zz9zz9zz9", "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", "postgres://u:hunter2@", "password=x",
		`"token": "abc"`, "\nCookie: a=b\r\n", "\nCookie: a=b", "token:", "x@", "=", " ",
	}
	for _, k := range issuerKeys {
		texts = append(texts, k.prefix+strings.Repeat("aB3", k.least))
	}
	found := 0
	check := func(text string) {
		t.Helper()
		got, want := Default().Find([]byte(text)), findAll(Default(), text)
		if len(got) != len(want) {
			t.Fatalf("%q: %v, not %v", text, got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%q: %v, not %v", text, got, want)
			}
		}
		found += len(want)
	}
	for _, text := range texts {
		check(text)
	}
	if found < len(issuerKeys)+10 {
		t.Errorf("only %d were found at all", found)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		var b strings.Builder
		for range 1 + rnd.IntN(4) {
			text := texts[rnd.IntN(len(texts))]
			b.WriteString(text[rnd.IntN(len(text)/2+1):])
			b.WriteByte(byte(rnd.IntN(256)))
		}
		check(b.String())
	}
}

// BenchmarkFind looks through what memory commonly has: little text, many zeros.
func BenchmarkFind(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 2))
	page := make([]byte, 5<<10)
	for i := 0; i+64 <= len(page); i += 64 {
		switch rnd.IntN(3) {
		case 0:
			copy(page[i:], "net/http.(*conn).serve key=value; name: x, since 2026-01-02 a@b.c")
		case 1:
			for j := range 64 {
				page[i+j] = byte(rnd.IntN(256))
			}
		}
	}
	b.SetBytes(int64(len(page)))
	for b.Loop() {
		Default().Find(page)
	}
}
