//go:build linux && amd64

package stall

// WaitsForChild says whether the goroutine that is locked to thread tid, an id
// in the service's own pid namespace, waits for another goroutine, and has
// started one that lives: then a handler that moved to another goroutine is
// likely, as http.TimeoutHandler moves it. reason is what it waits in.
func (r *Reader) WaitsForChild(tid int) (reason string, waits bool, err error) {
	s, err := r.family()
	if err != nil {
		return "", false, err
	}
	id := uint64(0)
	for i := range s.gs {
		if s.status(i) != statusWaiting {
			continue
		}
		thread, err := s.thread(i)
		if err != nil {
			return "", false, err
		}
		if thread != 0 && thread == tid {
			id, reason = s.word(i, r.l.ID), r.reasons[int(s.reason(i))]
			break
		}
	}
	if id == 0 || reason == "" {
		return "", false, nil
	}
	for i := range s.gs {
		if s.word(i, r.l.Parent) == id && s.status(i) != statusDead {
			return reason, true, nil
		}
	}
	return "", false, nil
}
