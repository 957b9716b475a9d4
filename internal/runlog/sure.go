package runlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/wire"
)

// submitPatience is how long a submission is repeated while the server does not confirm it.
const submitPatience = 15 * time.Second

// submitting is one submission until it is confirmed.
type submitting struct {
	*Log
	steps.Submitted
	run     string
	first   bus.Message // as this call would store it
	message bus.Message // to be stored now
	stream  string
	began   time.Time
	created bool // what is stored is from this call, or, after an answer that was lost, may be
}

// store writes the submission until it is confirmed.
func (w *submitting) store(ctx context.Context) error {
	if err := w.refused(w.stream); err != nil {
		return fmt.Errorf("submit run %s: %w", w.run, err)
	}
	return w.confirm(ctx, w.write(ctx))
}

// confirm handles the server's answer to the submission, and repeats the write until it is confirmed.
func (w *submitting) confirm(ctx context.Context, err error) error {
	for ; ; err = w.write(ctx) {
		uncertain := errors.Is(err, bus.ErrUncertain)
		switch {
		case err == nil:
			w.created = w.created || !isRepeated(w.message.Header)
			if w.created {
				w.announce(w.first)
			}
			return nil
		case errors.Is(err, bus.ErrTooLarge):
			return fmt.Errorf("submit run %s: %w: %w", w.run, ErrTooLarge, err)
		case uncertain && !time.Now().Before(w.until()):
			return fmt.Errorf("submit run %s: %w; whether it is stored is unknown: submit it again under the same id", w.run, w.unstored(ctx, err))
		case !uncertain && !errors.Is(err, bus.ErrConflict):
			return fmt.Errorf("submit run %s: %w", w.run, w.unstored(ctx, err))
		}
		w.created = w.created || uncertain
		if err := w.look(ctx, err); err != nil {
			return err
		}
	}
}

func (w *submitting) until() time.Time { return w.giveUp(w.began, submitPatience) }

// write writes once, and waits for the answer for as long as there is time.
func (w *submitting) write(ctx context.Context) error {
	return w.publish(ctx, w.stream, w.message, w.until())
}

// publish waits for the answer to a write until it is time to give up.
func (l *Log) publish(ctx context.Context, stream string, m bus.Message, until time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	_, err := l.bus.PublishWait(ctx, stream, m)
	return err
}

// look reads what is there now, so that the submission is repeated after itself.
func (w *submitting) look(ctx context.Context, cause error) error {
	p, err := w.plans(ctx, w.run)
	for errors.Is(err, bus.ErrUnreachable) && time.Now().Before(w.until()) && w.bus.AwaitConnection(ctx) == nil {
		p, err = w.plans(ctx, w.run)
	}
	if err != nil {
		return fmt.Errorf("submit run %s: %w; whether it is stored is unknown (%w): submit it again under the same id", w.run, cause, err)
	}
	if p.Submitted == nil && p.last > 0 {
		return fmt.Errorf("submit run %s: %w: its log has entries, but no submission; choose another id", w.run, ErrConflict)
	}
	w.message = w.first
	w.message.Expect = &p.last
	if p.Submitted == nil {
		return nil
	}
	if w.wasThere(p.at) {
		w.created = false
	}
	w.message = repeated(w.first, p.body, p.last)
	return differs(w.run, *p.Submitted, w.Submitted)
}

// clusterClocks is how far the clocks of servers in a cluster are taken to be apart at most.
const clusterClocks = time.Second

// wasThere reports whether what the log got at a time was there before this call.
func (w *submitting) wasThere(at time.Time) bool {
	clock := w.bus.Clock()
	return clock.Known() && at.Before(clock.Earliest(w.began).Add(-clusterClocks))
}

// How often, and within what time, AppendSurely writes.
const (
	sureTries = 3
	sureTime  = 12 * time.Second
)

// AppendSurely is [Log.Append] that repeats a write until the server confirms it. If it still fails with
// [bus.ErrUncertain], the event may or may not be stored, whatever a reader sees.
func (l *Log) AppendSurely(ctx context.Context, run string, e steps.Event) (seq uint64, err error) {
	if err := l.refused(l.names.RunsStream(wire.Partition(run, l.bus.Partitions()))); err != nil {
		return 0, err
	}
	began := time.Now()
	for n := 0; n < sureTries; n++ {
		try, cancel := context.WithDeadline(ctx, l.giveUp(began, sureTime))
		seq, err = l.Append(try, run, e)
		cancel()
		if !errors.Is(err, bus.ErrUncertain) || !time.Now().Before(l.giveUp(began, sureTime)) {
			break
		}
		select {
		case <-ctx.Done():
			return seq, err
		case <-time.After(surePause):
		}
	}
	return seq, l.unstored(ctx, err)
}

// surePause gives a connection time to come back between two tries.
const surePause = 300 * time.Millisecond
