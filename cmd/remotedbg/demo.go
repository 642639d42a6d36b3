package main

import "github.com/spf13/cobra"

func newDemoCommand() *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Freeze one request of an example service under load, and show it",
		Long: `demo builds the example service of the checkout it is run in, starts it under
load, freezes one request of another client with a real agent, shows its stack
and variables, steps, releases it, and compares what the other clients saw.
Everything it starts is ended again.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo(cmd.Context(), demoOptions{keep: keep}, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "leave the service and the agent running until ctrl-C, to attach an IDE")
	return cmd
}

type demoOptions struct {
	keep bool // wait for a signal before everything is ended
}
