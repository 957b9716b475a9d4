package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"belay/internal/bus"
	"belay/internal/executor"
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
	j.store(outcome, 100*time.Millisecond)
}

// store publishes until the outcome is stored: the fold ignores one that is stored twice. The message is kept with
// heartbeats meanwhile, so nobody executes it again.
func (j *job) store(outcome steps.Event, pause time.Duration) {
	m, stream, err := j.message(outcome)
	if err != nil {
		j.storeInstead(outcome, fmt.Errorf("the outcome cannot be written down: %w", err))
		return
	}
	j.Bus.Publish(stream, m, func(_ uint64, err error) {
		switch {
		case err == nil:
			j.ack()
		case errors.Is(err, bus.ErrUncertain), errors.Is(err, bus.ErrFull):
			j.Log.Warn("an outcome is not stored yet; trying again", "attempt", j.name(), "error", err)
			time.AfterFunc(pause, func() { j.storeAgain(outcome, min(2*pause, 5*time.Second)) })
		case errors.Is(err, bus.ErrTooLarge):
			j.storeInstead(outcome, err)
		default:
			j.Log.Error("the log refuses an outcome; the message comes again", "attempt", j.name(), "error", err)
			j.park(5 * time.Second)
		}
	})
}

// storeInstead stores what can be said in place of an outcome that no log can hold: a good one without its output is an
// invalid_output, a fault is cut. The attempt has been executed, so it must end all the same.
func (j *job) storeInstead(outcome steps.Event, why error) {
	switch o := outcome.(type) {
	case steps.Succeeded:
		f := steps.Fault{Class: steps.InvalidOutput, Acted: steps.ActedMaybe, Message: why.Error(), Final: true}
		if size, most := len(o.Output), j.mostOutput(); size > most {
			f = tooLarge(size, most, j.Bus.MaxPayload())
		}
		j.store(j.failed(f, time.Duration(o.Took)), 100*time.Millisecond)
		return
	case steps.Failed:
		cut := o
		cut.Fault.Message, cut.Fault.Detail = executor.Head([]byte(o.Fault.Message), 500), ""
		if cut.Fault != o.Fault {
			j.store(cut, 100*time.Millisecond)
			return
		}
	}
	j.Log.Error("cannot write an outcome down; the message comes again", "attempt", j.name(), "error", why)
	j.park(time.Minute)
}

// besideOutput is more than an outcome has beside its output: names, times and headers.
const besideOutput = 2 << 10

// mostOutput is the largest output that this server lets into the log.
func (j *job) mostOutput() int { return int(j.Bus.MaxPayload()) - besideOutput }

// fits says why an output cannot be stored.
func (j *job) fits(out []byte) error {
	if most := j.mostOutput(); len(out) > most {
		return tooLarge(len(out), most, j.Bus.MaxPayload())
	}
	return nil
}

// tooLarge is the fault of an output that NATS refuses. The tool has been called, and would answer the same again.
func tooLarge(size, most int, payload int64) steps.Fault {
	return steps.Fault{Class: steps.InvalidOutput, Acted: steps.ActedMaybe, Final: true, Message: fmt.Sprintf(
		"the output has %d bytes, at most %d can be stored: the NATS server's max_payload is %d; raise it, or let the tool answer with a reference", size, most, payload)}
}

func (j *job) storeAgain(outcome steps.Event, pause time.Duration) {
	if j.life.Err() != nil {
		j.release() // the worker ends; the message comes again after the ack wait, and the log tells what happened
		return
	}
	j.store(outcome, pause)
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
