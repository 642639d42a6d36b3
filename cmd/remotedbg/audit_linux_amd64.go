package main

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/remotedbg/remotedbg/internal/audit"
	"github.com/remotedbg/remotedbg/internal/session"
)

// auditFolder is below the state directory, or below /var/log for root.
const auditFolder = "remotedbg"

// openAudit opens what --audit names, or the default file. Without an audit nothing
// is debugged: what nobody has written down cannot be looked up later.
func openAudit(o attachOptions, progress *progress) (*audit.Log, *secrets, error) {
	// A limit on the size of files (ulimit -f) is to be an error of write(2), as a
	// full disk is, and not the end of the agent (setrlimit(2), RLIMIT_FSIZE).
	signal.Ignore(unix.SIGXFSZ)
	to, err := auditTarget(o.rights.audit, os.Geteuid(), os.Getenv)
	if err == nil {
		var log *audit.Log
		s := &secrets{}
		log, err = audit.Open(audit.Config{
			To:     to,
			Common: []slog.Attr{slog.Int("agent", os.Getpid())},
			Log:    progress.log,
			Scrub:  s.scrub,
			Hide:   s.hide,
		})
		if err == nil {
			progress.log("audit: " + log.String())
			return log, s, nil
		}
	}
	return nil, nil, failure{
		err:  fmt.Errorf("open the audit: %w", err),
		hint: "--audit PATH names another file, --audit syslog and --audit journald hand the lines on",
	}
}

// auditTarget is what was asked for, or the default file, whose folder it makes:
// where the XDG base directory specification has a person's state, and where the
// system's daemons have their logs.
func auditTarget(asked string, uid int, env func(string) string) (string, error) {
	if asked != "" {
		return asked, nil
	}
	dir, home := env("XDG_STATE_HOME"), env("HOME")
	switch {
	case filepath.IsAbs(dir): // others are to be ignored
	case uid == 0:
		dir = "/var/log"
	case filepath.IsAbs(home):
		dir = filepath.Join(home, ".local", "state")
	default:
		return "", fmt.Errorf("neither XDG_STATE_HOME nor HOME says where: %w", fs.ErrNotExist)
	}
	dir = filepath.Join(dir, auditFolder)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return filepath.Join(dir, "audit.log"), nil
}

// recordStart writes down that an agent begins, and how it was told to.
func recordStart(log *audit.Log, o attachOptions, target *process, listen fmt.Stringer) {
	_ = log.Record(audit.AgentStarted,
		slog.Int("pid", target.pid), slog.String("name", target.name), slog.String("version", agentVersion()),
		slog.String("role", o.rights.role.String()), slog.String("listen", listen.String()),
		slog.String("for", o.duration.Round(time.Second).String()), slog.Int("uid", os.Geteuid()))
}

// recordNotArmed writes down that the agent ends before it has begun.
func recordNotArmed(log *audit.Log, target *process, why error) {
	_ = log.Record(audit.AgentEnded, slog.Int("pid", target.pid), slog.Any("reason", fmt.Errorf("nothing was armed: %w", why)))
}

// secrets keeps what must not be seen out of the audit, which is open before the
// engine that knows it. Nothing of the service's is in a line before that.
type secrets struct {
	engine atomic.Pointer[session.Engine]
}

func (s *secrets) of(e *session.Engine) { s.engine.Store(e) }

func (s *secrets) scrub(text string) string {
	if e := s.engine.Load(); e != nil {
		return e.Clean(text)
	}
	return text
}

func (s *secrets) hide(name string) bool {
	e := s.engine.Load()
	return e != nil && e.IsSecret(name)
}
