package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"belay/internal/bus"
	"belay/internal/crashpoint"
	"belay/internal/executor"
	"belay/internal/ladder"
	"belay/internal/steps"
)

// report stores an outcome, and acknowledges the message once it is stored, without keeping the slot until then. With nil it
// hands the message back.
func (j *job) report(outcome steps.Event) {
	if outcome == nil {
		j.park(0)
		return
	}
	j.remember(outcome)
	j.store(outcome, 100*time.Millisecond)
}

// store publishes the outcome until it is stored: the fold ignores one that is stored twice. Heartbeats keep the message in
// hand meanwhile, so that nobody executes it again.
func (j *job) store(outcome steps.Event, pause time.Duration) {
	m, stream, err := j.Runs.Report(j.m.Run, j.m.Tool, outcome)
	if err != nil {
		j.storeInstead(outcome, fmt.Errorf("the outcome cannot be encoded: %w", err))
		return
	}
	j.Bus.Publish(stream, m, func(_ uint64, err error) {
		switch {
		case err == nil:
			crashpoint.At(crashpoint.WorkerStored)
			j.ack()
			crashpoint.At(crashpoint.WorkerAcked)
		case errors.Is(err, bus.ErrUncertain), errors.Is(err, bus.ErrFull):
			j.Logger.Warn("an outcome is not stored yet; trying again", "attempt", j.name(), "error", err)
			time.AfterFunc(pause, func() { j.storeLater(outcome, min(2*pause, 5*time.Second)) })
		case errors.Is(err, bus.ErrTooLarge):
			j.storeInstead(outcome, err)
		default:
			j.Logger.Error("the log refuses an outcome; the message is redelivered", "attempt", j.name(), "error", err)
			j.park(5 * time.Second)
		}
	})
}

// storeInstead stores a substitute for an outcome that cannot be stored: an invalid_output instead of a result, a shortened
// fault instead of a fault. The attempt has been executed, so it must end.
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
	j.Logger.Error("cannot encode an outcome; the message is redelivered", "attempt", j.name(), "error", why)
	j.park(time.Minute)
}

// besideOutput is more than the size of an outcome without its output: names, times and headers.
const besideOutput = 2 << 10

// mostOutput is the size of the largest output that this server accepts.
func (j *job) mostOutput() int { return int(j.Bus.MaxPayload()) - besideOutput }

// fits returns an error if an output cannot be stored.
func (j *job) fits(out []byte) error {
	if most := j.mostOutput(); len(out) > most {
		return tooLarge(len(out), most, j.Bus.MaxPayload())
	}
	return nil
}

// tooLarge returns the fault of an output that NATS refuses. The tool has been called, and would return the same again.
func tooLarge(size, most int, payload int64) steps.Fault {
	return steps.Fault{Class: steps.InvalidOutput, Acted: steps.ActedMaybe, Final: true, Message: fmt.Sprintf(
		"the output has %d bytes, at most %d can be stored: the NATS server's max_payload is %d; raise it, or let the tool answer with a reference", size, most, payload)}
}

func (j *job) storeLater(outcome steps.Event, pause time.Duration) {
	if j.life.Err() != nil {
		j.release() // the worker ends: the message is redelivered after the ack wait
		return
	}
	j.store(outcome, pause)
}

func (j *job) ack() {
	j.stored = true
	if err := j.Ack(); err != nil {
		j.Logger.Debug("an ack was not sent; the message is redelivered and finds its outcome", "attempt", j.name(), "error", err)
	}
	j.release()
}

// remember stores a good result for the tool's cache rungs, without delaying the outcome.
func (j *job) remember(outcome steps.Event) {
	ok, is := outcome.(steps.Succeeded)
	if !is || j.rung.Remember == nil {
		return
	}
	j.pending.addMore()
	go func() {
		defer j.pending.done()
		ctx, cancel := context.WithTimeout(j.life, 5*time.Second)
		defer cancel()
		if err := j.rung.Remember(ctx, j.params(), ok.Output); err != nil {
			j.Logger.Warn("cannot store a good result for the cache", "attempt", j.name(), "tool", j.m.Tool, "error", err)
		}
	}()
}

// unreadable reports a message whose body cannot be read as a failure of the attempt that its subject names.
func (j *job) unreadable(k ladder.Key, why error) {
	_, _, run, a, ok := j.names.ParseStep(j.Subject)
	if !ok {
		j.Logger.Error("a message on a subject that names no attempt; it is left in the queue", "subject", j.Subject, "error", why)
		j.park(time.Minute)
		return
	}
	j.m.Run, j.m.Attempt, j.m.Tool, j.m.RungName = run, a, k.Tool, k.Rung
	j.Logger.Error("a step message cannot be read", "attempt", j.name(), "error", why)
	j.report(j.failed(steps.Fault{Class: steps.InvalidInput, Acted: steps.ActedNo, Message: "the step message cannot be read: " + why.Error()}, 0))
}
