//go:build linux && amd64

package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// newTable has a column for the name of the row and nine for what row prints.
func newTable(out io.Writer) *tabwriter.Writer {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\trequests/s\tp50\tp99\tthroughput / none\tp99 / none\tCPU a request / none\tCPU: service\tdebugger\trest\t")
	return w
}

// printKinds prints what the windows without a debugger came to, and each kind.
func printKinds(w io.Writer, kinds ...*kind) {
	var none []window
	for _, k := range kinds {
		for _, p := range k.in {
			none = append(none, p.before, p.after)
		}
	}
	row(w, "no debugger", none, "", "", "")
	for _, k := range kinds {
		var its []window
		for _, p := range k.in {
			its = append(its, p.it)
		}
		row(w, k.name, its, spread(k.ratios(throughput)), spread(k.ratios(p99)), spread(k.ratios(cpuRequest)))
	}
}

// row prints medians, and of the CPUs means: they are counted in hundredths of a
// second.
func row(w io.Writer, name string, of []window, ratios ...string) {
	share := func(figure func(shares) float64) float64 {
		return 100 * mean(of, func(w window) float64 { return figure(w.cpu) })
	}
	fmt.Fprintf(w, "%s\t%.0f\t%v\t%v\t%s\t%.1f %%\t%.1f %%\t%.1f %%\t\n", name,
		middle(of, throughput), duration(middle(of, p50)), duration(middle(of, p99)), strings.Join(ratios, "\t"),
		share(func(s shares) float64 { return s.service }),
		share(func(s shares) float64 { return s.debugger }),
		share(func(s shares) float64 { return s.all - s.service - s.debugger }))
}

// method says how the figures of printKinds came about.
func method(o options) string {
	return fmt.Sprintf("%d connections, collector every 50 ms, %d rounds; ratios are medians (lowest to highest) of %v between two windows of half of it without a debugger; CPU is the whole service's, the debugged request included, 100 %% is one of %d, rest is the load and whatever else ran",
		connections, o.rounds, 2*o.window, runtime.NumCPU())
}

func printTraffic(out io.Writer, o options, t *traffic, dlv *dlvResult) {
	fmt.Fprintf(out, "\n(a) the others' traffic: %s\n", method(o))
	w := newTable(out)
	printKinds(w, t.control, t.frozen)
	_ = w.Flush() // as all of standard output
	if dlv != nil {
		fmt.Fprintf(out, "\n(b) beside it, stock dlv %s with a condition that is never true, on one service\n", dlvVersion)
		printDlv(out, []*dlvResult{dlv})
	}
}

// printDlv prints dlv's rounds.
func printDlv(out io.Writer, rounds []*dlvResult) {
	w := newTable(out)
	var none, armed []window
	var throughputs, p99s, cpus []float64
	survived := 0
	for _, r := range rounds {
		none, armed = append(none, r.none), append(armed, r.armed)
		throughputs = append(throughputs, throughput(r.armed)/throughput(r.none))
		p99s = append(p99s, p99(r.armed)/p99(r.none))
		cpus = append(cpus, cpuRequest(r.armed)/cpuRequest(r.none))
		if r.survived {
			survived++
		}
	}
	row(w, "no debugger", none, "", "", "")
	row(w, "stock dlv attached", armed, spread(throughputs), spread(p99s), spread(cpus))
	_ = w.Flush()
	fmt.Fprintf(out, "%d of %d services answered 100 requests after dlv had detached; it took the rest along, or did not detach within %v\n",
		survived, len(rounds), dlvPatience)
}

func printWaits(out io.Writer, waits *waits) {
	fmt.Fprintln(out, "\n(d) what a person waits for, over DAP")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer w.Flush()
	fmt.Fprintln(w, "\tn\tp50\tp99\t")
	for _, row := range []struct {
		name string
		list []time.Duration
	}{
		{"request sent to stopped event", waits.stop},
		{"next to stopped event", waits.step},
		{"stackTrace, scopes, variables", waits.look},
	} {
		fmt.Fprintf(w, "%s\t%d\t%v\t%v\t\n", row.name, len(row.list),
			duration(float64(harness.Quantile(row.list, 0.5))), duration(float64(harness.Quantile(row.list, 0.99))))
	}
}

func spread(figures []float64) string {
	sorted := slices.Sorted(slices.Values(figures))
	return fmt.Sprintf("%.3f (%.3f to %.3f)", median(sorted), sorted[0], sorted[len(sorted)-1])
}

// duration rounds nanoseconds to three digits or so.
func duration(ns float64) time.Duration {
	d := time.Duration(ns)
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond)
	case d < 100*time.Millisecond:
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Millisecond)
}
