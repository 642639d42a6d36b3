//go:build linux && amd64

package stall

import "encoding/binary"

// WaitsForChild says whether the goroutine that is locked to thread tid, an id
// in the service's own pid namespace, waits for another goroutine, and has
// started one that lives: then a handler that moved to another goroutine is
// likely, as http.TimeoutHandler moves it. reason is what it waits in.
func (r *Reader) WaitsForChild(tid int) (reason string, waits bool, err error) {
	gs, err := r.list()
	if err != nil {
		return "", false, err
	}
	l := r.l
	first := min(l.Status, l.WaitReason, l.ID, l.Parent, l.LockedM)
	size := int(max(l.Status, l.WaitReason, l.ID, l.Parent, l.LockedM) + 8 - first)
	spans, err := r.mem.ReadEach(gs, first, size)
	if err != nil {
		return "", false, err
	}
	word := func(i int, field uint64) uint64 { return binary.LittleEndian.Uint64(spans[i*size+int(field-first):]) }
	status := func(i int) uint32 {
		return binary.LittleEndian.Uint32(spans[i*size+int(l.Status-first):]) &^ statusScan
	}
	id := uint64(0)
	for i := range gs {
		m := word(i, l.LockedM)
		if m == 0 || status(i) != statusWaiting {
			continue
		}
		thread, err := r.mem.Uint64(m + l.ThreadID)
		if err != nil {
			return "", false, err
		}
		if int(thread) == tid {
			id = word(i, l.ID)
			reason = r.reasons[int(spans[i*size+int(l.WaitReason-first)])]
			break
		}
	}
	if id == 0 || reason == "" {
		return "", false, nil
	}
	for i := range gs {
		if word(i, l.Parent) == id && status(i) != statusDead {
			return reason, true, nil
		}
	}
	return "", false, nil
}
