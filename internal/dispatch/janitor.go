package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"belay/internal/bus"
	"belay/internal/runlog"
	"belay/internal/wire"
)

// janitorEvery is how often ended runs are searched for those whose retention time is over.
const janitorEvery = time.Hour

// janitor removes ended runs after the retention time from the partitions that are pinned to this dispatcher.
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

// clean removes the ended runs of a partition whose time is over ([runlog.Log.Remove]). A removal mark stays for
// another markKept, so that what arrives late about a run is not mistaken for what belongs to none.
func (p *partition) clean(ctx context.Context) error {
	if here, err := p.pinnedHere(ctx); err != nil || !here {
		return err
	}
	_, err := p.upTo(ctx, wire.KindResult, 0, p.Bus.Now().Add(-p.Retention), func(run string, e bus.Entry) error {
		return p.cleanRun(ctx, run, e.Subject)
	})
	if err == nil {
		p.marksSeen, err = p.upTo(ctx, wire.KindClock, p.marksSeen, p.Bus.Now().Add(-min(markKept, p.Retention)), func(run string, e bus.Entry) error {
			if !runlog.IsRemovalMark(e) {
				return nil
			}
			return p.cleanMark(ctx, run)
		})
	}
	return err
}

// markKept is how long the mark of a removed run stays.
const markKept = 24 * time.Hour

// upTo calls f with the log's entries of a kind that were stored before a time, and stand behind a sequence; it returns the
// sequence of the last one. They are in the order of their times, so what is kept costs nothing.
func (p *partition) upTo(ctx context.Context, kind string, after uint64, before time.Time, f func(run string, e bus.Entry) error) (last uint64, err error) {
	for more := true; more; {
		var page []bus.Entry
		if page, more, err = p.Bus.ReadPage(ctx, p.stream(), p.names.LogKind(p.p, kind), after+1); err != nil {
			return after, err
		}
		for _, e := range page {
			if !e.Time.Before(before) {
				return after, nil
			}
			if _, run, _, ok := p.names.ParseLog(e.Subject); ok {
				if err := f(run, e); err != nil {
					return after, fmt.Errorf("run %s: %w", run, err)
				}
			}
			after = e.Seq
		}
	}
	return after, nil
}

// cleanMark removes what is left of a run that was removed a while ago, and what has come late about it.
func (p *partition) cleanMark(ctx context.Context, run string) error {
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

func (p *partition) cleanRun(ctx context.Context, run, resultSubject string) error {
	end, ok, err := p.Bus.Last(ctx, p.stream(), resultSubject)
	if err != nil || !ok || p.Bus.Now().Sub(end.Time) < p.Retention {
		return err
	}
	last, ok, err := p.Bus.Last(ctx, p.stream(), p.names.LogOf(p.p, run))
	if err != nil || !ok {
		return err
	}
	if err := p.Log.Remove(ctx, run, last.Seq); err != nil {
		return err
	}
	p.logger.Debug("removed a run that ended long ago", "run_id", run, "ended", end.Time)
	return nil
}
