package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"belay/internal/executor"
	"belay/internal/steps"
)

// execute runs the attempt under its deadline and returns its outcome, [steps.Succeeded] or [steps.Failed]; nil when
// the message is to be handed back without one.
//
// Every attempt has a goroutine of its own, whose stack grows by being copied: the frames on the way from here to the
// executor are kept small, so what is rare is made elsewhere.
func (j *job) execute() steps.Event {
	if outcome := j.refuse(); outcome != nil {
		return outcome
	}
	ctx, cancel := context.WithCancelCause(j.life)
	defer cancel(nil)
	if !j.begin(cancel) {
		return j.neverBegun()
	}
	defer j.stops.ended(j.word)
	j.executed = true
	ctx = j.Observer.Began(ctx, j.m, j.Header, j.Count)
	if end, ok := j.deadline(); ok {
		var stop context.CancelFunc
		ctx, stop = context.WithDeadline(ctx, end)
		defer stop()
	}
	defer j.tellLong()()
	began := time.Now()
	res, err := j.run(ctx)
	took := time.Since(began)
	outcome := j.outcome(ctx, res, err, took)
	j.Observer.Ended(ctx, j.m, outcome, took)
	if errors.Is(context.Cause(ctx), errDrained) && !j.m.Claimed() && err != nil {
		return nil // another worker executes it; for an unsafe tool the log is told what is known
	}
	return outcome
}

// refuse is the outcome of an attempt that it is pointless to execute; nil lets it pass.
func (j *job) refuse() steps.Event {
	if !j.m.Deadline.IsZero() && !time.Now().Before(j.m.Deadline) {
		return j.notExecuted(steps.DeadlineExceeded, "the step's budget was used up before the attempt could start")
	}
	if j.approvalNeeded() {
		if f := j.notApproved(nil); f != nil { // it may have expired meanwhile
			return j.failed(*f, 0)
		}
	}
	if check := j.rung.CheckInput; check != nil {
		if err := check(j.m.Params); err != nil {
			return j.notExecuted(steps.InvalidInput, "the parameters do not fit the tool's input_schema: "+err.Error())
		}
	}
	if err := j.submittedInput(); err != nil {
		return j.notExecuted(steps.InvalidInput, "the parameters do not fit the input_schema that the run was submitted with: "+err.Error())
	}
	return nil
}

//go:noinline
func (j *job) notExecuted(c steps.Class, why string) steps.Event {
	return j.failed(steps.Fault{Class: c, Acted: steps.ActedNo, Message: why}, 0)
}

// deadline is when the attempt must end: the rung's timeout, or the end of the step's budget if that is sooner.
func (j *job) deadline() (time.Time, bool) {
	end := j.m.Deadline
	if j.m.Timeout > 0 {
		if t := time.Now().Add(time.Duration(j.m.Timeout)); end.IsZero() || t.Before(end) {
			end = t
		}
	}
	return end, !end.IsZero()
}

// tellLong lets the log know of an attempt that takes a while, without waiting for the answer. Of a program it knows at
// once: that costs little beside starting one, and a program may take its worker down with it.
func (j *job) tellLong() (stop func()) {
	if j.awaited || j.m.Claimed() {
		return func() {}
	}
	started := steps.Started{Attempt: j.m.Attempt, Worker: j.worker}
	if _, program := j.rung.Executor.(executor.Graceful); program {
		j.tell(started)
		return func() {}
	}
	t := time.AfterFunc(j.StartedAfter, func() { j.tell(started) })
	return func() { t.Stop() }
}

// tell appends an event for people; if it is lost nothing is.
func (j *job) tell(e steps.Event) {
	m, stream, err := j.message(e)
	if err != nil {
		return
	}
	j.Bus.Publish(stream, m, func(_ uint64, err error) {
		if err != nil {
			j.Log.Debug("could not tell the log how the attempt goes", "attempt", j.name(), "error", err)
		}
	})
}

type result struct {
	executor.Result
	err error
}

// run calls the executor and waits for it, or for a grace after its context has ended. An executor that does not obey
// is left behind: its slot is given back, its result is nobody's.
func (j *job) run(ctx context.Context) (executor.Result, error) {
	if _, is := j.rung.Executor.(executor.Prompt); is {
		r := j.call(ctx)
		return r.Result, r.err
	}
	done := make(chan result, 1)
	go func() { done <- j.call(ctx) }()
	select {
	case r := <-done:
		return r.Result, r.err
	case <-ctx.Done():
	}
	grace := time.NewTimer(j.StopGrace + executor.GraceOf(j.rung.Executor))
	defer grace.Stop()
	select {
	case r := <-done:
		return r.Result, r.err
	case <-grace.C:
		j.Log.Error("an executor does not stop at its deadline; it is left behind", "attempt", j.name(), "tool", j.m.Tool, "rung", j.m.RungName)
		return executor.Result{}, j.interrupted(ctx)
	}
}

// call turns a panic into a fault: a handler must not take the worker down.
func (j *job) call(ctx context.Context) (r result) {
	defer func() {
		if p := recover(); p != nil {
			r = result{err: steps.Fault{Class: steps.ToolError, Acted: steps.ActedMaybe, Message: fmt.Sprintf("panic: %v", p), Detail: executor.Tail(debug.Stack(), 4<<10)}}
		}
	}()
	res, err := j.rung.Execute(ctx, executor.Request{
		Run: j.m.Run, Step: j.m.Step, Attempt: j.m.Token(), Tool: j.m.Tool, Rung: j.m.RungName, Params: j.m.Params,
		Key: j.m.Key, Try: j.m.Try, Progress: j.progress(),
	})
	return result{res, err}
}

// progress tells the log what an executor says, at most once a second.
func (j *job) progress() func(string) {
	var mu sync.Mutex
	var last time.Time
	return func(text string) {
		mu.Lock()
		now := time.Now()
		quiet := now.Sub(last) < time.Second
		if !quiet {
			last = now
		}
		mu.Unlock()
		if !quiet {
			j.tell(steps.Progress{Attempt: j.m.Attempt, Worker: j.worker, Message: executor.Head([]byte(text), 200)})
		}
	}
}

// outcome makes an event of what came back.
func (j *job) outcome(ctx context.Context, res executor.Result, err error, took time.Duration) steps.Event {
	if err == nil {
		res.Output, err = j.rung.Result(j.m.Params, res.Output)
	}
	if err == nil {
		err = j.submittedOutput(res.Output)
	}
	if err == nil {
		err = j.fits(res.Output)
	}
	if err != nil {
		return j.failed(j.fault(ctx, err), took)
	}
	return steps.Succeeded{
		Attempt: j.m.Attempt, Worker: j.worker, Output: res.Output, Age: steps.Duration(res.Age),
		Started: time.Now().Add(-took).UTC(), Took: steps.Duration(took),
	}
}

// fault makes a fault of an executor's error.
func (j *job) fault(ctx context.Context, err error) steps.Fault {
	if f, ok := errors.AsType[steps.Fault](err); ok {
		if f.Class.Known() {
			return f
		}
		f.Message = string(f.Class) + ": " + f.Message
		f.Class = steps.ToolError
		return f
	}
	if ctx.Err() != nil {
		return j.interrupted(ctx)
	}
	return steps.Fault{Class: steps.ToolError, Acted: steps.ActedMaybe, Message: strings.ToValidUTF8(err.Error(), "\uFFFD")}
}

// interrupted is the fault of an attempt whose context ended.
func (j *job) interrupted(ctx context.Context) steps.Fault {
	cause := context.Cause(ctx)
	if errors.Is(cause, context.DeadlineExceeded) {
		return steps.Fault{Class: steps.Timeout, Acted: steps.ActedMaybe, Message: "no result within " + j.m.Timeout.String()}
	}
	return steps.Fault{Class: steps.ToolError, Acted: steps.ActedMaybe, Message: cause.Error()}
}

//go:noinline
func (j *job) failed(f steps.Fault, took time.Duration) steps.Event {
	return steps.Failed{
		Attempt: j.m.Attempt, Worker: j.worker, Fault: f, Started: time.Now().Add(-took).UTC(), Took: steps.Duration(took),
	}
}
