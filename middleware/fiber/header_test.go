package fibergate

import (
	"bufio"
	"fmt"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// TestTokenIsTakenOut does what the gate does with a token, and looks at what the
// handler gets: once with cookies as they came and once after a handler has
// looked at them.
func TestTokenIsTakenOut(t *testing.T) {
	for _, parsed := range []bool{false, true} {
		req := new(fasthttp.Request)
		err := req.Read(bufio.NewReader(strings.NewReader("GET / HTTP/1.1\r\nHost: x\r\nremotedbg-token: secret\r\n" +
			"Remotedbg-Token: secret\r\nZ: 1\r\nY: 1\r\nZ: 2\r\nY: 2\r\n" +
			"Cookie: a=1; remotedbg_token=secret; b=2\r\nX: 1\r\nX: 2\r\n\r\n")))
		if err != nil {
			t.Fatal(err)
		}
		if parsed {
			req.Header.Cookie("a")
		}
		h := header{&req.Header}
		if got := fmt.Sprint(h.Values("Remotedbg-Token"), h.Values("Cookie"), h.Values("X"), h.Values("None")); got != "[secret secret] [a=1; remotedbg_token=secret; b=2] [1 2] []" {
			t.Errorf("parsed %v: %s", parsed, got)
		}
		h.Del("Remotedbg-Token")
		h.Del("Cookie")
		h.Add("Cookie", "a=1; b=2")
		if got := req.Header.String(); strings.Contains(got, "secret") {
			t.Errorf("parsed %v: the token is still there: %q", parsed, got)
		}
		if got := fmt.Sprintf("%s %s %s", req.Header.Cookie("a"), req.Header.Cookie("b"), []any{h.Values("X"), h.Values("Y"), h.Values("Z")}); got != "1 2 [[1 2] [1 2] [1 2]]" {
			t.Errorf("parsed %v: the handler gets %q", parsed, got)
		}
	}
}
