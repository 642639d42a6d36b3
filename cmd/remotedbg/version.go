package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version and what it was built from",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return printVersion(cmd.OutOrStdout())
		},
	}
}

// printVersion writes what the Go toolchain recorded: the module's version
// (set by go install of a release), the commit if there is one, and Delve's
// version, for it is Delve that must understand the service's Go version.
func printVersion(w io.Writer) error {
	version, commit, delve := agentVersion(), "", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = " " + s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				commit += " (modified)"
			}
		}
		for _, dep := range info.Deps {
			if dep.Path == "github.com/go-delve/delve" {
				delve = ", delve " + dep.Version
			}
		}
	}
	_, err := fmt.Fprintf(w, "remotedbg %s%s, %s %s/%s%s\n", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH, delve)
	return err
}

// agentVersion is the module's own.
func agentVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
