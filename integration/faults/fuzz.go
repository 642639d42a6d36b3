//go:build linux && amd64

package main

import (
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"time"

	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/dap/daptest"
	"github.com/remotedbg/remotedbg/integration/harness"
)

// fuzzIDE has IDEs that are out of their minds, one after the other, while
// requests are taken, stopped and stepped: every command of the protocol with
// random arguments, among them true thread and frame ids, files and lines, and
// now and then bytes that are no message. Every request is answered, or the
// connection is closed; the agent lives and has not panicked. Ten minutes in
// the full form.
func fuzzIDE(t *trial) error {
	length := time.Duration(t.scaled(600, 4)) * time.Second
	t.label = fmt.Sprintf("fuzz for %v", length)
	a, err := t.attach()
	if err != nil {
		return err
	}
	t.keepSending("/orders/7")
	for began := time.Now(); time.Since(began) < length; {
		if t.rng.IntN(5) == 0 {
			err = t.noise(a)
		} else {
			err = t.madIDE(a)
		}
		switch {
		case err != nil:
			return err
		case !a.Running():
			return errors.New("the agent has ended")
		case strings.Contains(a.Stderr.String(), "panicked"):
			return errors.New("the agent recovered from a panic: see its output")
		}
	}
	if code, err := a.Stop(termination, endTimeout); err != nil || code != 0 {
		return fmt.Errorf("the agent ended with %d: %w", code, err)
	}
	return nil
}

// noise sends bytes that look like messages more or less.
func (t *trial) noise(a *harness.Agent) error {
	conn, err := net.DialTimeout("tcp", a.Addr, 10*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	message := []byte("Content-Length: 52\r\n\r\n{\"seq\":1,\"type\":\"request\",\"command\":\"initialize\"}   ")
	for range 1 + t.rng.IntN(8) {
		switch at := t.rng.IntN(len(message)); t.rng.IntN(3) {
		case 0:
			message[at] = byte(t.rng.Uint32())
		case 1:
			message = append(message[:at], message[min(at+1+t.rng.IntN(9), len(message)):]...)
			message = append(message, 0)
		default:
			message = append(message, message[at:]...)
		}
	}
	_ = conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	_, _ = conn.Write(message) // it may have hung up in the middle, rightly
	t.counted("noises")
	return nil
}

// madIDE is one session.
func (t *trial) madIDE(a *harness.Agent) error {
	c, err := a.Dial()
	if err != nil {
		return err
	}
	defer c.Close()
	thread, frame := 1, 1
	if t.rng.IntN(6) > 0 {
		if err := t.open(c, "order-loaded"); err != nil {
			return err
		}
		stop, err := c.WaitStopped(daptest.AnyThread)
		if err != nil {
			return fmt.Errorf("no request stops any more: %w", err)
		}
		thread = stop.ThreadId
		frames, _, err := c.StackTrace(thread, 0, 3)
		if err != nil || len(frames) == 0 {
			return fmt.Errorf("no stack of a stopped request: %w", err)
		}
		frame = frames[0].Id
	}
	for range 20 + t.rng.IntN(200) {
		command := fuzzCommands[t.rng.IntN(len(fuzzCommands))]
		_, err := c.Do(command, t.madArguments(thread, frame))
		var refused *daptest.ResponseError
		switch {
		case errors.Is(err, daptest.ErrTimeout):
			return fmt.Errorf("no answer to %s", command)
		case errors.As(err, &refused) || err == nil:
			t.counted("commands")
		default:
			return nil // the connection is closed
		}
	}
	return nil
}

var fuzzCommands = strings.Fields(`
	initialize launch attach configurationDone setBreakpoints setFunctionBreakpoints setExceptionBreakpoints
	threads stackTrace scopes variables evaluate continue next stepIn stepOut pause
	breakpointLocations cancel completions dataBreakpointInfo disassemble exceptionInfo goto gotoTargets
	loadedSources modules readMemory restart restartFrame reverseContinue setDataBreakpoints setExpression
	setInstructionBreakpoints setVariable source stepBack stepInTargets terminateThreads writeMemory nonsense
	threads stackTrace scopes variables evaluate setBreakpoints next stepIn stepOut
	disconnect`)

// madArguments are arguments with some of the names that requests use.
func (t *trial) madArguments(thread, frame int) any {
	if t.rng.IntN(20) == 0 {
		return t.madValue(2)
	}
	m := t.marks["order-priced"]
	usual := map[string]any{
		"threadId": thread, "frameId": frame, "variablesReference": 1000 + t.rng.IntN(6), "levels": 5, "startFrame": 0,
		"start": 0, "count": 10, "filter": "named", "expression": "order.Items[0]", "context": "watch", "mode": "remote",
		"source": dap.Source{Path: m.File}, "breakpoints": []any{map[string]any{"line": m.Line}}, "lines": []int{m.Line},
		"stopOnEntry": true, "substitutePath": []any{map[string]string{"from": "/a", "to": "/b"}}, "granularity": "line",
		"filters": []string{"x"}, "restart": false, "terminateDebuggee": false, "format": map[string]bool{"hex": true},
	}
	args := make(map[string]any)
	for name, value := range usual { // Go's own random order does no harm here
		switch t.rng.IntN(8) {
		case 0:
			args[name] = t.madValue(2)
		case 1: // missing
		default:
			args[name] = value
		}
	}
	return args
}

// madValue is any JSON.
func (t *trial) madValue(depth int) any {
	switch t.rng.IntN(10) {
	case 0:
		return nil
	case 1:
		return -1
	case 2:
		return math.MaxInt64
	case 3:
		return t.rng.Float64() * 1e300
	case 4:
		return t.rng.IntN(2) == 0
	case 5:
		return strings.Repeat("a[", t.rng.IntN(3000))
	case 6:
		return "\x00\u202e\"}{" + string(rune(t.rng.IntN(0x10ffff)))
	case 7:
		if depth > 0 {
			return []any{t.madValue(depth - 1), t.madValue(depth - 1)}
		}
		return []any{}
	case 8:
		if depth > 0 {
			return map[string]any{"line": t.madValue(depth - 1), "condition": t.madValue(depth - 1), "path": t.madValue(depth - 1)}
		}
		return map[string]any{}
	default:
		return t.rng.IntN(100)
	}
}
