//go:build linux && amd64

package stall

import "slices"

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
	s, err := r.family()
	if err != nil {
		return nil, err
	}
	children := make(map[uint64][]int)
	seen := map[uint64]bool{id: true}
	for i := range s.gs {
		if parent := s.word(i, r.l.Parent); parent != 0 {
			children[parent] = append(children[parent], i)
		}
		if thread, err := s.thread(i); err == nil && thread != 0 && thread == tid {
			seen[s.word(i, r.l.ID)] = true
		}
	}
	var family []Goroutine
	for todo := []uint64{id}; len(todo) > 0 && len(family) < maxFamily; todo = todo[1:] {
		for _, i := range children[todo[0]] {
			id := s.word(i, r.l.ID)
			if seen[id] {
				continue
			}
			seen[id] = true
			todo = append(todo, id)
			status := s.status(i)
			if status == statusDead || states[status] == "" {
				continue
			}
			g := Goroutine{ID: id, Parent: todo[0], Addr: s.gs[i], State: states[status]}
			if status == statusWaiting {
				g.Reason = r.names[int(s.reason(i))]
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
