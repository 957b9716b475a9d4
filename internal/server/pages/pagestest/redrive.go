package pagestest

import (
	"context"
	"fmt"
	"slices"

	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/server/pages"
	"belay/internal/steps/view"
)

// Start implements [pages.Redrives]: it decides everything in one wave.
func (w *World) Start(ctx context.Context, who people.Actor, list []handoff.Chosen, a people.Act) (handoff.Redrive, error) {
	s := handoff.Redrive{ID: fmt.Sprintf("redrive-%d", len(list)), Verb: a.Verb, Reason: a.Reason, By: who.Name, State: handoff.RedriveDone, Started: w.Now(), Ended: w.Now()}
	a.Many = true
	for _, c := range list {
		a.Revision = c.Revision
		res := handoff.RedriveResult{ID: c.ID, Wave: 1, Result: string(view.FateDone)}
		if _, err := w.Act(ctx, who, c.ID, a); err != nil {
			res.Result, res.Detail = handoff.ItemRefused, err.Error()
		}
		s.Items = append(s.Items, res)
	}
	w.PutRedrive(s)
	return s, nil
}

// PutRedrive adds a redrive, or replaces one.
func (w *World) PutRedrive(s handoff.Redrive) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.redrives == nil {
		w.redrives = map[string]handoff.Redrive{}
	}
	s.Summary = handoff.Summary(s.Verb, s.Items)
	w.redrives[s.ID] = s
	w.Changes.Tell(pages.Change{Kind: pages.RedriveChanged, ID: s.ID})
}

// Get implements [pages.Redrives].
func (w *World) Get(_ context.Context, id string) (handoff.Redrive, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, ok := w.redrives[id]
	if !ok {
		return s, fmt.Errorf("%w: %s", handoff.ErrNoRedrive, id)
	}
	return s, w.broken
}

// Stop implements [pages.Redrives].
func (w *World) Stop(ctx context.Context, who people.Actor, id string) (handoff.Redrive, error) {
	s, err := w.Get(ctx, id)
	if err != nil {
		return s, err
	}
	if who.May(s.Verb) != nil {
		return s, people.ErrForbidden
	}
	s.State, s.StoppedBy, s.Items = handoff.RedriveStopped, who.Name, slices.Clone(s.Items)
	for i := range s.Items {
		if s.Items[i].Result == handoff.ItemWaiting {
			s.Items[i].Result = handoff.ItemNotReached
		}
	}
	w.PutRedrive(s)
	return s, nil
}

// FindRuns implements [pages.Redrives]: it finds all runs of the world in the state that the query names.
func (w *World) FindRuns(ctx context.Context, o handoff.RunOrder) (f handoff.Found, err error) {
	q, err := runlog.ParseQuery(o.Where, w.Now())
	if err != nil {
		return f, fmt.Errorf("%w: %w", handoff.ErrInvalid, err)
	}
	page, err := w.List(ctx, q)
	return handoff.Found{Runs: page.Items, Total: len(page.Items)}, err
}

// StartRuns implements [pages.Redrives]: all is done at once.
func (w *World) StartRuns(_ context.Context, who people.Actor, o handoff.RunOrder, list []handoff.Chosen, _ handoff.Allowed) (handoff.Redrive, error) {
	s := handoff.Redrive{ID: "many", Of: handoff.OfRuns, Verb: o.Verb, Where: o.Where, Reason: o.Reason, By: who.Name, State: handoff.RedriveDone, Started: w.Now(), Ended: w.Now()}
	for _, c := range list {
		s.Items = append(s.Items, handoff.RedriveResult{ID: c.ID, Was: string(c.State), Result: string(view.FateDone)})
	}
	w.PutRedrive(s)
	return s, who.May(o.Verb)
}

// Resume implements [pages.Redrives].
func (w *World) Resume(ctx context.Context, who people.Actor, id string, _ handoff.Allowed) (handoff.Redrive, error) {
	s, err := w.Get(ctx, id)
	if err == nil {
		err = who.May(s.Verb)
	}
	if err != nil {
		return s, err
	}
	s.State, s.By, s.Items = handoff.RedriveDone, who.Name, slices.Clone(s.Items)
	for i := range s.Items {
		s.Items[i].Result = string(view.FateDone)
	}
	w.PutRedrive(s)
	return s, nil
}

// Wave is a running redrive: some items are done, some wait, and there is one of each other state.
func Wave(n, done int) handoff.Redrive {
	s := handoff.Redrive{ID: "wave", Verb: people.Retry, By: "mia", Reason: "the bank is back", State: handoff.RedriveRunning}
	for i := 1; i <= n; i++ {
		it := handoff.RedriveResult{ID: Storm(i), Result: handoff.ItemWaiting}
		if i <= done {
			it.Result = string(view.FateDone)
		}
		s.Items = append(s.Items, it)
	}
	return s
}
