package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"belay/internal/fleet"
)

func (a *app) workersCommand() *cobra.Command {
	c := &cobra.Command{Use: "workers", Short: "List the workers that run now", RunE: needSubcommand}
	c.AddCommand(&cobra.Command{Use: "ls", Short: "List workers: what each serves, and how much it has to do", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		s, err := a.open(c.Context(), carry{})
		if err != nil {
			return err
		}
		defer s.close()
		all, err := fleet.Workers(c.Context(), s.Bus)
		if err != nil {
			return err
		}
		if a.json() {
			return a.printJSON(all)
		}
		return a.listWorkers(all)
	}})
	return c
}

func (a *app) listWorkers(all []fleet.Worker) error {
	if len(all) == 0 {
		fmt.Fprintln(a.Out, a.named("No worker runs. One is started with `worker --tools FILE`; `dispatcher dev` has one."))
		return nil
	}
	var rows [][]any
	for _, w := range all {
		state := "takes steps"
		if w.Draining {
			state = "draining"
		}
		rows = append(rows, []any{cut(plain(w.Name), 24), fmt.Sprintf("%d/%d", w.Executing, w.Concurrency), w.InHand, state, ago(w.Started), cut(plain(w.Version), 12), plain(strings.Join(w.Serves, " "))})
	}
	return a.list([]any{"NAME", "EXECUTES", "IN HAND", "STATE", "SINCE", "VERSION", "SERVES"}, rows)
}
