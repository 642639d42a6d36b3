package main

import (
	"context"
	"io"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// afterTests runs when all tests are over.
var afterTests []func()

type allTests struct{ *testing.M }

func (a allTests) Run() int {
	defer func() {
		for _, f := range afterTests {
			f()
		}
	}()
	// Agents that tests start write their audit there.
	state, err := os.MkdirTemp("", "remotedbg-state-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(state)
	os.Setenv("XDG_STATE_HOME", state)
	return a.M.Run()
}

func TestMain(m *testing.M) {
	testscript.Main(allTests{m}, map[string]func(){"remotedbg": main})
}

// TestScripts runs the command as a person does: testdata/script/*.txtar.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script"})
}

// A caller that gives no streams gets the exit code all the same.
func TestRunCodes(t *testing.T) {
	for code, args := range map[int][]string{exitOK: {"version"}, exitUsage: {"attach"}} {
		if got := run(context.Background(), args, nil, io.Discard, io.Discard); got != code {
			t.Errorf("%s: exit code %d, want %d", args, got, code)
		}
	}
}
