package forward

import (
	"fmt"
	"strings"
	"testing"
)

func message(body string) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body) }

func TestMessages(t *testing.T) {
	const (
		event    = `{"seq":1,"type":"event","event":"stopped"}`
		ended    = `{"seq":2,"type":"event","event":"terminated"}`
		goodbye  = `{"seq":3,"type":"response","command":"disconnect"}`
		asked    = `{"seq":3,"type":"request","command":"disconnect"}`
		quotes   = `{"seq":4,"type":"event","event":"output","body":{"output":"{\"type\":\"event\",\"event\":\"terminated\"}"}}`
		extended = "content-type: x\r\ncontent-length: 2\r\n\r\n{}"
	)
	long := `{"a":"` + strings.Repeat("x", 3*maxSmall) + `"}`
	for _, tt := range []struct {
		name, text    string
		between, over bool
		count         int
	}{
		{"nothing", "", true, false, 0},
		{"one", message(event), true, false, 1},
		{"two", message(event) + message(event), true, false, 2},
		{"half a header", message(event) + "Content-L", false, false, 1},
		{"a header", "Content-Length: 5\r\n\r\n", false, false, 0},
		{"half a body", message(event)[:40], false, false, 0},
		{"the end", message(event) + message(ended), true, true, 2},
		{"the answer to disconnect", message(goodbye), true, true, 1},
		{"a request to disconnect", message(asked), true, false, 1},
		{"a text like the end", message(quotes), true, false, 1},
		{"a long one", message(long), true, false, 1},
		{"after a long one", message(long) + message(ended), true, true, 2},
		{"another header", extended, true, false, 1},
		{"an empty body", "Content-Length: 0\r\n\r\n" + message(event), true, false, 2},
		{"no length", "X: 1\r\n\r\n", false, false, 0},
		{"a negative length", "Content-Length: -1\r\n\r\n", false, false, 0},
		{"a length that is too long", "Content-Length: 99999999999\r\n\r\n", false, false, 0},
		{"no header at all", strings.Repeat("x", 2*maxHeader), false, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{1, 7, len(tt.text) + 1} {
				var m messages
				for rest := tt.text; rest != ""; {
					n := min(size, len(rest))
					m.see([]byte(rest[:n]))
					rest = rest[n:]
				}
				if m.between() != tt.between || m.over != tt.over || m.count != tt.count {
					t.Errorf("pieces of %d: between %t, over %t, %d messages", size, m.between(), m.over, m.count)
				}
			}
		})
	}
}

// FuzzMessages: how a stream is cut into pieces changes nothing, and what is kept of
// it is bounded.
func FuzzMessages(f *testing.F) {
	f.Add([]byte(message(`{"type":"event","event":"terminated"}`)), 3)
	f.Add([]byte("Content-Length: 0\r\n\r\nContent-Length: 3\r\n\r\nabc"), 1)
	f.Fuzz(func(t *testing.T, text []byte, size int) {
		if size <= 0 {
			return
		}
		var whole, pieces messages
		whole.see(text)
		for rest := text; len(rest) > 0; {
			n := min(size, len(rest))
			pieces.see(rest[:n])
			rest = rest[n:]
		}
		if whole.between() != pieces.between() || whole.over != pieces.over || whole.count != pieces.count || whole.lost != pieces.lost {
			t.Fatalf("whole %+v, pieces of %d %+v", whole, size, pieces)
		}
		if len(whole.header) > maxHeader+1 || len(whole.body) > maxSmall {
			t.Fatalf("it keeps %d and %d bytes", len(whole.header), len(whole.body))
		}
	})
}
