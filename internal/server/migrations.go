package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"belay/internal/catalog"
	"belay/internal/runlog"
	"belay/internal/server/pages"
	"belay/internal/steps"
)

// migrations lets runs go on under the plans of this server, for the console.
type migrations struct {
	runs    *runlog.Log
	catalog *catalog.Catalog
	watch   *runlog.Watch
}

// migrationsOf are nil where the server has no plans.
func migrationsOf(o Options, watch *runlog.Watch) pages.Migrations {
	if o.Catalog == nil {
		return nil
	}
	return migrations{o.Runs, o.Catalog, watch}
}

// Plans implements [pages.Migrations].
func (m migrations) Plans() []string { return m.catalog.Names() }

func (m migrations) under(to pages.Migration) (runlog.Migrating, error) {
	doc, tools, err := m.catalog.Document(catalog.Order{Plan: to.Plan})
	if err != nil {
		return runlog.Migrating{}, fmt.Errorf("%w: %w", runlog.ErrInvalid, err)
	}
	return runlog.Migrating{Plan: doc, ToolsFile: tools, Drop: to.Drop}, nil
}

// PlanMigration implements [pages.Migrations].
func (m migrations) PlanMigration(ctx context.Context, run string, to pages.Migration) (steps.Migration, error) {
	o, err := m.under(to)
	if err != nil {
		return steps.Migration{}, err
	}
	return m.runs.PlanMigration(ctx, run, "", o)
}

// submitsWithin is how long a person waits until a dispatcher has submitted the run that one goes on as.
const submitsWithin = 5 * time.Second

// Migrate implements [pages.Migrations].
func (m migrations) Migrate(ctx context.Context, run string, to pages.Migration, who runlog.Retried) (next string, err error) {
	o, err := m.under(to)
	if err != nil {
		return "", err
	}
	_, err = m.runs.Migrate(ctx, run, "", o, who)
	if errors.Is(err, runlog.ErrNoMigration) || errors.Is(err, runlog.ErrConflict) {
		err = m.unlessDone(ctx, run, o, who, err)
	}
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, submitsWithin)
	defer cancel()
	if d, err := m.watch.Ended(ctx, run, runlog.Known{Exists: true}); err == nil {
		next = d.GoesOnAs
	}
	return next, nil
}

// unlessDone is why a run is not migrated, unless the same request has done that: a form is sent twice.
func (m migrations) unlessDone(ctx context.Context, run string, o runlog.Migrating, who runlog.Retried, why error) error {
	s, err := m.runs.Load(ctx, run)
	if err != nil {
		return errors.Join(why, err)
	}
	by := s.MigratedBy()
	if by == nil || by.By != who.By || by.Via != who.Via || by.Reason != who.Reason || string(by.Next.Document) != string(o.Plan.JSON) {
		return why
	}
	return nil
}
