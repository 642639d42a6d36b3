//go:build linux && amd64

package session

import (
	"errors"
	"log/slog"
	"time"

	"github.com/remotedbg/remotedbg/internal/access"
	"github.com/remotedbg/remotedbg/internal/audit"
	"github.com/remotedbg/remotedbg/internal/board"
	"github.com/remotedbg/remotedbg/internal/live"
)

// What is recorded here is recorded by goroutines that must not wait, and a line
// that is lost is told of by the next one: errors are of no use here. What must not
// happen unrecorded is refused by the front ends before it gets here.

// ID names the session in the audit: 1 for the Engine's first. Never used twice.
func (s *Session) ID() int { return s.id }

// Audit is the audit with this session and whose it is on every line; nil if there
// is none. It may be used after Close.
func (s *Session) Audit() *audit.Log { return s.log }

// IsSecret says whether what goes by that name is hidden, as Clean hides texts.
func (e *Engine) IsSecret(name string) bool { return e.guard.Name(name) }

// recordOpened opens the session's part of the audit. Called under Engine.mu.
func (s *Session) recordOpened(who access.Identity) {
	s.log = s.e.cfg.Audit.With(append(audit.Who(who), slog.Int("session", s.id))...)
	_ = s.log.Record(audit.SessionOpened)
}

func (s *Session) recordClosed() {
	reason := "it has detached"
	s.e.mu.Lock()
	if s.e.state != engineArmed {
		reason = s.e.reason
	}
	s.e.mu.Unlock()
	_ = s.log.Record(audit.SessionClosed, slog.String("reason", reason))
}

func (e *Engine) recordArmed() {
	var rules []string
	for _, r := range e.cfg.Allow {
		rules = append(rules, r.String())
	}
	_ = e.cfg.Audit.Record(audit.AgentArmed, slog.Int("pid", e.cfg.PID), slog.Any("rules", rules),
		slog.Time("until", time.Now().Add(e.end-board.Now())))
}

func (e *Engine) recordEnded(reason string) {
	_ = e.cfg.Audit.Record(audit.AgentEnded, slog.Int("pid", e.cfg.PID), slog.String("reason", reason))
}

// record is what a request remembers for the audit.
type record struct {
	log *audit.Log // with the request's id
	why string     // it was let go of; guarded by Engine.mu

	frozen time.Duration // in all; this and what follows is used by run only
	stops  int
}

// recordTaken opens the request's part of the audit. Called by run.
func (r *request) recordTaken() {
	r.record.log = r.session.log.With(slog.Int("request", int(r.id)))
	info := r.info // nothing of what is used here changes
	attrs := []slog.Attr{
		slog.String("rule", r.e.cfg.ruleFor(info)), slog.String("client", info.Client.String()),
		slog.String("method", info.Method), slog.String("path", info.Path),
	}
	if info.Route != "" {
		attrs = append(attrs, slog.String("route", info.Route))
	}
	if info.Root != 0 {
		attrs = append(attrs, slog.Int("root", int(info.Root)), slog.String("function", info.Func))
	}
	_ = r.record.log.Record(audit.RequestTaken, attrs...)
}

// spot is where a request stands.
type spot struct {
	file, function string
	line           int
}

// recordStopped is called by run when the request is frozen for the IDE.
func (r *request) recordStopped(out outcome) {
	r.record.stops++
	attrs := []slog.Attr{slog.String("reason", string(out.reason)), slog.String("file", out.spot.file),
		slog.Int("line", out.spot.line), slog.String("function", out.spot.function)}
	if len(out.ids) > 0 {
		attrs = append(attrs, slog.Any("breakpoints", out.ids))
	}
	_ = r.record.log.Record(audit.RequestStopped, attrs...)
}

// commandNames are the movements as the audit has them.
var commandNames = map[command]string{
	commandContinue: "continue", commandNext: "next", commandStepIn: "stepIn", commandStepOut: "stepOut",
	commandStepInstruction: "stepIn (instruction)", commandNextInstruction: "next (instruction)",
}

// recordThawed is called by run when the request is frozen no longer: since cmd was
// asked for, or, unless asked, for the reason that is noted.
func (r *request) recordThawed(since time.Time, cmd command, asked bool) {
	frozen := time.Since(since)
	r.record.frozen += frozen
	reason := commandNames[cmd]
	if !asked {
		reason = r.whyGone("its thread is not traced any more")
	}
	_ = r.record.log.Record(audit.RequestThawed, slog.String("reason", reason), slog.Int64("frozen_ms", frozen.Milliseconds()))
}

// recordReleased is called by run when the request is debugged no longer.
func (r *request) recordReleased() {
	_ = r.record.log.Record(audit.RequestReleased, slog.String("reason", r.whyGone("it has finished")),
		slog.Int("stops", r.record.stops), slog.Int64("frozen_ms", r.record.frozen.Milliseconds()))
}

func (r *request) whyGone(usual string) string {
	r.e.mu.Lock()
	defer r.e.mu.Unlock()
	if r.record.why == "" {
		return usual
	}
	return r.record.why
}

// noteWhy notes why a request is let go of; the first reason counts. Called under
// Engine.mu.
func (r *request) noteWhy(why string) {
	if r.record.why == "" {
		r.record.why = why
	}
}

// noteLost is noteWhy for a thread that nobody let go of.
func (r *request) noteLost(g live.Gone) {
	if g.Err == nil {
		return
	}
	why := g.Err.Error()
	if errors.Is(g.Err, live.ErrGone) {
		why = "its thread has ended, as it does with its process"
	}
	r.e.mu.Lock()
	r.noteWhy(why)
	r.e.mu.Unlock()
}
