package dispatcher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"belay/internal/engine"
	"belay/internal/executor"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// bencher submits runs and waits for their ends: as the public Go client does or, with inside, as nobody outside can.
type bencher struct {
	*engine.Engine
	doc    *plan.Document
	tools  *plan.Tools
	watch  *runlog.Watch
	inside *results // nil = the public way
}

// results are the runs that somebody waits for, by id.
type results struct {
	mu      sync.Mutex
	waiting map[string]chan struct{}
}

func (r *results) wait(run string) <-chan struct{} {
	c := make(chan struct{})
	r.mu.Lock()
	r.waiting[run] = c
	r.mu.Unlock()
	return c
}

func (r *results) ended(run string) {
	r.mu.Lock()
	c := r.waiting[run]
	delete(r.waiting, run)
	r.mu.Unlock()
	if c != nil {
		close(c)
	}
}

// Applied implements the dispatcher's observer.
func (r *results) Applied(s *steps.State, rec steps.Record, _ []int) {
	if _, is := rec.Event.(steps.Closed); is {
		r.ended(s.Run)
	}
}

// load submits n runs, inFlight at a time, and returns how long each took, sorted.
func (b *bencher) load(ctx context.Context, n, inFlight int, name string) ([]time.Duration, error) {
	name = fmt.Sprintf("%s%x", name, time.Now().UnixNano())
	return drive(n, inFlight, func(i int) (time.Duration, error) { return b.one(ctx, fmt.Sprintf("%s-%d", name, i)) })
}

// overhead is what the measuring itself costs for each run: the same loop around nothing.
func overhead(inFlight int) time.Duration {
	const n = 100_000
	name, began := fmt.Sprintf("o%x", time.Now().UnixNano()), time.Now()
	_, _ = drive(n, inFlight, func(i int) (time.Duration, error) {
		began := time.Now()
		_ = fmt.Sprintf("%s-%d", name, i)
		return time.Since(began), nil
	})
	return time.Since(began) / n
}

// drive calls one n times, inFlight at a time, and returns the times that it gave, sorted.
func drive(n, inFlight int, one func(i int) (time.Duration, error)) ([]time.Duration, error) {
	took, errs := make([]time.Duration, n), make([]error, inFlight)
	var next atomic.Int64
	var wg sync.WaitGroup
	for w := range inFlight {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && errs[w] == nil; i = int(next.Add(1)) - 1 {
				took[i], errs[w] = one(i)
			}
		})
	}
	wg.Wait()
	slices.Sort(took)
	return took, errors.Join(errs...)
}

func (b *bencher) one(ctx context.Context, id string) (time.Duration, error) {
	if b.inside != nil {
		return b.oneInside(ctx, id)
	}
	began := time.Now()
	s := steps.Submitted{Document: b.doc.JSON, Input: b.doc.Definition.Plan.Input, ReportTo: b.watch.Token()}
	created, err := b.Runs.Submit(ctx, id, s)
	if err != nil {
		return 0, err
	}
	known := runlog.Known{Exists: true}
	if created {
		known.Since, known.Reported = began, s.ReportTo != ""
	}
	_, err = b.watch.Ended(ctx, id, known)
	return time.Since(began), err
}

// oneInside hears of the end from the dispatcher in this process.
func (b *bencher) oneInside(ctx context.Context, id string) (time.Duration, error) {
	done := b.inside.wait(id)
	began := time.Now()
	if _, err := b.Runs.Submit(ctx, id, steps.Submitted{Document: b.doc.JSON, Input: b.doc.Definition.Plan.Input}); err != nil {
		return 0, err
	}
	select {
	case <-done:
		return time.Since(began), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("run %s: %w", id, context.Cause(ctx))
	}
}

// parkedHandler asks to be retried, which its tool does some time within the next weeks. A wait that it named would be everybody's.
func parkedHandler(context.Context, executor.Request) (json.RawMessage, error) {
	return nil, steps.Fault{Class: steps.Unavailable, Acted: steps.ActedNo, Message: "come back later"}
}

// park submits runs whose step waits long for its retry, and returns when all of them wait.
func (b *bencher) park(ctx context.Context, f benchFlags) error {
	if f.parked == 0 {
		return nil
	}
	doc, err := plan.ParsePlan("parked.yaml", fmt.Appendf(nil, "name: parked\ninput: {data: %q}\nsteps: [{id: s, tool: parked, with: {data: \"${ input.data }\"}}]\n", strings.Repeat("x", f.payload)), b.tools)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	var next atomic.Int64
	errs := make([]error, 2000)
	name := fmt.Sprintf("parked%x", time.Now().UnixNano())
	for w := range errs {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(f.parked) && errs[w] == nil; i = next.Add(1) {
				_, errs[w] = b.Runs.Submit(ctx, fmt.Sprintf("%s-%d", name, i), steps.Submitted{Document: doc.JSON, Input: doc.Definition.Plan.Input})
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return b.allParked(ctx, uint64(f.parked))
}

func (b *bencher) allParked(ctx context.Context, n uint64) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		list, err := b.Bus.Backlogs(ctx)
		if err != nil {
			return err
		}
		for _, l := range list {
			if l.Tool == "parked" && l.InFlight >= n {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d steps to be parked: %w", n, context.Cause(ctx))
		}
	}
}
