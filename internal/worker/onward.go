package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"belay/internal/bus"
	"belay/internal/executor"
	"belay/internal/plan"
	"belay/internal/steps"
)

// An attempt can leave something on the run's log with which another one goes on. What an attempt goes on with is never in its
// message: whoever can write into the queue could write anything there.

// findOnward looks what the attempt goes on with, if the message or the log says that there is something. False: the message has
// been handled.
func (j *job) findOnward() bool {
	if !j.handling.Continues() {
		return true
	}
	err := j.withState(func(s *steps.State) {
		if s != nil {
			j.onward = s.Continuation(j.m.Attempt)
		}
	})
	switch {
	case err != nil && j.m.Claimed(): // what is claimed is nobody else's
		j.report(j.failed(steps.Fault{Class: steps.Unavailable, Acted: steps.ActedNo, Message: "the run's log cannot be read, so it is not known what to go on with: " + err.Error()}, 0))
		return false
	case err != nil:
		j.Logger.Warn("cannot read in the run's log what an attempt goes on with; the message is redelivered", "attempt", j.name(), "error", err)
		j.park(time.Second)
		return false
	case j.onward == nil && j.m.Continues:
		f := steps.Fault{Class: steps.PolicyDenied, Acted: steps.ActedNo, Message: "not executed: the run has nothing that this attempt could go on with"}
		j.refused(f)
		j.report(j.failed(f, 0))
		return false
	case j.onward != nil && !j.goesOn():
		f := steps.Fault{Class: steps.PolicyDenied, Acted: steps.ActedNo, Message: "not executed: an attempt before has left something to go on with, and this rung is of a kind that begins anew by this worker's tools file; bring the tools files of the workers in line, then retry"}
		j.refused(f)
		j.report(j.failed(f, 0))
		return false
	}
	return true
}

// goesOn reports whether the rung's executor goes on with what was left.
func (j *job) goesOn() bool {
	_, is := j.rung.Executor.(executor.Continuing)
	return is
}

// keepPause is how long a worker waits before it stores once more what an attempt leaves.
const keepPause = 200 * time.Millisecond

// keep stores what the attempt leaves for another one, and returns once that is on the log.
func (j *job) keep(ctx context.Context, r steps.Resume) error {
	if err := fitsLog(&r, nil); err != nil {
		return err
	}
	if !j.awaited && !j.m.Claimed() {
		j.logEvent(j.started())
	}
	m, stream, err := j.Runs.Report(j.m.Run, j.m.Tool, steps.Resumable{Attempt: j.m.Attempt, Worker: j.worker, Resume: r})
	if err != nil {
		return err
	}
	for {
		_, err := j.Bus.PublishWait(ctx, stream, m)
		if !errors.Is(err, bus.ErrUncertain) && !errors.Is(err, bus.ErrFull) {
			return err
		}
		j.Logger.Warn("what an attempt can be gone on with is not stored yet; trying again", "attempt", j.name(), "error", err)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(keepPause):
		}
	}
}

// fitsLog returns the fault of what is too large to be left on a run's log.
func fitsLog(r *steps.Resume, q *steps.Question) error {
	if n := r.Size(q); n > steps.MaxResume {
		return steps.Fault{Class: steps.NeedsHuman, Acted: steps.ActedMaybe, Message: fmt.Sprintf(
			"what the call could be gone on with has %d bytes, at most %d are kept: it does not go on", n, steps.MaxResume)}
	}
	return nil
}

// unfinished adds to an outcome how another attempt goes on, if the executor's error says so.
func unfinished(outcome steps.Event, err error) steps.Event {
	u, is := errors.AsType[executor.Unfinished](err)
	if !is {
		return outcome
	}
	f := outcome.(steps.Failed)
	f.Spent = u.Spent
	if u.Resume == nil {
		return f
	}
	if err := fitsLog(u.Resume, u.Question); err != nil {
		f.Fault.Message += "; " + err.(steps.Fault).Message //nolint:errorlint // made there
		return f
	}
	f.Resume, f.Question = u.Resume, sound(u.Question)
	return f
}

// sound is a question that people can be shown and asked: its schema is one, and its page is one of the web.
func sound(q *steps.Question) *steps.Question {
	if q == nil {
		return nil
	}
	asks := *q
	if _, err := plan.CompileSchema(q.Schema); err != nil {
		asks.Schema, asks.Text = json.RawMessage(`{"type":"object"}`), q.Text+" (what the answer must be is not known: "+executor.Head([]byte(err.Error()), 200)+")"
	}
	if u, err := url.Parse(q.URL); q.URL != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "") {
		asks.URL, asks.Text = "", asks.Text+" (the page on which it wants the answer is none of the web, and not shown)"
	}
	return &asks
}
