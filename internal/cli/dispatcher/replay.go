package dispatcher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"belay/internal/cli"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/text"
)

// replayFlags are the flags of `runs replay`.
type replayFlags struct {
	runFlags
	from, confirmed []string
	plan, reason    string
	dryRun          bool
}

const runsReplayExample = `  dispatcher runs replay refund-1009 --from notify --dry-run
  dispatcher runs replay refund-1009 --from pay --again pay --reason "paid to the wrong account"
  dispatcher runs replay refund-1009 --from quote --input amount=80
  dispatcher runs replay refund-1009 --from quote --plan refund.yaml`

func (a *app) runsReplay() *cobra.Command {
	var f replayFlags
	c := &cobra.Command{
		Use: "replay ID --from STEP", Short: "Do an ended run again from a step on, as a new run that takes over what was done before it",
		Long: "Submits a new run that executes --from and all steps behind it, and takes over the results of the others. What it takes over has\n" +
			"to be what the new run would do: with another --input or --plan it is refused where a step's definition, the policy of its tool or\n" +
			"its parameters differ. Nothing of the new run undoes what it has taken over.\n\n" +
			"The new run has idempotency keys of its own, so whoever keeps to them takes its calls for new ones. Steps whose calls had changed\n" +
			"something, or may have, and that would be executed again have to be named with --again; the refusal lists these calls.",
		Example: runsReplayExample, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.replay(c.Context(), args[0], f) },
	}
	fl := c.Flags()
	fl.StringArrayVar(&f.from, "from", nil, "do this `step` again, and all behind it; of several, each of them")
	fl.StringArrayVar(&f.confirmed, "again", nil, "calls of this `step` may be made again that had changed something, or may have; of several, of each")
	fl.StringArrayVarP(&f.input, "input", "i", nil, "another value than the run had, `name=value`")
	fl.StringVarP(&f.inputFile, "input-file", "f", "", "`file` with a JSON object of such values; - = stdin")
	fl.StringVar(&f.plan, "plan", "", "`file` with another version of the plan")
	fl.StringVar(&f.tools, "tools", "", "tools `file` of --plan (default tools.yaml beside it)")
	fl.StringVar(&f.id, "id", "", "`id` of the new run (default <id>-p<n>)")
	fl.StringVar(&f.reason, "reason", "", "why; kept in the new run's log and in the audit trail")
	fl.BoolVar(&f.dryRun, "dry-run", false, "only say what becomes of each step, and which calls would be made again")
	fl.BoolVar(&f.wait, "wait", false, "do not exit while the run waits for a person")
	return c
}

func (a *app) replay(ctx context.Context, id string, f replayFlags) error {
	o := runlog.Replaying{From: f.from, Confirmed: f.confirmed}
	tools, err := a.otherPlan(&o, f)
	if err != nil {
		return err
	}
	if len(f.input) > 0 || f.inputFile != "" {
		o.Input = func(doc *plan.Document) (map[string]json.RawMessage, error) { return a.inputs(doc, f.runFlags) }
	}
	if f.dryRun {
		return a.withRun(ctx, id, carry{}, func(s *session, run string) error { return a.sayReplay(ctx, s, run, o) })
	}
	s, run, err := a.openForRun(ctx, tools, func(s *session) (string, error) { return s.findRun(ctx, id) })
	if err != nil {
		return err
	}
	defer s.close()
	started, created, err := s.Runs.Replay(ctx, run, f.id, o, runlog.Retried{By: me(), Via: "cli", Reason: f.reason})
	if err != nil {
		return a.notReplayed(err)
	}
	if created {
		fmt.Fprintf(a.Err, "run %s is done again as %s\n", run, started)
	} else {
		fmt.Fprintf(a.Err, "run %s was submitted before; following it\n", started)
	}
	return a.follow(ctx, s, started, f.wait)
}

// otherPlan reads the plan that a run is to be done again by; nil tools = its own.
func (a *app) otherPlan(o *runlog.Replaying, f replayFlags) (*plan.Tools, error) {
	if f.plan == "" {
		if f.tools != "" {
			return nil, cli.Usage("--tools is for the plan in --plan: without one the run's own policies count")
		}
		return nil, nil
	}
	doc, tools, err := loadPlan(f.plan, f.tools)
	if err != nil {
		return nil, err
	}
	if err := a.refused(doc, tools, f.runFlags); err != nil {
		return nil, err
	}
	o.Plan, o.ToolsFile = doc, tools.File
	if abs, err := filepath.Abs(tools.File); err == nil {
		o.ToolsFile = abs
	}
	return tools, nil
}

// notReplayed says what is in the way of a replay, and what to do about it.
func (a *app) notReplayed(err error) error {
	why, is := errors.AsType[*runlog.Unreplayable](err)
	if !is {
		return err
	}
	for _, reason := range why.Reasons() {
		fmt.Fprintln(a.Err, text.Line(reason))
	}
	if why.Unconfirmed() {
		return cli.Usage("nothing was started: these calls would be made again; if that is what you want, add --again %s", strings.Join(why.Replay.Unconfirmed, " --again "))
	}
	return cli.WithCode(cli.ExitTemporary, fmt.Errorf("nothing was started: run %s cannot be done again like that", why.Replay.Of))
}

// sayReplay says what a replay would do. Where it would be refused, that is its error.
func (a *app) sayReplay(ctx context.Context, s *session, run string, o runlog.Replaying) error {
	r, err := s.Runs.PlanReplay(ctx, run, o)
	if err != nil {
		return err
	}
	if a.JSON() {
		if err := a.PrintJSON(r); err != nil {
			return err
		}
	} else if err := a.printReplay(r); err != nil {
		return err
	}
	if len(r.Refused) > 0 {
		return a.notReplayed(&runlog.Unreplayable{Replay: r})
	}
	return nil
}

func (a *app) printReplay(r steps.Replay) error {
	var rows [][]any
	for _, s := range r.Steps {
		rows = append(rows, []any{s.Step, text.Cut(s.Tool, 24), s.State, view.StepFate(s), text.Cut(text.Line(s.Why), 80)})
	}
	if err := a.Table([]any{"STEP", "TOOL", "IT WAS", "IT IS", "WHY"}, rows); err != nil {
		return err
	}
	for _, id := range r.Gone {
		fmt.Fprintf(a.Out, "%s is not in the plan; what it did stays\n", id)
	}
	for _, line := range view.Confirmation(&r) {
		fmt.Fprintln(a.Out, text.Line(line))
	}
	if len(r.Unconfirmed) > 0 {
		fmt.Fprintf(a.Out, "to be confirmed: --again %s\n", strings.Join(r.Unconfirmed, " --again "))
	}
	return nil
}

// mostReplays is how many replays of a run are listed with it.
const mostReplays = 10

// sayReplays lists the runs that do an ended run again.
func (a *app) sayReplays(ctx context.Context, s *session, st *steps.State) error {
	if !st.Status().Ended() {
		return nil
	}
	list, err := s.Runs.Replays(ctx, st.Run, mostReplays)
	if err != nil {
		return err
	}
	for _, r := range list {
		fmt.Fprintf(a.Out, "done again as %s (%s)\n", r.ID, view.Standing(r.State, r.Ending))
	}
	return nil
}
