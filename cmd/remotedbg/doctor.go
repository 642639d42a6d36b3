package main

import "github.com/spf13/cobra"

func newDoctorCommand() *cobra.Command {
	var f attachFlags // of which it has two
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor (--pid N | --name NAME)",
		Short: "Check whether a running service can be debugged, without touching it",
		Long: `doctor checks everything that attach needs: rights, capabilities, the kernel's
settings, hardware breakpoints, namespaces, and how the service was built. It
reads only: the service is not traced, written to or sent a signal. Each line
is ok, warn or fail, with what to do about it.

Run it as the user and in the place (container, systemd unit) where attach is
to run, for the rights checked are those of this process.

Exit codes: 0 nothing fails (warnings do not count), 1 something fails,
2 wrong flags.`,
		Example: `  remotedbg doctor --name shop
  remotedbg doctor --pid 4711 --json | jq '.[] | select(.status != "ok")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var ms mistakes
			var o attachOptions
			if o.pid, o.name = f.checkTarget(&ms); len(ms) > 0 {
				return ms
			}
			return diagnose(o, asJSON, cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.pid, "pid", "", "process id `N` of the service")
	flags.StringVar(&f.name, "name", "", "`NAME` of the service: its comm or the base name of its executable")
	flags.BoolVar(&asJSON, "json", false, "print the results as a JSON array")
	return cmd
}
