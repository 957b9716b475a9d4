package runlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/wire"
)

// Watch lets any number of callers wait for runs with one subscription for each partition, not one for each run. A
// subscription begins with the first caller and ends a while after the last one has left. It is safe for concurrent use.
//
// No caller misses anything: it is registered and the subscription has begun before the run's log is read for the first
// time, a subscription continues where it stopped after a lost connection, and the log itself is read again in case of
// doubt, and every checkEvery.
type Watch struct {
	log   *Log
	ends  lines // results alone: enough to wait for an end
	all   lines // whole logs
	every time.Duration
	ear   *ear
}

// checkEvery is how often the log of a run is read while no entry arrives. That finds what a subscription does not show: a
// run that is frozen, or was removed.
const checkEvery = 30 * time.Second

// A read of a log that failed is repeated after retryRead: as long as the caller waits if one has succeeded before, else
// firstReads times, so that a caller who cannot read at all gets an error.
const (
	retryRead  = 500 * time.Millisecond
	firstReads = 3
)

// NewWatch makes a Watch of runs of l. Close ends it.
func NewWatch(l *Log) *Watch {
	w := &Watch{log: l, ends: newLines(l, wire.KindResult), all: newLines(l, ""), every: checkEvery}
	w.ear = newEar(l, w.ends.rouse)
	return w
}

// Close ends all subscriptions; waiting callers get an error.
func (w *Watch) Close() {
	w.ear.close()
	w.ends.close()
	w.all.close()
}

// Known is what a caller knows of a run, which saves reads.
type Known struct {
	Exists   bool      // the run was submitted
	Since    time.Time // it was not there then; zero if that is not known
	Reported bool      // it was submitted with the token of [Watch.Token]
}

// Token is for [steps.Submitted.ReportTo]: then the end of the run is reported to those who wait here. It is empty while nobody
// waits for ends.
func (w *Watch) Token() string { return w.ear.ask() }

// Ended waits until a run is closed, and returns its document then. For a run that is frozen, or gets frozen meanwhile, it
// returns an [ErrFrozen].
func (w *Watch) Ended(ctx context.Context, run string, known Known) (view.Document, error) {
	if !wire.ValidName(run) {
		return view.Document{}, badID(run)
	}
	w.ear.listen()
	f, err := w.ends.join(ctx, run)
	if err != nil {
		return view.Document{}, err
	}
	defer w.ends.leave(f)
	e := &ending{Watch: w, run: run, known: known, feed: f}
	err = w.untilDone(ctx, f, func() (bool, time.Duration, error) { return e.read(ctx) })
	return e.doc, err
}

// ending is one call of Ended.
type ending struct {
	*Watch
	run   string
	known Known
	feed  *feed
	heard time.Time // when the end was heard of first
	doc   view.Document
}

// read looks whether the run has ended, at what was reported before the log; after a pause it wants to look again.
func (e *ending) read(ctx context.Context) (done bool, pause time.Duration, err error) {
	if doc, heard := e.ear.take(e.run); heard {
		e.doc = doc
		return true, 0, nil
	}
	if news, doubt := e.feed.drain(); e.heard.IsZero() && (doubt || len(news) > 0) {
		e.heard = time.Now()
	}
	if e.known.Reported && !e.heard.IsZero() {
		if left := e.ear.patience() - time.Since(e.heard); left > 0 {
			return false, left, nil
		}
		e.known.Reported = false
		e.ear.miss()
	}
	if e.known.Exists { // then looking for an end is enough
		e.known.Exists = false
		if e.feed.silent(e.known.Since) {
			return false, 0, nil
		}
		if over, err := e.over(ctx, e.run); err != nil || !over {
			return false, 0, err
		}
	}
	s, err := e.log.Load(ctx, e.run)
	if err != nil || !s.Closed() {
		return false, 0, err
	}
	e.doc = view.Show(s)
	return true, 0, nil
}

// over reports whether a run's log has a result; only the fold tells whether that is its end.
func (w *Watch) over(ctx context.Context, run string) (bool, error) {
	p := wire.Partition(run, w.log.bus.Partitions())
	_, over, err := w.log.bus.Last(ctx, w.log.names.RunsStream(p), w.log.names.Log(p, run, wire.KindResult))
	return over, err
}

// untilDone calls read until it is done or fails for good: at once, whenever something has arrived, and after the pause that
// it returned; 0 = a long one.
func (w *Watch) untilDone(ctx context.Context, f *feed, read func() (done bool, pause time.Duration, err error)) error {
	for failures, succeeded := 0, false; ; {
		done, pause, err := read()
		pause = cmp.Or(pause, w.every)
		switch {
		case done || err != nil && isFinal(err):
			return err
		case err != nil:
			if failures++; !succeeded && failures >= firstReads {
				return err
			}
			pause = retryRead
		default:
			succeeded = true
		}
		if err := f.wait(ctx, pause); err != nil {
			return err
		}
	}
}

// isFinal reports whether reading a log again would fail in the same way.
func isFinal(err error) bool {
	return errors.Is(err, ErrNoRun) || errors.Is(err, ErrFrozen) || errors.Is(err, ErrBadID)
}

// Follow calls record with every record of a run, from the first one and then live, and head with the state whenever there
// are no further records for now; either may be nil. It ends when one of them returns false, when the run is closed, or
// with an error: [ErrFrozen] for a run that is frozen or gets frozen meanwhile, or that of ctx.
func (w *Watch) Follow(ctx context.Context, run string, record func(*steps.State, steps.Record) bool, head func(*steps.State) bool) error {
	if !wire.ValidName(run) {
		return badID(run)
	}
	f, err := w.all.join(ctx, run)
	if err != nil {
		return err
	}
	defer w.all.leave(f)
	r := &reading{Watch: w, run: run, record: record, head: head}
	return w.untilDone(ctx, f, func() (bool, time.Duration, error) {
		err := r.read(ctx, f)
		if err != nil {
			f.doubt() // what was removed from the feed may be lost
		}
		return r.done, 0, err
	})
}

// reading is one call of Follow.
type reading struct {
	*Watch
	run    string
	record func(*steps.State, steps.Record) bool
	head   func(*steps.State) bool
	fold   *Fold
	last   uint64 // sequence of the last record that was passed on
	done   bool
}

// read handles what is new.
func (r *reading) read(ctx context.Context, f *feed) error {
	entries, doubt := f.drain()
	if r.fold == nil || doubt || r.fold.Stale || len(entries) == 0 {
		return r.readLog(ctx)
	}
	for _, e := range entries {
		r.add(e)
	}
	if r.fold.Stale {
		return r.readLog(ctx)
	}
	return r.stretch(ctx)
}

// readLog reads the log itself: all of it the first time, after a reconnect (see [Log.ReadOn]), and after a dead letter was
// decided; else what is new.
func (r *reading) readLog(ctx context.Context) error {
	if r.fold != nil && !r.fold.Stale && r.fold.conn.Equal(r.log.bus.ConnectedAt()) {
		entries, err := r.log.bus.ReadLog(ctx, r.run, r.fold.Seq)
		if err != nil {
			return err
		}
		for _, e := range entries {
			r.add(e)
		}
		if !r.fold.Stale {
			return r.stretch(ctx)
		}
	}
	fold, err := r.log.Read(ctx, r.run, func(s *steps.State, rec steps.Record, _ []int) { r.pass(s, rec) })
	if err != nil {
		return err
	}
	r.fold = fold
	return r.stretch(ctx)
}

func (r *reading) add(e bus.Entry) {
	if rec, _, ok := r.log.Apply(r.fold, e); ok {
		r.pass(r.fold.State, rec)
	}
}

// pass passes on each record once, also if the log is folded again.
func (r *reading) pass(s *steps.State, rec steps.Record) {
	if r.done || r.record == nil || rec.Seq <= r.last {
		return
	}
	r.last = rec.Seq
	r.done = !r.record(s, rec) || s.Closed()
}

// stretch calls head at the end of the known records.
func (r *reading) stretch(ctx context.Context) error {
	switch err := r.fold.Frozen(); {
	case r.done:
		return nil
	case err != nil:
		return fmt.Errorf("run %s: %w", r.run, err)
	case r.fold.State == nil:
		return r.log.missing(ctx, r.run)
	}
	if r.head != nil {
		r.done = !r.head(r.fold.State)
	}
	r.done = r.done || r.fold.State.Closed()
	return nil
}
