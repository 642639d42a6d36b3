package main

import (
	"context"
	"errors"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// stoppedBy is the cause of a context that a signal ended.
type stoppedBy struct{ sig unix.Signal }

func (s stoppedBy) Error() string { return unix.SignalName(s.sig) }

// untilSignal returns a context that the first SIGINT, SIGTERM, SIGQUIT or SIGHUP ends,
// and takes away from the other signals of a terminal or pipe their power to
// kill or stop the agent while it holds a request: a stopped agent is worse
// than a dead one, for it still owns the thread. A second signal changes
// nothing, letting go takes its (bounded) time. release ends the goroutine and
// restores the signals.
func untilSignal(parent context.Context) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(parent)
	stops := []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGQUIT} // SIGABRT prints the goroutines
	if !signal.Ignored(unix.SIGHUP) {                             // nohup: the agent is meant to outlive its terminal
		stops = append(stops, unix.SIGHUP)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, stops...)

	// A write to a stdout or stderr that nobody reads any more kills a Go
	// program by SIGPIPE unless it asked to be notified (os/signal, "SIGPIPE").
	// Nobody reads the channel: Notify drops what does not fit.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, unix.SIGPIPE)
	// ctrl-Z, and "stty tostop" for an agent in the background.
	signal.Ignore(unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU)

	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case s := <-signals:
			cancel(stoppedBy{s.(unix.Signal)})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-done
		signal.Stop(signals)
		signal.Stop(broken)
		signal.Reset(unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU)
	}
}

// signalOf names what ended ctx; empty while it has not ended.
func signalOf(ctx context.Context) string {
	var s stoppedBy
	switch {
	case errors.As(context.Cause(ctx), &s):
		return s.Error()
	case ctx.Err() != nil:
		return ctx.Err().Error()
	}
	return ""
}
