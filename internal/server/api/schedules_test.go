package api

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/schedules"
	"belay/internal/steps"
)

// almanac keeps schedules without an audit trail.
type almanac struct {
	*schedules.Keeper
	bus  *bus.Bus
	runs *runlog.Log
}

func (a almanac) Now() time.Time { return a.bus.Now() }

func (a almanac) ListSchedules(ctx context.Context) ([]schedules.Schedule, error) {
	return schedules.List(ctx, a.bus, a.runs, nil)
}

func (a almanac) FindSchedule(ctx context.Context, name string) (schedules.Schedule, error) {
	return schedules.Find(ctx, a.bus, a.runs, name, nil)
}

func (a almanac) AddSchedule(ctx context.Context, who people.Actor, s schedules.Schedule, order steps.Submitted, replace bool) (schedules.Schedule, error) {
	if s.By = who.Name; s.Name == "" {
		s.Name = s.Plan
	}
	return schedules.Of(a.bus).Add(ctx, s, order, replace)
}

func (a almanac) ChangeSchedule(ctx context.Context, who people.Actor, name string, do schedules.Act, reason string) (s schedules.Schedule, err error) {
	if err := who.May(people.ChangeSchedule); err != nil {
		return s, fmt.Errorf("%w: %w", schedules.ErrDenied, err)
	}
	switch book := schedules.Of(a.bus); do {
	case schedules.DoPause:
		return book.Pause(ctx, name, schedules.Pause{By: who.Name, Reason: reason, At: a.bus.Now()})
	case schedules.DoResume:
		return book.Resume(ctx, name)
	default:
		return book.Remove(ctx, name)
	}
}

func (a almanac) FireSchedule(ctx context.Context, who people.Actor, name string, at time.Time) (s schedules.Schedule, f schedules.Firing, err error) {
	if err := who.May(people.ChangeSchedule); err != nil {
		return s, f, fmt.Errorf("%w: %w", schedules.ErrDenied, err)
	}
	return a.Fire(ctx, name, who.Name, at)
}

// TestSchedules are added, paused, resumed, fired and removed, by those who may.
func TestSchedules(t *testing.T) {
	t.Parallel()
	o := open(t)
	for _, try := range []struct {
		who, method, path, body string
		status                  int
		code                    string
	}{
		{"eve", "POST", "", `{"plan":"PLAN","cron":"@daily","name":"nightly"}`, 403, "forbidden"},
		{"mia", "POST", "", `{"cron":"@daily"}`, 422, "invalid"},
		{"mia", "POST", "", `{"plan":"nosuch","cron":"@daily"}`, 422, "unknown_plan"},
		{"mia", "POST", "", `{"plan":"PLAN","cron":"often"}`, 422, "invalid"},
		{"mia", "POST", "", `{"plan":"PLAN","cron":"@daily","catch_up":"all"}`, 422, "invalid"},
		{"mia", "POST", "", `{"plan":"PLAN","cron":"@daily","crom":1}`, 400, "invalid"},
		{"mia", "POST", "?strict=maybe", `{"plan":"PLAN","cron":"@daily"}`, 400, "invalid"},
		{"mia", "GET", "/nightly", "", 404, "no_schedule"},
		{"mia", "POST", "", `{"plan":"PLAN","cron":"@daily","name":"nightly","tz":"Europe/Berlin","jitter":30,"catch_up_window":7200}`, 201, ""},
		{"mia", "POST", "", `{"plan":"PLAN","cron":"@hourly","name":"nightly"}`, 409, "taken"},
		{"mia", "POST", "", `{"plan":"PLAN","cron":"@hourly","name":"nightly","replace":true}`, 201, ""},
		{"eve", "GET", "/nightly", "", 200, ""},
		{"eve", "POST", "/nightly/pause", "", 403, "forbidden"},
		{"mia", "POST", "/nightly/pause", `{"reason":"a day off"}`, 200, ""},
		{"mia", "POST", "/nightly/pause", "", 409, "paused"},
		{"eve", "POST", "/nightly/fire", "", 403, "forbidden"},
		{"mia", "POST", "/nightly/fire", "", 201, ""},
		{"mia", "POST", "/nightly/resume", "", 200, ""},
		{"mia", "POST", "/nightly/resume", "", 409, "not_paused"},
		{"eve", "DELETE", "/nightly", "", 403, "forbidden"},
	} {
		a := o.ask(try.method, "/api/v1/schedules"+try.path, strings.ReplaceAll(try.body, "PLAN", "look"), "X-Who", try.who)
		if code, _ := a.body["code"].(string); a.StatusCode != try.status || code != try.code {
			t.Errorf("%+v: %d %s", try, a.StatusCode, a.text)
		}
	}
	all := o.ask("GET", "/api/v1/schedules", "")
	first := all.body["items"].([]any)[0].(map[string]any)
	if all.body["total"] != 1.0 || len(first["firings"].([]any)) != 1 || first["cron"] != "@hourly" {
		t.Error(all.text)
	}
	if a := o.ask("DELETE", "/api/v1/schedules/nightly", ""); a.StatusCode != 200 {
		t.Error(a.text)
	}
	if a := o.ask("POST", "/api/v1/schedules/nightly/fire", ""); a.StatusCode != 404 || a.body["code"] != "no_schedule" {
		t.Error(a.text)
	}
}
