//go:build linux && amd64

package stall

import (
	"encoding/binary"
	"slices"
)

// maxFamily bounds the goroutines of a Family.
const maxFamily = 1000

// Goroutine is one that another one has started, as it was when it was looked
// at. It runs on.
type Goroutine struct {
	ID, Parent uint64
	Addr       uint64 // of its runtime.g
	State      string // "running", "runnable", "waiting", "system call"
	Reason     string // what a waiting one waits for; empty: the runtime does not say
}

// Family lists the goroutines that the one with that ID has started, and those
// that they have started, by their IDs; not the one that is locked to thread tid,
// an id in the service's own pid namespace: it keeps the frozen request waiting.
// The runtime notes no more than the parent's ID: descendants of a goroutine that
// has ended are found as long as its g is not used again.
func (r *Reader) Family(id uint64, tid int) ([]Goroutine, error) {
	gs, err := r.list()
	if err != nil {
		return nil, err
	}
	l := r.l
	first := min(l.Status, l.WaitReason, l.ID, l.Parent, l.LockedM)
	size := int(max(l.Status, l.WaitReason, l.ID, l.Parent, l.LockedM) + 8 - first)
	spans, err := r.mem.ReadEach(gs, first, size)
	if err != nil {
		return nil, err
	}
	word := func(i int, field uint64) uint64 { return binary.LittleEndian.Uint64(spans[i*size+int(field-first):]) }
	children := make(map[uint64][]int)
	seen := map[uint64]bool{id: true}
	for i := range gs {
		if parent := word(i, l.Parent); parent != 0 {
			children[parent] = append(children[parent], i)
		}
		if m := word(i, l.LockedM); m != 0 {
			if thread, err := r.mem.Uint64(m + l.ThreadID); err == nil && int(thread) == tid {
				seen[word(i, l.ID)] = true
			}
		}
	}
	var family []Goroutine
	for todo := []uint64{id}; len(todo) > 0 && len(family) < maxFamily; todo = todo[1:] {
		for _, i := range children[todo[0]] {
			id := word(i, l.ID)
			if seen[id] {
				continue
			}
			seen[id] = true
			todo = append(todo, id)
			status := binary.LittleEndian.Uint32(spans[i*size+int(l.Status-first):]) &^ statusScan
			if status == statusDead || states[status] == "" {
				continue
			}
			g := Goroutine{ID: id, Parent: todo[0], Addr: gs[i], State: states[status]}
			if status == statusWaiting {
				g.Reason = r.names[int(spans[i*size+int(l.WaitReason-first)])]
			}
			family = append(family, g)
		}
	}
	slices.SortFunc(family, func(a, b Goroutine) int { return int(a.ID) - int(b.ID) })
	return family, nil
}

// states are the values of atomicstatus of goroutines that have not ended
// (runtime/runtime2.go).
var states = map[uint32]string{1: "runnable", 2: "running", 3: "system call", statusWaiting: "waiting", 8: "running", 9: "preempted"}
