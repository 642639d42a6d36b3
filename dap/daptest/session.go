package daptest

import "fmt"

// Session does the usual handshake: initialize, attach, the initialized event,
// the breakpoints of one file (none if file is empty) and configurationDone.
// It fails if a breakpoint is not verified.
func (c *Client) Session(file string, lines ...int) error {
	return c.SessionWith(nil, file, lines...)
}

// SessionWith is Session with attach arguments, such as stopOnEntry or
// substitutePath.
func (c *Client) SessionWith(attach map[string]any, file string, lines ...int) error {
	if _, err := c.Initialize(); err != nil {
		return err
	}
	if err := c.Attach(attach); err != nil {
		return err
	}
	if _, err := c.WaitEvent("initialized"); err != nil {
		return err
	}
	if file != "" {
		if err := c.breakAt(file, lines); err != nil {
			return err
		}
	}
	return c.ConfigurationDone()
}

func (c *Client) breakAt(file string, lines []int) error {
	bps, err := c.SetBreakpoints(file, lines...)
	if err != nil {
		return err
	}
	if len(bps) != len(lines) {
		return fmt.Errorf("daptest: %d breakpoints set, %d in the response", len(lines), len(bps))
	}
	for i, bp := range bps {
		if !bp.Verified {
			return fmt.Errorf("daptest: breakpoint at %s:%d is not verified: %s", file, lines[i], bp.Message)
		}
	}
	return nil
}

// Locals reads the variables of the first scope of a thread's innermost frame,
// by name. A later variable of the same name wins.
func (c *Client) Locals(threadID int) (map[string]Variable, error) {
	frames, _, err := c.StackTrace(threadID, 0, 1)
	if err != nil {
		return nil, err
	}
	if len(frames) == 0 {
		return nil, fmt.Errorf("daptest: thread %d has no frames", threadID)
	}
	scopes, err := c.Scopes(frames[0].Id)
	if err != nil {
		return nil, err
	}
	if len(scopes) == 0 {
		return nil, fmt.Errorf("daptest: frame %s has no scopes", frames[0].Name)
	}
	return c.Children(scopes[0].VariablesReference)
}
