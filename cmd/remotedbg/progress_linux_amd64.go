package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// progressLines is how many lines may wait for a terminal that does not read.
const progressLines = 256

// progress writes lines to stderr from a goroutine of its own. The engine logs
// while it holds a thread of the service: a stopped terminal or a full pipe
// must delay this goroutine and nothing else, so lines are dropped, and
// counted, when too many wait.
type progress struct {
	w       io.Writer
	lines   chan string
	stop    chan struct{}
	done    chan struct{}
	dropped atomic.Int64
}

func newProgress(w io.Writer) *progress {
	p := &progress{
		w:     w,
		lines: make(chan string, progressLines),
		stop:  make(chan struct{}),
		done:  make(chan struct{}),
	}
	go p.write()
	return p
}

// log queues one line. It never blocks and may be called from any goroutine.
func (p *progress) log(line string) {
	line = time.Now().Format("15:04:05.000 ") + line
	select {
	case p.lines <- line:
	default:
		p.dropped.Add(1)
	}
}

func (p *progress) write() {
	defer close(p.done)
	for {
		select {
		case line := <-p.lines:
			p.print(line)
		case <-p.stop:
			for len(p.lines) > 0 { // this goroutine is the only reader
				p.print(<-p.lines)
			}
			return
		}
	}
}

func (p *progress) print(line string) {
	if n := p.dropped.Swap(0); n > 0 {
		fmt.Fprintf(p.w, "(%d lines dropped: nobody read them)\n", n)
	}
	fmt.Fprintln(p.w, line)
}

// close writes what waits and ends the goroutine, unless the terminal does not
// take it: then the exit of the program ends it.
func (p *progress) close() {
	close(p.stop)
	select {
	case <-p.done:
	case <-time.After(time.Second):
	}
}
