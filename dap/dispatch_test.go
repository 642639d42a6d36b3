//go:build linux && amd64

package dap

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"testing"
	"time"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/redact/taint"
)

// brokenSession panics in every method: it is the nil Session it embeds.
type brokenSession struct{ Session }

// Guard does not panic: reports of panics are cleaned by it.
func (brokenSession) Guard() *taint.Guard { return nil }

type bufferCloser struct{ bytes.Buffer }

func (*bufferCloser) Close() error { return nil }

// FuzzDispatch: whatever the body of a message is, and even if the engine
// panics, there is exactly one response, it names the request, and nothing
// escapes.
func FuzzDispatch(f *testing.F) {
	for command := range routes {
		f.Add([]byte(`{"seq":3,"type":"request","command":"` + command + `","arguments":{"threadId":1,"frameId":1,"expression":"x"}}`))
	}
	for command := range refusals {
		f.Add([]byte(`{"seq":4,"type":"request","command":"` + command + `"}`))
	}
	f.Add([]byte(`{"seq":5,"type":"request","command":"setBreakpoints","arguments":{"source":{"path":"/a.go"},"lines":[1]}}`))
	f.Add([]byte(`{"seq":1e99}`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, st := range []state{stateUninitialised, stateInitialised, stateConfigured, stateEnded} {
			var sent bufferCloser
			c := &conn{
				cfg: Config{
					NewSession: func(access.Identity) (Session, error) { return brokenSession{}, nil },
					Log:        func(string) {},
				},
				who: access.Identity{Role: access.Mutate},
				out: newOutbox(&sent, time.Minute), state: st, handles: newHandles(),
			}
			if st == stateConfigured {
				c.sess = brokenSession{}
			}
			c.dispatch(context.Background(), body)
			c.out.close()
			checkOneResponse(t, body, &sent.Buffer)
		}
	})
}

func checkOneResponse(t *testing.T, body []byte, sent io.Reader) {
	t.Helper()
	var asked request
	known := json.Unmarshal(body, &asked) == nil
	responses := 0
	r := newFrameReader(bufio.NewReader(sent))
	for {
		raw, err := r.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		var m struct {
			Type       string
			RequestSeq int `json:"request_seq"`
			Command    string
		}
		if err := json.Unmarshal(raw, &m); err != nil {
			t.Fatal(err)
		}
		if m.Type != "response" {
			continue
		}
		responses++
		if known && (m.RequestSeq != asked.Seq || !bytes.Equal(bytes.ToValidUTF8([]byte(asked.Command), []byte("\ufffd")), []byte(m.Command))) {
			t.Errorf("%q is answered by %s", body, raw)
		}
	}
	if responses != 1 {
		t.Errorf("%q has %d responses", body, responses)
	}
}
