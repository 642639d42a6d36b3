//go:build linux && amd64

package adaptertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// behaviour is one thing that handlers rely on.
type behaviour struct {
	name string
	// start returns a handler and a client for one run, which may share state.
	// The client returns a record of what it saw.
	start func() (http.HandlerFunc, func(*client) string)
	// want has to be in the record of the bare framework with HTTP/1.1, so that
	// not all records are the same failure.
	want string
}

// plain is a behaviour whose client only sends a GET.
func plain(name, want string, h http.HandlerFunc) behaviour {
	return behaviour{name, func() (http.HandlerFunc, func(*client) string) {
		return h, func(c *client) string { return record(c.srv.Client().Get(c.url())) }
	}, want}
}

var behaviours = []behaviour{
	plain("status and header", "418 I'm a teapot\nContent-Length: [\"5\"]\nX-Order: [\"7\"]", func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X-Order"] = []string{r.URL.Path[len("/orders/"):]}
		w.Header().Set("Content-Length", "5")
		w.Header()["Content-Type"] = nil
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, "short")
	}),
	plain("no answer of its own", "200 OK\nContent-Length: [\"0\"]", func(http.ResponseWriter, *http.Request) {}),
	plain("context values", "outer true", func(w http.ResponseWriter, r *http.Request) {
		_, server := r.Context().Value(http.ServerContextKey).(*http.Server)
		fmt.Fprint(w, r.Context().Value(outerKey{}), " ", server)
	}),
	plain("peer and TLS state", "127.0.0.1 false", func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := strings.Cut(r.RemoteAddr, ":")
		fmt.Fprint(w, host, " ", r.TLS != nil)
	}),
	plain("deadlines of its own", "<nil> <nil>", func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		soon := time.Now().Add(time.Minute)
		fmt.Fprint(w, c.SetReadDeadline(soon), " ", c.SetWriteDeadline(soon))
	}),
	plain("large response by ReadFrom", "0123456789\n", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, strings.NewReader(strings.Repeat("0123456789", 100_000)))
	}),
	plain("interfaces of the writer", "Flusher true", func(w http.ResponseWriter, r *http.Request) {
		_, flusher := w.(http.Flusher)
		_, hijacker := w.(http.Hijacker)
		_, pusher := w.(http.Pusher)
		_, from := w.(io.ReaderFrom)
		fmt.Fprintf(w, "%T Flusher %t Hijacker %t Pusher %t ReaderFrom %t", w, flusher, hijacker, pusher, from)
	}),
	{"body and trailers", func() (http.HandlerFunc, func(*client) string) {
		text := strings.Repeat("0123456789", 20_000)
		return func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Trailer", "X-Sum")
				body, err := io.ReadAll(r.Body)
				w.Write(body)
				w.Header().Set("X-Sum", fmt.Sprint(len(body), err))
			}, func(c *client) string {
				return record(c.srv.Client().Post(c.url(), "text/plain", strings.NewReader(text)))
			}
	}, `X-Sum: ["200000 <nil>"]`},
	{"server-sent events", events, "data: 2\n\n<EOF>"},
	{"the client goes away", goesAway, "first, handler: context canceled"},
	{"hijack", hijack, "echo hello"},
	{"WebSocket", webSocket, "hello again StatusNormalClosure"},
}

// panics are behaviours that depend on the framework's recovery.
var panics = []behaviour{
	plain("panic", "", func(http.ResponseWriter, *http.Request) { panic("boom") }),
	plain("panic with an error", "", func(http.ResponseWriter, *http.Request) { panic(errors.New("boom")) }),
	plain("panic after flush", "partial", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "partial")
		w.(http.Flusher).Flush()
		panic("boom")
	}),
	plain("http.ErrAbortHandler", "", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
}

// events sends each event when the one before has been read: nothing on the way
// may keep one back.
func events() (http.HandlerFunc, func(*client) string) {
	read := make(chan struct{}, 1)
	handler := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			if err := http.NewResponseController(w).Flush(); err != nil {
				panic(err)
			}
			select {
			case <-read:
			case <-r.Context().Done():
				return
			}
		}
	}
	return handler, func(c *client) string {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, c.url(), nil)
		resp, err := c.srv.Client().Do(req)
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		var got bytes.Buffer
		for range 3 {
			if _, err := io.CopyN(&got, resp.Body, int64(len("data: 0\n\n"))); err != nil {
				return got.String() + err.Error()
			}
			read <- struct{}{}
		}
		if _, err := resp.Body.Read(make([]byte, 1)); err == io.EOF {
			got.WriteString("<EOF>")
		}
		return got.String()
	}
}

// goesAway has the client leave after what was flushed; the handler is told.
func goesAway() (http.HandlerFunc, func(*client) string) {
	told := make(chan error, 1)
	handler := func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "first")
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
			told <- r.Context().Err()
		case <-time.After(20 * time.Second):
			told <- errors.New("never told")
		}
	}
	return handler, func(c *client) string {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, c.url(), nil)
		resp, err := c.srv.Client().Do(req)
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		buf := make([]byte, len("first"))
		_, err = io.ReadFull(resp.Body, buf)
		cancel()
		if err != nil {
			return err.Error()
		}
		return fmt.Sprintf("%s, handler: %v", buf, <-told)
	}
}
