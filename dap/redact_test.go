//go:build linux && amd64

package dap_test

import (
	"strings"
	"testing"

	godap "github.com/google/go-dap"

	"github.com/remotedbg/remotedbg/internal/redact/taint"
)

// Guard implements dap.Session.
func (f *fakeSession) Guard() *taint.Guard {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.guard
}

// lift lifts redaction.
func (f *fakeSession) lift() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.guard = f.guard.Lifted()
}

// TestSealedMemory reads memory with redaction on: what a variable was shown of,
// up to its end, and nothing else.
func TestSealedMemory(t *testing.T) {
	b, _ := frozenAt(t, "values", "-gcflags=all=-N -l")
	rows, err := b.Locals(1)
	must(t, err)
	ref := rows["long"].MemoryReference
	_, data, unreadable := b.readMemory(t, ref, 0, 6000)
	if string(data) != strings.Repeat("x", 5000) || unreadable != 1000 {
		t.Errorf("a string that was shown: %d bytes, %d unreadable", len(data), unreadable)
	}
	if _, data, _ := b.readMemory(t, rows["o"].MemoryReference, 0, 8); len(data) != 8 || data[0] != 7 {
		t.Errorf("behind a pointer that was shown: %v", data)
	}
	frames, _, err := b.StackTrace(1, 0, 1)
	must(t, err)
	for _, at := range []string{"0x10", "0x400000", frames[0].InstructionPointerReference} {
		_, err := b.Do("readMemory", godap.ReadMemoryArguments{MemoryReference: at, Count: 16})
		if err == nil || !strings.Contains(err.Error(), "redaction is on") {
			t.Errorf("at %s: %v", at, err)
		}
	}
	for expr, refused := range map[string]bool{
		"*(*int)(" + rows["o"].MemoryReference + ")": false,
		"*(*int)(0x10)":                                    true,
		"*(*[5000]uint8)(" + ref + ")":                     false,
		"*(*[5001]uint8)(" + ref + ")":                     true,
		"*(*string)(" + ref + ")":                          true, // what it points to would be made up
		"*(*string)(*(*uintptr)(0x10))":                    true,
		"(*main.order)(" + rows["o"].MemoryReference + ")": false,
		"len(long)": false,
		"XMM0":      true,
	} {
		body, err := b.Evaluate(expr, frames[0].Id, "repl")
		if sealed := err != nil && strings.Contains(err.Error(), "redaction is on"); sealed != refused || !refused && err != nil {
			t.Errorf("%s: %q, %v", expr, body.Result, err)
		}
	}
}
