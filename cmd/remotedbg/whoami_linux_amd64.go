package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/session"
)

// whoamiMost is how many different clients are shown: a busy service has
// thousands, and a person looks for one.
const whoamiMost = 200

// seen is one client as the gate found it, by all requests that it did so for.
type seen struct{ client, reason string }

// whoami prints which client addresses the gate of a process finds, and why.
func whoami(ctx context.Context, o attachOptions, stdout, stderr io.Writer) error {
	ctx, release := untilSignal(ctx)
	defer release()
	progress := newProgress(stderr)
	defer progress.close()
	target, err := findProcess(o)
	if err != nil {
		return err
	}
	defer target.close()

	progress.log(fmt.Sprintf("looking at the clients of %s for %v: nothing is stopped, send a request", target, o.duration))
	v := &viewer{out: stdout, began: time.Now(), requests: make(map[seen]int)}
	err = session.Look(ctx, session.LookConfig{
		PID: target.pid, For: o.duration, Log: progress.log, Seen: v.show, Missed: func(n int) { v.missed += n },
	})
	v.summary()
	if err == nil {
		err = v.err
	}
	return err
}

// viewer prints each client once, and how often each came at the end.
type viewer struct {
	out      io.Writer
	began    time.Time
	requests map[seen]int
	missed   int
	err      error // of writing
}

func (v *viewer) printf(format string, args ...any) {
	if v.err == nil {
		if _, err := fmt.Fprintf(v.out, format, args...); err != nil {
			v.err = fmt.Errorf("write to stdout: %w", err)
		}
	}
}

func (v *viewer) show(s board.Sight) {
	k := seen{s.Client, s.Reason}
	v.requests[k]++
	switch {
	case v.requests[k] > 1 || len(v.requests) > whoamiMost+1:
	case len(v.requests) > whoamiMost:
		v.printf("more than %d different clients: further ones are counted only\n", whoamiMost)
	default:
		v.printf("%s  %s  %s %s  (peer %s)\n", addressOf(k), s.Reason, s.Method, s.Path, cmp.Or(s.Peer, "not known"))
	}
}

func addressOf(k seen) string { return cmp.Or(k.client, "unknown") }

// summary ends the output with what may be copied.
func (v *viewer) summary() {
	total := 0
	for _, n := range v.requests {
		total += n
	}
	v.printf("\n%d requests in %v", total, time.Since(v.began).Round(time.Second))
	if v.missed > 0 {
		v.printf(", %d more came too fast to be looked at", v.missed)
	}
	v.printf("\n")
	keys := slices.SortedFunc(maps.Keys(v.requests), func(a, b seen) int {
		return cmp.Or(cmp.Compare(v.requests[b], v.requests[a]), strings.Compare(a.client, b.client))
	})
	for i, k := range keys {
		if i == whoamiMost {
			break
		}
		advice := "--allow " + k.client
		if k.client == "" {
			advice = "no rule can match it"
		}
		v.printf("%8d  %s  %s  (%s)\n", v.requests[k], addressOf(k), k.reason, advice)
	}
}
