package runlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"belay/internal/bus"
	"belay/internal/steps"
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
	until   time.Time
	created bool // what is stored may be from this call
}

// store writes the submission until it is confirmed.
func (w *submitting) store(ctx context.Context) error {
	_, err := w.bus.PublishWait(ctx, w.stream, w.message)
	return w.confirm(ctx, err)
}

// confirm handles the server's answer to the submission, and repeats the write until it is confirmed.
func (w *submitting) confirm(ctx context.Context, err error) error {
	for ; ; _, err = w.bus.PublishWait(ctx, w.stream, w.message) {
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
		case uncertain && time.Now().After(w.until):
			return fmt.Errorf("submit run %s: %w; whether it is stored is unknown: submit it again under the same id", w.run, err)
		case !uncertain && !errors.Is(err, bus.ErrConflict):
			return fmt.Errorf("submit run %s: %w", w.run, err)
		}
		w.created = w.created || uncertain
		if err := w.look(ctx, err); err != nil {
			return err
		}
	}
}

// look reads what is there now, so that the submission is repeated after itself.
func (w *submitting) look(ctx context.Context, cause error) error {
	p, err := w.plans(ctx, w.run)
	for errors.Is(err, bus.ErrUnreachable) && time.Now().Before(w.until) && w.bus.AwaitConnection(ctx) == nil {
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
	w.message = repeated(w.first, p.body, p.last)
	return differs(w.run, *p.Submitted, w.Submitted)
}

// How often, and within what time, AppendSurely writes.
const (
	sureTries = 3
	sureTime  = 12 * time.Second
)

// AppendSurely is [Log.Append] that repeats a write until the server confirms it. If it still fails with
// [bus.ErrUncertain], the event may or may not be stored, whatever a reader sees.
func (l *Log) AppendSurely(ctx context.Context, run string, e steps.Event) (seq uint64, err error) {
	until := time.Now().Add(sureTime)
	for n := 0; n < sureTries; n++ {
		if seq, err = l.Append(ctx, run, e); !errors.Is(err, bus.ErrUncertain) || time.Now().After(until) {
			return seq, err
		}
		select {
		case <-ctx.Done():
			return seq, err
		case <-time.After(surePause):
		}
	}
	return seq, err
}

// surePause gives a connection time to come back between two tries.
const surePause = 300 * time.Millisecond
