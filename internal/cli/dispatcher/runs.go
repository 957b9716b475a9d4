package dispatcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"belay/internal/cli"
	"belay/internal/handoff"
	"belay/internal/notify"
	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/text"
)

func (a *app) runsCommand() *cobra.Command {
	c := &cobra.Command{Use: "runs", Short: "List, search, show, explain, watch, cancel, retry, replay, migrate, export and archive runs"}
	c.AddCommand(a.runsLs(), a.runsShow(), a.runsWhy(), a.runsWatch(), a.runsSteer(), a.runsCancel(), a.runsRetry(), a.runsReplay(), a.runsMigrate(), a.runsExport(), a.runsArchive())
	c.RunE = cli.NeedSubcommand
	return c
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
			p := a.newProgress(run)
			p.waits = func(f view.Foresight) view.Why {
				w, err := notify.WhyOf(c.Context(), s.Bus, st, f)
				if err != nil {
					fmt.Fprintf(a.Err, "cannot find out which limits it waits for, and at which place: %v\n", err)
				}
				return w
			}
			if err := a.showRun(st, p); err != nil {
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

func (a *app) showRun(s *steps.State, p *progress) error {
	doc, waits := view.Show(s), p.why(s)
	back := waits.HeldBack()
	p.waits = func(view.Foresight) view.Why { return waits }
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
	a.showRelated(s)
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
		for n, at := range st.Attempts {
			why := cmp.Or(st.HeldBack(n, back), whyOf(&at))
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
	fmt.Fprintln(a.Out)
	if resting {
		p.end(s, doc)
	} else {
		p.waitsBehind(waits)
	}
	return nil
}

// showRelated names the runs that this one does again, or goes on from, or as.
func (a *app) showRelated(s *steps.State) {
	if words := view.ReplayedText(s); words != "" {
		fmt.Fprintf(a.Out, "\nreplay    it %s", words)
	}
	if to := s.GoesOnAs(); to != "" {
		fmt.Fprintf(a.Out, "\ngoes on   as %s", to)
	}
	if words := view.MigratedText(s); words != "" {
		fmt.Fprintf(a.Out, "\nmigrated  it %s", words)
	}
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
	var many manyFlags
	c := &cobra.Command{Use: "cancel ID", Short: "Cancel a run, or all that a query finds: stop what executes, and undo completed steps where plan or tools say how", Example: cancelExample, Long: "Cancels a run: what executes is stopped, and completed steps are undone where plan or tools say how.\n\n" + manyLong, Args: many.args, RunE: func(c *cobra.Command, args []string) error {
		if many.given() {
			return a.redriveRuns(c.Context(), handoff.RunOrder{Verb: people.Cancel, Reason: reason}, many)
		}
		return a.withRun(c.Context(), args[0], carry{}, func(s *session, run string) error {
			came, err := s.Runs.Cancel(c.Context(), run, steps.Cancelled{By: me(), Via: "cli", Reason: reason})
			if err != nil {
				return err
			}
			return a.cancelled(s, run, came)
		})
	}}
	c.Flags().StringVar(&reason, "reason", "", "why; kept in the run's log and in the audit trail")
	many.add(c.Flags())
	return c
}

const cancelExample = `  dispatcher runs cancel refund-1009 --reason "ordered twice"
  dispatcher runs cancel --where 'refund label:customer=17 since:2h' --dry-run
  dispatcher runs cancel --where 'refund label:customer=17 since:2h' --reason "ordered twice" --yes`

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
	var many manyFlags
	c := &cobra.Command{
		Use: "retry ID", Short: "Continue an ended run, or all that a query finds, as new runs, without their completed steps",
		Example: "  dispatcher runs retry refund-1009 --reason \"the shop is back\"\n  dispatcher runs retry --where 'state:failed fault:unavailable ended-since:1d' --dry-run",
		Long: "Submits a new run with the same plan, input and idempotency keys. It keeps the outputs of completed steps, unless they were\n" +
			"undone, and executes the rest. What was undone is executed under keys that name the new run.\n\n" + manyLong,
		Args: many.args, RunE: func(c *cobra.Command, args []string) error {
			if many.given() {
				return a.redriveRuns(c.Context(), handoff.RunOrder{Verb: people.Retry, Reason: reason}, many)
			}
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
	many.add(c.Flags())
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
