//go:build linux && amd64

// Command ide has VS Code itself debug the example service through the real
// agent: VS Code's server and workbench from npm, shown in a headless Chromium,
// with the debug extension of extension/. session.mjs is the person at the
// mouse; this program gets everything there, judges what was to be seen, and
// ends with 1 if anything was not as it must be, and with 3 if there was nothing
// to judge, since VS Code or a browser could not be installed.
//
// It owns the installation, the processes and the verdict. It must not know VS
// Code's page: that is workbench.mjs. All its processes are children of it,
// directly or as orphans that it takes in, and none outlives it. It runs in one
// goroutine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/remotedbg/remotedbg/integration/harness"
)

func main() {
	var o options
	flag.StringVar(&o.screenshots, "screenshots", os.Getenv("REMOTEDBG_SCREENSHOTS"),
		"`DIR` for the screenshots (also: REMOTEDBG_SCREENSHOTS; default: a new one under the temporary directory)")
	flag.StringVar(&o.chromium, "chromium", os.Getenv("CHROMIUM"),
		"`PATH` of Chromium or Chrome (also: CHROMIUM; default: found in PATH, or installed with apt-get)")
	flag.StringVar(&o.install, "install", "",
		"`DIR` to install the npm packages under (default: remotedbg in the user's cache directory)")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "remotedbg: ide test: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	switch {
	case errors.Is(err, errUnavailable):
		fmt.Fprintf(os.Stderr, "IDE TEST NOT RUN: %v\n", err)
		os.Exit(exitUnavailable)
	case err != nil:
		fmt.Fprintf(os.Stderr, "IDE TEST FAILED: %v\n", err)
		os.Exit(1)
	}
}

// errUnavailable is wrapped where VS Code or a browser cannot be had on this
// machine: nothing was tested then, and nothing has failed. What the checkout
// itself gets wrong, such as a lock file that does not fit, is no such case.
var errUnavailable = errors.New("what the test needs cannot be had here")

// exitUnavailable tells .ci/run of errUnavailable.
const exitUnavailable = 3

// options are the flags.
type options struct {
	screenshots string
	chromium    string
	install     string
}

// run installs what is missing and has one session in VS Code.
func run(ctx context.Context, o options) (err error) {
	if err := adopt(); err != nil {
		return err
	}
	builder, err := harness.NewBuilder()
	if err != nil {
		return err
	}
	defer builder.Remove()
	t, err := prepare(ctx, o, filepath.Join(builder.Root, "integration", "ide"))
	if err != nil {
		return err
	}
	if o.screenshots, err = screenshotDir(o.screenshots); err != nil {
		return err
	}
	fmt.Printf("screenshots go to %s\n", o.screenshots)

	begun := time.Now()
	l, err := newLab(builder, t)
	if err != nil {
		return err
	}
	err = errors.Join(l.session(ctx, o.screenshots), l.end())
	if err != nil {
		return fmt.Errorf("%w\n%s", err, l.outputs())
	}
	fmt.Printf("IDE TEST PASSED in %.1f s, screenshots in %s\n", time.Since(begun).Seconds(), o.screenshots)
	return nil
}

// screenshotDir makes the directory for the screenshots; the path is absolute.
func screenshotDir(dir string) (string, error) {
	var err error
	if dir == "" {
		dir, err = os.MkdirTemp("", "remotedbg-ide-screenshots-")
	} else {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return "", fmt.Errorf("remotedbg: ide test: screenshots: %w", err)
	}
	return filepath.Abs(dir)
}
