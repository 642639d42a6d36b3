//go:build linux && amd64

package session

import (
	"fmt"
	"testing"
)

func TestParseLogMessage(t *testing.T) {
	for _, c := range []struct{ message, want string }{
		{"plain", "[{plain }]"},
		{"total {order.Total} of {len(items)}", "[{total  } { order.Total} { of  } { len(items)}]"},
		{"{ x }", "[{ x}]"},
		{"{struct{}{}}!", "[{ struct{}{}} {! }]"},
		{"no opening brace}", "[{no opening brace} }]"},
		{"{x", "error"},
		{"{}", "error"},
		{"{ }", "error"},
		{"{x +}", "error"},
		{"a {b{c} d", "error"},
	} {
		got, err := parseLogMessage(c.message)
		text := fmt.Sprint([]logPart(got))
		if err != nil {
			text = "error"
		}
		if text != c.want {
			t.Errorf("%q: %s (%v), want %s", c.message, text, err, c.want)
		}
	}
}
