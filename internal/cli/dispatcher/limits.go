package dispatcher

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"belay/internal/cli"
	"belay/internal/limits"
	"belay/internal/steps"
	"belay/internal/text"
)

func (a *app) limitsCommand() *cobra.Command {
	c := &cobra.Command{Use: "limits", Short: "Show which calls wait for a limit, and how many are in hand",
		Long: "Limits keep calls out of the queue: a `rate` or a `concurrency` of a tool or of a target, which stand in the tools file, and a target that has\n" +
			"asked everybody to wait. What a gate has held back waits for its turn too once it is open. Limits are counted over all dispatchers and workers, and what they hold back goes on by itself."}
	c.AddCommand(a.limitsList(), a.limitsShow())
	return c
}

func (a *app) limitsList() *cobra.Command {
	return &cobra.Command{Use: "ls", Aliases: []string{"list"}, Short: "List the limits that calls count for at present",
		Example: "  dispatcher limits ls\n  dispatcher limits ls -o json",
		Args:    cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.open(c.Context(), carry{})
			if err != nil {
				return err
			}
			defer s.close()
			list, err := limits.List(c.Context(), s.Bus)
			if err != nil {
				return err
			}
			if a.JSON() {
				return a.PrintJSON(list)
			}
			if len(list) == 0 {
				fmt.Fprintln(a.Out, "No limit counts anything now.")
			}
			for i := range list {
				a.showLimit(&list[i])
			}
			return nil
		}}
}

func (a *app) limitsShow() *cobra.Command {
	return &cobra.Command{Use: "show ID", Short: "Show who has the slots of a limit, and who waits",
		Long:    "Shows a limit by its id, as limits ls has it, or by what it covers. Of many that wait the first ones are named.",
		Example: "  dispatcher limits show payments.charge",
		Args:    cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
			s, err := a.open(c.Context(), carry{})
			if err != nil {
				return err
			}
			defer s.close()
			l, err := limits.Find(c.Context(), s.Bus, args[0])
			if errors.Is(err, limits.ErrNone) {
				return cli.WithCode(cli.ExitNotFound, fmt.Errorf("%w: dispatcher limits ls lists those that calls count for at present", err))
			}
			if err != nil {
				return err
			}
			if a.JSON() {
				return a.PrintJSON(l)
			}
			a.showLimit(&l)
			for _, t := range l.Calls {
				fmt.Fprintf(a.Out, "    in hand since %s  %s\n", clock(t.Since), short(t.Attempt))
			}
			for _, w := range l.Waits {
				fmt.Fprintf(a.Out, "    waits since %s  %s%s\n", clock(w.Since), short(w.Attempt), whose(&w))
			}
			if more := l.Waiting - len(l.Waits); more > 0 && l.Why == steps.HoldConcurrency {
				fmt.Fprintf(a.Out, "    and %d more\n", more)
			}
			return nil
		}}
}

// whose says by what it is decided when a call goes that waits; of one that is like most, nothing.
func whose(w *limits.Waiter) string {
	said := ""
	if w.Priority != "" && w.Priority != steps.PriorityNew.String() {
		said = "  " + w.Priority
	}
	if w.Tenant != "" {
		said += "  of " + text.Line(w.Tenant)
	}
	return said
}

func (a *app) showLimit(l *limits.Limit) {
	fmt.Fprintf(a.Out, "%s  %s  %s\n", l.ID, text.Line(l.Covers), l.Words())
}
