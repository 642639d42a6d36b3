//go:build linux && amd64

package session

import (
	"fmt"
	"testing"
	"testing/synctest"
)

func output(i int) Event { return Event{Kind: EventOutput, Text: fmt.Sprint(i)} }

// TestQueueOrder: nobody reads while thousands of events come; none is lost,
// none waits for another, and the order is kept.
func TestQueueOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		const n = 10_000
		for i := range n {
			q.put(output(i))
		}
		for i := range n {
			if got := (<-q.out).Text; got != fmt.Sprint(i) {
				t.Fatalf("event %d is %q", i, got)
			}
			if i%1000 == 0 { // some more while the reader is at work
				q.put(output(n + i/1000))
			}
		}
		for i := range n / 1000 {
			if got := (<-q.out).Text; got != fmt.Sprint(n+i) {
				t.Fatalf("late event %d is %q", i, got)
			}
		}
		synctest.Wait()
		select {
		case ev := <-q.out:
			t.Fatalf("an event that nobody put: %+v", ev)
		default:
		}
		q.abandon()
	})
}

// TestQueueSealed: EventEnded is the last one, whatever comes later, and closes
// the channel behind it.
func TestQueueSealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		q.put(output(1))
		q.put(Event{Kind: EventEnded, Text: "why"})
		q.put(output(2))
		q.put(Event{Kind: EventEnded, Text: "again"})
		var got []Event
		for ev := range q.out {
			got = append(got, ev)
		}
		if len(got) != 2 || got[0].Text != "1" || got[1].Kind != EventEnded || got[1].Text != "why" {
			t.Errorf("events %+v", got)
		}
		q.put(output(3)) // nobody is there; must not block or panic
		q.abandon()
	})
}

// TestQueueAbandoned: the reader went away with events unread; the bubble fails
// the test if the queue's goroutine does not end.
func TestQueueAbandoned(t *testing.T) {
	for _, c := range []struct {
		name   string
		before func(q *queue)
	}{
		{"empty", func(*queue) {}},
		{"unread events", func(q *queue) { q.put(output(1)); q.put(output(2)) }},
		{"one read", func(q *queue) { q.put(output(1)); q.put(output(2)); <-q.out }},
		{"sealed", func(q *queue) { q.put(Event{Kind: EventEnded}) }},
		{"ended", func(q *queue) { q.put(Event{Kind: EventEnded}); <-q.out }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue()
				c.before(q)
				synctest.Wait()
				q.abandon()
				synctest.Wait()
				if ev, open := <-q.out; open {
					t.Errorf("delivered after abandon: %+v", ev)
				}
				q.put(output(9))
			})
		})
	}
}
