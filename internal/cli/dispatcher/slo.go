package dispatcher

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"belay/internal/cli"
	"belay/internal/score"
	"belay/internal/text"
)

func (a *app) sloCommand() *cobra.Command {
	var window string
	c := &cobra.Command{Use: "slo", Short: "Show how it goes: results by tool and rung, against their objectives",
		Long: "Shows what came of the calls of each tool: how many had their result from the first rung, how many from later ones, how many failed and how\n" +
			"many went to people; how long people took to decide; rungs that have not answered for 30 days; and what is unusual now. A tool that has an\n" +
			"`slo` in its tools file is compared with it: what is left of its error budget, and how fast that is used up. It is counted by the\n" +
			"dispatchers, some seconds behind, and kept for 30 days.",
		Example: "  dispatcher slo\n  dispatcher slo --window 24h\n  dispatcher slo -o json",
		Args:    cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
			length, err := windowOf(window)
			if err != nil {
				return err
			}
			s, err := a.open(c.Context(), carry{})
			if err != nil {
				return err
			}
			defer s.close()
			r, err := score.HowItGoes(c.Context(), s.Bus, length)
			if err != nil {
				return err
			}
			if a.JSON() {
				return a.PrintJSON(r)
			}
			a.printSLO(&r)
			return nil
		}}
	c.Flags().StringVar(&window, "window", "", "count over this `time`, up to 30d (default: each tool's own window, or 30d)")
	return c
}

// windowOf reads a length of time; 0 where nothing is given.
func windowOf(s string) (time.Duration, error) {
	length, err := score.ParseWindow(s)
	if err != nil {
		return 0, cli.Usage("--window %s: %s", text.Line(s), err)
	}
	return length, nil
}

func (a *app) printSLO(r *score.Report) {
	for i := range r.Spikes {
		a.printSpike(&r.Spikes[i])
	}
	if r.Since.IsZero() {
		fmt.Fprintln(a.Out, "No call has come to anything yet. A dispatcher counts them.")
		return
	}
	for i := range r.Tools {
		if o := &r.Tools[i]; o.Tool != score.OfRun {
			a.printOutcome(o)
		}
	}
	fmt.Fprintf(a.Out, "Counted since %s, up to %s.\n", clock(r.Since), clock(r.At))
}

func (a *app) printSpike(s *score.Spike) {
	if !s.Over.IsZero() {
		fmt.Fprintf(a.Out, "over since %s: %s\n", clock(s.Over), text.Line(s.Text))
		return
	}
	fmt.Fprintf(a.Out, "SPIKE since %s: %s\n", clock(s.Since), text.Line(s.Text))
	if s.Quote != "" {
		fmt.Fprintf(a.Out, "    %s\n", text.Line(s.Quote))
	}
}

func (a *app) printOutcome(o *score.Outcome) {
	fmt.Fprintf(a.Out, "%s  ", text.Line(o.Tool))
	if o.Share == nil {
		fmt.Fprintf(a.Out, "no results in %s\n", score.Length(o.Window))
	} else {
		fmt.Fprintf(a.Out, "%s of %d from the first rung in %s", score.Percent(*o.Share), o.Results, score.Length(o.Window))
		fmt.Fprintf(a.Out, "; %d degraded, %d failed, %d to people\n", o.Degraded, o.Failed, o.People)
	}
	if b := o.Objective; b != nil {
		fmt.Fprintf(a.Out, "    objective %s in %s: %s\n", score.Percent(b.Primary), score.Length(b.Window), budgetText(b))
	}
	for i := range o.Rungs {
		a.printRung(&o.Rungs[i], o.Results)
	}
	if d := o.Decisions; d.Asked > 0 || d.Decided > 0 {
		fmt.Fprintf(a.Out, "    people: %d asked, %d decided", d.Asked, d.Decided)
		if d.Decided > 0 {
			fmt.Fprintf(a.Out, ", half within %s, 95%% within %s", score.Length(d.P50), score.Length(d.P95))
		}
		if o.Objective != nil && o.Objective.Decision > 0 {
			fmt.Fprintf(a.Out, "; %d later than %s", d.Late, score.Length(o.Objective.Decision))
		}
		fmt.Fprintln(a.Out)
	}
}

// budgetText says how an objective stands.
func budgetText(b *score.Objective) string {
	s := score.Percent(max(b.Budget, 0)) + " of the error budget left"
	if !b.Met {
		s = fmt.Sprintf("MISSED, the error budget is used up %.3g times", 1-b.Budget)
	}
	return s + fmt.Sprintf("; burn rate %.3g in 1h, %.3g in 6h, %.3g in 1d", b.Burn.H1, b.Burn.H6, b.Burn.D1)
}

func (a *app) printRung(r *score.RungOutcome, results int) {
	var said []string
	if results > 0 {
		said = append(said, score.Percent(float64(r.Gave)/float64(results))+" of the results")
	}
	said = append(said, fmt.Sprintf("attempts: %d answered, %d failed", r.Answered, r.Faulted))
	switch {
	case !r.Dead.IsZero() && r.Last.IsZero():
		said = append(said, "DEAD: it has never answered since "+clock(r.Dead))
	case !r.Dead.IsZero():
		said = append(said, "DEAD: it has not answered since "+clock(r.Dead))
	case r.Silent && r.Tried.IsZero():
		said = append(said, "never tried since "+clock(r.Known))
	case r.Silent:
		said = append(said, "it has never answered since "+clock(r.Known))
	case r.Removed:
		said = append(said, "not in the tool any more")
	}
	fmt.Fprintf(a.Out, "    rung %s: %s\n", text.Line(r.Rung), strings.Join(said, ", "))
}
