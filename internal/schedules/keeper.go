package schedules

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"belay/internal/bus"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// Keeper fires the schedules. Every dispatcher has one: who is first with a compare-and-set decides a firing, and whoever finds it
// decided submits its run, under the same id.
type Keeper struct {
	book   *Book
	log    *runlog.Log
	logger *slog.Logger

	bucket *bus.Bucket
	seen   uint64              // revision up to which the schedules are known
	known  map[string]revision // by their names
}

// revision is a schedule as it was stored.
type revision struct {
	entry
	number uint64
}

// NewKeeper makes a Keeper.
func NewKeeper(b *bus.Bus, log *runlog.Log, logger *slog.Logger) *Keeper {
	return &Keeper{book: Of(b), log: log, logger: logger, known: map[string]revision{}}
}

// looks is how often the schedules are looked at. They are few, and a firing is a whole second.
const looks = time.Second

// Run fires until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(looks)
	defer tick.Stop()
	for troubled := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := k.look(ctx)
		if err != nil && ctx.Err() == nil && !troubled {
			k.logger.Warn("schedules cannot be fired now; trying again", "error", err)
		}
		troubled = err != nil
	}
}

// look fires what is due.
func (k *Keeper) look(ctx context.Context) error {
	if err := k.read(ctx); err != nil || k.bucket == nil {
		k.bucket = nil
		return err
	}
	var errs []error
	for _, r := range k.known {
		errs = append(errs, k.one(ctx, k.bucket, &r.entry, r.number))
	}
	return errors.Join(errs...)
}

// read learns what has changed. What was known in a bucket that was made again after it was removed is stored in it again.
func (k *Keeper) read(ctx context.Context) (err error) {
	if k.bucket == nil {
		if k.bucket, err = k.book.bus.BucketIfThere(ctx, k.book.bus.Names().SchedulesBucket()); err != nil || k.bucket == nil {
			return err
		}
	}
	last, err := k.bucket.LastRevision(ctx)
	if err != nil || last == k.seen {
		return err
	}
	if last < k.seen {
		k.restore(ctx)
	}
	items, err := k.bucket.All(ctx)
	if err != nil {
		return err
	}
	k.seen, k.known = last, map[string]revision{}
	for _, it := range items {
		if e, ok := read(it); ok {
			k.known[e.Name] = revision{e, it.Revision}
		}
	}
	return nil
}

func (k *Keeper) restore(ctx context.Context) {
	for name, r := range k.known {
		k.logger.Error("a schedule was removed behind Belay's back; it is stored again", "schedule", name)
		if err := put(ctx, k.bucket, &r.entry, 0); err != nil && !errors.Is(err, bus.ErrConflict) {
			k.logger.Error("the schedule could not be stored again", "schedule", name, "error", err)
		}
	}
}

// one does the next thing about a schedule: a firing that waits becomes a run, or what is due is decided.
func (k *Keeper) one(ctx context.Context, bucket *bus.Bucket, e *entry, revision uint64) error {
	changed, err := false, error(nil)
	if len(e.Waiting) > 0 {
		changed, err = k.begin(ctx, e)
	}
	if err == nil && !changed && e.Paused == nil {
		changed, err = k.decide(ctx, e)
	}
	if err != nil || !changed {
		return err
	}
	if err = put(ctx, bucket, e, revision); errors.Is(err, bus.ErrConflict) {
		return nil // another dispatcher was first
	}
	return err
}

func (k *Keeper) decide(ctx context.Context, e *entry) (bool, error) {
	t, err := parse(e.Cron, e.TZ)
	if err != nil {
		return false, err
	}
	now := k.book.bus.Now().UTC()
	if next := t.next(e.Upto); next.IsZero() || next.After(now) {
		return false, nil
	}
	open, err := k.open(ctx, e)
	if err != nil {
		return false, err
	}
	before := *e
	if !e.decide(t, now, open) {
		return false, nil
	}
	if e.Missed != before.Missed {
		k.logger.Warn("firings of a schedule were missed, and are not made up for", "schedule", e.Name, "missed", e.Missed.N, "last", e.Missed.Last)
	}
	if e.Skipped != before.Skipped {
		k.logger.Info("firings of a schedule were left out, because the run before is open", "schedule", e.Name, "skipped", e.Skipped.N, "last", e.Skipped.Last)
	}
	return true, nil
}

// open reports whether the last run of a schedule is open.
func (k *Keeper) open(ctx context.Context, e *entry) (bool, error) {
	if e.Last == nil || e.Last.Error != "" || e.Overlap == Allow {
		return false, nil
	}
	s, err := k.log.Load(ctx, e.Last.Run)
	switch {
	case errors.Is(err, runlog.ErrNoRun):
		return false, nil
	case errors.Is(err, runlog.ErrFrozen):
		return true, nil
	case err != nil:
		return false, err
	}
	return !s.Status().Ended(), nil
}

// begin makes a run of the first firing that waits, once it may be one.
func (k *Keeper) begin(ctx context.Context, e *entry) (bool, error) {
	f := e.Waiting[0]
	open, err := k.open(ctx, e)
	if err != nil || open {
		if open && e.Overlap == Cancel {
			_, err = k.log.Cancel(ctx, e.Last.Run, steps.Cancelled{By: e.By, Via: "schedule", Reason: "the next run of schedule " + e.Name + " is due"})
			if errors.Is(err, runlog.ErrEnded) {
				err = nil
			}
		}
		return false, err
	}
	created, err := k.log.Submit(ctx, f.Run, e.submission(f))
	switch {
	case err == nil && created:
		k.logger.Info("a schedule has fired", "schedule", e.Name, "run_id", f.Run, "at", f.At)
	case err != nil && !final(err):
		return false, err
	case err != nil:
		f.Error = err.Error()
		k.logger.Error("a schedule cannot fire", "schedule", e.Name, "run_id", f.Run, "error", err)
	}
	e.Last, e.Waiting = &f, e.Waiting[1:]
	return true, nil
}

// final reports whether a submission will be refused however often it is tried.
func final(err error) bool {
	return errors.Is(err, runlog.ErrConflict) || errors.Is(err, runlog.ErrTooLarge) || errors.Is(err, runlog.ErrBadID) || errors.Is(err, runlog.ErrBadStart)
}
