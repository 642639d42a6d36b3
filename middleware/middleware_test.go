package middleware_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/remotedbg/remotedbg/gate"
	"github.com/remotedbg/remotedbg/middleware"
)

func TestPassesThroughUntouched(t *testing.T) {
	for name, wrap := range map[string]func(http.Handler) http.Handler{
		"one-liner": middleware.Handler,
		"zero gate": middleware.New(new(gate.Gate)),
		"nil gate":  middleware.New(nil),
	} {
		t.Run(name, func(t *testing.T) {
			w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/x", nil)
			before := *r
			called := false
			wrap(http.HandlerFunc(func(gotW http.ResponseWriter, gotR *http.Request) {
				called = true
				if gotW != http.ResponseWriter(w) {
					t.Errorf("the handler got %T", gotW)
				}
				if gotR != r || r.RemoteAddr != before.RemoteAddr || r.URL != before.URL || r.Context() != before.Context() {
					t.Error("the handler got another request")
				}
			})).ServeHTTP(w, r)
			if !called {
				t.Error("the handler was not called")
			}
		})
	}
}

func TestDisarmedDoesNotAllocate(t *testing.T) {
	h := middleware.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
	if n := testing.AllocsPerRun(500, func() { h.ServeHTTP(w, r) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestStandardLibraryOnly: see the test of that name in gate.
func TestStandardLibraryOnly(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	want := "github.com/remotedbg/remotedbg/gate\ngithub.com/remotedbg/remotedbg/middleware\n"
	if string(out) != want {
		t.Errorf("depends on\n%swant\n%s", out, want)
	}
}

func Example() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "order", r.PathValue("id"))
	})
	srv := httptest.NewServer(middleware.Handler(mux)) // the one line
	defer srv.Close()

	resp, err := http.Get(srv.URL + "/orders/7")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	line, _ := bufio.NewReader(resp.Body).ReadString('\n')
	fmt.Print(line)
	// Output: order 7
}

// key is a context key of the test's own outer middleware.
type key struct{}

// behaviours are what handlers rely on net/http for. They are run without the
// middleware, behind an unarmed gate, and trapped, with the same result.
var behaviours = []struct {
	name    string
	handler http.HandlerFunc
	check   func(t *testing.T, url string, c *http.Client)
}{
	{"flush", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "first")
		if err := http.NewResponseController(w).Flush(); err != nil {
			panic(err)
		}
		if _, ok := w.(http.Flusher); !ok {
			panic("not a Flusher")
		}
		<-r.Context().Done() // the client goes away after what was flushed
	}, func(t *testing.T, url string, c *http.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		buf := make([]byte, 5)
		if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != "first" {
			t.Errorf("read %q, %v", buf, err)
		}
	}},
	{"server-sent events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
		}
	}, func(t *testing.T, url string, c *http.Client) {
		if got := get(t, c, url); got != "data: 0\n\ndata: 1\n\ndata: 2\n\n" {
			t.Errorf("got %q", got)
		}
	}},
	{"context values", func(w http.ResponseWriter, r *http.Request) {
		_, server := r.Context().Value(http.ServerContextKey).(*http.Server)
		fmt.Fprint(w, r.Context().Value(key{}), " ", server)
	}, func(t *testing.T, url string, c *http.Client) {
		if got := get(t, c, url); got != "outer true" {
			t.Errorf("got %q", got)
		}
	}},
	{"request body and trailers", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		body, err := io.ReadAll(r.Body)
		w.Write(body)
		w.Header().Set("X-Sum", fmt.Sprint(len(body), err))
	}, func(t *testing.T, url string, c *http.Client) {
		body := strings.Repeat("0123456789", 20_000)
		resp, err := c.Post(url, "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err != nil || string(got) != body || resp.Trailer.Get("X-Sum") != "200000 <nil>" {
			t.Errorf("read %d bytes, %v, trailers %v", len(got), err, resp.Trailer)
		}
	}},
	{"panic", func(http.ResponseWriter, *http.Request) { panic("boom") }, aborted},
	{"panic after the header", func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		panic("boom")
	}, aborted},
	{"http.ErrAbortHandler", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, aborted},
}

// aborted expects the connection or stream to end without an answer.
func aborted(t *testing.T, url string, c *http.Client) {
	resp, err := c.Get(url)
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("the request was answered")
	}
}

func get(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", resp.StatusCode, err)
	}
	return string(body)
}

// quiet is for servers whose handlers panic on purpose.
type quiet struct{}

func (quiet) Write(p []byte) (int, error) { return len(p), nil }
