package worker

import (
	"context"
	"slices"
	"sync"
	"time"

	"belay/internal/bus"
	"belay/internal/executor"
	"belay/internal/injection"
	"belay/internal/steps"
)

// The faults that people have asked for are injected here, at the seam to the executor, and nowhere else: whatever is
// checked before an attempt begins, and whatever follows from its outcome, is as it always is.

// executor returns what executes the attempt: the rung's executor, or that with what was ordered around it.
func (j *job) executor(ctx context.Context) executor.Executor {
	x := j.rung.Executor
	if j.Injector == nil {
		return x
	}
	call := injection.Call{
		Run: j.m.Run, Attempt: j.name(), Tool: j.m.Tool, Rung: j.m.RungName, Probe: j.probes(), Unsafe: j.unsafeTool(), Begun: j.heard,
	}
	o, hit := j.Injector.Pick(call, func() (map[string]string, error) { return j.labels.of(ctx, j.Worker, j.m.Run) })
	if !hit {
		return x
	}
	j.Observer.Injected(*j.m, o.What())
	j.Logger.Warn("injecting a fault that was asked for: "+o.Does(), "fault_id", o.ID, "by", o.By, "attempt", j.name(), "tool", j.m.Tool, "rung", j.m.RungName)
	if o.Kind == injection.Kill || o.Kind == injection.Partition {
		return executor.Func(func(ctx context.Context, req executor.Request) (executor.Result, error) { return j.strike(ctx, req, o) })
	}
	return o.Around(x)
}

// probes reports whether the attempt only looks whether something happened.
func (j *job) probes() bool {
	t := j.rung.Tool
	return t != nil && t.Verify != nil && t.Verify.Name == j.m.RungName
}

// unsafeTool reports whether this worker's tools file says that the tool's effects are unsafe, of whichever of its rungs. In
// doubt they are.
func (j *job) unsafeTool() bool {
	return j.rung.Tool == nil || j.rung.Tool.Effects.Unsafe() || j.rung.Effects.Unsafe()
}

// strike lets this worker die, or loses the server for a while, before or after the call. The log hears of the start first,
// so that the redelivery is known for one, and goes on without this.
func (j *job) strike(ctx context.Context, req executor.Request, o injection.Order) (res executor.Result, err error) {
	if !j.m.Claimed() && !j.awaited {
		j.put(steps.Started{Attempt: j.m.Attempt, Worker: j.worker})
	}
	j.put(steps.Progress{Attempt: j.m.Attempt, Worker: j.worker, Message: executor.Head([]byte(o.Note()), 200)})
	if o.Acted == injection.After {
		res, err = j.rung.Execute(ctx, req)
	}
	if o.Kind == injection.Kill {
		j.Injector.Kill()
		<-ctx.Done() // a signal to oneself takes a moment
		return res, ctx.Err()
	}
	j.Injector.Cut(time.Duration(o.Delay))
	if o.Acted == injection.After {
		return res, err
	}
	return j.rung.Execute(ctx, req)
}

// put appends an event for people and waits until it is stored.
func (j *job) put(e steps.Event) {
	if _, err := j.append(e); err != nil {
		j.Logger.Warn("cannot store what is injected into an attempt", "attempt", j.name(), "error", err)
	}
}

// runLabels are the labels of runs, kept so that each submission is read once.
type runLabels struct {
	mu  sync.Mutex
	all map[string]map[string]string
}

// labelsKept bounds what is kept.
const labelsKept = 1024

// of returns the labels of a run: a step message does not have them.
func (l *runLabels) of(ctx context.Context, w *Worker, run string) (map[string]string, error) {
	l.mu.Lock()
	labels, known := l.all[run]
	l.mu.Unlock()
	if known {
		return labels, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s, err := w.Runs.Submitted(ctx, run)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil || len(l.all) >= labelsKept {
		l.all = map[string]map[string]string{}
	}
	l.all[run] = s.Labels
	return s.Labels, nil
}

// faults is what this worker announces about faults on purpose; nil if it injects none.
func (w *Worker) faults() *bus.Faults {
	if w.Injector == nil {
		return nil
	}
	f := &bus.Faults{Kinds: w.Injector.Kinds(), Injected: w.Injector.Counts()}
	for k, rung := range w.Tools {
		if rung.Tool != nil && rung.Tool.Effects.Unsafe() && !slices.Contains(f.Unsafe, k.Tool) {
			f.Unsafe = append(f.Unsafe, k.Tool)
		}
	}
	slices.Sort(f.Unsafe)
	return f
}

// showOwn lets people see the faults of this worker's own settings; gone ends that.
func (w *Worker) showOwn(ctx context.Context) (gone func()) {
	each := func(ctx context.Context, what string, f func(*injection.Orders, context.Context, injection.Order) error) {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		for _, o := range w.Injector.Own() {
			o.Worker = w.Name
			if err := f(injection.Of(w.Bus), ctx, o); err != nil {
				w.Logger.Warn(what, "fault_id", o.ID, "error", err)
			}
		}
	}
	each(ctx, "people cannot see a fault on purpose of this worker's settings", (*injection.Orders).Add)
	return func() {
		each(context.Background(), "a fault on purpose of this worker's settings is shown until its time is over", (*injection.Orders).Remove)
	}
}

// followOrders lets the injector know what is asked for, until ctx ends.
func (w *Worker) followOrders(ctx context.Context) {
	orders := injection.Of(w.Bus)
	_ = orders.Prepare(ctx) // so that the first fault is heard at once; without the right to it, it is found a moment later
	orders.Follow(ctx, w.Injector.Set, func(err error) {
		w.Logger.Warn("cannot hear which faults are asked for; those that are known go on until their time is over", "error", err)
	})
}
