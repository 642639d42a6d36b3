//go:build linux && amd64

package stall

// Own names requests by their goroutines: what these have started belongs to them, too.
type Own struct {
	Requests []int    // which ones, by any number that is theirs
	Threads  []int    // that goroutines are locked to, by ids in the service's own pid namespace
	Gs       []uint64 // addresses of their runtime.g: one that is frozen is not on its thread
}

// Belonging finds the goroutines of requests, and all that these have started: a
// request's own is known by its ID, or by the thread that it is locked to, by an id in
// the service's own pid namespace. As with Family, descendants of a goroutine that has
// ended are found as long as its g is not used again.
func (r *Reader) Belonging(ids []uint64, tids []int) (map[uint64]bool, error) {
	s, err := r.family()
	if err != nil {
		return nil, err
	}
	known := make(map[uint64]bool)
	for _, id := range ids {
		known[id] = true
	}
	return s.belonging(known, Own{Threads: tids}), nil
}

// belonging is Belonging in a snapshot. Of the known ones it leaves out those whose g
// is used again.
func (s snapshot) belonging(known map[uint64]bool, own Own) map[uint64]bool {
	locked, frozen := make(map[int]bool), make(map[uint64]bool)
	for _, tid := range own.Threads {
		locked[tid] = true
	}
	for _, g := range own.Gs {
		frozen[g] = true
	}
	all := make(map[uint64]bool)
	children := make(map[uint64][]uint64)
	for i, g := range s.gs {
		id := s.word(i, s.r.l.ID)
		if parent := s.word(i, s.r.l.Parent); parent != 0 {
			children[parent] = append(children[parent], id)
		}
		if known[id] || frozen[g] {
			all[id] = true
		} else if thread, err := s.thread(i); err == nil && locked[thread] {
			all[id] = true
		}
	}
	var todo []uint64
	for id := range all {
		todo = append(todo, id)
	}
	for ; len(todo) > 0; todo = todo[1:] {
		for _, child := range children[todo[0]] {
			if !all[child] {
				all[child] = true
				todo = append(todo, child)
			}
		}
	}
	return all
}
