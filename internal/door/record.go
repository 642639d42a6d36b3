//go:build linux

package door

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/remotedbg/remotedbg/internal/audit"
	"github.com/remotedbg/remotedbg/internal/door/opening"
	"github.com/remotedbg/remotedbg/internal/invite"
)

// attack is something that no client of ours sends.
type attack struct{ opening.Opening }

func (a attack) Error() string {
	switch {
	case a.IsHTTP() && (a.Host != "" || a.Origin != ""):
		return fmt.Sprintf("it speaks %s (host %q, origin %q): a browser or a proxy", a.Kind, a.Host, a.Origin)
	case a.Kind == opening.TLS:
		return "it speaks TLS, which this listener does not"
	case a.Kind == opening.DAP || a.Kind == opening.JSONRPC:
		return fmt.Sprintf("it speaks %s without TLS, which this listener asks for", a.Kind)
	case a.Kind == opening.Unknown:
		return "it speaks neither DAP nor JSON-RPC"
	}
	return fmt.Sprintf("it speaks %s, neither DAP nor JSON-RPC", a.Kind)
}

// attrs say who a line is about.
func (v *visit) attrs() []slog.Attr {
	who := v.who
	who.From = v.from
	attrs := append(audit.Who(who), slog.String("listener", v.ln.String()))
	if v.print != "" {
		attrs = append(attrs, slog.String("fingerprint", v.print))
	}
	return attrs
}

// accepted takes note of somebody who was let in, and the function that it returns
// of their end.
func (v *visit) accepted() (closed func(reason string)) {
	_ = v.cfg.Audit.Record(audit.ConnectionAccepted, v.attrs()...)
	began := time.Now()
	return func(reason string) {
		_ = v.cfg.Audit.Record(audit.ConnectionClosed, append(v.attrs(),
			slog.String("reason", reason), slog.Int64("open_ms", time.Since(began).Milliseconds()))...)
	}
}

// failed takes note of a connection that did not get in.
func (v *visit) failed(err error) {
	var bad attack
	switch {
	case errors.As(err, &bad):
		first := string(bad.Read[:min(len(bad.Read), maxFirst)])
		v.note(audit.Attack, err, slog.String("first", first))
	case errors.Is(err, invite.Used):
		v.note(audit.Attack, err)
	case errors.Is(err, opening.ErrSilent):
		// Port scans, health checks, clients that were closed to make room: too
		// many and too harmless for the audit.
		if suppressed, ok := v.quiet.speak("silent " + v.source); ok {
			v.cfg.Log(fmt.Sprintf("connection from %s: closed: %v%s", v.from, err, andMore(suppressed)))
		}
	default:
		v.refused(err)
	}
}

// maxFirst is how many of an attack's first bytes the audit is told.
const maxFirst = 64

// refused takes note of somebody who was not let in.
func (v *visit) refused(err error) { v.note(audit.ConnectionRefused, err) }

// note writes to log and audit, unless that source has filled enough of them.
func (v *visit) note(event string, err error, more ...slog.Attr) {
	// Each event for itself: somebody who fills one must not hide another.
	suppressed, ok := v.quiet.speak(event + " " + v.source)
	if !ok {
		return
	}
	reason := err.Error() + andMore(suppressed)
	_ = v.cfg.Audit.Record(event, append(append(v.attrs(), slog.String("reason", reason)), more...)...)
	v.cfg.Log(fmt.Sprintf("connection from %s: closed: %s", v.from, strings.TrimPrefix(reason, "remotedbg: ")))
	var h interface{ Hint() string }
	if errors.As(err, &h) && v.quiet.first(event+" "+v.source) {
		for line := range strings.Lines(h.Hint()) {
			v.cfg.Log("hint: " + strings.TrimSpace(line))
		}
	}
}

func andMore(suppressed int) string {
	if suppressed == 0 {
		return ""
	}
	return fmt.Sprintf(" (and %d more from there that are not listed)", suppressed)
}

// Bounds of what one source may write to log and audit: a disk that a stranger can
// fill is a way to end a debug session.
const (
	quietBurst = 50
	quietEvery = 2 * time.Second // one more line, after the burst
	maxQuiet   = 1024            // sources that are remembered
)

// quiet bounds what each source writes of each kind. The first line after a pause says how many
// were left out.
type quiet struct {
	mu      sync.Mutex
	sources map[string]*voice
	now     func() time.Time
}

// voice is a bucket of tokens.
type voice struct {
	tokens     float64
	last       time.Time
	suppressed int
	hinted     bool
}

func newQuiet() *quiet { return &quiet{sources: make(map[string]*voice), now: time.Now} }

// speak says whether source may write a line, and how many were left out before it.
func (q *quiet) speak(source string) (suppressed int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	v := q.sources[source]
	if v == nil {
		if len(q.sources) >= maxQuiet {
			q.forget()
		}
		v = &voice{tokens: quietBurst, last: now}
		q.sources[source] = v
	}
	v.tokens = min(quietBurst, v.tokens+float64(now.Sub(v.last))/float64(quietEvery))
	v.last = now
	if v.tokens < 1 {
		v.suppressed++
		return 0, false
	}
	v.tokens--
	suppressed, v.suppressed = v.suppressed, 0
	return suppressed, true
}

// first says, once for each source, that it has not been told yet what to do.
func (q *quiet) first(source string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	v := q.sources[source]
	if v == nil || v.hinted {
		return false
	}
	v.hinted = true
	return true
}

// forget drops the source that has been quiet for longest.
func (q *quiet) forget() {
	var oldest string
	var at time.Time
	for source, v := range q.sources {
		if oldest == "" || v.last.Before(at) {
			oldest, at = source, v.last
		}
	}
	delete(q.sources, oldest)
}
