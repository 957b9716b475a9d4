package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"belay/internal/cli"
	"belay/internal/drill"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/text"
)

type rehearseFlags struct {
	tools, old, since, workflow string
	limit                       int
}

func (a *app) rehearseCommand() *cobra.Command {
	var f rehearseFlags
	c := &cobra.Command{
		Use: "rehearse", Short: "Play the runs of the last days under another tools file, and compare",
		Long: "Plays the runs that have ended under another tools file: other retries, timeouts, fallbacks, approvals. Each call comes out as its run's\n" +
			"log says it did, people decide as they did, and nothing is called or stored. A run is out of support where the other policy makes calls\n" +
			"of which the log does not say what would come of them. Exit code 1 if a run would end worse.\n\n" +
			"Where the rungs of a tools file have a cost, it says what all calls cost, before and after. No log has costs: those of the calls before\n" +
			"are taken from --old-tools, or else from the rungs of the same names in --tools.",
		Example: "  dispatcher rehearse --tools tools.new.yaml --since 30d\n  dispatcher rehearse --tools tools.new.yaml --old-tools tools.yaml --workflow refund -o json",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.rehearse(c.Context(), f) },
	}
	fl := c.Flags()
	fl.StringVar(&f.tools, "tools", "", "the other tools `file`")
	fl.StringVar(&f.old, "old-tools", "", "tools `file` that the runs had, for what their calls cost (default the --tools file)")
	fl.StringVar(&f.since, "since", "30d", "only runs that started since then, `when` = 2h, 7d or a time")
	fl.StringVar(&f.workflow, "workflow", "", "only runs of this plan, by its `name`")
	fl.IntVar(&f.limit, "limit", 10_000, "at most so `many` runs, the newest")
	_ = c.MarkFlagRequired("tools")
	return c
}

// rehearsed is what rehearse prints as JSON.
type rehearsed struct {
	Headline string             `json:"headline"`
	Verdicts map[string]int     `json:"verdicts"`
	Costs    costs              `json:"costs"`      // of the runs that are not out of support
	Open     int                `json:"open"`       // runs that have not ended, and are left out
	Frozen   int                `json:"unreadable"` // runs whose log cannot be read
	Runs     []*drill.Rehearsal `json:"runs"`
}

func (a *app) rehearse(ctx context.Context, f rehearseFlags) error {
	if _, err := parseTime("since", f.since); err != nil { // before anything is read
		return err
	}
	tools, err := plan.LoadTools(f.tools)
	if err != nil {
		return err
	}
	old := tools
	if f.old != "" {
		if old, err = plan.LoadTools(f.old); err != nil {
			return err
		}
	}
	s, err := a.open(ctx, carry{})
	if err != nil {
		return err
	}
	defer s.close()
	since, err := parseTime("since", f.since)
	if err != nil {
		return err
	}
	out := &rehearsed{Verdicts: map[string]int{}, Runs: []*drill.Rehearsal{}}
	err = eachRun(ctx, s, runlog.Filter{Since: since, Workflow: f.workflow}, f.limit, func(run string) error {
		return out.add(ctx, s, run, tools, old)
	})
	if err != nil {
		return err
	}
	out.Costs = costsOf(out.Runs, old, tools)
	out.Headline = out.headline()
	if a.JSON() {
		err = a.PrintJSON(out)
	} else {
		err = a.printRehearsed(out)
	}
	if worse := out.Verdicts[string(drill.Worse)]; err == nil && worse > 0 {
		err = cli.WithCode(cli.ExitUnexpected, fmt.Errorf("%d of %d runs would end worse", worse, len(out.Runs)))
	}
	return err
}

// eachRun calls f for the newest runs, page by page.
func eachRun(ctx context.Context, s *session, filter runlog.Filter, limit int, f func(run string) error) error {
	for limit > 0 {
		filter.Limit = min(limit, 500)
		page, err := s.Runs.List(ctx, filter)
		if err != nil {
			return err
		}
		for _, r := range page.Items {
			if err := f(r.ID); err != nil {
				return err
			}
		}
		limit -= len(page.Items)
		if page.Next == "" || len(page.Items) == 0 {
			return nil
		}
		filter.After = page.Next
	}
	return nil
}

func (r *rehearsed) add(ctx context.Context, s *session, run string, tools, old *plan.Tools) error {
	st, err := s.Runs.Load(ctx, run)
	switch {
	case errors.Is(err, runlog.ErrFrozen), errors.Is(err, runlog.ErrNoRun): // it was removed since it was listed
		r.Frozen++
		return nil
	case err != nil:
		return err
	case !st.Closed():
		r.Open++
		return nil
	}
	one := drill.Rehearse(st, tools, old)
	r.Runs = append(r.Runs, one)
	r.Verdicts[string(one.Verdict)]++
	return nil
}

// headline says it in one sentence. What people would have been spared counts only where the log says how a run would go.
func (r *rehearsed) headline() string {
	var was, is drill.Ended
	for _, one := range r.Runs {
		if one.Verdict != drill.OutOfSupport {
			was.Asked, is.Asked = was.Asked+one.Was.Asked, is.Asked+one.Is.Asked
			was.Calls, is.Calls = was.Calls+one.Was.Calls, is.Calls+one.Is.Calls
		}
	}
	text := fmt.Sprintf("%d runs: %d same, %d better, %d worse, %d out of support", len(r.Runs), r.Verdicts[string(drill.Same)],
		r.Verdicts[string(drill.Better)], r.Verdicts[string(drill.Worse)], r.Verdicts[string(drill.OutOfSupport)])
	text += fmt.Sprintf("; decisions of people %s, calls %s", change(was.Asked, is.Asked), change(was.Calls, is.Calls))
	if r.Costs.known() {
		text += ", cost " + r.Costs.change()
	}
	return text + "."
}

// change is a count before and after, with the difference in per cent.
func change(was, is int) string {
	if was == 0 {
		return fmt.Sprintf("%d -> %d", was, is)
	}
	return fmt.Sprintf("%d -> %d (%+.0f %%)", was, is, 100*float64(is-was)/float64(was))
}

func (a *app) printRehearsed(r *rehearsed) error {
	fmt.Fprintln(a.Out, r.Headline)
	r.Costs.text(a.Out)
	if r.Open > 0 {
		fmt.Fprintf(a.Out, "%d runs that have not ended are left out.\n", r.Open)
	}
	if r.Frozen > 0 {
		fmt.Fprintf(a.Out, "%d runs whose log cannot be read are left out.\n", r.Frozen)
	}
	var rows [][]any
	for _, v := range []drill.Verdict{drill.Worse, drill.Better, drill.OutOfSupport} {
		for _, one := range r.of(v) {
			rows = append(rows, []any{text.CutFront(short(one.Run), 24), text.Cut(one.Workflow, 20), v, text.Line(one.Sentence())})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(a.Out)
	return a.List([]any{"RUN", "WORKFLOW", "VERDICT", ""}, rows)
}

// mostRehearsals is how many runs of a verdict are listed; JSON has them all.
const mostRehearsals = 10

func (r *rehearsed) of(v drill.Verdict) []*drill.Rehearsal {
	list := slices.DeleteFunc(slices.Clone(r.Runs), func(one *drill.Rehearsal) bool { return one.Verdict != v })
	return list[:min(len(list), mostRehearsals)]
}
