package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// hinter is an error that knows what to do next. The errors of
// internal/session have this method too.
type hinter interface {
	error
	Hint() string // lines, each one thing to do
}

// mistake is one thing that is wrong with the command line.
type mistake struct{ text, hint string }

func (m mistake) Error() string { return m.text }
func (m mistake) Hint() string  { return m.hint }

// mistakes are all of them: a person should not have to run the command once
// for each.
type mistakes []mistake

func (ms mistakes) Error() string {
	texts := make([]string, len(ms))
	for i, m := range ms {
		texts[i] = m.text
	}
	return strings.Join(texts, "; ")
}

func (ms *mistakes) add(hint, format string, args ...any) {
	*ms = append(*ms, mistake{fmt.Sprintf(format, args...), hint})
}

// failure is a refusal or a failure at run time, with what to do about it.
type failure struct {
	err  error
	hint string
	code int // exit code; 0 means exitFailed
}

func (f failure) Error() string { return f.err.Error() }
func (f failure) Unwrap() error { return f.err }
func (f failure) Hint() string  { return f.hint }

func exitCode(err error) int {
	var all mistakes
	var one mistake
	var f failure
	switch {
	case errors.As(err, &all), errors.As(err, &one):
		return exitUsage
	case errors.As(err, &f) && f.code != 0:
		return f.code
	}
	return exitFailed
}

// report writes err for a person: one line for each error, lower case and
// without a full stop, each followed by its hint lines.
func report(w io.Writer, err error) {
	var all mistakes
	if errors.As(err, &all) {
		for _, m := range all {
			report(w, m)
		}
		return
	}
	text := strings.TrimPrefix(err.Error(), "remotedbg: ")
	fmt.Fprintf(w, "remotedbg: %s\n", text)
	var h hinter
	if !errors.As(err, &h) {
		return
	}
	for _, line := range strings.Split(h.Hint(), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			fmt.Fprintf(w, "hint: %s\n", strings.TrimPrefix(line, "hint: "))
		}
	}
}
