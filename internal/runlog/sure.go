package runlog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/wire"
)

// submitPatience is how long a submission is written again and again while the server does not confirm it.
const submitPatience = 15 * time.Second

// submitting is one submission on its way.
type submitting struct {
	*Log
	steps.Submitted
	run     string
	first   bus.Message // as this call would store it
	message bus.Message // to be stored now
	stream  string
	until   time.Time
	created bool // what is stored may be of this call
}

// store writes the submission until that is confirmed.
func (w *submitting) store(ctx context.Context) error {
	for {
		_, err := w.bus.PublishWait(ctx, w.stream, w.message)
		uncertain := errors.Is(err, bus.ErrUncertain)
		switch {
		case err == nil:
			w.created = w.created || w.message.Header[wire.HeaderAgain] == nil
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

// look finds out what is there now, so that it is written again behind itself.
func (w *submitting) look(ctx context.Context, cause error) error {
	p, err := w.plans(ctx, w.run)
	if err != nil {
		return fmt.Errorf("submit run %s: %w; whether it is stored is unknown (%w): submit it again under the same id", w.run, cause, err)
	}
	if p.Submitted == nil && p.last > 0 {
		return fmt.Errorf("submit run %s: %w: its log holds something, but no submission; choose another id", w.run, ErrConflict)
	}
	w.message = w.first
	w.message.Expect = &p.last
	if p.Submitted == nil {
		return nil
	}
	w.message.Data, w.message.Header = p.body, maps.Clone(w.first.Header)
	w.message.Header[wire.HeaderAgain] = []string{"1"}
	return differs(w.run, *p.Submitted, w.Submitted)
}

// How often, and within what time, AppendSurely writes.
const (
	sureTries = 3
	sureTime  = 12 * time.Second
)

// AppendSurely is [Log.Append] that writes again where the server did not confirm it. When it fails with
// [bus.ErrUncertain] all the same, the event may be stored or not, whatever a reader sees.
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

// surePause lets a connection come back between two tries.
const surePause = 300 * time.Millisecond
