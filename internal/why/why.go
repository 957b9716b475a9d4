// Package why says what a run waits for and what will happen if nobody acts. The core says it from the log; this adds
// what the log does not know: which rungs no worker serves, who holds a question, and whom dispatchers will tell when.
package why

import (
	"context"
	"slices"
	"strings"
	"time"

	"belay/internal/bus"
	"belay/internal/fleet"
	"belay/internal/handoff"
	"belay/internal/herald"
	"belay/internal/steps"
)

// Asker asks around. Both fields are required.
type Asker struct {
	Bus   *bus.Bus
	Items func(ctx context.Context) ([]handoff.Item, error) // what people are asked
}

// Of says it about run s.
func (a Asker) Of(ctx context.Context, s *steps.State) (steps.Why, error) {
	now := time.Now()
	if s.Status().Ended() {
		return steps.MakeWhy(s, steps.Foresight{Now: now}), nil
	}
	all, err := fleet.Dispatchers(ctx, a.Bus)
	if err != nil {
		return steps.Why{}, err
	}
	w := steps.MakeWhy(s, steps.Foresight{Now: now, Unserved: byRung(fleet.UnservedBy(all))})
	if len(all) == 0 {
		w.Note = "no dispatcher answers: none of this happens, and nothing moves, until one runs"
	}
	if err := a.people(ctx, s, &w, now); err != nil {
		return steps.Why{}, err
	}
	return w, nil
}

// byRung looks up when people are asked about a rung that no worker serves.
func byRung(list []fleet.Unserved) func(tool, rung string) (time.Time, bool) {
	return func(tool, rung string) (time.Time, bool) {
		i := slices.IndexFunc(list, func(u fleet.Unserved) bool { return u.Tool == tool && u.Rung == rung })
		if i < 0 {
			return time.Time{}, false
		}
		return list[i].Asks, true
	}
}

// people adds who holds what the run asks, and who will be told of it.
func (a Asker) people(ctx context.Context, s *steps.State, w *steps.Why, now time.Time) error {
	if !slices.ContainsFunc(w.Waits, func(x steps.Wait) bool { return x.For == steps.ForPerson }) {
		return nil
	}
	items, err := a.Items(ctx)
	if err != nil {
		return err
	}
	items = slices.DeleteFunc(slices.Clone(items), func(it handoff.Item) bool { return it.Run != s.Run })
	for i := range w.Waits {
		w.Waits[i].Claimed, w.Waits[i].Assigned = holder(items, w.Waits[i].Escalation)
	}
	told, err := herald.Foresee(ctx, a.Bus, items, now)
	if err != nil {
		return err
	}
	w.Add(tellings(told, items, w, now))
	return nil
}

// holder is who is at an item, and who is to be.
func holder(items []handoff.Item, id string) (claimed, assigned string) {
	i := slices.IndexFunc(items, func(it handoff.Item) bool { return it.ID == id })
	if i < 0 {
		return "", ""
	}
	if c := items[i].Claim; c != nil {
		claimed = c.By
	}
	return claimed, items[i].Assigned
}

// tellings are the notices that come while the run still asks.
func tellings(told []herald.Telling, items []handoff.Item, w *steps.Why, now time.Time) []steps.Happening {
	var list []steps.Happening
	for _, t := range told {
		i := slices.IndexFunc(items, func(it handoff.Item) bool { return it.ID == t.ID })
		if d := items[i].Deadline; d != nil && !t.At.Before(*d) || w.Over(t.At) {
			continue
		}
		at := t.At.UTC()
		list = append(list, steps.Happening{
			At: &at, In: steps.Duration(max(0, at.Sub(now))), Step: items[i].Step, What: steps.HappensTold, Text: strings.TrimSpace(t.Tier + " is told " + t.Why),
		})
	}
	return list
}
