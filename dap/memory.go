//go:build linux && amd64

package dap

import (
	"context"
	"encoding/base64"
	"fmt"
	"reflect"
	"strconv"

	"github.com/go-delve/delve/pkg/proc"
	"github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/internal/session"
)

const (
	// maxMemory bounds one read of memory in bytes. Hex editors ask for some
	// hundred kilobytes at a time.
	maxMemory = 4 << 20
	// pageSize is the unit in which memory can be readable or not.
	pageSize = 4096
	// addressEnd is where a process's addresses end (TASK_SIZE_MAX in
	// arch/x86/include/asm/page_64_types.h). Delve gives what lies in
	// registers higher ones.
	addressEnd = 1 << 47
)

// anyFrozen is a request that is frozen. Memory and instructions are the same
// seen from any of them.
func (c *conn) anyFrozen() (session.RequestID, error) {
	for _, r := range c.sess.Requests() {
		if r.Frozen {
			return r.ID, nil
		}
	}
	return 0, kindNoneFrozen.becauseOf("no request is stopped")
}

// address is a memory reference and an offset in bytes. References are
// addresses as text; a client may make one of a number that a person typed.
func address(reference string, offset int) (uint64, error) {
	addr, err := strconv.ParseUint(reference, 0, 64)
	if err != nil {
		return 0, kindBadArguments.becauseOf(fmt.Sprintf("memoryReference %q is no address", clip(reference, 64)))
	}
	sum := addr + uint64(int64(offset))
	if (offset > 0 && sum < addr) || (offset < 0 && sum > addr) {
		return 0, kindBadArguments.becauseOf(fmt.Sprintf("%#x%+d is no address", addr, offset))
	}
	return sum, nil
}

// memoryReference is where the bytes of a value are that a person wants to
// see: behind a pointer, the elements of a slice, the text of a string. Empty
// if it is not in memory.
func memoryReference(v *proc.Variable) string {
	addr := v.Addr
	switch v.Kind {
	case reflect.String, reflect.Slice:
		addr = v.Base
	case reflect.Pointer:
		if len(v.Children) > 0 {
			addr = v.Children[0].Addr
		}
	default:
		if v.Flags&proc.VariableFakeAddress != 0 {
			addr = 0
		}
	}
	if v.Unreadable != nil || addr == 0 || addr >= addressEnd {
		return ""
	}
	return fmt.Sprintf("%#x", addr)
}

// readMemory reads live memory: the frozen request's own does not change, all
// else may while it is read.
func (c *conn) readMemory(_ context.Context, args dap.ReadMemoryArguments) (dap.ReadMemoryResponseBody, error) {
	var body dap.ReadMemoryResponseBody
	addr, err := address(args.MemoryReference, args.Offset)
	if err != nil {
		return body, err
	}
	if args.Count < 0 || args.Count > maxMemory {
		return body, kindBadArguments.becauseOf(fmt.Sprintf("count %d: 0 to %d bytes can be read at a time", args.Count, maxMemory))
	}
	id, err := c.anyFrozen()
	if err != nil {
		return body, err
	}
	asked := args.Count
	if args.Count = int(c.mayRead(addr, uint64(asked))); args.Count == 0 && asked > 0 {
		return body, kindMemory.because(errSealed(addr))
	}
	body.Address = fmt.Sprintf("%#x", addr)
	err = c.inspect(id, kindMemory, func(t *proc.Target) error {
		data, unreadable := readable(t.Memory(), addr, args.Count)
		body.Data, body.UnreadableBytes = base64.StdEncoding.EncodeToString(data), unreadable+asked-args.Count
		return nil
	})
	return body, err
}

// readable reads up to the first page that cannot be read, and tells how many
// bytes from there on cannot.
func readable(mem proc.MemoryReader, addr uint64, count int) (data []byte, unreadable int) {
	data = make([]byte, count)
	if _, err := mem.ReadMemory(data, addr); err == nil {
		return data, 0
	}
	good := 0
	for good < count {
		n := pagePart(addr+uint64(good), count-good)
		if _, err := mem.ReadMemory(data[good:good+n], addr+uint64(good)); err != nil {
			break
		}
		good += n
	}
	var probe [1]byte
	for end := good; end < count; {
		if _, err := mem.ReadMemory(probe[:], addr+uint64(end)); err == nil {
			return data[:good], end - good
		}
		end += pagePart(addr+uint64(end), count-end)
	}
	return data[:good], count - good
}

// pagePart is how many of the n bytes at addr lie in its page.
func pagePart(addr uint64, n int) int {
	return min(n, pageSize-int(addr%pageSize))
}

// writeMemory writes into the live service. Other goroutines see it at once.
func (c *conn) writeMemory(_ context.Context, args dap.WriteMemoryArguments) (dap.WriteMemoryResponseBody, error) {
	var body dap.WriteMemoryResponseBody
	addr, err := address(args.MemoryReference, args.Offset)
	if err != nil {
		return body, err
	}
	data, err := base64.StdEncoding.DecodeString(args.Data)
	if err != nil {
		return body, kindBadArguments.because(err)
	}
	// A frozen request is what gives the right to: the person at the IDE
	// looks at it, and the gate lets only allowlisted ones be frozen.
	if _, err := c.anyFrozen(); err != nil {
		return body, err
	}
	if len(data) == 0 {
		return body, nil
	}
	n, err := c.sess.WriteMemory(addr, data, args.AllowPartial)
	if err != nil {
		return body, sessionError(err, kindWrite)
	}
	body.BytesWritten = n
	c.afterReply(func() {
		if c.client.memoryEvent {
			c.event("memory", dap.MemoryEventBody{MemoryReference: args.MemoryReference, Offset: args.Offset, Count: n})
		}
		c.invalidate("variables")
	})
	return body, nil
}

// invalidate makes the client ask again for what it shows.
func (c *conn) invalidate(areas ...dap.InvalidatedAreas) {
	if c.client.invalidatedEvent {
		c.event("invalidated", dap.InvalidatedEventBody{Areas: areas})
	}
}
