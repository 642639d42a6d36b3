// Command remotedbg debugs single requests of a running Go service.
//
// This package owns the command line: flags and what is wrong with them,
// signals, exit codes, and what a person reads on the terminal. How a request
// is frozen is the business of internal/session, how an IDE talks to it that
// of dap; this package only joins them. It must build on every system, so the
// two are imported from files for linux/amd64 alone.
//
// Goroutines: attach starts one for the signals, one for the progress lines and
// one for the DAP server, and ends all of them before it returns; demo starts
// one for each child process and one for each worker of the load.
package main

import (
	"context"
	"io"
	"os"

	"github.com/spf13/cobra"
)

// Exit codes. They are part of the command's interface: the help of attach
// lists them.
const (
	exitOK     = 0 // done, or ended as asked: lease over, or a signal
	exitFailed = 1 // refused or failed; stderr says why and what to do
	exitUsage  = 2 // the command line is wrong
	exitGone   = 3 // the process being debugged has exited
)

func main() {
	// Before anything else: attach starts this program a second time.
	if code, ours := asWatchdog(os.Args); ours {
		os.Exit(code)
	}
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program: it reports errors to stderr and returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	started := false
	root := &cobra.Command{
		Use:   "remotedbg",
		Short: "Freeze one request of a running Go service, and nothing else",
		Long: `remotedbg freezes one request of a running Go service at a breakpoint, while
every other request runs at full speed. The service is built the ordinary way
and carries the remotedbg middleware; an IDE connects over DAP.`,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		// Cobra calls this once the flags and arguments have been read, so an
		// error without it is one of the command line.
		PersistentPreRun: func(*cobra.Command, []string) { started = true },
		RunE:             func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newAttachCommand(), newConnectCommand(), newAgentsCommand(), newDemoCommand(), newDoctorCommand(), newRecoverCommand(), newVersionCommand())
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)

	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	if !started {
		err = mistake{err.Error(), "run '" + cmd.CommandPath() + " --help' for the flags and their meaning"}
	}
	report(stderr, err)
	return exitCode(err)
}
