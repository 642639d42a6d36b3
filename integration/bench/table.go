//go:build linux && amd64

package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

func printTraffic(out io.Writer, o options, t *traffic, dlv *dlvResult) {
	fmt.Fprintf(out, "\n(a) the others' traffic: %d connections, collector every 50 ms, %d rounds of %v; ratios are medians (lowest to highest) of a round's\n",
		connections, o.rounds, o.window)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer w.Flush()
	fmt.Fprintln(w, "\trequests/s\tp50\tp99\tthroughput / none\tp99 / none\t")
	row := func(name string, of []harness.LoadResult, ratios bool) {
		fmt.Fprintf(w, "%s\t%.0f\t%v\t%v\t", name, middle(of, throughput), duration(middle(of, p50)), duration(middle(of, p99)))
		if ratios {
			fmt.Fprintf(w, "%s\t%s\t", spread(t.ratios(of, throughput)), spread(t.ratios(of, p99)))
		} else {
			fmt.Fprint(w, "\t\t")
		}
		fmt.Fprintln(w)
	}
	row("no debugger", t.none, false)
	row("no debugger (control)", t.control, true)
	row("remotedbg, request frozen", t.frozen, true)
	if dlv == nil {
		return
	}
	fmt.Fprintf(w, "(b) beside it, stock dlv %s\t\t\t\t\t\t\n", dlvVersion)
	one := func(name string, r harness.LoadResult) {
		fmt.Fprintf(w, "%s\t%.0f\t%v\t%v\t", name, throughput(r), duration(p50(r)), duration(p99(r)))
	}
	one("no debugger", dlv.none)
	fmt.Fprintln(w, "\t\t")
	one("dlv, condition never true", dlv.armed)
	fmt.Fprintf(w, "%.4f\t%.1f\t\n", throughput(dlv.armed)/throughput(dlv.none), p99(dlv.armed)/p99(dlv.none))
	if !dlv.survived {
		fmt.Fprintln(w, "the service did not survive dlv's detaching\t\t\t\t\t\t")
	}
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

func p50(r harness.LoadResult) float64 { return float64(r.Quantile(0.5)) }

// middle is the median of a figure over windows.
func middle(of []harness.LoadResult, figure func(harness.LoadResult) float64) float64 {
	var list []float64
	for _, r := range of {
		list = append(list, figure(r))
	}
	slices.Sort(list)
	return median(list)
}

func spread(sorted []float64) string {
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
