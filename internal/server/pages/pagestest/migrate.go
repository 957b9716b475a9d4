package pagestest

import (
	"context"
	"slices"

	"belay/internal/runlog"
	"belay/internal/server/pages"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// Plans implements [pages.Migrations].
func (w *World) Plans() []string { return []string{"pay", "refund"} }

// PlanMigration implements [pages.Migrations]. In this world the plan pay has all steps, and refund none that is done.
func (w *World) PlanMigration(ctx context.Context, run string, to pages.Migration) (m steps.Migration, err error) {
	d, err := w.Document(ctx, run)
	if err != nil {
		return m, err
	}
	m = steps.Migration{Of: run, To: run + "-m1", Asked: d.Escalations}
	if d.GoesOnAs != "" {
		m.Refused = []steps.Obstacle{{What: "run " + run + " goes on as " + d.GoesOnAs, Do: "migrate that one"}}
		return m, nil
	}
	for _, s := range d.Steps {
		is := steps.MigrationStep{Step: s.ID, Tool: s.Tool, State: s.State, Fate: steps.MigrationNext, Why: "it is " + string(s.State)}
		switch dropped := slices.Contains(to.Drop, s.ID); {
		case !s.State.Done():
		case to.Plan == "pay":
			is.Fate, is.Why = steps.MigrationFits, "its result"
		case dropped:
			is.Fate, is.Why = steps.MigrationDropped, "it is done, and the new plan does without it"
		default:
			is.Fate, is.Why = steps.MigrationMissing, "it is done, and the new plan does not have it"
			m.Refused = append(m.Refused, steps.Obstacle{Step: s.ID, What: is.Why, Do: "keep it in the plan"})
		}
		m.Steps = append(m.Steps, is)
	}
	return m, nil
}

// Migrate implements [pages.Migrations].
func (w *World) Migrate(ctx context.Context, run string, to pages.Migration, who runlog.Retried) (string, error) {
	m, err := w.PlanMigration(ctx, run, to)
	if err != nil {
		return "", err
	}
	if len(m.Refused) > 0 {
		return "", &runlog.Unmigratable{Migration: m}
	}
	old, err := w.Document(ctx, run)
	if err != nil {
		return "", err
	}
	now := w.Now()
	old.State, old.Ended, old.GoesOnAs, old.Escalations = steps.RunMigrated, &now, m.To, nil
	old.Reason = "it goes on as " + m.To + " under another plan, as " + who.By + " said: " + who.Reason
	w.PutRun(old)
	w.PutRun(view.Document{ID: m.To, Workflow: to.Plan, State: steps.RunRunning, Started: now, Migrates: &steps.MigrationOf{Run: run, Dropped: to.Drop}})
	return m.To, nil
}
