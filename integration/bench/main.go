//go:build linux && amd64

// Command bench measures what remotedbg costs a service, on real processes:
//
//	(a) the traffic of everybody else while one request is frozen, against no
//	    debugger, in interleaved windows, with none against none as the control;
//	(b) the same traffic under stock dlv with a breakpoint on the same line
//	    whose condition is never true;
//	(c) the middleware's own benchmarks, in nanoseconds;
//	(d) how long an IDE waits for a stop, a step, and a stack with variables;
//	(e) as (a), with 64 breakpoints, while a request is frozen, while one runs and
//	    while one is stepped, and stock dlv with those that everybody passes.
//
// Beside each throughput stands what service and debugger took of the CPUs, and
// what everything else on the machine did.
//
// It prints one table. With -check it fails if (a) is below the promise by more
// than the control's spread. It owns the measuring and the table; processes and
// load are the harness's. It has no goroutines of its own but one for each
// request that it freezes, and one that steps.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// promise is the least that the throughput of the others may be while a request
// is frozen, as a share of that without a debugger.
const promise = 0.95

// options are the flags.
type options struct {
	quick, check, dlv bool
	many              bool // (e) alone
	rounds            int
	window            time.Duration
	stops             int
}

func main() {
	var o options
	flag.BoolVar(&o.quick, "quick", false, "the short form, two minutes once dlv is built")
	flag.BoolVar(&o.check, "check", false, "fail if a frozen request costs the others more than promised")
	flag.BoolVar(&o.many, "many", false, "only (e), the 64 breakpoints; under eight minutes")
	flag.BoolVar(&o.dlv, "dlv", true, "compare with stock dlv, which is fetched and built")
	flag.Parse()
	// Short windows and many of them: what else goes on in a machine lasts for
	// seconds, and falls out of the ratio of neighbours.
	o.rounds, o.window, o.stops = 16, 750*time.Millisecond, 300
	if o.quick {
		o.rounds, o.window, o.stops = 4, 400*time.Millisecond, 50
	}
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is what the measurements share.
type bench struct {
	options
	builder *harness.Builder
	agent   string // binary
	shop    string // binary
	marks   map[string]harness.Mark
	line    harness.Mark
	filler  *harness.Load // between windows; nil: there is none
}

func run(o options) error {
	builder, err := harness.NewBuilder()
	if err != nil {
		return err
	}
	defer builder.Remove()
	b := &bench{options: o, builder: builder}
	if b.agent, err = builder.Agent(); err != nil {
		return err
	}
	if b.shop, err = builder.Shop(harness.Variant{}); err != nil {
		return err
	}
	if b.marks, err = harness.Marks(filepath.Join(builder.Root, "integration", "targets", "shop")); err != nil {
		return err
	}
	b.line = b.marks["order-loaded"]
	fmt.Printf("remotedbg on %s/%s, %s, %d CPUs\n", runtime.GOOS, runtime.GOARCH, runtime.Version(), runtime.NumCPU())

	if o.many {
		m, err := b.measureMany()
		if err != nil {
			return err
		}
		printMany(os.Stdout, o, m)
		return nil
	}
	traffic, err := b.measureTraffic()
	if err != nil {
		return err
	}
	var dlv *dlvResult
	if o.dlv {
		if dlv, err = b.measureDlv("id == -1", b.line); err != nil {
			return err
		}
	}
	printTraffic(os.Stdout, o, traffic, dlv)
	if err := harness.Pin(os.Getpid(), cpus(0, runtime.NumCPU())...); err != nil {
		return err
	}
	if err := b.printMicro(os.Stdout); err != nil {
		return err
	}
	waits, err := b.measureWaits()
	if err != nil {
		return err
	}
	printWaits(os.Stdout, waits)
	m, err := b.measureMany()
	if err != nil {
		return err
	}
	printMany(os.Stdout, o, m)
	if o.check {
		return traffic.verdict()
	}
	return nil
}

// start starts a service on CPUs of its own, if there are enough, so that the
// load does not compete with it.
func (b *bench) start() (*harness.Service, error) {
	s, err := harness.StartService(b.shop, "-gc", "50ms")
	if err != nil {
		return nil, err
	}
	if n := runtime.NumCPU(); n > 1 {
		err := errors.Join(harness.Pin(os.Getpid(), cpus(0, n/2)...), harness.Pin(s.PID, cpus(n/2, n)...))
		if err != nil {
			s.Kill()
			return nil, err
		}
	}
	return s, nil
}

// unpin lets a debugger, which was started by a process that is pinned, run
// everywhere.
func unpin(p *harness.Process) error { return harness.Pin(p.PID, cpus(0, runtime.NumCPU())...) }

func cpus(from, to int) (list []int) {
	for cpu := from; cpu < to; cpu++ {
		list = append(list, cpu)
	}
	return list
}
