package pagestest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// PlanReplay implements [pages.Replays]. In this world each step stands behind the one before it, and only lookups change nothing.
func (w *World) PlanReplay(ctx context.Context, run string, o runlog.Replaying) (r steps.Replay, err error) {
	d, err := w.Document(ctx, run)
	if err != nil {
		return r, err
	}
	r.Of = run
	behind := false
	for _, s := range d.Steps {
		if strings.Contains(s.ID, "~") {
			continue
		}
		behind = behind || slices.Contains(o.From, s.ID)
		is := steps.ReplayStep{Step: s.ID, Tool: s.Tool, State: s.State, Fate: steps.ReplayTakenOver, Why: "its result"}
		if behind {
			is.Fate, is.Why = steps.ReplayRedone, "asked for"
		}
		if behind && s.Tool != "orders.lookup" {
			is.Calls = []steps.ReplayCall{{Unit: s.ID, Tool: s.Tool, Params: []byte(`{"x":"<b>"}`), Key: run + "/" + s.ID + "/0", Was: steps.ReplayMade}}
			if !slices.Contains(o.Confirmed, s.ID) {
				r.Unconfirmed = append(r.Unconfirmed, s.ID)
			}
		}
		r.Steps = append(r.Steps, is)
	}
	if !behind {
		r.Refused = append(r.Refused, fmt.Sprintf("the plan has no step %v", o.From))
	}
	return r, nil
}

// Replay implements [pages.Replays].
func (w *World) Replay(ctx context.Context, run, id string, o runlog.Replaying, who runlog.Retried) (string, bool, error) {
	r, err := w.PlanReplay(ctx, run, o)
	if err != nil {
		return "", false, err
	}
	if len(r.Refused)+len(r.Unconfirmed) > 0 {
		return "", false, &runlog.Unreplayable{Replay: r}
	}
	d := view.Document{
		ID: id, Workflow: "again", State: steps.RunRunning, Started: w.Now(), Replay: &steps.ReplayOf{Run: run, From: o.From, Confirmed: o.Confirmed},
		Labels: map[string]string{runlog.LabelReplay: run, "by": who.By, "reason": who.Reason},
	}
	w.PutRun(d)
	return id, true, nil
}

// Replays implements [pages.Replays].
func (w *World) Replays(_ context.Context, run string, most int) (list []runlog.Summary, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.summaries {
		if s.Labels[runlog.LabelReplay] == run && len(list) < most {
			list = append(list, s)
		}
	}
	return list, w.broken
}
