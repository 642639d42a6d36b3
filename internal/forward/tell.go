package forward

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/remotedbg/remotedbg/internal/door/opening"
)

// DAP errors of the connect command. The agent's are below 2000 (dap/errors.go).
const (
	errorBusy    = 2001 // another IDE uses the port
	errorNoAgent = 2002 // the agent cannot be reached
)

const (
	// maxFirst bounds the message that is answered with a refusal.
	maxFirst = 64 << 10
	// refuseTime bounds a refusal from beginning to end, and lingerTime how long
	// the other end may take to close after its last word.
	refuseTime = 3 * time.Second
	lingerTime = 2 * time.Second
)

// refuse reads the first message of an IDE, answers it with why, and closes the
// connection once the IDE has, or some seconds later. kind is what the IDE speaks.
func refuse(ide net.Conn, kind opening.Kind, id int, why error) {
	defer ide.Close()
	_ = ide.SetDeadline(time.Now().Add(refuseTime)) // without deadlines Close ends it
	var text []byte
	var err error
	if kind == opening.JSONRPC {
		text, err = refuseRPC(ide, why)
	} else {
		text, err = refuseDAP(ide, id, why)
	}
	if err != nil {
		return // it has gone, or is no IDE
	}
	if _, err := ide.Write(text); err != nil {
		return
	}
	linger(ide)
}

// linger lets the other end read what was written last: closing a socket that has
// unread data resets it, and what was on its way to the reader is lost (RFC 9293
// section 3.6, RFC 2525 section 2.17).
func linger(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		return
	}
	_ = conn.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.Copy(io.Discard, conn)
}

// sentence is an error for an IDE's dialog.
func sentence(why error) string {
	text := "remotedbg: " + strings.TrimPrefix(why.Error(), "remotedbg: ")
	var h interface{ Hint() string }
	if errors.As(why, &h) && h.Hint() != "" {
		text += " (" + strings.ReplaceAll(strings.TrimSpace(h.Hint()), "\n", "; ") + ")"
	}
	return text
}

// refuseDAP is the error response to the first message that r gives.
func refuseDAP(r io.Reader, id int, why error) ([]byte, error) {
	body, err := firstDAP(r)
	if err != nil {
		return nil, err
	}
	var asked struct {
		Seq     int
		Command string
	}
	if err := json.Unmarshal(body, &asked); err != nil {
		return nil, err
	}
	text := sentence(why)
	return frame(map[string]any{
		"seq": 1, "type": "response", "request_seq": asked.Seq, "command": asked.Command,
		"success": false, "message": text,
		"body": map[string]any{"error": map[string]any{
			// Braces would name variables (Message.format).
			"id": id, "format": strings.NewReplacer("{", "(", "}", ")").Replace(text), "showUser": true,
		}},
	})
}

// firstDAP reads one message, and nothing behind it.
func firstDAP(r io.Reader) ([]byte, error) {
	var header []byte
	for one := make([]byte, 1); !bytes.HasSuffix(header, []byte("\r\n\r\n")); {
		if len(header) == maxHeader {
			return nil, errors.New("the header is too long")
		}
		if _, err := io.ReadFull(r, one); err != nil {
			return nil, err
		}
		header = append(header, one[0])
	}
	n, ok := contentLength(header)
	if !ok || n > maxFirst {
		return nil, errors.New("no length, or too long")
	}
	body := make([]byte, n)
	_, err := io.ReadFull(r, body)
	return body, err
}

// refuseRPC is the error response of JSON-RPC 1.0 to the first call that r gives.
func refuseRPC(r io.Reader, why error) ([]byte, error) {
	var asked struct {
		ID json.RawMessage `json:"id"`
	}
	if err := json.NewDecoder(io.LimitReader(r, maxFirst)).Decode(&asked); err != nil {
		return nil, err
	}
	text, err := json.Marshal(map[string]any{"id": asked.ID, "result": nil, "error": sentence(why)})
	return append(text, '\n'), err
}

// frame makes a message.
func frame(message any) ([]byte, error) {
	body, err := json.Marshal(message)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "Content-Length: %d\r\n\r\n%s", len(body), body), nil
}

// lastWords are the messages that end a session whose agent is gone: why, for the
// debug console, and that it is over. Their numbers follow on count messages.
func lastWords(count int, why error) []byte {
	output, err1 := frame(map[string]any{"seq": count + 1, "type": "event", "event": "output", "body": map[string]any{
		"category": "important", "output": sentence(why) + "\n",
	}})
	terminated, err2 := frame(map[string]any{"seq": count + 2, "type": "event", "event": "terminated"})
	if err1 != nil || err2 != nil {
		return nil // strings and numbers can be encoded
	}
	return append(output, terminated...)
}
