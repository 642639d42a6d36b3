//go:build linux && amd64

package main

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// row is one kind of fault.
type row struct {
	name        string
	what        string // for the table
	full, short int    // trials
	trial       func(*trial) error

	// quiet: without the load of others, which would drown what is measured.
	quiet bool
	// ends: the fault ends the service, so each trial has its own, and the
	// trial itself judges the service.
	ends bool
	// unwatched: the watchdog is killed, too. Uprobes that the kernel leaks are
	// there until remotedbg recover, or the next agent.
	unwatched bool
	// needs, if not nil, says why the row cannot be run on this machine.
	needs func() error
}

// errNotProvoked is wrapped by the error of a trial whose fault did not happen:
// it counts neither as passed nor as failed.
var errNotProvoked = errors.New("the fault did not happen")

// lab is what all rows share: the programs under test, built once.
type lab struct {
	out     io.Writer
	verbose bool
	short   bool // the short form, for the rows that are one long trial
	uprobes bool // IDEs set the breakpoints of extraFile, too
	seed    uint64
	kept    string // the folder of the evidence of failed trials; "": none yet

	builder     *harness.Builder
	agent, shop string // binaries
	marks       map[string]harness.Mark
	attachTime  time.Duration // what the last attach took
}

func newLab(seed uint64, out io.Writer) (*lab, error) {
	l := &lab{out: out, seed: seed, attachTime: time.Second}
	if l.seed == 0 {
		l.seed = rand.Uint64N(1_000_000_000)
	}
	var err error
	if l.builder, err = harness.NewBuilder(); err != nil {
		return nil, err
	}
	if l.agent, err = l.builder.Agent(); err == nil {
		l.shop, err = l.builder.Shop(harness.Variant{})
	}
	if err == nil {
		l.marks, err = harness.Marks(filepath.Join(l.builder.Root, "integration", "targets", "shop"))
	}
	if err != nil {
		l.close()
	}
	return l, err
}

func (l *lab) close() { l.builder.Remove() }

// result is what a row came to.
type result struct {
	row              row
	trials, failures int
	notProvoked      int // trials without their fault
	heldUp           int // trials that were run again
	took             time.Duration
	figures          []string // what the trials measured, at worst
	first            error
	notRun           error // why the row did not run at all
}

// line is the result for a person.
func (r result) line() string {
	if r.notRun != nil {
		return fmt.Sprintf("%-12s not run: %v", r.row.name, r.notRun)
	}
	text := fmt.Sprintf("%-12s %3d trials, %d failures, failure rate below %.2g %% (95 %%), %v",
		r.row.name, r.trials, r.failures, 100*upperBound(r.failures, r.trials), r.took.Round(time.Second))
	if r.notProvoked > 0 {
		text += fmt.Sprintf("; %d more in which the fault did not happen", r.notProvoked)
	}
	if r.heldUp > 0 {
		text += fmt.Sprintf("; %d more that failed while the machine held up other processes for more than %v", r.heldUp, heldUpLimit)
	}
	for _, f := range r.figures {
		text += "; " + f
	}
	return text
}

// table is the results as Markdown.
func table(results []result) string {
	var b strings.Builder
	b.WriteString("| row | fault | trials | failures | 95 % upper bound | measured |\n|---|---|---|---|---|---|\n")
	for _, r := range results {
		if r.notRun != nil {
			fmt.Fprintf(&b, "| `%s` | %s | 0 | | | not run: %v |\n", r.row.name, r.row.what, r.notRun)
			continue
		}
		fmt.Fprintf(&b, "| `%s` | %s | %d | %d | %.2g %% | %s |\n", r.row.name, r.row.what,
			r.trials, r.failures, 100*upperBound(r.failures, r.trials), strings.Join(r.figures, "; "))
	}
	return b.String()
}

// run runs the trials of a row, from the first-th on.
func (l *lab) run(r row, first, trials int) result {
	res := result{row: r}
	if r.needs != nil {
		if res.notRun = r.needs(); res.notRun != nil {
			return res
		}
	}
	began := time.Now()
	g := &rig{lab: l, row: r, worst: make(map[string]time.Duration), times: make(map[string]int), most: make(map[string]int64)}
	defer g.stop()
	for i := first; i < first+trials; i++ {
		seed := l.seedOf(r.name, i)
		err := g.try(i, seed)
		for range heldUpTrials - 1 {
			if !errors.Is(err, errHeldUp) {
				break
			}
			res.heldUp++
			fmt.Fprintf(l.out, "%s: trial %d is run again: %v\n", r.name, i, err)
			err = g.try(i, seed)
		}
		switch {
		case errors.Is(err, errNotProvoked):
			res.notProvoked++
		default:
			res.trials++
			if err != nil {
				res.failures++
				if res.first == nil {
					res.first = err
				}
			}
		}
		if err != nil {
			fmt.Fprintf(l.out, "%s: trial %d: %v\nagain: -row %s -seed %d -from %d -trials 1\n", r.name, i, err, r.name, l.seed, i)
		}
	}
	if err := g.finish(first + trials); err != nil {
		res.failures++
		res.first = errors.Join(res.first, err)
		fmt.Fprintf(l.out, "%s: after the last trial: %v\n", r.name, err)
	}
	if res.notProvoked > trials/2 {
		res.failures++
		fmt.Fprintf(l.out, "%s: the fault happened in %d of %d trials only\n", r.name, res.trials, trials)
	}
	res.took, res.figures = time.Since(began), g.figures()
	return res
}

// seedOf gives each trial its own seed, which does not depend on the rows that
// ran before.
func (l *lab) seedOf(name string, trial int) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d/%s/%d", l.seed, name, trial)
	return h.Sum64()
}

// somewhere is a trial to begin with where there are to be few, so that each
// run has others of the states and kinds that trials go round through.
func (l *lab) somewhere() int { return int(l.seed % 1000) }

func pick(names string) ([]row, error) {
	if names == "" {
		return rows(), nil
	}
	var picked []row
	for _, name := range strings.Split(names, ",") {
		i := slices.IndexFunc(rows(), func(r row) bool { return r.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no row %q: there are %s", name, strings.Join(rowNames(), ", "))
		}
		picked = append(picked, rows()[i])
	}
	return picked, nil
}

func rowNames() []string {
	var names []string
	for _, r := range rows() {
		names = append(names, r.name)
	}
	return names
}
