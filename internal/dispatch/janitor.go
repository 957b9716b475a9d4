package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"belay/internal/wire"
)

// janitorEvery is how often ended runs are looked through for those that are kept long enough.
const janitorEvery = time.Hour

// janitor removes ended runs after the retention time from the partitions that this dispatcher holds.
func (d *Dispatcher) janitor(ctx context.Context) {
	if d.Retention < 0 {
		return
	}
	d.every(ctx, min(janitorEvery, max(d.Retention/2, 10*time.Millisecond)), "remove runs that are kept long enough", func(ctx context.Context) error {
		var errs []error
		for _, p := range d.parts {
			errs = append(errs, p.clean(ctx))
		}
		return errors.Join(errs...)
	})
}

// clean removes the ended runs of a partition whose time is over. A result is the mark of an ended run, and it goes
// last: an interrupted removal is taken up again, and never looks like a run that is still open.
func (p *partition) clean(ctx context.Context) error {
	if held, err := p.holds(ctx); err != nil || !held {
		return err
	}
	results, err := p.Bus.Subjects(ctx, p.stream(), p.names.LogKind(p.p, wire.KindResult))
	if err != nil {
		return err
	}
	for _, s := range results {
		_, run, _, ok := p.names.ParseLog(s)
		if !ok {
			continue
		}
		if err := p.cleanRun(ctx, run, s); err != nil {
			return fmt.Errorf("run %s: %w", run, err)
		}
	}
	return nil
}

func (p *partition) cleanRun(ctx context.Context, run, resultSubject string) error {
	end, ok, err := p.Bus.Last(ctx, p.stream(), resultSubject)
	if err != nil || !ok || time.Since(end.Time) < p.Retention {
		return err
	}
	subjects, err := p.Bus.Subjects(ctx, p.stream(), p.names.LogOf(p.p, run))
	if err != nil {
		return err
	}
	for _, s := range removalOrder(subjects) {
		if err := p.Bus.Purge(ctx, p.stream(), s); err != nil {
			return err
		}
	}
	p.log.Debug("removed a run that ended long ago", "run_id", run, "ended", end.Time)
	return nil
}

// removalOrder puts the submission first and the result last.
func removalOrder(subjects []string) []string {
	var first, middle, last []string
	for _, s := range subjects {
		switch {
		case strings.HasSuffix(s, "."+wire.KindPlan):
			first = append(first, s)
		case strings.HasSuffix(s, "."+wire.KindResult):
			last = append(last, s)
		default:
			middle = append(middle, s)
		}
	}
	return append(append(first, middle...), last...)
}
