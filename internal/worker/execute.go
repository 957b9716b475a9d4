package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"belay/internal/crashpoint"
	"belay/internal/executor"
	"belay/internal/steps"
)

// execute runs the attempt under its deadline and returns its outcome, [steps.Succeeded] or [steps.Failed]; nil if the
// message is to be handed back without one.
//
// Every attempt has a goroutine of its own, whose stack grows by being copied: the frames from here to the executor are kept
// small, so rare cases are in functions of their own.
func (j *job) execute() steps.Event {
	if outcome := j.refuse(); outcome != nil {
		return outcome
	}
	if outcome := j.answered(); outcome != nil {
		return outcome
	}
	ctx, cancel := context.WithCancelCause(j.life)
	defer cancel(nil)
	if !j.begin(cancel) {
		return j.neverBegun()
	}
	defer j.stops.ended(j.signal)
	j.executed = true
	ctx = j.Observer.Began(ctx, *j.m, j.Header, j.Count)
	now := j.logTime()
	if end, ok := j.m.End(now); ok {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, end.Sub(now))
		defer stop()
	}
	defer j.logLongStart()()
	if j.turn != nil {
		defer j.opens()()
	}
	crashpoint.At(crashpoint.WorkerBefore)
	began := time.Now()
	res, err := j.run(ctx)
	took := time.Since(began)
	crashpoint.At(crashpoint.WorkerAfter)
	outcome := j.outcome(ctx, res, err, took)
	j.notesWait(outcome)
	j.Observer.Ended(ctx, *j.m, outcome, took)
	if errors.Is(context.Cause(ctx), errDrained) && !j.m.Claimed() && err != nil {
		return nil // another worker executes it; of an unsafe tool what is known is reported
	}
	return outcome
}

// refuse returns the outcome of an attempt that must not be executed; nil if it may be.
func (j *job) refuse() steps.Event {
	if !j.m.Deadline.IsZero() && !j.logTime().Before(j.m.Deadline) {
		return j.notExecuted(steps.DeadlineExceeded, "the step's budget was used up before the attempt could start")
	}
	if j.approvalNeeded() {
		if f := j.guard().Refuse(*j.m, nil); f != nil { // it may have expired meanwhile
			if j.unchecked != nil {
				return j.failed(j.cannotCheck(), 0)
			}
			j.refused(*f)
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

// logLongStart appends Started for an attempt that takes a while, without waiting for the answer. For a program it does so
// before it begins, and waits: that costs little compared with starting one, and a program may take its worker down with it.
func (j *job) logLongStart() (stop func()) {
	if j.awaited || j.m.Claimed() {
		return func() {}
	}
	started := j.started()
	if _, program := j.rung.Executor.(executor.Graceful); program {
		if _, err := j.append(started); err != nil {
			j.Logger.Debug("could not append that a program is started", "attempt", j.name(), "error", err)
		}
		return func() {}
	}
	t := time.AfterFunc(j.StartedAfter, func() { j.logEvent(started) })
	return func() { t.Stop() }
}

// logEvent appends an event for people; nothing depends on it.
func (j *job) logEvent(e steps.Event) {
	m, stream, err := j.Runs.Report(j.m.Run, j.m.Tool, e)
	if err != nil {
		return
	}
	j.Bus.Publish(stream, m, func(_ uint64, err error) {
		if err != nil {
			j.Logger.Debug("could not append how the attempt goes", "attempt", j.name(), "error", err)
		}
	})
}

type result struct {
	executor.Result
	err error
}

// run calls the executor and waits for it, at most until a grace after its context has ended. An executor that does not stop
// is left behind: its slot is freed, its result is dropped.
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
		j.Logger.Error("an executor does not stop at its deadline; it is left behind", "attempt", j.name(), "tool", j.m.Tool, "rung", j.m.RungName)
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
	req := executor.Request{
		Run: j.m.Run, Step: j.m.Step, Attempt: j.m.Token(), Tool: j.m.Tool, Rung: j.m.RungName, Params: j.params(),
		Key: j.m.Key, Try: j.m.Try, Progress: j.progress(), Continues: j.onward, Keep: j.keep,
	}
	j.showGrants(&req)
	res, err := j.executor(ctx).Execute(ctx, req)
	return result{res, err}
}

// progress returns a function that appends what an executor reports, at most once a second.
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
			j.logEvent(steps.Progress{Attempt: j.m.Attempt, Worker: j.worker, Message: executor.Head([]byte(text), 200)})
		}
	}
}

// outcome makes an event of the executor's result.
func (j *job) outcome(ctx context.Context, res executor.Result, err error, took time.Duration) steps.Event {
	if err == nil {
		res.Output, err = j.rung.Result(j.params(), res.Output)
	}
	if err == nil {
		err = j.submittedOutput(res.Output)
	}
	if err == nil {
		err = j.fits(res.Output)
	}
	if err != nil {
		return unfinished(j.failedWith(j.fault(ctx, err), took, res.Usage), err)
	}
	return steps.Succeeded{
		Attempt: j.m.Attempt, Worker: j.worker, Output: res.Output, Age: steps.Duration(res.Age),
		Started: j.began(took), Took: steps.Duration(took), Usage: res.Usage,
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

// interrupted returns the fault of an attempt whose context ended.
func (j *job) interrupted(ctx context.Context) steps.Fault {
	cause := context.Cause(ctx)
	if errors.Is(cause, context.DeadlineExceeded) {
		return steps.Fault{Class: steps.Timeout, Acted: steps.ActedMaybe, Message: "no result within " + j.m.Timeout.String()}
	}
	return steps.Fault{Class: steps.ToolError, Acted: steps.ActedMaybe, Message: cause.Error()}
}

func (j *job) failed(f steps.Fault, took time.Duration) steps.Event {
	return j.failedWith(f, took, nil)
}

//go:noinline
func (j *job) failedWith(f steps.Fault, took time.Duration, used *steps.Usage) steps.Event {
	return steps.Failed{
		Attempt: j.m.Attempt, Worker: j.worker, Fault: f, Started: j.began(took), Took: steps.Duration(took), Usage: used,
	}
}
