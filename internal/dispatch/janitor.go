package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"belay/internal/bus"
	"belay/internal/steps"
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
// last: an interrupted removal is taken up again, and never looks like a run that is still open. A mark stays behind for
// another while, so that what comes late about a run is not taken for what belongs to none.
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
	return p.cleanMarks(ctx)
}

// markKept is how long the mark of a removed run stays.
const markKept = 24 * time.Hour

// cleanMarks removes what is left of runs that were removed a while ago, and what has come late about them.
func (p *partition) cleanMarks(ctx context.Context) error {
	marked, err := p.Bus.Subjects(ctx, p.stream(), p.names.LogKind(p.p, wire.KindClock))
	if err != nil {
		return err
	}
	kept, err := p.Bus.Runs(ctx, p.p)
	if err != nil {
		return err
	}
	for _, s := range marked {
		_, run, _, ok := p.names.ParseLog(s)
		_, there := slices.BinarySearchFunc(kept, run, func(r bus.RunInfo, id string) int { return strings.Compare(r.Run, id) })
		if !ok || there {
			continue
		}
		if err := p.cleanMark(ctx, run, s); err != nil {
			return fmt.Errorf("what is left of run %s: %w", run, err)
		}
	}
	return nil
}

func (p *partition) cleanMark(ctx context.Context, run, subject string) error {
	mark, ok, err := p.Bus.Last(ctx, p.stream(), subject)
	if err != nil || !ok || len(mark.Header[wire.HeaderRemoved]) == 0 || time.Since(mark.Time) < min(markKept, p.Retention) {
		return err
	}
	last, ok, err := p.Bus.Last(ctx, p.stream(), p.names.LogOf(p.p, run))
	if err != nil || !ok {
		return err
	}
	// Asked after that: who submits the id anew from now on comes behind what is removed.
	if _, anew, err := p.Bus.Last(ctx, p.stream(), p.names.Log(p.p, run, wire.KindPlan)); err != nil || anew {
		return err
	}
	return p.Bus.PurgeTo(ctx, p.stream(), p.names.LogOf(p.p, run), last.Seq)
}

// mark leaves a word that a run was there and has ended. It is a Fired, which means nothing to a run that has ended, nor
// to programs that do not know the mark.
func (p *partition) mark(ctx context.Context, run string) (subject string, err error) {
	m, stream, err := p.Log.Message(run, steps.Fired{})
	if err != nil {
		return "", err
	}
	m.Header[wire.HeaderRemoved] = []string{"1"}
	_, err = p.Bus.PublishWait(ctx, stream, m)
	return m.Subject, err
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
	marked, err := p.mark(ctx, run)
	if err != nil {
		return err
	}
	for _, s := range removalOrder(subjects) {
		remove := p.Bus.Purge
		if s == marked {
			remove = p.Bus.PurgeButLast
		}
		if err := remove(ctx, p.stream(), s); err != nil {
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
