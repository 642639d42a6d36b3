//go:build linux && amd64

package dap

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/go-delve/delve/pkg/dwarf/godwarf"
	"github.com/google/go-dap"
	"github.com/remotedbg/remotedbg/internal/redact/taint"
)

// Bits of sync.Mutex's state (internal/sync/mutex.go).
const (
	mutexLocked      = 1
	mutexStarving    = 4
	mutexWaiterShift = 3
	maxReaders       = 1 << 30 // rwmutexMaxReaders, sync/rwmutex.go
)

func showMutex(v val) (string, bool) {
	state := v.field("state")
	if !state.ok() {
		state = v.path("mu", "state") // since Go 1.24
	}
	n, ok := state.uint()
	if !ok {
		return "", false
	}
	s := "unlocked"
	if n&mutexLocked != 0 {
		s = "locked"
	}
	if waiting := uint32(n) >> mutexWaiterShift; waiting > 0 {
		s += fmt.Sprintf(", %d waiting", waiting)
	}
	if n&mutexStarving != 0 {
		s += ", starving"
	}
	return s, true
}

func showRWMutex(v val) (string, bool) {
	count, ok1 := v.path("readerCount", "v").int()
	departing, ok2 := v.path("readerWait", "v").int()
	if !ok1 || !ok2 {
		return "", false
	}
	switch {
	case count == 0:
		return "unlocked", true
	case count > 0:
		return "locked for reading by " + strconv.FormatInt(count, 10), true
	case departing > 0:
		return fmt.Sprintf("locked for reading by %d, a writer is waiting", departing), true
	}
	s := "locked for writing"
	if readers := count + maxReaders; readers > 0 {
		s += fmt.Sprintf(", %d readers waiting", readers)
	}
	if w, ok := showMutex(v.field("w")); ok {
		if _, waiting, more := strings.Cut(w, ", "); more {
			s += ", writers: " + waiting
		}
	}
	return s, true
}

func showWaitGroup(v val) (string, bool) {
	state, ok := v.path("state", "v").uint()
	if !ok {
		return "", false
	}
	s := fmt.Sprintf("counter %d", int32(state>>32))
	if waiting := state & 0x7fffffff; waiting > 0 { // bit 31: in a synctest bubble
		s += fmt.Sprintf(", %d waiting", waiting)
	}
	return s, true
}

func showOnce(v val) (string, bool) {
	done, ok := v.path("done", "v").uint()
	if done != 0 {
		return "done", ok
	}
	return "not done", ok
}

func showAtomicInt(v val) (string, bool) {
	n, ok := v.field("v").int()
	return strconv.FormatInt(n, 10), ok
}

func showAtomicUint(v val) (string, bool) {
	n, ok := v.field("v").uint()
	return strconv.FormatUint(n, 10), ok
}

func showAtomicBool(v val) (string, bool) {
	n, ok := v.field("v").uint()
	return strconv.FormatBool(n != 0), ok
}

// atomicPointee is what an atomic.Pointer[T] points to: T is known from its
// blank field, a [0]*T.
func atomicPointee(v val) (target val, isNil bool) {
	p, ok := v.field("v").uint()
	if v.v == nil && !ok {
		p, ok = v.x.word(v.field("v").addr)
	}
	if !ok || p == 0 {
		return val{}, ok
	}
	st, _ := v.real().(*godwarf.StructType)
	if st == nil {
		return val{}, false
	}
	for _, f := range st.Field {
		if a, isArray := taint.Resolved(f.Type).(*godwarf.ArrayType); isArray && f.Name == "_" {
			if pt, isPtr := taint.Resolved(a.Type).(*godwarf.PtrType); isPtr && isReal(p) {
				return val{x: v.x, t: pt.Type, addr: p}, false
			}
		}
	}
	return val{}, false
}

func showAtomicPointer(v val) (string, bool) {
	target, isNil := atomicPointee(v)
	switch {
	case isNil:
		return "nil", true
	case !target.ok():
		return "", false
	}
	name := "*" + shortType(target.typeName())
	if s, ok := v.x.show(target, 1); ok {
		return name + " " + s, true
	}
	return name + " " + fieldsLine(target, nil), true
}

// atomicTarget is a row for what an atomic.Pointer points to.
func (x *viewer) atomicTarget(v val) []dap.Variable {
	target, _ := atomicPointee(v)
	if !target.ok() {
		return nil
	}
	return []dap.Variable{x.row(target, "(target)", "")}
}

func showAtomicValue(v val) (string, bool) {
	held := v.field("v")
	if held.isNil() {
		return "nil", true
	}
	d := held.dynamic()
	if !d.ok() {
		return "", false
	}
	if s, ok := v.x.show(d, 1); ok {
		return shortType(d.typeName()) + " " + s, true
	}
	return shortType(d.typeName()) + " " + fieldsLine(d, nil), true
}
