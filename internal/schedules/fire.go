package schedules

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"belay/internal/bus"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// look fires what is due.
func (k *Keeper) look(ctx context.Context) error {
	var errs []error
	for _, r := range k.list() {
		if err := k.step(ctx, &r, true); err != nil {
			errs = append(errs, fmt.Errorf("schedule %s: %w", r.Name, err))
		}
	}
	return errors.Join(errs...)
}

// step does all that is to be done about a schedule now; due says that what is due is decided too.
func (k *Keeper) step(ctx context.Context, r *revision, due bool) error {
	for {
		before := r.Schedule
		changed, err := k.next(ctx, r, due)
		if err != nil || !changed {
			return err
		}
		bucket, err := k.book.bucket(ctx)
		if err != nil {
			return err
		}
		if r.number, err = put(ctx, bucket, &r.entry, r.number); errors.Is(err, bus.ErrConflict) {
			return nil // another dispatcher was first
		}
		if err != nil {
			return err
		}
		r.reckon()
		k.keep(*r)
		k.say(&before, &r.Schedule)
	}
}

// keep remembers what this process has stored.
func (k *Keeper) keep(r revision) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if was, there := k.known[r.Name]; there && was.number < r.number {
		k.known[r.Name] = r
	}
}

// next does the next thing about a schedule: a firing that waits becomes a run, or what is due is decided.
func (k *Keeper) next(ctx context.Context, r *revision, due bool) (changed bool, err error) {
	if i := r.turn(); i >= 0 {
		changed, err = k.begin(ctx, &r.entry, i)
	}
	now := k.book.now().UTC()
	if err != nil || changed || !due || r.Paused != nil || r.times == nil || r.next.IsZero() || r.next.After(now) {
		return changed, err
	}
	b, err := k.busy(ctx, &r.entry)
	if err != nil {
		return false, err
	}
	return r.decide(r.times, now, b.open), nil
}

// say tells the log what was stored.
func (k *Keeper) say(before, s *Schedule) {
	if s.Missed != before.Missed {
		k.logger.Warn("firings of a schedule were missed, and are not made up for", "schedule", s.Name, "missed", s.Missed.N, "last", s.Missed.Last)
	}
	if s.Skipped != before.Skipped {
		k.logger.Warn("firings of a schedule were left out, because the run before is open", "schedule", s.Name, "skipped", s.Skipped.N, "last", s.Skipped.Last)
	}
	if len(s.Waiting) >= len(before.Waiting) {
		return
	}
	switch f := s.Firings[0]; {
	case f.Error != "":
		k.logger.Error("a schedule cannot fire", "schedule", s.Name, "run_id", f.Run, "at", f.At, "error", f.Error)
	default:
		k.logger.Info("a schedule has fired", "schedule", s.Name, "run_id", f.Run, "at", f.At)
	}
}

// busy is what is known of the run before a firing.
type busy struct {
	open   bool // it is, and no other may run beside it
	ending bool // it has been told to stop, or cannot be told
}

func (k *Keeper) busy(ctx context.Context, e *entry) (b busy, err error) {
	if len(e.Firings) == 0 || e.Firings[0].Error != "" || e.Overlap == Allow {
		return b, nil
	}
	s, err := k.log.Load(ctx, e.Firings[0].Run)
	switch {
	case errors.Is(err, runlog.ErrNoRun):
		return b, nil
	case errors.Is(err, runlog.ErrFrozen):
		return busy{open: true, ending: true}, nil
	case err != nil:
		return b, err
	}
	return busy{open: !s.Status().Ended(), ending: s.Ending() != ""}, nil
}

// begin makes a run of the waiting firing i, once it may be one.
func (k *Keeper) begin(ctx context.Context, e *entry, i int) (bool, error) {
	b, err := k.busy(ctx, e)
	if err == nil && b.open && !b.ending && e.Overlap == Cancel {
		_, err = k.log.Cancel(ctx, e.Firings[0].Run, steps.Cancelled{By: e.By, Via: via, Reason: "the next run of schedule " + e.Name + " is due"})
		if errors.Is(err, runlog.ErrEnded) {
			err = nil
		}
	}
	if err != nil || b.open {
		return false, err
	}
	f := e.Waiting[i]
	refused, err := k.submit(ctx, e, f)
	if err != nil {
		return false, err
	}
	if refused != nil {
		f.Error = refused.Error()
	}
	e.fired(i, f)
	return true, nil
}

// submit starts the run of a firing. Refused says why that will never be possible. A run that a schedule of the name has started is the
// run of that firing, whatever its plan says since.
func (k *Keeper) submit(ctx context.Context, e *entry, f Firing) (refused, err error) {
	s := e.submission(f)
	if refused := k.log.Check(f.Run, s); refused != nil {
		return refused, nil
	}
	if k.Prove != nil && s.Token != "" {
		if err := k.Prove(f.Run, &s); err != nil {
			return nil, err
		}
	}
	_, err = k.log.Submit(ctx, f.Run, s)
	switch {
	case errors.Is(err, runlog.ErrTooLarge):
		return err, nil
	case !errors.Is(err, runlog.ErrConflict):
		return nil, err
	}
	there, failed := k.log.Submitted(ctx, f.Run)
	if failed != nil {
		return nil, failed
	}
	if there != nil && there.Via == via && there.Labels[label] == e.Name {
		return nil, nil
	}
	return err, nil
}

// Fire fires a schedule now, by hand, and whether it is paused or not. At names the firing, so that who asks once more within the second
// gets the same run. Where the run before is open, the rule for overlaps holds: if that leaves it out the error is an [ErrBusy].
func (k *Keeper) Fire(ctx context.Context, name, who string, at time.Time) (Schedule, Firing, error) {
	var f Firing
	if away := k.book.now().Sub(at).Abs(); away > grace {
		return Schedule{}, f, fmt.Errorf("%w: the time to fire at is %s away from now", ErrWrong, away.Round(time.Second))
	}
	r, err := k.book.change(ctx, name, func(e *entry) error {
		f = e.byHand(at, who)
		if isThere := func(o Firing) bool { return o.Run == f.Run }; slices.ContainsFunc(e.Waiting, isThere) || slices.ContainsFunc(e.Firings, isThere) {
			return nil
		}
		b, err := k.busy(ctx, e)
		if err != nil {
			return err
		}
		was, waits := e.Skipped, len(e.Waiting)
		e.overlapped([]Firing{f}, b.open)
		if e.Overlap != Cancel && len(e.Waiting) == waits {
			e.Skipped = was
			return fmt.Errorf("%w: overlap is %s, and %s", ErrBusy, e.Overlap, inTheWay(e))
		}
		return nil
	})
	if err != nil {
		return Schedule{}, f, err
	}
	if err := k.step(ctx, &r, false); err != nil {
		k.logger.Warn("a firing is stored, and not a run yet; trying again", "schedule", name, "run_id", f.Run, "error", err)
	}
	for _, done := range r.Firings {
		if done.Run == f.Run {
			f = done
		}
	}
	return r.shown(), f, nil
}

func inTheWay(e *entry) string {
	if n := len(e.Waiting); n > 0 {
		return fmt.Sprintf("%d wait already, the first for %s", n, e.Waiting[0].Run)
	}
	return "run " + e.Firings[0].Run + " is open"
}
