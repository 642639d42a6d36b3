//go:build linux && amd64

package stall

// Belonging finds the goroutines of requests, and all that these have started: a
// request's own is known by its ID, or by the thread that it is locked to, by an id in
// the service's own pid namespace. As with Family, descendants of a goroutine that has
// ended are found as long as its g is not used again.
func (r *Reader) Belonging(ids []uint64, tids []int) (map[uint64]bool, error) {
	s, err := r.family()
	if err != nil {
		return nil, err
	}
	all := make(map[uint64]bool)
	for _, id := range ids {
		all[id] = true
	}
	locked := make(map[int]bool)
	for _, tid := range tids {
		locked[tid] = true
	}
	children := make(map[uint64][]uint64)
	for i := range s.gs {
		id := s.word(i, r.l.ID)
		if parent := s.word(i, r.l.Parent); parent != 0 {
			children[parent] = append(children[parent], id)
		}
		if thread, err := s.thread(i); err == nil && locked[thread] {
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
	return all, nil
}
