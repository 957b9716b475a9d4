package worker

import (
	"context"
	"errors"
	"time"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/toolbox"
)

// report stores an outcome and acknowledges the message once it is stored, without keeping the slot meanwhile. Nil
// hands the message back.
func (j *job) report(outcome steps.Event) {
	if outcome == nil {
		j.park(0)
		return
	}
	j.remember(outcome)
	m, stream, err := j.message(outcome)
	if err != nil {
		m, stream, err = j.message(j.failed(steps.Fault{Class: steps.InvalidOutput, Acted: steps.ActedMaybe, Message: "the outcome cannot be written down: " + err.Error()}, 0))
	}
	if err != nil {
		j.Log.Error("cannot write an outcome down; the message comes again", "attempt", j.name(), "error", err)
		j.park(time.Second)
		return
	}
	j.store(stream, m, 100*time.Millisecond)
}

// store publishes until the outcome is stored: the fold ignores one that is stored twice. The message is kept with
// heartbeats meanwhile, so nobody executes it again.
func (j *job) store(stream string, m bus.Message, pause time.Duration) {
	j.Bus.Publish(stream, m, func(_ uint64, err error) {
		switch {
		case err == nil:
			j.ack()
		case errors.Is(err, bus.ErrUncertain), errors.Is(err, bus.ErrFull):
			j.Log.Warn("an outcome is not stored yet; trying again", "attempt", j.name(), "error", err)
			time.AfterFunc(pause, func() { j.storeAgain(stream, m, min(2*pause, 5*time.Second)) })
		default:
			j.Log.Error("the log refuses an outcome; the message comes again", "attempt", j.name(), "error", err)
			j.park(5 * time.Second)
		}
	})
}

func (j *job) storeAgain(stream string, m bus.Message, pause time.Duration) {
	if j.life.Err() != nil {
		j.release() // the worker ends; the message comes again after the ack wait, and the log tells what happened
		return
	}
	j.store(stream, m, pause)
}

func (j *job) ack() {
	if err := j.Ack(); err != nil {
		j.Log.Debug("an ack was not sent; the message comes again and finds its outcome", "attempt", j.name(), "error", err)
	}
	j.release()
}

// remember keeps a good result for the tool's cache rungs, beside the outcome's way.
func (j *job) remember(outcome steps.Event) {
	ok, is := outcome.(steps.Succeeded)
	if !is || j.rung.Remember == nil {
		return
	}
	j.hands.also()
	go func() {
		defer j.hands.put()
		ctx, cancel := context.WithTimeout(j.life, 5*time.Second)
		defer cancel()
		if err := j.rung.Remember(ctx, j.m.Params, ok.Output); err != nil {
			j.Log.Warn("a good result was not kept for the cache", "attempt", j.name(), "tool", j.m.Tool, "error", err)
		}
	}()
}

// unreadable reports a message whose body cannot be read as a failure of the attempt that its subject names.
func (j *job) unreadable(k toolbox.Key, why error) {
	_, _, run, a, ok := j.names.ParseStep(j.Subject)
	if !ok {
		j.Log.Error("a message on a subject that names no attempt; it is left in the queue", "subject", j.Subject, "error", why)
		j.park(time.Minute)
		return
	}
	j.m.Run, j.m.Attempt, j.m.Tool, j.m.RungName = run, a, k.Tool, k.Rung
	j.Log.Error("a step message cannot be read", "attempt", j.name(), "error", why)
	j.report(j.failed(steps.Fault{Class: steps.InvalidInput, Acted: steps.ActedNo, Message: "the step message cannot be read: " + why.Error()}, 0))
}
