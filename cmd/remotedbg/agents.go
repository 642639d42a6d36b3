package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/remotedbg/remotedbg/internal/forward"
)

func newAgentsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "agents",
		Short: "List the agents on this host that you may connect to",
		Long: `agents lists the agents that this user has started on this host and that listen on
a Unix socket: the service, the socket, and when the agent ends. It connects to
none of them.

Exit codes: 0 listed, also if there is none, 1 failed, 2 wrong flags.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := listAgents()
			if err != nil {
				return err
			}
			if asJSON {
				return writeAgentsJSON(cmd.OutOrStdout(), list)
			}
			return writeAgents(cmd.OutOrStdout(), list)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line: socket, pid, name, expires")
	return cmd
}

func writeAgentsJSON(w io.Writer, list []forward.AgentInfo) error {
	out := json.NewEncoder(w)
	for _, a := range list {
		if err := out.Encode(a); err != nil {
			return fmt.Errorf("write the list: %w", err)
		}
	}
	return nil
}

func writeAgents(w io.Writer, list []forward.AgentInfo) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "no agent of this user is running on this host")
		return err
	}
	for _, a := range list {
		name, until := a.Name, "-"
		if name == "" {
			name = "-"
		}
		if !a.Expires.IsZero() {
			until = a.Expires.Local().Format(time.TimeOnly)
		}
		if _, err := fmt.Fprintf(w, "%-16s pid %-8d until %-10s unix://%s\n", name, a.PID, until, a.Socket); err != nil {
			return fmt.Errorf("write the list: %w", err)
		}
	}
	return nil
}
