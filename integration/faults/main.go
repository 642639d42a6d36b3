//go:build linux && amd64

// Command faults kills, stops, starves and confuses the debugger at random
// moments, on real processes under load, and checks after each trial that the
// service is as if nobody had debugged it.
//
//	faults [-row NAME[,NAME]] [-trials N] [-short] [-seed N] [-from N] [-evidence DIR] [-verbose]
//
// Each fault is a row; a row has trials, each with a seed of its own, which is
// printed when it fails, along with the name of a file that holds all that is known
// of the failure (evidence.go). A row keeps one service for all its trials, unless the
// fault ends it, and starts an agent, an IDE and requests for each trial.
// Behind each trial come the oracles (oracle.go). It prints, a row, the trials,
// the failures and the upper end of the 95 % confidence interval of the failure
// rate, and exits with 1 on any failure.
//
// It owns the faults and the judgement; processes, load and clients are the
// harness's. It must not import anything of internal/. Its goroutines belong to
// a trial and have ended with it, but for one that waits for ctrl-C. The tests of
// this package run every row with few trials.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
)

// options are the flags.
type options struct {
	rows    []row
	trials  int // of each row; 0: the row's own number
	from    int // the first of them
	short   bool
	seed    uint64
	verbose bool
	uprobes bool
	kept    string
}

func main() {
	o, err := parse(os.Args[1:])
	if err == nil {
		err = run(o)
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("faults", flag.ContinueOnError)
	names := flags.String("row", "", "only these `rows`, with commas between them: "+strings.Join(rowNames(), ", "))
	flags.IntVar(&o.trials, "trials", 0, "`number` of trials of each row; 0: as many as the row has in the full form")
	flags.IntVar(&o.from, "from", 0, "`number` of the first trial, to have one again")
	flags.BoolVar(&o.short, "short", false, "the short form: few trials")
	flags.Uint64Var(&o.seed, "seed", 0, "`seed` of the random moments; 0 draws one")
	flags.BoolVar(&o.uprobes, "uprobes", true, "set more breakpoints than the hardware has, so that uprobes are armed while requests run")
	flags.StringVar(&o.kept, "evidence", "", "`folder` for a file about each failed trial; empty: a new one where temporary files are")
	flags.BoolVar(&o.verbose, "verbose", false, "print each trial")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	var err error
	o.rows, err = pick(*names)
	return o, err
}

// run runs the rows one after the other and prints the table.
func run(o options) error {
	l, err := newLab(o.seed, os.Stdout)
	if err != nil {
		return err
	}
	defer l.close()
	closeOnSignal(l)
	l.verbose, l.short, l.uprobes, l.kept = o.verbose, o.short, o.uprobes, o.kept
	var results []result
	failed := 0
	for _, r := range o.rows {
		from, n := o.from, r.full
		if o.short {
			from, n = l.somewhere(), r.short
		}
		if o.trials > 0 {
			n = o.trials
		}
		res := l.run(r, from, n)
		fmt.Fprintln(os.Stdout, res.line())
		results = append(results, res)
		failed += res.failures
	}
	fmt.Fprintf(os.Stdout, "\nseed %d\n%s", l.seed, table(results))
	if failed > 0 {
		return fmt.Errorf("%d trials failed", failed)
	}
	return nil
}

// closeOnSignal has an interrupted run leave nothing in the file system; its
// processes die with it.
func closeOnSignal(l *lab) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, termination)
	go func() {
		<-signals
		l.close()
		os.Exit(130)
	}()
}
