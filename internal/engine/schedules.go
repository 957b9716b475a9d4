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

// AddSchedule adds a schedule for somebody who may start its runs, which begin with what is in order.
func (e *Engine) AddSchedule(ctx context.Context, who people.Actor, s schedules.Schedule, order steps.Submitted) (schedules.Schedule, error) {
	s.By, s.Via, order.Token = who.Name, who.Via, who.Token
	if _, err := e.Runs.Check("schedule", order); err != nil {
		return s, fmt.Errorf("%w: %w", schedules.ErrWrong, err)
	}
	added, err := schedules.Of(e.Bus).Add(ctx, s, order)
	if err == nil {
		e.recordSchedule(ctx, "add schedule", who, added, "")
	}
	return added, err
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

// ListSchedules lists the schedules by their names.
func (e *Engine) ListSchedules(ctx context.Context) ([]schedules.Schedule, error) {
	return schedules.Of(e.Bus).List(ctx)
}

// FindSchedule finds a schedule by its name.
func (e *Engine) FindSchedule(ctx context.Context, name string) (schedules.Schedule, error) {
	return schedules.Of(e.Bus).Find(ctx, name)
}

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
func (e *Engine) scheduleFor(ctx context.Context, letIn handoff.LetIn, r schedules.Request) (schedules.Schedule, error) {
	who, err := letIn(ctx, r.Token, r.Name)
	if err != nil {
		return schedules.Schedule{}, fmt.Errorf("%w: %w", schedules.ErrDenied, err)
	}
	who.Via = r.Via
	if r.Add == nil {
		return e.ChangeSchedule(ctx, who, r.On, r.Do, r.Reason)
	}
	if err := who.May(people.SubmitWhole); err != nil {
		return schedules.Schedule{}, fmt.Errorf("%w: %w", schedules.ErrDenied, err)
	}
	if who.Role == people.Submitter {
		return schedules.Schedule{}, fmt.Errorf("%w: a submitter adds schedules over HTTP, of plans that its token names", schedules.ErrDenied)
	}
	if r.Order == nil {
		return schedules.Schedule{}, fmt.Errorf("%w: there is no plan", schedules.ErrWrong)
	}
	return e.AddSchedule(ctx, who, *r.Add, *r.Order)
}
