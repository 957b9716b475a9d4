package dispatcher

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"belay/internal/cli"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/text"
)

// searchFlags are what runs are searched by.
type searchFlags struct {
	where, state, workflow, tool        string
	class, reason, says                 string
	since, until, endedSince, endedTill string
	labels, input                       []string
}

func (f *searchFlags) add(fl *pflag.FlagSet) {
	fl.StringVar(&f.where, "where", "", "only runs that this `query` finds, as in the console: 'refund state:failed fault:timeout since:7d'")
	fl.Var(cli.OneOf(&f.state, "", words(runlog.States)...), "state", "only runs in this state")
	fl.StringVar(&f.workflow, "workflow", "", "only runs of the plan with this `name`")
	fl.StringVar(&f.tool, "tool", "", "only runs whose plan uses this `tool`")
	fl.Var(cli.OneOf(&f.class, "", words(steps.Classes())...), "fault", "only runs of which an attempt failed with this class of fault")
	fl.Var(cli.OneOf(&f.reason, "", words(steps.Reasons())...), "fault-reason", "only runs of which an attempt failed with this reason")
	fl.StringVar(&f.says, "fault-text", "", "only runs of which an attempt failed with a fault that has this `text`, in letters of either case; logs are read for it")
	fl.StringVar(&f.since, "since", "", "only runs submitted since this `time`: 2h, 7d, or an RFC 3339 time")
	fl.StringVar(&f.until, "until", "", "only runs submitted before this `time`")
	fl.StringVar(&f.endedSince, "ended-since", "", "only runs that have ended since this `time`")
	fl.StringVar(&f.endedTill, "ended-until", "", "only runs that had ended before this `time`")
	fl.StringArrayVarP(&f.labels, "label", "l", nil, "only runs with this label, `key=value`; of several, with all of them")
	fl.StringArrayVar(&f.input, "input", nil, "only runs with this value in their input, `path=value`, such as order=A-1009 or customer.id=17; of several, with all of them")
}

// filter is what the flags ask for, by the clock as it is now.
func (f *searchFlags) filter() (runlog.Filter, error) {
	of, err := runlog.ParseQuery(f.where, cli.Now())
	if err != nil {
		return of, cli.Usage("--where %v", err)
	}
	for text, into := range map[string]*string{f.workflow: &of.Workflow, f.tool: &of.Tool, f.says: &of.Text} {
		if text != "" {
			*into = text
		}
	}
	if f.state != "" {
		of.State = steps.RunState(f.state)
	}
	if f.class != "" {
		of.Class = steps.Class(f.class)
	}
	if f.reason != "" {
		of.Reason = steps.Reason(f.reason)
	}
	for _, t := range []struct {
		flag, text string
		into       *time.Time
	}{{"since", f.since, &of.Since}, {"until", f.until, &of.Until}, {"ended-since", f.endedSince, &of.EndedSince}, {"ended-until", f.endedTill, &of.EndedUntil}} {
		if t.text == "" {
			continue
		}
		if *t.into, err = parseTime(t.flag, t.text); err != nil {
			return of, err
		}
	}
	return of, f.pairs(&of)
}

func (f *searchFlags) pairs(of *runlog.Filter) error {
	if len(f.labels) > 0 {
		labels, err := pairs("label", f.labels)
		if err != nil {
			return err
		}
		of.Labels = labels
	}
	if len(f.input) == 0 {
		return nil
	}
	input, err := pairs("input", f.input)
	if err != nil {
		return err
	}
	of.Input = input
	for path := range input {
		if err := runlog.CheckPath(path); err != nil {
			return cli.Usage("--%v", err)
		}
	}
	return nil
}

func (a *app) runsLs() *cobra.Command {
	var f searchFlags
	var after string
	var limit int
	c := &cobra.Command{
		Use: "ls", Short: "List and search runs, the newest first", Args: cobra.NoArgs, Example: runsLsExample,
		Long: "Lists runs, the newest first. What a run is searched by (plan, state, labels, values of its input, tools, classes and reasons of its\n" +
			"faults, times) stands in the index of the dispatchers, and costs the same however many runs are kept. The text of a fault does not: for\n" +
			"--fault-text the logs of the runs that have met one are read, the newest first, and what is found is printed at once.",
		RunE: func(c *cobra.Command, _ []string) error { return a.listRuns(c.Context(), &f, after, limit) },
	}
	fl := c.Flags()
	f.add(fl)
	fl.StringVar(&after, "after", "", "go on behind the run with this `id`: the last one of the page before")
	fl.IntVar(&limit, "limit", 50, "list at most this many; 0 = all")
	return c
}

const runsLsExample = `  dispatcher runs ls --state waiting --since 2h
  dispatcher runs ls --workflow refund --label customer=17 --limit 0 -o json
  dispatcher runs ls --input order=A-1009
  dispatcher runs ls --where 'tool:payments.refund fault:timeout ended-since:1d'`

// parseTime reads the value of a flag that takes a time or how long ago it was; an empty one is the zero time.
func parseTime(flag, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, ok := runlog.ParseTime(s, cli.Now())
	if !ok {
		return t, cli.Usage("--%s %q: must be a duration like 2h or 7d, or a time like 2026-01-31T08:00:00Z", flag, s)
	}
	return t, nil
}

// listRuns lists the runs that flags ask for.
func (a *app) listRuns(ctx context.Context, flags *searchFlags, after string, limit int) error {
	if _, err := flags.filter(); err != nil { // before anything is asked
		return err
	}
	s, err := a.open(ctx, carry{})
	if err != nil {
		return err
	}
	defer s.close()
	f, err := flags.filter() // once more: the server has said what time it is
	if err != nil {
		return err
	}
	if f.After = after; after != "" {
		if f.After, err = s.findRun(ctx, after); err != nil {
			return fmt.Errorf("--after: %w", err)
		}
	}
	return a.printFound(ctx, s, f, limit)
}

// mostAsked is how many runs are asked for in one page of a long list.
const mostAsked = 1000

// printFound lists runs page by page, each as soon as it is there.
func (a *app) printFound(ctx context.Context, s *session, f runlog.Filter, limit int) error {
	found, read, total := []runlog.Summary{}, 0, 0
	for {
		f.Limit = nextPage(limit, len(found))
		page, err := s.Runs.List(ctx, f)
		if err != nil {
			return err
		}
		if total == 0 {
			total = page.Total
		}
		read += page.Read
		more := page.Next != "" && (limit == 0 || len(found)+len(page.Items) < limit)
		if !a.JSON() && (len(page.Items) > 0 || len(found) == 0 && !more) {
			if err := a.printRuns(page.Items, len(found) == 0); err != nil {
				return err
			}
		}
		found = append(found, page.Items...)
		if f.After = page.Next; more {
			if read > 0 {
				fmt.Fprintf(a.Err, "read the logs of %d runs, found %d ...\n", read, len(found))
			}
			continue
		}
		a.sayFound(page, len(found), total, read)
		if a.JSON() {
			return a.PrintJSON(found)
		}
		return nil
	}
}

// nextPage is how many runs are asked for next, of so many that are wanted; 0 = all.
func nextPage(limit, found int) int {
	if limit == 0 {
		return mostAsked
	}
	return min(limit-found, mostAsked)
}

// sayFound says beside a list how it was made, and how it goes on.
func (a *app) sayFound(last runlog.Page, found, total, read int) {
	if last.Short != "" {
		fmt.Fprintln(a.Err, a.Named(last.Short+"."))
	}
	if read > 0 {
		fmt.Fprintf(a.Err, "read the logs of %d runs for it\n", read)
	}
	if last.Next != "" {
		fmt.Fprintf(a.Err, "%d of %d runs; for older ones: --after %s\n", found, total, last.Next)
	}
}

// printRuns prints runs as a table, the first one of a list with its head.
func (a *app) printRuns(list []runlog.Summary, first bool) error {
	if len(list) == 0 {
		fmt.Fprintln(a.Out, a.Named("No runs. Submit one with `dispatcher run PLAN`, or loosen the filters."))
		return nil
	}
	var rows [][]any
	for _, r := range list {
		took := ""
		if r.Ended != nil {
			took = lasted(r.Took(cli.Now()))
		}
		standing := view.Standing(r.State, r.Ending)
		if r.State == steps.RunScheduled {
			standing = view.ScheduledFor(r.ScheduledFor, cli.Now())
		}
		rows = append(rows, []any{text.CutFront(short(r.ID), 24), text.Cut(r.Workflow, 20), standing, cli.Ago(r.Started), took})
	}
	if first {
		return a.List([]any{"RUN", "WORKFLOW", "STATE", "STARTED", "TOOK"}, rows)
	}
	return a.List(rows[0], rows[1:])
}
