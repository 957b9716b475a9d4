package runlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"belay/internal/bus"
)

// askTime is how long dispatchers have to say why nothing is stored.
const askTime = time.Second

// unstored is why something was not stored, or may not be, in words for a person.
type unstored struct {
	text string
	is   error
}

func (u *unstored) Error() string { return u.text }
func (u *unstored) Unwrap() error { return u.is }

// refused is an error if a stream is known to take no writes: then nothing is sent.
func (l *Log) refused(stream string) error {
	if l.Trouble == nil {
		return nil
	}
	if err := l.Trouble(stream); err != nil {
		return fmt.Errorf("nothing was stored: %w", err)
	}
	return nil
}

// unstored says of a write that was not confirmed what is known of the store. Other errors it returns as they are.
func (l *Log) unstored(ctx context.Context, err error) error {
	full := errors.Is(err, bus.ErrFull)
	if !full && !errors.Is(err, bus.ErrUncertain) || l.bus.Ready() != nil {
		return err
	}
	why := l.storeTrouble(ctx)
	switch {
	case full && why != "":
		why = "nothing was stored: " + why
	case full:
		why = fmt.Sprintf("nothing was stored: %s: the NATS server has no room for more: raise its limits, or remove runs sooner (--retention)", err)
	case why == "":
		why = fmt.Sprintf("%s; the server is connected and does not confirm what it is given: its disk may be full, or fail", err)
	}
	return &unstored{why, err}
}

func (l *Log) storeTrouble(ctx context.Context) string {
	if l.Trouble != nil {
		if err := l.Trouble(""); err != nil {
			return err.Error()
		}
		return ""
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	return l.bus.StoreTrouble(ctx)
}

// giveUp is when a write that began at some time is given up that the server does not confirm. One that is connected has the
// patience of whoever waits, less what it takes to say why; one that is away, or elects a leader, has longer.
func (l *Log) giveUp(began time.Time, away time.Duration) time.Time {
	patience := l.bus.Patience()
	if l.bus.Clustered() || l.bus.Ready() != nil || l.bus.ConnectedAt().After(began) {
		return began.Add(max(patience, away))
	}
	return began.Add(patience - min(patience/4, askTime))
}
