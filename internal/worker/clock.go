package worker

import (
	"context"
	"time"
)

// Times in messages are the log's: before which an attempt must not begin, and when its step's budget ends. This machine's
// clock may differ, so the worker goes by the server's.

// clockEvery is how often the server is asked what time it is: clocks drift, and are set.
const clockEvery = 30 * time.Second

func (w *Worker) askTime(ctx context.Context) error {
	c, err := w.Bus.AskTime(ctx)
	if err == nil {
		w.clock.Store(&c)
	}
	return err
}

// followTime asks until ctx ends. Without an answer, what was known goes on to hold.
func (w *Worker) followTime(ctx context.Context) {
	tick := time.NewTicker(clockEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := w.askTime(ctx); err != nil && ctx.Err() == nil {
			w.Logger.Debug("the server does not say what time it is; trying again", "error", err)
		}
	}
}

// notYet is how long it is until a time of the log; not positive once it has certainly come.
func (w *Worker) notYet(at time.Time) time.Duration {
	return at.Sub(w.clock.Load().Earliest(time.Now()))
}

// logTime is the log's time now, or a little later.
func (w *Worker) logTime() time.Time { return w.clock.Load().Latest(time.Now()) }
