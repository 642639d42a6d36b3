//go:build linux && amd64

package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// shortLab is a lab of the short form, for one test.
func shortLab(t *testing.T, out io.Writer) *lab {
	t.Helper()
	l, err := newLab(0, out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	l.short, l.uprobes = true, true
	return l
}

// TestFaults runs every row with few trials, one row after the other. The full
// form is make faults.
func TestFaults(t *testing.T) {
	var out strings.Builder
	l := shortLab(t, &out)
	t.Logf("seed %d", l.seed)
	for _, r := range rows() {
		t.Run(r.name, func(t *testing.T) {
			out.Reset()
			res := l.run(r, l.somewhere(), r.short)
			if res.notRun != nil {
				t.Skip(res.line()) // make test lists what was skipped
			}
			t.Log(res.line())
			if res.failures > 0 {
				t.Errorf("%d of %d trials failed:\n%s", res.failures, res.trials, out.String())
			}
		})
	}
}

// TestEvidence has a trial fail: the file that the output names tells all that the
// next person would want to know.
func TestEvidence(t *testing.T) {
	var out strings.Builder
	l := shortLab(t, &out)
	l.kept = t.TempDir()
	fails := row{name: "fails", what: "a trial that fails", trial: func(t *trial) error {
		if _, err := t.enter(frozen); err != nil {
			return err
		}
		t.strike()
		return errors.New("made to fail")
	}}
	if res := l.run(fails, 3, 1); res.failures != 1 {
		t.Fatalf("%d failures\n%s", res.failures, out.String())
	}
	files, err := filepath.Glob(filepath.Join(l.kept, "*"))
	if err != nil || len(files) != 1 || !strings.Contains(out.String(), files[0]) {
		t.Fatalf("files %v, %v, and the output\n%s", files, err, out.String())
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		"row fails", "trial 3: frozen", fmt.Sprintf("-row fails -seed %d -from 3 -trials 1 -uprobes=true", l.seed),
		"since the fault: made to fail", "load average", "State S (sleeping) TracerPid ", "slots: [", "board: {Armed:true",
		"s  remotedbg: watchdog: the agent", "stopped (breakpoint): GET /orders/7",
		"SIGABRT: abort", "SIGQUIT: quit", "goroutine 1 ", "/orders/7: answered at ", "as without a debugger: true", "IDE 0: events",
	} {
		if !strings.Contains(string(text), part) {
			t.Errorf("no %q in the file", part)
		}
	}
	if t.Failed() {
		t.Logf("%s", text)
	}
}

// TestUpperBound holds the bound against the two cases that have a closed form,
// and others computed with exact fractions.
func TestUpperBound(t *testing.T) {
	for _, c := range []struct {
		failures, trials int
		want             float64
	}{
		{0, 1, 0.95},
		{0, 300, 1 - math.Pow(0.05, 1.0/300)}, // (1-p)^n = 0.05
		{0, 40, 1 - math.Pow(0.05, 1.0/40)},
		{9, 10, math.Pow(0.95, 1.0/10)}, // 1-p^n = 0.05
		{1, 20, 0.2161},
		{14, 40, 0.4919},
		{3, 3, 1},
		{0, 0, 1},
	} {
		if got := upperBound(c.failures, c.trials); math.Abs(got-c.want) > 0.0002 {
			t.Errorf("%d failures in %d trials: at most %.4f, want %.4f", c.failures, c.trials, got, c.want)
		}
	}
}

// TestSeeds: the same seed gives the same moments, whichever rows run.
func TestSeeds(t *testing.T) {
	a, b := &lab{seed: 7}, &lab{seed: 8}
	if again := (&lab{seed: 7}); again.seedOf("kill", 3) != a.seedOf("kill", 3) {
		t.Error("a trial has two seeds")
	}
	seen := make(map[uint64]bool)
	for _, l := range []*lab{a, b} {
		for _, row := range []string{"kill", "stop"} {
			for i := range 100 {
				seen[l.seedOf(row, i)] = true
			}
		}
	}
	if len(seen) != 400 {
		t.Errorf("%d seeds for 400 trials", len(seen))
	}
}

func TestPick(t *testing.T) {
	got, err := pick("stop,kill")
	if err != nil || len(got) != 2 || got[0].name != "stop" || got[1].name != "kill" {
		t.Errorf("picked %v, %v", got, err)
	}
	if _, err := pick("kil"); err == nil || !strings.Contains(err.Error(), "kill-both") {
		t.Errorf("an unknown row: %v", err)
	}
}

// TestHeldUp: what fails while the machine stands still is tried again, and not for
// ever.
func TestHeldUp(t *testing.T) {
	var out strings.Builder
	l := shortLab(t, &out)
	l.kept = t.TempDir()
	for _, c := range []struct {
		late             time.Duration
		bad              int // so many tries fail
		failures, heldUp int
	}{
		{heldUpLimit + 1, 1, 0, 1},
		{heldUpLimit + 1, heldUpTrials, 1, heldUpTrials - 1},
		{heldUpLimit + 1, 0, 0, 0},
		{0, 1, 1, 0},
	} {
		tries := 0
		r := row{name: "slow", what: "a trial on a slow machine", trial: func(t *trial) error {
			t.machine.stop()
			t.machine.worst.Store(int64(c.late))
			if tries++; tries <= c.bad {
				return errors.New("made to fail")
			}
			return nil
		}}
		res := l.run(r, 1, 1)
		if res.failures != c.failures || res.heldUp != c.heldUp || res.trials != 1 {
			t.Errorf("late by %v, %d tries fail: %d of %d trials failed, %d run again, want %d and %d\n%s",
				c.late, c.bad, res.failures, res.trials, res.heldUp, c.failures, c.heldUp, out.String())
		}
	}
}
