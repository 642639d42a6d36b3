package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	warmUp      = 500 * time.Millisecond
	measureFor  = 3 * time.Second  // each phase of the table, at least
	demoPatient = 30 * time.Second // for everything between a built service and the table
	demoLease   = 2 * time.Minute  // the agent's --for; with --keep the default of attach
	childGrace  = 5 * time.Second
	shownFrames = 6
)

// The clients of the demo. All of 127.0.0.0/8 is the loopback interface, so
// both addresses exist on every Linux machine.
var (
	otherClients = net.IPv4(127, 0, 0, 1)
	ourClient    = net.IPv4(127, 0, 0, 2)
)

// demo shows, on real processes, what a user would do by hand: it builds and
// starts the shop, runs `remotedbg attach` on it and is the IDE itself.
func demo(ctx context.Context, o demoOptions, stdout, stderr io.Writer) (err error) {
	ctx, release := untilSignal(ctx)
	defer release()
	dir, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	root, err := findCheckout(dir)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "remotedbg-demo-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer os.RemoveAll(work)

	d := &demonstration{options: o, root: root, out: stdout, agentLog: &prefixed{w: stderr, prefix: "    agent | "}}
	defer func() {
		err = errors.Join(err, d.close())
	}()
	binary := filepath.Join(work, "shop")
	fmt.Fprintln(stdout, "building the example service with go build")
	if err := buildShop(ctx, root, binary, stderr); err != nil {
		return interrupted(ctx, err)
	}
	limited, cancel := context.WithTimeoutCause(ctx, demoPatient, fmt.Errorf("not done within %s", demoPatient))
	defer cancel()
	if err := d.run(limited, binary); err != nil {
		return interrupted(ctx, err)
	}
	if o.keep {
		return d.keep(ctx)
	}
	_, port, _ := strings.Cut(loopbackListen, ":")
	d.printAttach(port)
	fmt.Fprintln(stdout, "\nmake demo KEEP=1 leaves the service and the agent running for it.")
	return nil
}

// interrupted replaces the errors that a signal caused.
func interrupted(ctx context.Context, err error) error {
	if signal := signalOf(ctx); signal != "" {
		return fmt.Errorf("demo: ended by %s", signal)
	}
	return err
}

// demonstration is a demo that runs. What is set has to be ended by close.
type demonstration struct {
	options  demoOptions
	root     string
	out      io.Writer
	agentLog io.Writer
	at       place // where the request is frozen

	shop     *child
	shopAddr string
	load     *load
	agent    *child
	dapAddr  string
	ide      *ide
}

// close ends everything, the one that holds a request first.
func (d *demonstration) close() error {
	var errs []error
	if d.ide != nil {
		d.ide.close()
	}
	if d.load != nil {
		d.load.stop()
	}
	if d.agent != nil {
		errs = append(errs, d.agent.end(childGrace))
	}
	if d.shop != nil {
		errs = append(errs, d.shop.end(childGrace+time.Second))
	}
	return errors.Join(errs...)
}

func (d *demonstration) run(ctx context.Context, binary string) (err error) {
	if d.at, err = findMarker(filepath.Join(d.root, targetsDir, "shop"), marker); err != nil {
		return err
	}
	if err := d.startService(ctx, binary); err != nil {
		return err
	}
	fmt.Fprintf(d.out, "service: http://%s (pid %d), %d requests/s from %s\n",
		d.shopAddr, d.shop.cmd.Process.Pid, loadWorkers*int(time.Second/loadEvery), otherClients)
	if err := pause(ctx, warmUp); err != nil {
		return err
	}
	d.load.enter(phaseBefore)
	if err := pause(ctx, measureFor); err != nil {
		return err
	}
	d.load.enter(phaseOther)

	if err := d.startAgent(ctx); err != nil {
		return err
	}
	if err := d.freezeOne(ctx); err != nil {
		return err
	}
	d.load.stop()
	fmt.Fprintln(d.out)
	if err := d.load.printTable(d.out); err != nil {
		return err
	}
	fmt.Fprintln(d.out, "\none run on this machine; make bench compares many, with a control")
	return nil
}

func (d *demonstration) startService(ctx context.Context, binary string) (err error) {
	log := &tail{}
	if d.shop, err = startChild("the service", log, binary, "-addr", net.JoinHostPort(otherClients.String(), "0")); err != nil {
		return err
	}
	line, err := d.shop.firstOutput(ctx)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, log)
	}
	d.shopAddr = line[strings.LastIndex(line, " ")+1:]
	if _, _, err := net.SplitHostPort(d.shopAddr); err != nil {
		return fmt.Errorf("demo: the service said %q, which ends in no address", line)
	}
	d.load = startLoad(context.WithoutCancel(ctx), otherClients, "http://"+d.shopAddr+"/orders/3")
	return nil
}

// startAgent runs this program as a user would: in a process of its own.
func (d *demonstration) startAgent(ctx context.Context) (err error) {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("demo: find this program: %w", err)
	}
	lease, listen := formatDuration(demoLease), "127.0.0.1:0"
	if d.options.keep {
		lease, listen = defaultFor, keepListen()
	}
	args := []string{
		"attach", "--pid", strconv.Itoa(d.shop.cmd.Process.Pid),
		"--allow", ourClient.String(), "--for", lease, "--listen", listen,
	}
	fmt.Fprintln(d.out, "\nremotedbg", strings.Join(args, " "))
	if d.agent, err = startChild("the agent", d.agentLog, self, args...); err != nil {
		return err
	}
	line, err := d.agent.firstOutput(ctx)
	if err != nil {
		return failure{err: err, hint: "the agent's own lines above say what to do"}
	}
	if _, err := fmt.Sscanf(line, "listening on %s (DAP)", &d.dapAddr); err != nil {
		return fmt.Errorf("demo: the agent said %q instead of its address", line)
	}
	return nil
}

// keepListen is the port that the README's launch.json has, or any other if
// that one is taken.
func keepListen() string {
	listener, err := net.Listen("tcp", loopbackListen)
	if err != nil {
		return "127.0.0.1:0"
	}
	listener.Close()
	return loopbackListen
}

// freezeOne sends the request that freezes, shows it, steps and lets it go.
func (d *demonstration) freezeOne(ctx context.Context) (err error) {
	if d.ide, err = attachIDE(ctx, d.dapAddr, d.at); err != nil {
		return err
	}
	client := clientFrom(ourClient, 0)
	defer client.CloseIdleConnections()
	url := "http://" + d.shopAddr + "/orders/7"
	fmt.Fprintf(d.out, "\nGET %s from %s\n", url, ourClient)
	answered := make(chan error, 1)
	go func() { answered <- get(ctx, client, url) }()

	stop, err := d.ide.stopped()
	if err != nil {
		return err
	}
	d.load.enter(phaseFrozen)
	frozen := time.Now()
	if err := d.show(stop); err != nil {
		return err
	}
	for range 2 {
		if err := d.step(stop); err != nil {
			return err
		}
	}
	// A person would take longer.
	if err := pause(ctx, measureFor-time.Since(frozen)); err != nil {
		return err
	}
	d.load.enter(phaseOther)
	if err := d.ide.resume(stop); err != nil {
		return err
	}
	select {
	case err := <-answered:
		if err != nil {
			return fmt.Errorf("demo: the frozen request did not end well: %w", err)
		}
	case <-ctx.Done():
		return fmt.Errorf("demo: wait for the answer of the released request: %w", context.Cause(ctx))
	}
	fmt.Fprintf(d.out, "\nreleased after %.1f s: %d %s\n", time.Since(frozen).Seconds(), http.StatusOK, http.StatusText(http.StatusOK))
	d.ide.close()
	d.ide = nil
	return nil
}

// step does one next and prints where it led to.
func (d *demonstration) step(at stop) error {
	if err := d.ide.next(at); err != nil {
		return err
	}
	frames, err := d.ide.stack(at, 1)
	if err != nil {
		return err
	}
	fmt.Fprintln(d.out, "\n  next")
	return printSource(d.out, frames[0].at, 0)
}

// show prints what an IDE shows at a stop.
func (d *demonstration) show(at stop) error {
	frames, err := d.ide.stack(at, shownFrames)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "\nfrozen: %s\n\n  stack\n", at.name)
	for _, f := range frames {
		where := "(generated)" // by the compiler: a method value, a wrapper
		if f.at.line > 0 {
			where = fmt.Sprintf("%s:%d", filepath.Base(f.at.file), f.at.line)
		}
		fmt.Fprintf(d.out, "    %-45s %s\n", f.function, where)
	}
	fmt.Fprintln(d.out)
	if err := printSource(d.out, frames[0].at, 3); err != nil {
		return err
	}
	locals, err := d.ide.locals(frames[0])
	if err != nil {
		return err
	}
	fmt.Fprintln(d.out, "\n  variables")
	for _, v := range locals {
		fmt.Fprintf(d.out, "    %-9s = %s\n", v.name, shorten(v.value, 160))
	}
	return nil
}

// keep waits until ctrl-C and says what can be done meanwhile.
func (d *demonstration) keep(ctx context.Context) error {
	_, port, err := net.SplitHostPort(d.dapAddr)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	fmt.Fprintf(d.out, "\nThe service and the agent stay for %s; ctrl-C ends them.\n", defaultFor)
	d.printAttach(port)
	fmt.Fprintf(d.out, `
Then send a request from %s; any other address runs through:

  curl --interface %s http://%s/orders/7
`, ourClient, ourClient, d.shopAddr)
	select {
	case <-ctx.Done():
		return nil
	case <-d.agent.exited:
		fmt.Fprintln(d.out, "the agent has ended")
		return nil
	case <-d.shop.exited:
		return fmt.Errorf("demo: the service has ended: %v", d.shop.err)
	}
}

// printAttach says how to do the same in VS Code.
func (d *demonstration) printAttach(port string) {
	fmt.Fprintf(d.out, `
To attach VS Code to the same thing, open %s in it, put this into
.vscode/launch.json, start it, and set a breakpoint in
%s, line %d:

  {
    "version": "0.2.0",
    "configurations": [
      {
        "name": "remotedbg",
        "type": "go",
        "request": "attach",
        "mode": "remote",
        "host": "127.0.0.1",
        "port": %s
      }
    ]
  }
`, d.root, strings.TrimPrefix(d.at.file, d.root+string(filepath.Separator)), d.at.line, port)
}

// pause waits for the time that something is measured over.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("demo: %w", context.Cause(ctx))
	}
}

// shorten cuts s to most characters.
func shorten(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "..."
	}
	return s
}
