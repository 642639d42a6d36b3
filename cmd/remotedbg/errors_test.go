package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

type sessionError struct{}

func (sessionError) Error() string { return "remotedbg: attach to process 7: it has no gate" }
func (sessionError) Hint() string {
	return "add the middleware to the service\nhint: see the README\n\n"
}

func TestReport(t *testing.T) {
	tests := []struct {
		name string
		err  error
		code int
		want string
	}{
		{"plain", errors.New("it broke"), exitFailed, "remotedbg: it broke\n"},
		{"mistakes", mistakes{{"a", "b"}, {"c", "d"}}, exitUsage, "remotedbg: a\nhint: b\nremotedbg: c\nhint: d\n"},
		{"session error", sessionError{}, exitFailed,
			"remotedbg: attach to process 7: it has no gate\nhint: add the middleware to the service\nhint: see the README\n"},
		{"wrapped session error", fmt.Errorf("attach: %w", sessionError{}), exitFailed,
			"remotedbg: attach: remotedbg: attach to process 7: it has no gate\nhint: add the middleware to the service\nhint: see the README\n"},
		{"failure with a code", failure{err: errors.New("gone"), hint: "wait", code: exitGone}, exitGone, "remotedbg: gone\nhint: wait\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			report(&out, tt.err)
			if out.String() != tt.want {
				t.Errorf("got %q, want %q", out.String(), tt.want)
			}
			if got := exitCode(tt.err); got != tt.code {
				t.Errorf("exit code %d, want %d", got, tt.code)
			}
		})
	}
}
