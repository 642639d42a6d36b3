package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/remotedbg/remotedbg/dap"
	"github.com/remotedbg/remotedbg/internal/audit"
	"github.com/remotedbg/remotedbg/internal/dlvrpc"
	"github.com/remotedbg/remotedbg/internal/door"
	"github.com/remotedbg/remotedbg/internal/session"
	"github.com/remotedbg/remotedbg/internal/watchdog"
)

// serveGrace is how long the DAP server may take to tell its client that the
// session is over, once nothing is frozen any more.
const serveGrace = 2 * time.Second

// attach debugs one process until its time is over, a signal comes, the
// process exits or the IDE side fails. Only the last two are errors. Whatever
// the way out, the engine is closed first: nothing stays frozen for the sake of
// a goodbye.
func attach(ctx context.Context, o attachOptions, stdout, stderr io.Writer) error {
	ctx, release := untilSignal(ctx)
	defer release()
	progress := newProgress(stderr)
	defer progress.close() // before release: the last lines may meet a broken pipe too

	target, err := findProcess(o)
	if err != nil {
		return err
	}
	defer target.close()
	// Before arming: a port that is taken must not have touched the service.
	listener, err := listenOn(o, target)
	if err != nil {
		return err
	}
	defer listener.Close()

	// Before arming, and closed after the engine, whose end it tells.
	log, secrets, err := openAudit(o, progress)
	if err != nil {
		return err
	}
	defer log.Close()
	recordStart(log, o, target, listener)

	// Before arming, and ended after the engine: whatever is traced is guarded.
	guard, err := watchdog.Start(target.pid)
	if err != nil {
		return failure{err: err, hint: "the watchdog is this program, started again: look for limits on processes (ulimit -u, pids.max) or a seccomp profile without pidfd_open"}
	}
	defer guard.Close()

	progress.log("attaching to " + target.String())
	engine, err := session.Open(ctx, session.Config{
		PID:   target.pid,
		Allow: rules(o),
		Token: o.requireToken,
		For:   o.duration,
		Log:   progress.log,
		Audit: log,
		Beat:  guard.Beat,

		Redact:        o.redact.policy,
		LiftRedaction: o.redact.lifted,

		MaxHold:    o.budgets.maxHold,
		MaxFrozen:  o.budgets.maxFrozen,
		NoExtra:    o.budgets.noExtra,
		ExtraFor:   o.budgets.extraFor,
		NoFollow:   o.budgets.noFollow,
		StallGuard: stallGuard(o.budgets),
	})
	if err != nil {
		recordNotArmed(log, target, err)
		if cause := signalOf(ctx); cause != "" {
			progress.log(cause + ": stopped before the gate was armed")
			return nil
		}
		return err // a session.Refusal, which has its hint
	}
	secrets.of(engine)
	return serve(ctx, engine, guard, target, listener, progress, log, stdout, o)
}

// stallGuard is the session's number for the flag's.
func stallGuard(b budgets) int {
	if b.stallGuard == 0 {
		return session.StallGuardOff
	}
	return b.stallGuard
}

// serve runs the servers for IDEs on listener until engine, guard or ctx ends.
func serve(ctx context.Context, engine *session.Engine, guard *watchdog.Guard, target *process, listener *entrance, progress *progress, log *audit.Log, stdout io.Writer, o attachOptions) error {
	defer engine.Close("the agent is stopping")
	server, err := dap.NewServer(dap.Config{NewSession: dap.ForEngine(engine), QueueStops: o.queueStops, Log: progress.log, Audit: log})
	if err != nil {
		return err
	}
	rpc, err := dlvrpc.NewServer(dlvrpc.Config{Engine: engine, PID: target.pid, Log: progress.log, Audit: log})
	if err != nil {
		return err
	}
	front, err := door.New(door.Config{DAP: server.ServeConn, JSONRPC: rpc.ServeConn, Audit: log, Log: progress.log})
	if err != nil {
		return err
	}
	// Not ctx: when it ends, the client must still be told so.
	serveCtx, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	served := make(chan error, 1)
	go func() { served <- front.Serve(serveCtx, listener.Listener) }()

	if err := listener.tell(stdout, progress.log); err != nil {
		return err
	}
	if o.requireToken {
		if err := tellToken(engine, stdout); err != nil {
			return err
		}
		go keepTelling(engine, stdout)
	}

	select {
	case <-ctx.Done():
		reason := signalOf(ctx)
		progress.log(reason + ": letting every request go")
		err = engine.Close("the agent was stopped (" + reason + ")")
	case <-engine.Done():
		if engine.ProcessGone() || target.exited() {
			err = failure{
				err:  fmt.Errorf("%s has exited", target),
				hint: "attach again when the service is back",
				code: exitGone,
			}
		}
	case <-guard.Done():
		err = failure{
			err:  errors.Join(errors.New("the watchdog has died: without it a hung agent would hold up the service, so the session ends"), engine.Close("the agent's watchdog has died")),
			hint: "attach again; if it happens again, find out who kills it (out of memory: dmesg)",
		}
	case err = <-served:
		if err == nil {
			err = errors.New("the server ended by itself")
		}
		return fmt.Errorf("serve %s: %w", listener, err)
	}
	// Nothing is held any more, and nobody gives a sign of life.
	err = errors.Join(err, closeGuard(guard))
	stopServing()
	select {
	case <-served:
	case <-time.After(serveGrace):
		progress.log("the IDE's connection did not close in time and is cut")
	}
	return err
}

// closeGuard ends the watchdog, unless its end is what is reported already.
func closeGuard(guard *watchdog.Guard) error {
	select {
	case <-guard.Done():
		return nil
	default:
		return guard.Close()
	}
}

// rules narrows every allowed prefix by the same conditions.
func rules(o attachOptions) []session.Rule {
	rules := make([]session.Rule, len(o.allow))
	for i, prefix := range o.allow {
		rules[i] = session.Rule{
			Prefix:      prefix,
			Method:      o.method,
			PathPrefix:  o.path,
			HeaderName:  o.headerName,
			HeaderValue: o.headerValue,
		}
	}
	return rules
}
