package dispatcher

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"belay/internal/bus"
	"belay/internal/cli"
	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/text"
)

// manyFlags are the flags of what can be done to one run, and to all that a query finds.
type manyFlags struct {
	where       string
	dryRun, yes bool
	rate        float64
}

func (f *manyFlags) add(fl *pflag.FlagSet) {
	fl.StringVar(&f.where, "where", "", "in place of ID: all runs that this `query` finds, as in runs ls --where")
	fl.BoolVar(&f.dryRun, "dry-run", false, "with --where: only say which runs they are")
	fl.BoolVarP(&f.yes, "yes", "y", false, "with --where: do not ask before it begins")
	fl.Float64Var(&f.rate, "rate", 10, "with --where: at most this many runs per second")
}

func (f *manyFlags) given() bool { return f.where != "" }

// args takes an id or a query.
func (f *manyFlags) args(_ *cobra.Command, args []string) error {
	switch {
	case f.given() && len(args) > 0:
		return cli.Usage("give an ID or --where, not both")
	case !f.given() && (f.dryRun || f.yes):
		return cli.Usage("--dry-run and --yes are for --where QUERY")
	case !f.given() && len(args) != 1:
		return cli.Usage("requires the ID of a run, or --where QUERY for all that it finds")
	}
	return nil
}

const manyLong = "With --where it is done to all runs that a query finds, at most 1000 at a time: those that are open are cancelled, those that have\n" +
	"failed, were aborted or cancelled are retried, unless the query names a state. They are listed and counted first. A run whose state has\n" +
	"changed since is left as it is, and that is said. The audit trail has the query and all ids as one record, and each run's own. What was\n" +
	"done before is not done again: to go on after an interrupt, say the same once more."

// redriveRuns does to all runs that a query finds what an order wants.
func (a *app) redriveRuns(ctx context.Context, o handoff.RunOrder, f manyFlags) error {
	if o.Where, o.Rate = f.where, f.rate; f.rate <= 0 {
		return cli.Usage("--rate must be more than 0")
	}
	if err := o.Check(); err != nil {
		return err
	}
	if _, err := runlog.ParseQuery(o.Where, cli.Now()); err != nil { // before anything is asked
		return cli.Usage("--where %v", err)
	}
	s, err := a.open(ctx, carry{})
	if err != nil {
		return err
	}
	defer s.close()
	if s.embedded && !f.dryRun {
		return cli.Usage("%s --where needs a server on which the runs go on; start `dispatcher dev`, or name one with --server", o.Verb)
	}
	alike := &handoff.Alike{Runs: s.Runs, Now: s.Bus.Now}
	found, err := alike.Find(ctx, o)
	if err != nil {
		return err
	}
	if err := a.showMany(o, found, f.dryRun); err != nil || f.dryRun || len(found.Runs) == 0 {
		return err
	}
	if err := a.confirm(fmt.Sprintf("%s these %d?", o.Verb, len(found.Runs)), f.yes); err != nil {
		return err
	}
	return a.doAlike(ctx, s, alike, o, found)
}

// showMany lists the runs that an order is about.
func (a *app) showMany(o handoff.RunOrder, found handoff.Found, dryRun bool) error {
	if found.Short != "" {
		fmt.Fprintln(a.Err, a.Named(found.Short+"."))
	}
	if a.JSON() {
		if !dryRun {
			return nil // the results follow
		}
		if found.Runs == nil {
			found.Runs = []runlog.Summary{}
		}
		return a.PrintJSON(found.Runs)
	}
	if len(found.Runs) > 0 {
		if err := a.printRuns(found.Runs, true); err != nil {
			return err
		}
	}
	fmt.Fprintf(a.Out, "%d to %s", len(found.Runs), o.Verb)
	if found.More {
		fmt.Fprintf(a.Out, ", of about %d; say the same once more for the rest", found.Total)
	}
	if found.Before > 0 {
		fmt.Fprintf(a.Out, "; %d more were retried before", found.Before)
	}
	fmt.Fprintln(a.Out)
	return nil
}

func (a *app) doAlike(ctx context.Context, s *session, alike *handoff.Alike, o handoff.RunOrder, found handoff.Found) error {
	list := make([]handoff.RedriveResult, len(found.Runs))
	for i, r := range found.Runs {
		list[i] = handoff.RedriveResult{ID: r.ID, Result: handoff.ItemWaiting, Was: string(r.State)}
	}
	alike.Record = func(ctx context.Context, order handoff.Redrive) error {
		err := a.recordActFor(ctx, s, string(o.Verb)+" runs", order.Lot(), o.Reason, order.Order())
		if err != nil {
			return unrecorded(o.Verb, err)
		}
		return nil
	}
	results := make([]handoff.RedriveResult, 0, len(list))
	err := alike.Do(ctx, people.Trusted(me(), "cli"), o, list, func(r handoff.RedriveResult) {
		results = append(results, r)
		if (r.Result == handoff.ItemRefused || r.Result == handoff.ItemUncertain) && !a.JSON() {
			fmt.Fprintf(a.Out, "%s  %s\n", short(r.ID), text.Line(r.Words()))
		}
		if n := len(results); n%100 == 0 && n < len(list) {
			fmt.Fprintf(a.Err, "%d of %d\n", n, len(list))
		}
	})
	if a.JSON() {
		return errors.Join(a.PrintJSON(results), err)
	}
	fmt.Fprintln(a.Out, text.Line(handoff.Summary(o.Verb, results)))
	return err
}

// unrecorded is why nothing was done to many runs: what is done to many is in the audit trail before it begins.
func unrecorded(verb people.Action, err error) error {
	if errors.Is(err, bus.ErrDenied) {
		return fmt.Errorf("nothing was done: who does this to many runs writes the audit trail first, and this user of NATS may not (%w); use the console, POST /api/v1/runs/%s with an operator's token, "+
			"or another user of NATS; one run at a time works: runs %s ID", err, verb, verb)
	}
	return fmt.Errorf("nothing was done, because the audit trail does not take it: %w", err)
}
