package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"belay/internal/cli"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/text"
)

// migrateFlags are the flags of `runs migrate`.
type migrateFlags struct {
	runFlags
	to, reason string
	drop       []string
	dryRun     bool
}

const runsMigrateExample = `  dispatcher runs migrate refund-1009 --to refund.yaml --dry-run
  dispatcher runs migrate refund-1009 --to refund.yaml --reason "the mail had the wrong amount"
  dispatcher runs migrate refund-1009 --to refund.yaml --drop quote`

func (a *app) runsMigrate() *cobra.Command {
	var f migrateFlags
	c := &cobra.Command{
		Use: "migrate ID --to PLAN", Short: "Let a run that has not ended go on under another plan, as another run that takes over what is done",
		Long: "Ends the run and lets it go on under the plan and the tools of --to, as a new run: what is done is taken over and not done again.\n\n" +
			"It is done only with a proof that this fits: each step that is done has to be in the new plan, call the same tool with the same\n" +
			"parameters, have a result of the shape that the plan counts on, and be undone by the same call; nothing that is not done may stand\n" +
			"before it. Nothing may be under way, and nothing may have happened without anybody knowing: hold the run back with `dispatcher gate\n" +
			"close --run ID --reason ...` first. A refusal names the step, what is in the way, and what to do about it.\n\n" +
			"Questions to people are withdrawn, and asked again where the new plan comes to them: an approval is for exactly one call of one run.\n" +
			"Where the run moves on between the proof and the act, nothing is done, and the exit code is 75.",
		Example: runsMigrateExample, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.migrate(c.Context(), args[0], f) },
	}
	fl := c.Flags()
	fl.StringVar(&f.to, "to", "", "`file` with the plan that the run goes on under")
	fl.StringVar(&f.tools, "tools", "", "tools `file` of --to (default tools.yaml beside it)")
	fl.StringArrayVar(&f.drop, "drop", nil, "the new plan may do without this `step`, which is done; of several, without each")
	fl.StringVar(&f.id, "id", "", "`id` of the run that it goes on as (default <id>-m<n>)")
	fl.StringVar(&f.reason, "reason", "", "why; kept in the log of both runs and in the audit trail")
	fl.BoolVar(&f.dryRun, "dry-run", false, "only say of each step whether what is done fits")
	fl.BoolVar(&f.wait, "wait", false, "do not exit while the run waits for a person")
	return c
}

func (a *app) migrate(ctx context.Context, id string, f migrateFlags) error {
	if f.to == "" {
		return cli.Usage("say which plan the run goes on under: --to PLAN")
	}
	doc, tools, err := loadPlan(f.to, f.tools)
	if err != nil {
		return err
	}
	if err := a.refused(doc, tools, f.runFlags); err != nil {
		return err
	}
	o := runlog.Migrating{Plan: doc, ToolsFile: tools.File, Drop: f.drop}
	if abs, err := filepath.Abs(tools.File); err == nil {
		o.ToolsFile = abs
	}
	if f.dryRun {
		return a.withRun(ctx, id, carry{}, func(s *session, run string) error { return a.sayMigration(ctx, s, run, f.id, o) })
	}
	s, run, err := a.openForRun(ctx, tools, func(s *session) (string, error) { return s.findRun(ctx, id) })
	if err != nil {
		return err
	}
	defer s.close()
	m, err := s.Runs.Migrate(ctx, run, f.id, o, runlog.Retried{By: me(), Via: "cli", Reason: f.reason})
	if err != nil {
		return a.notMigrated(err)
	}
	fmt.Fprintf(a.Err, "run %s ends here, and goes on as %s, with %s\n", run, m.To, takenOver(m))
	return a.follow(ctx, s, run, f.wait)
}

// takenOver says how many steps a migration takes over.
func takenOver(m steps.Migration) string {
	n := 0
	for _, s := range m.Steps {
		if s.Fate == steps.MigrationFits {
			n++
		}
	}
	if n == 1 {
		return "1 step taken over"
	}
	return fmt.Sprintf("%d steps taken over", n)
}

// notMigrated says what is in the way of a migration, and what to do about it.
func (a *app) notMigrated(err error) error {
	why, is := errors.AsType[*runlog.Unmigratable](err)
	if !is {
		return err
	}
	for _, reason := range why.Reasons() {
		fmt.Fprintln(a.Err, text.Line(reason))
	}
	return cli.WithCode(cli.ExitTemporary, fmt.Errorf("nothing was changed: run %s cannot go on under this plan as it stands", why.Migration.Of))
}

// sayMigration says of each step whether what is done fits. Where a migration would be refused, that is its error.
func (a *app) sayMigration(ctx context.Context, s *session, run, id string, o runlog.Migrating) error {
	m, err := s.Runs.PlanMigration(ctx, run, id, o)
	if err != nil {
		return err
	}
	if a.JSON() {
		err = a.PrintJSON(m)
	} else {
		err = a.printMigration(m)
	}
	if err == nil && len(m.Refused) > 0 {
		err = a.notMigrated(&runlog.Unmigratable{Migration: m})
	}
	return err
}

func (a *app) printMigration(m steps.Migration) error {
	var rows [][]any
	for _, s := range m.Steps {
		rows = append(rows, []any{s.Step, text.Cut(s.Tool, 24), s.State, s.Fate, text.Cut(text.Line(s.Why), 80)})
	}
	if err := a.Table([]any{"STEP", "TOOL", "IT IS", "PROOF", "WHY"}, rows); err != nil {
		return err
	}
	for _, id := range m.Asked {
		fmt.Fprintf(a.Out, "%s is withdrawn, and asked again where the new plan comes to it\n", id)
	}
	if len(m.Refused) == 0 {
		fmt.Fprintf(a.Out, "what is done fits: run %s would go on as %s\n", m.Of, m.To)
	}
	return nil
}
