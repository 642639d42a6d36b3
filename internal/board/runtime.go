//go:build linux && amd64

package board

import (
	"debug/dwarf"
	"fmt"
)

// RuntimeLayout holds offsets inside the Go runtime's own structures, read from
// the executable's debug information, since they differ between Go versions.
// They decide whether a goroutine may be parked.
type RuntimeLayout struct {
	GStatus, GM                         uint64 // runtime.g: atomicstatus, m
	MLocks, MMallocing, MPreemptOff, MP uint64 // runtime.m; preemptoff is a string
	MCurg, MLockedG                     uint64
	PStatus                             uint64 // runtime.p
}

// GoroutineLayout says where the runtime keeps its list of goroutines and what
// each waits for.
type GoroutineLayout struct {
	AllGs              uint64 // address of runtime.allgs, a []*g
	Reasons            Range  // runtime.waitReasonStrings, a [...]string
	Status, WaitReason uint64 // runtime.g: atomicstatus, waitreason
	ID, Parent         uint64 // runtime.g: goid, parentGoid
	LockedM            uint64 // runtime.g: lockedm, the thread it is locked to
	ThreadID           uint64 // runtime.m: procid, which is gettid(2)
}

// runtimeTypes are the structures that RuntimeLayout is about.
var runtimeTypes = []string{"runtime.g", "runtime.m", "runtime.p"}

// newRuntimeLayout reads the offsets from the types found, by name.
func newRuntimeLayout(found map[string]*dwarf.StructType) (l RuntimeLayout, gs GoroutineLayout, err error) {
	for _, f := range []struct {
		typ, field string
		off        *uint64
	}{
		{"runtime.g", "atomicstatus", &l.GStatus},
		{"runtime.g", "m", &l.GM},
		{"runtime.m", "locks", &l.MLocks},
		{"runtime.m", "mallocing", &l.MMallocing},
		{"runtime.m", "preemptoff", &l.MPreemptOff},
		{"runtime.m", "p", &l.MP},
		{"runtime.m", "curg", &l.MCurg},
		{"runtime.m", "lockedg", &l.MLockedG},
		{"runtime.p", "status", &l.PStatus},
		{"runtime.g", "waitreason", &gs.WaitReason},
		{"runtime.g", "goid", &gs.ID},
		{"runtime.g", "parentGoid", &gs.Parent},
		{"runtime.g", "lockedm", &gs.LockedM},
		{"runtime.m", "procid", &gs.ThreadID},
	} {
		st := found[f.typ]
		if st == nil {
			return l, gs, fmt.Errorf("read DWARF: no type %s", f.typ)
		}
		r := &fieldReader{t: st}
		*f.off = uint64(r.off(f.field))
		if len(r.errs) > 0 {
			return l, gs, fmt.Errorf("read DWARF: %w: this Go version is newer than this agent knows", r.errs[0])
		}
	}
	gs.Status = l.GStatus
	return l, gs, nil
}
