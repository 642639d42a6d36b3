package main

import (
	"context"
	"os"
	"os/signal"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestUntilSignal(t *testing.T) {
	late := make(chan os.Signal, 1)
	defer signal.Stop(late)
	for _, sig := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGQUIT, unix.SIGHUP} {
		if signal.Ignored(sig) {
			continue // the tests run under nohup: the agent would not stop either
		}
		ctx, release := untilSignal(context.Background())
		if got := signalOf(ctx); got != "" {
			t.Errorf("before the signal: %q", got)
		}
		for range 2 { // the second changes nothing, above all it does not kill
			if err := unix.Kill(os.Getpid(), sig); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
			t.Fatalf("%s did not end the context", unix.SignalName(sig))
		}
		if got := signalOf(ctx); got != unix.SignalName(sig) {
			t.Errorf("got %q, want %s", got, unix.SignalName(sig))
		}
		signal.Notify(late, sig) // the second may come after release, to a test that would die of it
		release()
	}
}

// While a request may be held, ctrl-Z must not stop the agent and a reader that
// goes away must not kill it.
func TestUntilSignalShields(t *testing.T) {
	ctx, release := untilSignal(context.Background())
	defer release()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	for _, sig := range []unix.Signal{unix.SIGTSTP, unix.SIGTTOU, unix.SIGPIPE} {
		if err := unix.Kill(os.Getpid(), sig); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.WriteString("x"); err == nil {
		t.Error("wrote to a pipe without a reader")
	}
	if got := signalOf(ctx); got != "" {
		t.Errorf("the context ended with %q", got)
	}
}
