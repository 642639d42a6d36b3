package daptest

import (
	"bufio"
	"encoding/json"
	"fmt"

	"github.com/google/go-dap"
)

// CustomEvent is an event of remotedbg's own; its name begins with "remotedbg/".
type CustomEvent struct {
	dap.Event
	Body json.RawMessage `json:"body"`
}

// CustomResponse answers a request of remotedbg's own.
type CustomResponse struct {
	dap.Response
	Body json.RawMessage `json:"body"`
}

// codec knows the protocol and what remotedbg adds to it.
var codec = newCodec()

func newCodec() *dap.Codec {
	c := dap.NewCodec()
	for _, name := range []string{"armed", "expiring", "stallGuard", "passed"} {
		if err := c.RegisterEvent("remotedbg/"+name, func() dap.Message { return &CustomEvent{} }); err != nil {
			panic(err) // a name twice
		}
	}
	err := c.RegisterRequest("remotedbg/status",
		func() dap.Message { return &dap.Request{} }, func() dap.Message { return &CustomResponse{} })
	if err != nil {
		panic(err)
	}
	return c
}

func readMessage(r *bufio.Reader) (dap.Message, error) {
	body, err := dap.ReadBaseMessage(r)
	if err != nil {
		return nil, err
	}
	return codec.DecodeMessage(body)
}

// WaitCustom takes the next event of remotedbg's own of that name, and decodes
// its body.
func (c *Client) WaitCustom(name string, body any) error {
	ev, err := c.WaitEvent(name)
	if err != nil {
		return err
	}
	custom, ok := ev.(*CustomEvent)
	if !ok {
		return fmt.Errorf("daptest: %s is a %T", name, ev)
	}
	return json.Unmarshal(custom.Body, body)
}

// Custom sends a request of remotedbg's own and decodes the body of its
// response.
func (c *Client) Custom(command string, arguments, body any) error {
	m, err := c.Do(command, arguments)
	if err != nil {
		return err
	}
	custom, ok := m.(*CustomResponse)
	if !ok {
		return fmt.Errorf("daptest: the response to %s is a %T", command, m)
	}
	return json.Unmarshal(custom.Body, body)
}
