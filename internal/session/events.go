//go:build linux && amd64

package session

import "sync"

// queue is an unbounded, ordered event queue: the requests' goroutines must
// never wait for an IDE.
type queue struct {
	mu     sync.Mutex
	events []Event
	sealed bool          // no more are taken
	wake   chan struct{} // capacity 1: there is something new
	stop   chan struct{} // closed: the reader has gone
	out    chan Event
}

func newQueue() *queue {
	q := &queue{wake: make(chan struct{}, 1), stop: make(chan struct{}), out: make(chan Event)}
	go q.pump()
	return q
}

// put appends ev; an EventEnded seals the queue.
func (q *queue) put(ev Event) {
	q.mu.Lock()
	if !q.sealed {
		q.events = append(q.events, ev)
		q.sealed = ev.Kind == EventEnded
	}
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// abandon ends the queue without delivering what is left. To be called once.
func (q *queue) abandon() { close(q.stop) }

func (q *queue) pump() {
	defer close(q.out)
	for {
		q.mu.Lock()
		batch := q.events
		q.events = nil
		done := q.sealed && len(batch) == 0
		q.mu.Unlock()
		if done {
			return
		}
		for _, ev := range batch {
			select {
			case q.out <- ev:
			case <-q.stop:
				return
			}
		}
		if len(batch) > 0 {
			continue
		}
		select {
		case <-q.wake:
		case <-q.stop:
			return
		}
	}
}
