//go:build linux && amd64

package adaptertest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// hijack takes the connection over in a goroutine that outlives the request. Of
// HTTP/2 only the error is recorded: there is no connection to take.
func hijack() (http.HandlerFunc, func(*client) string) {
	handler := func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			fmt.Fprintf(w, "hijack: %v", err)
			return
		}
		go func() {
			defer conn.Close()
			io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			line, _ := rw.ReadString('\n')
			io.WriteString(conn, "echo "+line)
		}()
	}
	return handler, func(c *client) string {
		if c.http2() {
			return record(c.srv.Client().Get(c.url()))
		}
		conn, err := c.dial()
		if err != nil {
			return err.Error()
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		br := bufio.NewReader(conn)
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			return err.Error()
		}
		io.WriteString(conn, "hello\n")
		line, err := br.ReadString('\n')
		return fmt.Sprint(resp.Status, " ", line, err)
	}
}

// http2 tells which protocol the client and the server speak.
func (c *client) http2() bool {
	return c.srv.EnableHTTP2 || c.srv.Config.Protocols != nil && c.srv.Config.Protocols.UnencryptedHTTP2()
}

// webSocket is a conversation by a library that hijacks the connection and
// writes to it while the handler runs.
func webSocket() (http.HandlerFunc, func(*client) string) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // it has answered
		}
		defer conn.CloseNow()
		for {
			kind, text, err := conn.Read(r.Context())
			if err != nil {
				return
			}
			if err := conn.Write(r.Context(), kind, text); err != nil {
				return
			}
			if string(text) == "again" {
				conn.Close(websocket.StatusNormalClosure, "bye")
				return
			}
		}
	}
	return handler, func(c *client) string {
		if c.http2() {
			return record(c.srv.Client().Get(c.url()))
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		conn, _, err := websocket.Dial(ctx, c.url(), &websocket.DialOptions{HTTPClient: c.srv.Client()})
		if err != nil {
			return err.Error()
		}
		defer conn.CloseNow()
		said := ""
		for _, word := range []string{"hello", "again"} {
			if err := conn.Write(ctx, websocket.MessageText, []byte(word)); err != nil {
				return said + err.Error()
			}
			_, text, err := conn.Read(ctx)
			if err != nil {
				return said + err.Error()
			}
			said += string(text) + " "
		}
		_, _, err = conn.Read(ctx)
		return said + websocket.CloseStatus(err).String()
	}
}
