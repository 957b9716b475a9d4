package dispatcher

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"belay/internal/bus"
	"belay/internal/cli"
	"belay/internal/text"
)

func (a *app) workersCommand() *cobra.Command {
	c := &cobra.Command{Use: "workers", Short: "List the workers that are running", RunE: cli.NeedSubcommand}
	c.AddCommand(&cobra.Command{Use: "ls", Short: "List workers with what they serve and how much they execute", Example: "  dispatcher workers ls", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		s, err := a.open(c.Context(), carry{})
		if err != nil {
			return err
		}
		defer s.close()
		all, err := s.Bus.Workers(c.Context())
		if err != nil {
			return err
		}
		if a.JSON() {
			return a.PrintJSON(all)
		}
		return a.listWorkers(all)
	}})
	return c
}

func (a *app) listWorkers(all []bus.Worker) error {
	if len(all) == 0 {
		fmt.Fprintln(a.Out, a.Named("No worker is running. Start one with `worker --tools FILE`; `dispatcher dev` has one."))
		return nil
	}
	var rows [][]any
	for _, w := range all {
		state := "takes steps"
		switch {
		case w.Draining:
			state = "draining"
		case w.Faults != nil:
			state = "takes steps, faults" // on purpose
		}
		rows = append(rows, []any{text.Cut(text.Line(w.Name), 24), fmt.Sprintf("%d/%d", w.Executing, w.Concurrency), w.InHand, state, cli.Ago(w.Started), text.Cut(text.Line(w.Version), 12), text.Line(strings.Join(w.Serves, " "))})
	}
	return a.List([]any{"NAME", "EXECUTES", "IN HAND", "STATE", "SINCE", "VERSION", "SERVES"}, rows)
}
