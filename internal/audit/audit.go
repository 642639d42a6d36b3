// Package audit writes down who did what through the debugger: JSON lines, one an
// event, to a file that is only ever appended to, to syslog or to the journal.
//
// It owns the lines' form, their way to the disk and the list of events
// (docs/audit.md shows one of each). It must not know what a command means or who
// may give it: the front ends and the engine record what happens, and they refuse a
// command that changes the service when [Log.RecordSync] fails.
//
// A Log has one goroutine, started by [Open], which alone writes and may hang with
// the disk. Nobody else ever waits for it but RecordSync and [Log.Close], and those
// for a bounded time: a frozen request must go on, and the service with it, whatever
// the disk does. Close ends the goroutine, unless it hangs.
package audit

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Config is what a Log needs to know.
type Config struct {
	// To is where the lines go: the path of a file, [ToSyslog] or [ToJournald].
	To string

	// Scrub replaces secrets in a text that is about to be written; nil: nothing
	// is replaced. It is called by whoever records, from any goroutine.
	Scrub func(string) string

	// Hide tells the names (of variables, fields, arguments) whose values are
	// secrets; nil: none is. It is called as Scrub is.
	Hide func(name string) bool

	// Common is on every line, after the time and the event.
	Common []slog.Attr

	// Log takes a line for the operator when lines begin to get lost, and when
	// they are written again. It may be nil; it is called from the Log's goroutine.
	Log func(string)

	now      func() time.Time // for tests
	sink     sink
	patience time.Duration
}

// Names of To that are no paths.
const (
	ToSyslog   = "syslog"
	ToJournald = "journald"
)

const (
	maxQueued = 1 << 20         // bytes of lines that a hanging disk leaves in memory
	patience  = 2 * time.Second // of RecordSync and Close with the disk
)

// Errors of Record and RecordSync, to be compared with errors.Is. Their text is
// complete and tells what to do.
var (
	// ErrLost: the line was or may have been lost.
	ErrLost = errors.New("the audit cannot be written")
	// ErrCut: RecordSync was asked to write more than a line holds, and wrote nothing.
	// What is on the disk before something is done says all of what is done.
	ErrCut = errors.New("it is too long to be written down whole")
	// ErrClosed: the Log is closed.
	ErrClosed = errors.New("the audit is closed")
)

// sink is where lines end up. Its methods are called by one goroutine, and may hang.
type sink interface {
	// write appends a whole line, with its newline.
	write(line []byte) error
	// sync returns when what was written outlives a crash of the machine.
	sync() error
	close() error
	String() string
}

// Log is an open audit. All methods may be called from any goroutine. A nil *Log
// records nothing and reports no error.
type Log struct {
	*writer
	attrs []slog.Attr
}

// writer is what a Log and those that With makes of it share.
type writer struct {
	cfg  Config
	sink sink
	done chan struct{} // closed when the goroutine has ended

	mu     sync.Mutex
	wake   *sync.Cond // of mu: queue, closing changed
	queue  []*line
	queued int // bytes in queue
	closed bool
	seq    uint64
	lost   int       // lines since the last one that was written
	since  time.Time // when the first of them was lost
	broken error     // why; nil: the last line was written
}

// line is a line on its way.
type line struct {
	text  []byte
	done  chan error // nil: nobody waits; capacity 1
	given bool       // up by whoever waited, guarded by writer.mu
}

// Open opens the audit. The error says what is wrong with where the lines are to go,
// and nothing has been written then.
func Open(cfg Config) (*Log, error) {
	if cfg.Log == nil {
		cfg.Log = func(string) {}
	}
	if cfg.now == nil {
		cfg.now = time.Now
	}
	if cfg.patience == 0 {
		cfg.patience = patience
	}
	w := &writer{cfg: cfg, sink: cfg.sink, done: make(chan struct{})}
	w.wake = sync.NewCond(&w.mu)
	if w.sink == nil {
		var err error
		if w.sink, err = openSink(cfg.To); err != nil {
			return nil, err
		}
	}
	go w.run()
	return &Log{writer: w, attrs: cfg.Common}, nil
}

func openSink(to string) (sink, error) {
	switch to {
	case ToSyslog:
		return openSyslog("")
	case ToJournald:
		return openJournal(journalSocket)
	}
	return openFile(to)
}

// String says where the lines go.
func (l *Log) String() string {
	if l == nil {
		return "nowhere"
	}
	return l.sink.String()
}

// With is the same log with more on every line. It writes nothing itself.
func (l *Log) With(attrs ...slog.Attr) *Log {
	if l == nil {
		return nil
	}
	return &Log{writer: l.writer, attrs: append(l.attrs[:len(l.attrs):len(l.attrs)], attrs...)}
}

// Record writes event, one of [Events], as soon as the disk allows. It never waits.
// The error tells that the line was lost, which the next line that can be written
// says too.
func (l *Log) Record(event string, attrs ...slog.Attr) error {
	if l == nil {
		return nil
	}
	_, err := l.put(event, attrs, false)
	return err
}

// RecordSync is Record, and returns when the line outlives a crash of the machine,
// or with an error after at most two seconds. A line whose RecordSync has failed may
// be written all the same; whoever called records then that the command was refused.
func (l *Log) RecordSync(event string, attrs ...slog.Attr) error {
	if l == nil {
		return nil
	}
	entry, err := l.put(event, attrs, true)
	if err != nil {
		return err
	}
	timeout := time.NewTimer(l.cfg.patience)
	defer timeout.Stop()
	select {
	case err := <-entry.done:
		return err
	case <-timeout.C:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case err := <-entry.done:
		return err // just in time
	default:
	}
	entry.given = true
	return fmt.Errorf("remotedbg: %w: %s did not take the line within %v", ErrLost, l.sink, l.cfg.patience)
}

// Err is why lines are being lost, nil if they are not.
func (l *Log) Err() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken
}

// Close writes what is queued, for at most two seconds, and closes the file. It may
// be called more than once.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	l.closed = true
	l.wake.Signal()
	l.mu.Unlock()
	select {
	case <-l.done:
		return l.Err()
	case <-time.After(l.cfg.patience):
		return fmt.Errorf("remotedbg: %w: %s still has lines to take after %v", ErrLost, l.sink, l.cfg.patience)
	}
}

// put queues a line. Its number is given under the lock that queues it, so that the
// numbers in the file ascend and a gap is a loss; what takes time, before that.
func (l *Log) put(event string, attrs []slog.Attr, wait bool) (*line, error) {
	now := l.cfg.now()
	rest, whole := l.format(l.attrs, attrs)
	if wait && !whole {
		return nil, fmt.Errorf("remotedbg: %w", ErrCut)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, fmt.Errorf("remotedbg: %w", ErrClosed)
	}
	l.seq++
	entry := &line{text: finish(now, event, l.seq, rest)}
	if wait {
		entry.done = make(chan error, 1)
	}
	if l.queued+len(entry.text) > maxQueued {
		err := fmt.Errorf("remotedbg: %w: %s takes no more lines", ErrLost, l.sink)
		l.lose(now, err)
		return nil, err
	}
	l.queue = append(l.queue, entry)
	l.queued += len(entry.text)
	l.wake.Signal()
	return entry, nil
}

// lose counts a line that will not be written. Called under mu.
func (w *writer) lose(now time.Time, why error) {
	if w.lost++; w.lost == 1 {
		w.since = now
	}
	w.broken = why
}

// run writes line by line.
func (w *writer) run() {
	defer close(w.done)
	for {
		w.mu.Lock()
		for len(w.queue) == 0 && !w.closed {
			w.wake.Wait()
		}
		if len(w.queue) == 0 {
			w.mu.Unlock()
			_ = w.sink.close() // everything that matters is synced
			return
		}
		entry := w.queue[0]
		w.queue = w.queue[1:]
		w.queued -= len(entry.text)
		skip, lost, since, broken := entry.given, w.lost, w.since, w.broken
		w.mu.Unlock()
		if skip {
			continue
		}
		w.settle(entry, lost, broken != nil, w.writeOne(entry, lost, since, broken))
	}
}

// writeOne writes entry, and before it what was lost.
func (w *writer) writeOne(entry *line, lost int, since time.Time, why error) error {
	if lost > 0 {
		rest, _ := w.format(w.cfg.Common, []slog.Attr{slog.Int("lines", lost), slog.Time("since", since), slog.Any("reason", why)})
		said := finish(w.cfg.now(), Lost, 0, rest)
		if err := w.sink.write(said); err != nil {
			return err
		}
		w.mu.Lock()
		w.lost -= lost
		w.mu.Unlock()
	}
	if err := w.sink.write(entry.text); err != nil {
		return err
	}
	if entry.done == nil {
		return nil
	}
	return w.sink.sync()
}

// settle notes how a line fared and tells whoever waits for it.
func (w *writer) settle(entry *line, lost int, wasBroken bool, err error) {
	if err != nil {
		err = fmt.Errorf("remotedbg: %w: %s: %w", ErrLost, w.sink, err)
	}
	w.mu.Lock()
	if err != nil {
		w.lose(w.cfg.now(), err)
	} else if w.lost == 0 {
		w.broken = nil
	}
	if entry.done != nil {
		entry.done <- err
	}
	w.mu.Unlock()
	switch {
	case err != nil && !wasBroken:
		w.cfg.Log(err.Error() + "; commands that change the service are refused until it can")
	case err == nil && wasBroken:
		w.cfg.Log(fmt.Sprintf("the audit is written again (%d lines were lost)", lost))
	}
}
