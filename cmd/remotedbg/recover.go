package main

import (
	"github.com/spf13/cobra"
)

func newRecoverCommand() *cobra.Command {
	var f attachFlags
	cmd := &cobra.Command{
		Use:   "recover (--pid N | --name NAME)",
		Short: "Heal a service whose agent has died, and do nothing else",
		Long: `recover releases what a dead agent left behind in a service: it disarms the
gate, thaws frozen requests and releases their slots, removes uprobes from the
program text, and prints what it found and did. attach does the same before it
arms. The service heals itself within seconds also without it, but for uprobes.
It refuses while an agent that lives has armed the service.

Exit codes: 0 healed, or there was nothing to heal, 1 refused or failed,
2 wrong flags.`,
		Example: `  remotedbg recover --pid 4711`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var ms mistakes
			var o attachOptions
			if o.pid, o.name = f.checkTarget(&ms); len(ms) > 0 {
				return ms
			}
			return recoverProcess(o, cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.pid, "pid", "", "process id `N` of the service")
	flags.StringVar(&f.name, "name", "", "`NAME` of the service: its comm or the base name of its executable")
	return cmd
}
