package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"belay/internal/cli"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/text"
)

func (a *app) runsCommand() *cobra.Command {
	c := &cobra.Command{Use: "runs", Short: "List, show, explain, watch, cancel, retry, replay and export runs"}
	c.AddCommand(a.runsLs(), a.runsShow(), a.runsWhy(), a.runsWatch(), a.runsSteer(), a.runsCancel(), a.runsRetry(), a.runsReplay(), a.runsExport())
	c.RunE = cli.NeedSubcommand
	return c
}

func (a *app) runsLs() *cobra.Command {
	var f runlog.Filter
	var state, since, until string
	var labels, input []string
	c := &cobra.Command{Use: "ls", Short: "List runs, the newest first", Args: cobra.NoArgs, Example: runsLsExample, RunE: func(c *cobra.Command, _ []string) (err error) {
		f.State = steps.RunState(state)
		between := func() error {
			if f.Since, err = parseTime("since", since); err == nil {
				f.Until, err = parseTime("until", until)
			}
			return err
		}
		if err := between(); err != nil { // before anything is asked
			return err
		}
		if f.Labels, err = pairs("label", labels); err != nil {
			return err
		}
		if f.Input, err = pairs("input", input); err != nil {
			return err
		}
		return a.listRuns(c.Context(), &f, between)
	}}
	fl := c.Flags()
	fl.Var(cli.OneOf(&state, "", words(runStates)...), "state", "only runs in this state")
	fl.StringVar(&f.Workflow, "workflow", "", "only runs of the plan with this `name`")
	fl.StringVar(&since, "since", "", "only runs submitted since this `time`: 2h, 7d, or an RFC 3339 time")
	fl.StringArrayVarP(&labels, "label", "l", nil, "only runs with this label, `key=value`; of several, with all of them")
	fl.StringVar(&until, "until", "", "only runs submitted before this `time`")
	fl.StringArrayVar(&input, "input", nil, "only runs with this value in their input, `path=value`, such as order=A-1009 or customer.id=17; of several, with all of them")
	fl.StringVar(&f.After, "after", "", "go on behind the run with this `id`: the last one of the page before")
	fl.IntVar(&f.Limit, "limit", 50, "list at most this many; 0 = all")
	return c
}

const runsLsExample = `  dispatcher runs ls --state waiting --since 2h
  dispatcher runs ls --workflow refund --label customer=17 --limit 0 -o json
  dispatcher runs ls --input order=A-1009`

// runStates are those that a run can have.
var runStates = []steps.RunState{steps.RunScheduled, steps.RunRunning, steps.RunWaiting, steps.RunSucceeded, steps.RunDegraded, steps.RunFailed, steps.RunAborted, steps.RunCancelled}

// parseTime reads the value of a flag that takes a time or how long ago it was; an empty one is the zero time.
func parseTime(flag, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if d, err := time.ParseDuration(days + "h"); err == nil {
			return cli.Now().Add(-24 * d), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil {
		return cli.Now().Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, cli.Usage("--%s %q: must be a duration like 2h or 7d, or a time like 2026-01-31T08:00:00Z", flag, s)
	}
	return t, nil
}

// listRuns lists the runs of a filter; between puts in its times once the server has said what time it is.
func (a *app) listRuns(ctx context.Context, f *runlog.Filter, between func() error) error {
	s, err := a.open(ctx, carry{})
	if err != nil {
		return err
	}
	defer s.close()
	if err := between(); err != nil {
		return err
	}
	if f.After != "" {
		if f.After, err = s.findRun(ctx, f.After); err != nil {
			return fmt.Errorf("--after: %w", err)
		}
	}
	page, err := s.Runs.List(ctx, *f)
	if err != nil {
		return err
	}
	if err := a.printRuns(page.Items); err != nil {
		return err
	}
	if page.Short != "" {
		fmt.Fprintln(a.Err, a.Named(page.Short+"."))
	}
	if page.Next != "" {
		fmt.Fprintf(a.Err, "%d of %d runs; for older ones: --after %s\n", len(page.Items), page.Total, page.Next)
	}
	return nil
}

func (a *app) printRuns(list []runlog.Summary) error {
	if a.JSON() {
		if list == nil {
			list = []runlog.Summary{}
		}
		return a.PrintJSON(list)
	}
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
	return a.List([]any{"RUN", "WORKFLOW", "STATE", "STARTED", "TOOK"}, rows)
}

// lasted is a duration with the precision that people want.
func lasted(d time.Duration) string {
	if d >= time.Minute {
		return d.Round(time.Second).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

// typed is an id as somebody typed it, perhaps copied from a list with the mark of what was cut off.
func typed(id string) string { return strings.TrimPrefix(id, "…") }

// findRun finds a run by its id, or by the end of it.
func (s *session) findRun(ctx context.Context, id string) (string, error) {
	run, err := s.Runs.Find(ctx, typed(id))
	return run, listed(err)
}

// withRun opens a session, finds the run by its id or the end of it, and calls f with both.
func (a *app) withRun(ctx context.Context, id string, c carry, f func(*session, string) error) error {
	s, err := a.open(ctx, c)
	if err != nil {
		return err
	}
	defer s.close()
	run, err := s.findRun(ctx, id)
	if err != nil {
		return err
	}
	return f(s, run)
}

func (a *app) runsShow() *cobra.Command {
	return &cobra.Command{Use: "show ID", Short: "Show a run with all its attempts, and what its agents said and did", Example: "  dispatcher runs show refund-1009\n  dispatcher runs show refund-1009 -o json", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.withRun(c.Context(), args[0], carry{}, func(s *session, run string) error {
			st, err := s.Runs.Load(c.Context(), run)
			if f, ok := errors.AsType[*runlog.Frozen](err); ok && errors.Is(err, runlog.ErrStray) {
				return a.showStray(run, f)
			}
			if err != nil {
				return err
			}
			if a.JSON() {
				return a.PrintJSON(view.Show(st))
			}
			if err := a.showRun(st); err != nil {
				return err
			}
			return a.sayReplays(c.Context(), s, st)
		})
	}}
}

// showStray shows a run that was never submitted properly: all there is of it is a dead letter, which asks what to do.
func (a *app) showStray(run string, f *runlog.Frozen) error {
	if a.JSON() {
		doc := view.Document{ID: run, State: steps.RunWaiting, Reason: f.Error(), Escalations: []string{f.DeadLetter}}
		doc.Labels, doc.Steps, doc.Degraded = map[string]string{}, []view.Step{}, []steps.Degraded{}
		doc.Asked = []view.Asked{}
		return a.PrintJSON(doc)
	}
	fmt.Fprintf(a.Out, "run       %s\nstate     %s\n          %s\ndecide    dispatcher esc show %s\n", run, steps.RunWaiting, text.Line(f.Error()), f.DeadLetter)
	return nil
}

func (a *app) showRun(s *steps.State) error {
	doc := view.Show(s)
	standing := view.Standing(doc.State, doc.Ending)
	if doc.State == steps.RunScheduled {
		standing = view.ScheduledFor(doc.ScheduledFor, cli.Now())
	}
	fmt.Fprintf(a.Out, "run       %s\nworkflow  %s\nstate     %s", doc.ID, doc.Workflow, standing)
	if doc.Reason != "" {
		fmt.Fprintf(a.Out, " (%s)", doc.Reason)
	}
	resting := doc.State.Ended() || doc.State == steps.RunWaiting
	if words := doc.Spent.Words(); words != "" && !resting { // else it stands below
		fmt.Fprintf(a.Out, "\nmodels    %s", words)
	}
	if words := view.ReplayedText(s); words != "" {
		fmt.Fprintf(a.Out, "\nreplay    it %s", words)
	}
	if doc.ScheduledFor != nil && doc.State != steps.RunScheduled {
		fmt.Fprintf(a.Out, "\nscheduled %s", doc.ScheduledFor.Format(time.RFC3339))
	}
	fmt.Fprintf(a.Out, "\nstarted   %s\ninput     %s\n\n", doc.Started.Format(time.RFC3339), text.Cut(text.Line(string(doc.Input)), 200))
	var rows [][]any
	for _, st := range doc.Steps {
		why := st.Message
		if st.TakenOver != "" {
			why = "taken over from " + st.TakenOver
		}
		rows = append(rows, []any{forPeople(st.ID), st.State, st.Tool, st.Rung, "", text.Cut(text.Line(why), 60)})
		for _, at := range st.Attempts {
			why := whyOf(&at)
			rows = append(rows, []any{fmt.Sprintf("  %d-%s-%d", at.Round, at.Rung, at.Try), "", byName(at.Worker), waited(at), time.Duration(at.Took).Round(time.Millisecond), text.Cut(text.Line(why), 60)})
			if said := onward(at); said != "" {
				rows = append(rows, []any{"    note", "", "", "", "", text.Line(said)})
			}
			if said := at.OnPurpose(); said != "" {
				rows = append(rows, []any{"    note", "", "", "", "", text.Line(said)})
			}
			for _, l := range at.Lost {
				rows = append(rows, []any{"    lost", "", byName(l.Worker), "", "", text.Line(l.Words())})
			}
		}
	}
	if err := a.Table([]any{"STEP", "STATE", "TOOL/WORKER", "RUNG/WAIT", "TOOK", "WHY"}, rows); err != nil {
		return err
	}
	for i := range doc.Agents {
		fmt.Fprintln(a.Out)
		a.printConversation(&doc.Agents[i], "")
	}
	p := a.newProgress(doc.ID)
	fmt.Fprintln(a.Out)
	if resting {
		p.end(s, doc)
	}
	return nil
}

func waited(at view.Attempt) string {
	if at.Wait == 0 {
		return ""
	}
	return "after " + wait(at.Wait)
}

func (a *app) runsWatch() *cobra.Command {
	var waitForPeople bool
	c := &cobra.Command{Use: "watch ID", Short: "Follow a run until it ends or waits for a person; move it on if no server is running", Example: "  dispatcher runs watch refund-1009 --wait", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.carryOn(c.Context(), args[0], waitForPeople, func(s *session, run string) (string, error) { return run, nil })
	}}
	c.Flags().BoolVar(&waitForPeople, "wait", false, "do not exit while the run waits for a person, or for its time to begin")
	return c
}

// carryOn finds a run, calls act with it, and follows the run that act names. An embedded engine gets a dispatcher and
// a worker, with the tools that the run was submitted with.
func (a *app) carryOn(ctx context.Context, id string, wait bool, act func(*session, string) (string, error)) error {
	s, run, err := a.openForRun(ctx, nil, func(s *session) (string, error) { return s.findRun(ctx, id) })
	if err != nil {
		return err
	}
	defer s.close()
	if run, err = act(s, run); err != nil {
		return err
	}
	return a.follow(ctx, s, run, wait)
}

// openForRun opens a session that can move on the run that find names, with these tools; nil = those that it was submitted with.
func (a *app) openForRun(ctx context.Context, tools *plan.Tools, find func(*session) (string, error)) (*session, string, error) {
	s, err := a.open(ctx, carry{})
	if err != nil {
		return nil, "", err
	}
	run, err := find(s)
	if err != nil || !s.embedded {
		if err != nil {
			s.close()
		}
		return s, run, err
	}
	st, err := s.Runs.Load(ctx, run)
	s.close()
	if err != nil {
		return nil, "", err
	}
	if tools == nil {
		tools, err = plan.LoadTools(st.ToolsFile)
	}
	if err != nil {
		return nil, "", fmt.Errorf("the tools that run %s was submitted with: %w", run, err)
	}
	s, err = a.open(ctx, carry{dispatch: true, tools: tools})
	return s, run, err
}

func (a *app) runsCancel() *cobra.Command {
	var reason string
	c := &cobra.Command{Use: "cancel ID", Short: "Cancel a run: stop what executes, and undo completed steps where plan or tools say how", Example: "  dispatcher runs cancel refund-1009 --reason \"ordered twice\"", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.withRun(c.Context(), args[0], carry{}, func(s *session, run string) error {
			came, err := s.Runs.Cancel(c.Context(), run, steps.Cancelled{By: me(), Via: "cli", Reason: reason})
			if err != nil {
				return err
			}
			return a.cancelled(s, run, came)
		})
	}}
	c.Flags().StringVar(&reason, "reason", "", "why; kept in the run's log and in the audit trail")
	return c
}

// cancelled says what came of a cancel and, if the run has not ended yet, how to see its end.
func (a *app) cancelled(s *session, run string, came view.Reply) error {
	fmt.Fprintf(a.Err, "run %s: %s\n", run, text.Line(came.Text))
	if !came.Ended {
		follow := a.Named("dispatcher runs watch ") + short(run) + a.Flags()
		if s.embedded {
			fmt.Fprintf(a.Err, "no dispatcher is running, so the run stops when somebody follows it: %s\n", follow)
		} else {
			fmt.Fprintf(a.Err, "follow it with: %s\n", follow)
		}
	}
	if a.JSON() {
		return a.PrintJSON(map[string]string{"id": run, "effect": came.Text})
	}
	return nil
}

func (a *app) runsRetry() *cobra.Command {
	var newID, reason string
	var waitForPeople bool
	c := &cobra.Command{
		Use: "retry ID", Short: "Continue an ended run as a new run, without its completed steps", Example: "  dispatcher runs retry refund-1009 --reason \"the shop is back\"",
		Long: "Submits a new run with the same plan, input and idempotency keys. It keeps the outputs of completed steps, unless they were\n" +
			"undone, and executes the rest. What was undone is executed under keys that name the new run.",
		Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
			return a.carryOn(c.Context(), args[0], waitForPeople, func(s *session, run string) (string, error) {
				id, err := s.Runs.Retry(c.Context(), run, newID, runlog.Retried{By: me(), Via: "cli", Reason: reason})
				if err == nil {
					fmt.Fprintf(a.Err, "run %s continues as %s\n", run, id)
				}
				return id, err
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why; kept in the new run's log and in the audit trail")
	c.Flags().StringVar(&newID, "id", "", "`id` of the new run (default <id>-r<n>)")
	c.Flags().BoolVar(&waitForPeople, "wait", false, "do not exit while the run waits for a person")
	return c
}

func (a *app) runsExport() *cobra.Command {
	var story, planPath string
	c := &cobra.Command{
		Use: "export ID", Short: "Print a run's log, one JSON line per event, or write it as a story",
		Long: "Prints a run's log, one JSON line per event. With --story it writes what happened to the run as a story that `dispatcher drill` plays:\n" +
			"the faults of its calls, what tools gave, what people decided and how it ended. Texts that no expression of the plan names, and\n" +
			"people's names, are replaced. Change what it expects, and it is a test that fails until the plan is mended.",
		Example: "  dispatcher runs export refund-1009 > refund-1009.jsonl\n  dispatcher runs export refund-1009 --story testdata/incident.story.yaml --plan refund.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if (story == "") != (planPath == "") {
				return cli.Usage("a story needs the file of its plan: --story NAME.story.yaml --plan PLAN")
			}
			return a.withRun(c.Context(), args[0], carry{}, func(s *session, run string) error {
				if story == "" {
					return s.Runs.Export(c.Context(), run, a.Out)
				}
				st, err := s.Runs.Load(c.Context(), run)
				if err != nil {
					return err
				}
				return exportStory(st, planPath, story)
			})
		},
	}
	c.Flags().StringVar(&story, "story", "", "write a story to this `file` (NAME.story.yaml)")
	c.Flags().StringVar(&planPath, "plan", "", "`file` of the plan that the story is to be played with")
	return c
}

// whyOf says how an attempt ended.
func whyOf(at *view.Attempt) string {
	switch {
	case at.Reason != "":
		return string(at.Class) + " (" + string(at.Reason) + "): " + at.Message
	case at.Class != "":
		return string(at.Class) + ": " + at.Message
	case at.State == steps.AttemptReturned:
		return at.Note
	case at.Usage != nil:
		return string(at.State) + ", " + at.Spent()
	}
	return string(at.State)
}
