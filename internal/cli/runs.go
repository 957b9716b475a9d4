package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
)

func (a *app) runsCommand() *cobra.Command {
	c := &cobra.Command{Use: "runs", Short: "List, show, explain, watch, cancel, retry and export runs"}
	c.AddCommand(a.runsLs(), a.runsShow(), a.runsWhy(), a.runsWatch(), a.runsCancel(), a.runsRetry(), a.runsExport())
	c.RunE = needSubcommand
	return c
}

// needSubcommand makes a noun without a verb, or with an unknown one, a usage error.
func needSubcommand(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		hint := ""
		c.SuggestionsMinimumDistance = 2 // cobra asks for it at the root only
		if s := c.SuggestionsFor(args[0]); len(s) > 0 {
			hint = " (did you mean " + strings.Join(s, " or ") + "?)"
		}
		return usage("unknown command %q for %q%s\nSee '%s --help'", args[0], c.CommandPath(), hint, c.CommandPath())
	}
	return usage("%s needs a command; see '%s --help'", c.CommandPath(), c.CommandPath())
}

func (a *app) runsLs() *cobra.Command {
	var f runlog.Filter
	var state, since string
	var labels []string
	c := &cobra.Command{Use: "ls", Short: "List runs, the newest first", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) (err error) {
		if f.State, err = parseState(state); err != nil {
			return err
		}
		if f.Since, err = parseSince(since); err != nil {
			return err
		}
		if f.Labels, err = pairs("label", labels); err != nil {
			return err
		}
		return a.listRuns(c.Context(), f)
	}}
	fl := c.Flags()
	fl.StringVar(&state, "state", "", "running, waiting, succeeded, degraded, failed, aborted or cancelled")
	fl.StringVar(&f.Workflow, "workflow", "", "the plan's name")
	fl.StringVar(&since, "since", "", "submitted since then: 2h, 7d, or an RFC 3339 time")
	fl.StringArrayVarP(&labels, "label", "l", nil, "key=value; all of them")
	fl.IntVar(&f.Limit, "limit", 50, "at most so many; 0 = all")
	return c
}

// parseState refuses a state that no run can have: a list filtered by it would be empty and say nothing.
func parseState(s string) (steps.RunState, error) {
	all := []steps.RunState{
		steps.RunRunning, steps.RunWaiting, steps.RunSucceeded, steps.RunDegraded, steps.RunFailed, steps.RunAborted, steps.RunCancelled,
	}
	if s == "" || slices.Contains(all, steps.RunState(s)) {
		return steps.RunState(s), nil
	}
	return "", usage("--state %q: it is one of %v", s, all)
}

func parseSince(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if d, err := time.ParseDuration(days + "h"); err == nil {
			return time.Now().Add(-24 * d), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil {
		return time.Now().Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, usage("--since %q: a duration like 2h or 7d, or a time like 2026-01-31T08:00:00Z", s)
	}
	return t, nil
}

func (a *app) listRuns(ctx context.Context, f runlog.Filter) error {
	s, err := a.open(ctx, carry{})
	if err != nil {
		return err
	}
	defer s.close()
	list, err := s.Runs.List(ctx, f)
	if err != nil {
		return err
	}
	if a.json() {
		if list == nil {
			list = []runlog.Summary{}
		}
		return a.printJSON(list)
	}
	if len(list) == 0 {
		fmt.Fprintln(a.Out, a.named("No runs. `dispatcher run PLAN` submits one; filters may leave none."))
		return nil
	}
	var rows [][]any
	for _, r := range list {
		took := ""
		if r.Ended != nil {
			took = lasted(r.Ended.Sub(r.Started))
		}
		rows = append(rows, []any{cutFront(short(r.ID), 24), cut(r.Workflow, 20), steps.Standing(r.State, r.Ending), ago(r.Started), took})
	}
	return a.list([]any{"RUN", "WORKFLOW", "STATE", "STARTED", "TOOK"}, rows)
}

// lasted is a duration as precise as people want it.
func lasted(d time.Duration) string {
	if d >= time.Minute {
		return d.Round(time.Second).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

// withRun opens a session and finds the run that is meant by an id or the end of one.
func (a *app) withRun(ctx context.Context, id string, c carry, f func(*session, string) error) error {
	s, err := a.open(ctx, c)
	if err != nil {
		return err
	}
	defer s.close()
	run, err := s.Runs.Find(ctx, typed(id))
	if err != nil {
		return err
	}
	return f(s, run)
}

func (a *app) runsShow() *cobra.Command {
	return &cobra.Command{Use: "show ID", Short: "Show a run with every attempt", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.withRun(c.Context(), args[0], carry{}, func(s *session, run string) error {
			st, err := s.Runs.Load(c.Context(), run)
			if f, ok := errors.AsType[*runlog.Frozen](err); ok && errors.Is(err, runlog.ErrStray) {
				return a.showStray(run, f)
			}
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(steps.Show(st))
			}
			return a.showRun(st)
		})
	}}
}

// showStray shows what there is of a run that never became one: the dead letter that asks what to do with it.
func (a *app) showStray(run string, f *runlog.Frozen) error {
	if a.json() {
		doc := steps.Document{ID: run, State: steps.RunWaiting, Reason: f.Error(), Escalations: []string{f.Letter}}
		doc.Labels, doc.Steps, doc.Degraded = map[string]string{}, []steps.StepView{}, []steps.Degraded{}
		return a.printJSON(doc)
	}
	fmt.Fprintf(a.Out, "run       %s\nstate     %s\n          %s\ndecide    dispatcher esc show %s\n", run, steps.RunWaiting, plain(f.Error()), f.Letter)
	return nil
}

func (a *app) showRun(s *steps.State) error {
	doc := steps.Show(s)
	fmt.Fprintf(a.Out, "run       %s\nworkflow  %s\nstate     %s", doc.ID, doc.Workflow, steps.Standing(doc.State, doc.Ending))
	if doc.Reason != "" {
		fmt.Fprintf(a.Out, " (%s)", doc.Reason)
	}
	fmt.Fprintf(a.Out, "\nstarted   %s\ninput     %s\n\n", doc.Started.Format(time.RFC3339), cut(plain(string(doc.Input)), 200))
	var rows [][]any
	for _, st := range doc.Steps {
		rows = append(rows, []any{forPeople(st.ID), st.State, st.Tool, st.Rung, "", cut(plain(st.Message), 60)})
		for _, at := range st.Attempts {
			why := string(at.State)
			if at.State == steps.AttemptReturned {
				why = at.Note
			}
			if at.Class != "" {
				why = string(at.Class) + ": " + at.Message
			}
			rows = append(rows, []any{fmt.Sprintf("  %d-%s-%d", at.Round, at.Rung, at.Try), "", byName(at.Worker), waited(at), time.Duration(at.Took).Round(time.Millisecond), cut(plain(why), 60)})
			for _, l := range at.Lost {
				rows = append(rows, []any{"    lost", "", byName(l.Worker), "", "", plain(l.Words())})
			}
		}
	}
	if err := a.table([]any{"STEP", "STATE", "TOOL/WORKER", "RUNG/WAIT", "TOOK", "WHY"}, rows); err != nil {
		return err
	}
	p := a.newProgress(doc.ID)
	fmt.Fprintln(a.Out)
	if doc.State.Ended() || doc.State == steps.RunWaiting {
		p.end(s, doc)
	}
	return nil
}

func waited(at steps.AttemptView) string {
	if at.Wait == 0 {
		return ""
	}
	return "after " + wait(at.Wait)
}

func (a *app) runsWatch() *cobra.Command {
	var waitForPeople bool
	c := &cobra.Command{Use: "watch ID", Short: "Follow a run; moves it on when no server is running", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.carryOn(c.Context(), args[0], waitForPeople, func(s *session, run string) (string, error) { return run, nil })
	}}
	c.Flags().BoolVar(&waitForPeople, "wait", false, "wait for people too")
	return c
}

// carryOn finds a run, lets act do something about it, and follows what act names. Embedded, it starts a dispatcher and
// a worker with the tools that the run was submitted with.
func (a *app) carryOn(ctx context.Context, id string, wait bool, act func(*session, string) (string, error)) error {
	s, run, err := a.openForRun(ctx, func(s *session) (string, error) { return s.Runs.Find(ctx, typed(id)) })
	if err != nil {
		return err
	}
	defer s.close()
	if run, err = act(s, run); err != nil {
		return err
	}
	return a.follow(ctx, s, run, wait)
}

// openForRun opens a session that can move the run on which find names.
func (a *app) openForRun(ctx context.Context, find func(*session) (string, error)) (*session, string, error) {
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
	tools, err := plan.LoadTools(st.ToolsFile)
	if err != nil {
		return nil, "", fmt.Errorf("run %s was submitted with these tools: %w", run, err)
	}
	s, err = a.open(ctx, carry{dispatch: true, tools: tools})
	return s, run, err
}

func (a *app) runsCancel() *cobra.Command {
	var reason string
	c := &cobra.Command{Use: "cancel ID", Short: "Stop a run: executing attempts are stopped, completed steps compensated", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.withRun(c.Context(), args[0], carry{}, func(s *session, run string) error {
			told, err := s.Runs.Cancel(c.Context(), run, steps.Cancelled{By: me(), Via: "cli", Reason: reason})
			if err != nil {
				return err
			}
			return a.toldToStop(s, run, told)
		})
	}}
	c.Flags().StringVar(&reason, "reason", "", "why; kept in the run's log and in the audit trail")
	return c
}

// toldToStop says what came of a cancel, and, where that is not the end, how to see it.
func (a *app) toldToStop(s *session, run string, told steps.Word) error {
	fmt.Fprintf(a.Err, "run %s: %s\n", run, plain(told.Text))
	if !told.Ended {
		follow := a.named("dispatcher runs watch ") + short(run) + a.flags()
		if s.embedded {
			fmt.Fprintf(a.Err, "no dispatcher runs, so it stops when somebody follows it: %s\n", follow)
		} else {
			fmt.Fprintf(a.Err, "follow it with: %s\n", follow)
		}
	}
	if a.json() {
		return a.printJSON(map[string]string{"id": run, "effect": told.Text})
	}
	return nil
}

func (a *app) runsRetry() *cobra.Command {
	var newID, reason string
	var waitForPeople bool
	c := &cobra.Command{
		Use: "retry ID", Short: "Go on from where an ended run stood, as a new run",
		Long: "Submits a new run with the same plan, input and idempotency keys. Steps that were done, and not compensated, are taken over; the rest runs again.",
		Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
			return a.carryOn(c.Context(), args[0], waitForPeople, func(s *session, run string) (string, error) {
				id, err := s.Runs.Retry(c.Context(), run, newID, runlog.Retried{By: me(), Via: "cli", Reason: reason})
				if err == nil {
					fmt.Fprintf(a.Err, "run %s goes on as %s\n", run, id)
				}
				return id, err
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why; kept in the new run's log and in the audit trail")
	c.Flags().StringVar(&newID, "id", "", "id of the new run (default <id>-r<n>)")
	c.Flags().BoolVar(&waitForPeople, "wait", false, "wait for people too")
	return c
}

func (a *app) runsExport() *cobra.Command {
	return &cobra.Command{Use: "export ID", Short: "Print a run's whole log, one JSON line per event", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return a.withRun(c.Context(), args[0], carry{}, func(s *session, run string) error {
			return s.Runs.Export(c.Context(), run, a.Out)
		})
	}}
}
