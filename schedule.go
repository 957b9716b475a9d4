package belay

import (
	"context"
	"fmt"
	"iter"
	"time"

	"belay/belaytype"
	"belay/internal/schedules"
	"belay/internal/steps"
)

// Scheduling says when runs of a plan are started, and what they start with.
type Scheduling struct {
	Name    string            // of the schedule; default that of the plan
	Cron    string            // minute, hour, day of the month, month, day of the week, or one like @daily
	TZ      string            // zone of the IANA database in which the times are meant; default UTC
	Input   any               // of each run: a struct or a map, checked against the plan's inputs; nil takes their defaults
	Labels  map[string]string // of each run, in addition to those of the plan and schedule=NAME
	Overlap belaytype.Overlap // what becomes of a firing while the run before is open; default skip
	CatchUp belaytype.CatchUp // which firings are made up for that were missed; default last
	Window  time.Duration     // how long ago a firing is made up for, at most 31 days; default an hour
	Jitter  time.Duration     // each run begins up to so much after its firing, at most an hour
	By      string            // who adds it; default the program's name
	Replace bool              // one of its name may be there: it keeps what it has done, and goes on from now
}

// AddSchedule has runs of a plan started again and again. Plan, tools and input are pinned now, as for a run. Adding the same once more
// changes nothing; another one of the same name is an [ErrConflict], unless Replace says that it takes its place. Its runs are those
// of whoever has added it, who must be an admin. Other errors: [ErrInvalid], [ErrForbidden], [ErrNoDispatcher].
func (c *Client) AddSchedule(ctx context.Context, p *Plan, s Scheduling) (*belaytype.Schedule, error) {
	sub, err := prepare(ctx, p, Submission{ID: "schedule", Input: s.Input, Labels: s.Labels, By: s.By})
	if err != nil {
		return nil, fmt.Errorf("belay: schedule %s: %w", s.Name, public(err))
	}
	add := schedules.Schedule{
		Name: s.Name, Plan: p.doc.Definition.Plan.Name, Cron: s.Cron, TZ: s.TZ, Overlap: schedules.Overlap(s.Overlap), CatchUp: schedules.CatchUp(s.CatchUp),
		Window: steps.Duration(s.Window), Jitter: steps.Duration(s.Jitter),
	}
	if add.Name == "" {
		add.Name = add.Plan
	}
	if err := add.Check(); err != nil {
		return nil, fmt.Errorf("belay: schedule %s: %w: %w", add.Name, ErrInvalid, err)
	}
	sub.Trace = "" // the span ends long before its runs begin
	d, err := c.onSchedule(ctx, add.Name, sub.By, schedules.Request{Add: &add, Order: &sub.Submitted, Replace: s.Replace})
	return d.shown(err)
}

// Schedules are all schedules by their names, with their last firings and the states of their runs.
//
//	for s, err := range client.Schedules(ctx) {
func (c *Client) Schedules(ctx context.Context) iter.Seq2[belaytype.Schedule, error] {
	return listed[schedules.Schedule, belaytype.Schedule]("schedules", func() ([]schedules.Schedule, error) { return schedules.List(ctx, c.bus, c.runs, nil) })
}

// Schedule is one of them, or an [ErrNotFound].
func (c *Client) Schedule(ctx context.Context, name string) (*belaytype.Schedule, error) {
	s, err := schedules.Find(ctx, c.bus, c.runs, name, nil)
	return scheduled{schedules.Done{Schedule: s}}.shown(wrapped("schedule "+name, err))
}

// PauseSchedule lets a schedule fire no more until it is resumed. Its runs go on. One that is paused already is an [ErrNotNow].
func (c *Client) PauseSchedule(ctx context.Context, name, by, reason string) (*belaytype.Schedule, error) {
	return c.changeSchedule(ctx, name, by, schedules.Request{Do: schedules.DoPause, Reason: reason})
}

// ResumeSchedule lets a schedule fire again, from now on: what it would have fired meanwhile is not made up for. One that is not paused
// is an [ErrNotNow].
func (c *Client) ResumeSchedule(ctx context.Context, name, by, reason string) (*belaytype.Schedule, error) {
	return c.changeSchedule(ctx, name, by, schedules.Request{Do: schedules.DoResume, Reason: reason})
}

// RemoveSchedule removes a schedule, and what waits for its turn. The runs that it has started go on.
func (c *Client) RemoveSchedule(ctx context.Context, name, by, reason string) (*belaytype.Schedule, error) {
	return c.changeSchedule(ctx, name, by, schedules.Request{Do: schedules.DoRemove, Reason: reason})
}

// FireSchedule starts a run of a schedule now, also of one that is paused. While the run before is open the rule for overlaps holds:
// with skip it is an [ErrNotNow].
func (c *Client) FireSchedule(ctx context.Context, name, by string) (*belaytype.Firing, error) {
	d, err := c.onSchedule(ctx, name, by, schedules.Request{Do: schedules.DoFire, At: c.bus.Now()})
	if err != nil || d.Firing == nil {
		return nil, err
	}
	f, err := as[belaytype.Firing](d.Firing)
	return &f, err
}

func (c *Client) changeSchedule(ctx context.Context, name, by string, r schedules.Request) (*belaytype.Schedule, error) {
	d, err := c.onSchedule(ctx, name, by, r)
	return d.shown(err)
}

// scheduled is what came of what was done about a schedule.
type scheduled struct{ schedules.Done }

func (d scheduled) shown(err error) (*belaytype.Schedule, error) {
	if err != nil {
		return nil, err
	}
	s, err := as[belaytype.Schedule](d.Schedule)
	return &s, err
}

// onSchedule has a dispatcher do something about a schedule.
func (c *Client) onSchedule(ctx context.Context, name, by string, r schedules.Request) (scheduled, error) {
	r.Name, r.Via, r.Token, r.On = whoever(by), "go", c.desk.Token, name
	d, err := schedules.Ask(ctx, c.bus, r)
	return scheduled{d}, wrapped("schedule "+name, err)
}

// wrapped is an error for programs, of what it is about.
func wrapped(about string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("belay: %s: %w", about, public(err))
}

// listed iterates over a list that is read when the loop begins. An error is the only element.
func listed[A, B any](what string, read func() ([]A, error)) iter.Seq2[B, error] {
	return func(yield func(B, error) bool) {
		var none B
		all, err := read()
		if err != nil {
			yield(none, wrapped(what, err))
			return
		}
		for i := range all {
			v, err := as[B](all[i])
			if !yield(v, wrapped(what, err)) || err != nil {
				return
			}
		}
	}
}
