package dispatcher

import (
	"fmt"

	"github.com/spf13/cobra"

	"belay/internal/breaker"
	"belay/internal/text"
)

func (a *app) breakersCommand() *cobra.Command {
	return &cobra.Command{Use: "breakers", Short: "List the targets that are left alone because they fail",
		Long: "Lists the breakers that are not closed, with why. An open one lets no call go; a half-open one lets one go, to see whether the target is\n" +
			"back; in a ramp more calls go every second. They open and close by themselves, for tools that have a `breaker` in their tools file.",
		Example: "  dispatcher breakers\n  dispatcher breakers -o json",
		Args:    cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.open(c.Context(), carry{})
			if err != nil {
				return err
			}
			defer s.close()
			list, err := breaker.List(c.Context(), s.Bus)
			if err != nil {
				return err
			}
			if a.JSON() {
				return a.PrintJSON(list)
			}
			return a.listBreakers(list)
		}}
}

func (a *app) listBreakers(all []breaker.Record) error {
	if len(all) == 0 {
		fmt.Fprintln(a.Out, "No breaker is open.")
		return nil
	}
	for i := range all {
		r := &all[i]
		fmt.Fprintf(a.Out, "%s  %s since %s: %d of %d calls failed, %d probes since then\n", text.Line(r.String()), spokenState[r.State], clock(r.Since), r.Failed, r.Calls, r.Probes)
		if r.Fault != "" {
			fmt.Fprintf(a.Out, "    the last with %s\n", text.Line(r.Fault))
		}
		fmt.Fprintf(a.Out, "    %s %s\n", nextState[r.State], clock(r.Until))
	}
	return nil
}

// spokenState and nextState say in words where a breaker stands, and what follows.
var (
	spokenState = map[breaker.State]string{breaker.Open: "open", breaker.HalfOpen: "half-open", breaker.Ramp: "coming back"}
	nextState   = map[breaker.State]string{
		breaker.Open: "no call goes; the next probe does after", breaker.HalfOpen: "one call goes, as a probe; its outcome is awaited until",
		breaker.Ramp: "more calls go every second, and all of them after",
	}
)
