package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"belay/internal/audit"
	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/schedules"
	"belay/internal/steps"
)

// AddSchedule adds a schedule for somebody who may start its runs, which begin with what is in order. Replace says that there may be
// another one of its name.
func (e *Engine) AddSchedule(ctx context.Context, who people.Actor, s schedules.Schedule, order steps.Submitted, replace bool) (schedules.Schedule, error) {
	if err := who.May(people.ChangeSchedule); err != nil {
		return s, fmt.Errorf("%w: %w", schedules.ErrDenied, err)
	}
	s.By, s.Via, order.Token = who.Name, who.Via, who.Token
	if order.At, order.In = (time.Time{}), 0; s.Name == "" {
		s.Name = s.Plan
	}
	if err := e.Runs.Check("schedule", order); err != nil {
		return s, fmt.Errorf("%w: %w", schedules.ErrWrong, err)
	}
	added, err := schedules.Of(e.Bus).Add(ctx, s, order, replace)
	if err != nil {
		return s, err
	}
	e.recordSchedule(ctx, "add schedule", who, added, "")
	return schedules.Find(ctx, e.Bus, e.Runs, added.Name, e.endedTokens)
}

// ChangeSchedule pauses, resumes or removes a schedule for a person.
func (e *Engine) ChangeSchedule(ctx context.Context, who people.Actor, name string, do schedules.Act, reason string) (s schedules.Schedule, err error) {
	if err := who.May(people.ChangeSchedule); err != nil {
		return s, fmt.Errorf("%w: %w", schedules.ErrDenied, err)
	}
	book := schedules.Of(e.Bus)
	switch reason = strings.TrimSpace(reason); do {
	case schedules.DoPause:
		s, err = book.Pause(ctx, name, schedules.Pause{By: who.Name, Reason: reason, At: e.Bus.Now().Truncate(time.Millisecond).UTC()})
	case schedules.DoResume:
		s, err = book.Resume(ctx, name)
	case schedules.DoRemove:
		s, err = book.Remove(ctx, name)
	default:
		return s, fmt.Errorf("%w: nobody knows how to %q one", schedules.ErrWrong, do)
	}
	if err == nil {
		e.recordSchedule(ctx, string(do)+" schedule", who, s, reason)
	}
	return s, err
}

// FireSchedule fires a schedule now for a person; at names the firing.
func (e *Engine) FireSchedule(ctx context.Context, who people.Actor, name string, at time.Time) (schedules.Schedule, schedules.Firing, error) {
	if err := who.May(people.ChangeSchedule); err != nil {
		return schedules.Schedule{}, schedules.Firing{}, fmt.Errorf("%w: %w", schedules.ErrDenied, err)
	}
	s, f, err := e.Schedules.Fire(ctx, name, who.Name, at)
	if err == nil {
		e.recordSchedule(ctx, "fire schedule", who, s, "")
	}
	return s, f, err
}

// ListSchedules lists the schedules by their names.
func (e *Engine) ListSchedules(ctx context.Context) ([]schedules.Schedule, error) {
	return schedules.List(ctx, e.Bus, e.Runs, e.endedTokens)
}

// FindSchedule finds a schedule by its name.
func (e *Engine) FindSchedule(ctx context.Context, name string) (schedules.Schedule, error) {
	return schedules.Find(ctx, e.Bus, e.Runs, name, e.endedTokens)
}

// Now is the log's time.
func (e *Engine) Now() time.Time { return e.Bus.Now() }

func (e *Engine) recordSchedule(ctx context.Context, action string, who people.Actor, s schedules.Schedule, reason string) {
	at := e.Bus.Now()
	after, err := json.Marshal(s)
	if err == nil {
		err = audit.New(e.Bus).Append(ctx, audit.Record{
			ID: "schedule/" + s.Name + "/" + action + "/" + at.UTC().Format(time.RFC3339Nano), At: at, Who: who.Name, Via: who.Via, Token: who.Token, Action: action, On: s.Name, Reason: reason, Effect: s.Plan + " at " + s.Cron + " " + s.TZ, After: after,
		})
	}
	if err != nil {
		e.logger.Warn("an act is not in the audit trail", "act", action, "schedule", s.Name, "by", who.Name, "error", err)
	}
	e.logger.Info(action, "schedule", s.Name, "cron", s.Cron, "tz", s.TZ, "by", who.Name, "via", who.Via, "reason", reason)
}

// scheduleFor adds or changes a schedule for another process.
func (e *Engine) scheduleFor(ctx context.Context, letIn handoff.LetIn, r schedules.Request) (d schedules.Done, err error) {
	who, err := letIn(ctx, r.Shown, r.Name)
	if err != nil {
		return d, fmt.Errorf("%w: %w", schedules.ErrDenied, err)
	}
	who.Via = r.Via
	switch {
	case r.Do == schedules.DoFire:
		var f schedules.Firing
		d.Schedule, f, err = e.FireSchedule(ctx, who, r.On, r.At)
		d.Firing = &f
	case r.Add == nil:
		d.Schedule, err = e.ChangeSchedule(ctx, who, r.On, r.Do, r.Reason)
	case r.Order == nil:
		err = fmt.Errorf("%w: there is no plan", schedules.ErrWrong)
	default:
		if err = who.May(people.SubmitWhole); err != nil {
			return d, fmt.Errorf("%w: %w", schedules.ErrDenied, err)
		}
		d.Schedule, err = e.AddSchedule(ctx, who, *r.Add, *r.Order, r.Replace)
	}
	return d, err
}
