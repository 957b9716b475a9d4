package consoletest

import (
	"context"
	"fmt"
	"slices"

	"belay/internal/console"
	"belay/internal/handoff"
	"belay/internal/steps"
)

// Start implements [console.Together]: it decides all at once.
func (w *World) Start(ctx context.Context, who console.Person, list []handoff.Chosen, a handoff.Act) (handoff.Batch, error) {
	s := handoff.Batch{ID: fmt.Sprintf("batch-%d", len(list)), Verb: a.Verb, Reason: a.Reason, By: who.Name, State: handoff.BatchDone, Started: w.Now(), Ended: w.Now()}
	a.Many = true
	for _, c := range list {
		a.Revision = c.Revision
		res := handoff.RedriveResult{ID: c.ID, Wave: 1, Result: string(steps.FateDone)}
		if _, err := w.Act(ctx, who, c.ID, a); err != nil {
			res.Result, res.Detail = handoff.RedriveRefused, err.Error()
		}
		s.Items = append(s.Items, res)
	}
	w.PutBatch(s)
	return s, nil
}

// PutBatch adds a redrive, or replaces one.
func (w *World) PutBatch(s handoff.Batch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.batches == nil {
		w.batches = map[string]handoff.Batch{}
	}
	s.Summary = handoff.Summary(s.Verb, s.Items)
	w.batches[s.ID] = s
	w.tell(console.Change{Kind: console.BatchChanged, ID: s.ID})
}

// Get implements [console.Together].
func (w *World) Get(_ context.Context, id string) (handoff.Batch, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, ok := w.batches[id]
	if !ok {
		return s, fmt.Errorf("%w: %s", handoff.ErrNoBatch, id)
	}
	return s, w.broken
}

// Stop implements [console.Together].
func (w *World) Stop(ctx context.Context, who console.Person, id string) (handoff.Batch, error) {
	s, err := w.Get(ctx, id)
	if err != nil {
		return s, err
	}
	if who.May == nil || !who.May(s.Verb) {
		return s, handoff.ErrForbidden
	}
	s.State, s.StoppedBy, s.Items = handoff.BatchStopped, who.Name, slices.Clone(s.Items)
	for i := range s.Items {
		if s.Items[i].Result == handoff.RedriveWaiting {
			s.Items[i].Result = handoff.RedriveNotReached
		}
	}
	w.PutBatch(s)
	return s, nil
}

// Wave is a redrive on its way: some are done, some wait, and one of each other kind.
func Wave(n, done int) handoff.Batch {
	s := handoff.Batch{ID: "wave", Verb: handoff.Action(steps.VerbRetry), By: "mia", Reason: "the bank is back", State: handoff.BatchRunning}
	for i := 1; i <= n; i++ {
		it := handoff.RedriveResult{ID: Storm(i), Result: handoff.RedriveWaiting}
		if i <= done {
			it.Result = string(steps.FateDone)
		}
		s.Items = append(s.Items, it)
	}
	return s
}
