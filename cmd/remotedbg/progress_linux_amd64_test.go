package main

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// stuck is a terminal that takes nothing until it is told to.
type stuck struct {
	take chan struct{}
	text strings.Builder // read after progress.close
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.take
	return s.text.Write(p)
}

// The engine logs while it holds a thread of the service: a terminal that does
// not read must not delay it.
func TestProgressNeverBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &stuck{take: make(chan struct{})}
		p := newProgress(w)
		const lines = progressLines + 100
		begun := time.Now()
		for i := range lines {
			p.log(fmt.Sprint("line ", i))
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("logging took %s of a terminal that does not read", took)
		}
		close(w.take)
		p.close()
		text := w.text.String()
		if !strings.Contains(text, "line 0\n") || !strings.Contains(text, "lines dropped") || strings.Contains(text, fmt.Sprint("line ", lines-1)) {
			t.Errorf("want the first lines, not the last, and how many were dropped; got %d bytes", len(text))
		}
	})
}

func TestProgressCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &stuck{take: make(chan struct{})}
		p := newProgress(w)
		p.log("nobody reads this")
		begun := time.Now()
		p.close()
		if took := time.Since(begun); took != time.Second {
			t.Errorf("close took %s, want its bound of 1s", took)
		}
		close(w.take) // ends the writer, which synctest asks for
	})
}
