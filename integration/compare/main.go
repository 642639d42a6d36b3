//go:build linux && amd64

// Command compare runs one DAP client against stock dlv and against remotedbg,
// each attached to a service of its own, in one run:
//
//   - every request and capability of the protocol: supported, refused with a
//     reason, or missing; with -write the table goes into docs/dap.md
//   - with -latency, how long the same requests take, and what they cost the
//     service's other clients
//   - with -big BINARY, the same for a large service (see bigtarget), and what
//     getting ready takes in time and memory
//   - with -ready BINARY,..., how the latter grows with the binary, on services
//     that have nothing else to do
//
// It owns the checks, the measuring and the table; processes and load are the
// harness's. It has no goroutines of its own but one for each request that it
// sends to a service.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/remotedbg/remotedbg/integration/harness"
)

// options are the flags.
type options struct {
	write, latency bool
	big, ready     string
	rounds         int
}

func main() {
	var o options
	flag.BoolVar(&o.write, "write", false, "write the table into docs/dap.md")
	flag.BoolVar(&o.latency, "latency", false, "measure latencies on the shop")
	flag.StringVar(&o.big, "big", "", "measure on this `binary`, which bigtarget has built")
	flag.StringVar(&o.ready, "ready", "", "measure what getting ready takes for these `binaries`, with commas between them")
	flag.IntVar(&o.rounds, "rounds", 100, "`number` of stops to measure; a tenth of it with -big, of starts a thirtieth with -ready")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	builder, err := harness.NewBuilder()
	if err != nil {
		return err
	}
	defer builder.Remove()
	ours, err := newOurs(builder)
	if err != nil {
		return err
	}
	dlv, err := newDlv(builder)
	if err != nil {
		return err
	}
	shop, err := newShop(builder)
	if err != nil {
		return err
	}
	fmt.Printf("%s/%s, %s, %d CPUs\n", runtime.GOOS, runtime.GOARCH, runtime.Version(), runtime.NumCPU())
	if o.big != "" {
		big, err := newBig(o.big)
		if err != nil {
			return err
		}
		return measure(os.Stdout, big, max(o.rounds/10, 5), dlv, ours)
	}
	if o.ready != "" {
		return growth(os.Stdout, strings.Split(o.ready, ","), max(o.rounds/30, 1), dlv, ours)
	}
	if o.latency {
		return measure(os.Stdout, shop, o.rounds, dlv, ours)
	}
	var columns []column
	for _, d := range []debugger{dlv, ours} {
		c, err := runChecks(shop, d)
		if err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
		columns = append(columns, c)
	}
	text := table(columns[0], columns[1])
	fmt.Print(text)
	if o.write {
		return replaceTable(filepath.Join(builder.Root, "docs", "dap.md"), text)
	}
	return nil
}

// target is a service to debug.
type target struct {
	binary string
	marks  map[string]harness.Mark
	id     string // the number of the order, where a request stops
}

func newShop(b *harness.Builder) (target, error) {
	binary, err := b.Shop(harness.Variant{})
	if err != nil {
		return target{}, err
	}
	marks, err := harness.Marks(filepath.Join(b.Root, "integration", "targets", "shop"))
	return target{binary, marks, "id"}, err
}

// newBig finds the sources beside the binary, as bigtarget leaves them.
func newBig(binary string) (target, error) {
	dir, err := filepath.EvalSymlinks(filepath.Dir(binary))
	if err != nil {
		return target{}, err
	}
	marks, err := harness.Marks(filepath.Join(dir, "src"))
	return target{filepath.Join(dir, filepath.Base(binary)), marks, "o.ID"}, err
}

// errWrong is wrapped by the errors of checks whose request was answered with
// success, and wrongly.
var errWrong = errors.New("wrong answer")
