package pagestest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"belay/internal/people"
	"belay/internal/schedules"
	"belay/internal/steps"
)

// Nightly is a schedule that has fired three times.
func Nightly(now time.Time) schedules.Schedule {
	s := schedules.Schedule{Name: "nightly", Plan: "report", Cron: "30 2 * * *", TZ: "Europe/Berlin", Overlap: schedules.Skip, CatchUp: schedules.CatchLast, By: "mia", Since: now, Upto: now}
	if next := s.Times(now, 1); len(next) > 0 {
		s.Next = &next[0]
	}
	s.Firings = []schedules.Firing{
		{At: now.Add(-time.Hour), Run: "nightly-3", State: steps.RunWaiting, By: "bo"}, {At: now.Add(-2 * time.Hour), Run: "nightly-2", Error: "the plan does not compile: <b>"}, {At: now.Add(-3 * time.Hour), Run: "nightly-1", State: steps.RunSucceeded},
	}
	s.Skipped = &schedules.Left{N: 2, Last: now.Add(-time.Minute)}
	return s
}

// ListSchedules implements [pages.Schedules].
func (w *World) ListSchedules(context.Context) ([]schedules.Schedule, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.Schedules), w.broken
}

// ChangeSchedule implements [pages.Schedules].
func (w *World) ChangeSchedule(_ context.Context, who people.Actor, name string, do schedules.Act, reason string) (s schedules.Schedule, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := who.May(people.ChangeSchedule); err != nil {
		return s, fmt.Errorf("%w: %w", schedules.ErrDenied, err)
	}
	i := slices.IndexFunc(w.Schedules, func(s schedules.Schedule) bool { return s.Name == name })
	switch {
	case i < 0:
		return s, fmt.Errorf("schedule %q: %w", name, schedules.ErrNone)
	case do == schedules.DoPause && w.Schedules[i].Paused != nil:
		return s, fmt.Errorf("schedule %s: %w", name, schedules.ErrPaused)
	case do == schedules.DoPause:
		w.Schedules[i].Paused = &schedules.Pause{By: who.Name, Reason: reason, At: w.Now()}
	case do == schedules.DoResume:
		w.Schedules[i].Paused = nil
	}
	return w.Schedules[i], w.refusal
}

// FireSchedule implements [pages.Schedules].
func (w *World) FireSchedule(_ context.Context, who people.Actor, name string, at time.Time) (s schedules.Schedule, f schedules.Firing, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.Schedules, func(s schedules.Schedule) bool { return s.Name == name })
	if i < 0 {
		return s, f, fmt.Errorf("schedule %q: %w", name, schedules.ErrNone)
	}
	if w.Schedules[i].Firings[0].State == steps.RunRunning {
		return s, f, fmt.Errorf("schedule %s: %w: overlap is skip, and run %s is open", name, schedules.ErrBusy, w.Schedules[i].Firings[0].Run)
	}
	f = schedules.Firing{At: at, Run: name + "-now", By: who.Name, State: steps.RunRunning}
	w.Schedules[i].Firings = append([]schedules.Firing{f}, w.Schedules[i].Firings...)
	return w.Schedules[i], f, w.refusal
}
