package schedules

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"belay/internal/bus"
	"belay/internal/exactjson"
	"belay/internal/steps"
)

// Errors for errors.Is.
var (
	ErrNone   = errors.New("there is no such schedule: `dispatcher schedule ls` lists them")
	ErrTaken  = errors.New("there is another schedule of this name: remove it first, or choose another name")
	ErrWrong  = errors.New("not a schedule")
	ErrDenied = errors.New("not allowed")
)

// Book is where the schedules are kept.
type Book struct{ bus *bus.Bus }

// Of returns the schedules of an installation.
func Of(b *bus.Bus) *Book { return &Book{b} }

// entry is a schedule as it is kept, with what its runs begin with.
type entry struct {
	Schedule
	Order order `json:"order"`
}

// order is the part of a submission that all runs of a schedule share.
type order struct {
	Document  json.RawMessage   `json:"document"`
	Input     json.RawMessage   `json:"input"`
	Labels    map[string]string `json:"labels,omitempty"`
	ToolsFile string            `json:"tools_file,omitempty"`
	Token     string            `json:"token,omitempty"`
	Request   string            `json:"request,omitempty"`
}

// label is the one by which the runs of a schedule are found.
const label = "schedule"

// submission is what the run of a firing begins with. The same firing is the same submission, whoever submits it.
func (e *entry) submission(f Firing) steps.Submitted {
	labels := maps.Clone(e.Order.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[label] = e.Name
	return steps.Submitted{
		Document: e.Order.Document, Input: e.Order.Input, Labels: labels, ToolsFile: e.Order.ToolsFile, Token: e.Order.Token, By: e.By, Via: "schedule", At: f.At,
	}
}

func (k *Book) bucket(ctx context.Context) (*bus.Bucket, error) {
	return k.bus.Bucket(ctx, k.bus.Names().SchedulesBucket(), "Belay: schedules, which start runs again and again")
}

// Add stores a schedule, whose runs begin with what is in e. The same again is no error.
func (k *Book) Add(ctx context.Context, s Schedule, e steps.Submitted) (Schedule, error) {
	if err := s.Check(); err != nil {
		return s, fmt.Errorf("%w: %w", ErrWrong, err)
	}
	bucket, err := k.bucket(ctx)
	if err != nil {
		return s, err
	}
	now := k.bus.Now().Truncate(time.Millisecond).UTC()
	s.Since, s.Upto, s.Paused, s.Last, s.Waiting, s.Missed, s.Skipped, s.Next = now, now, nil, nil, nil, nil, nil, nil
	fresh := entry{s, order{Document: e.Document, Input: e.Input, Labels: e.Labels, ToolsFile: e.ToolsFile, Token: e.Token, Request: e.Request}}
	it, there, err := bucket.Get(ctx, s.Name)
	if err != nil {
		return s, err
	}
	if was, is := read(it); there && is {
		if !was.same(&fresh) {
			return s, fmt.Errorf("schedule %s: %w", s.Name, ErrTaken)
		}
		return was.shown(), nil
	}
	if err = put(ctx, bucket, &fresh, it.Revision); errors.Is(err, bus.ErrConflict) {
		return s, fmt.Errorf("schedule %s: %w", s.Name, ErrTaken)
	}
	return fresh.shown(), err
}

// same reports whether o asks for the same as e does.
func (e *entry) same(o *entry) bool {
	a, b := e.Schedule, o.Schedule
	one, errOne := json.Marshal([]any{a.Cron, a.TZ, a.Overlap, a.CatchUp, a.Window, a.By, e.Order})
	two, errTwo := json.Marshal([]any{b.Cron, b.TZ, b.Overlap, b.CatchUp, b.Window, b.By, o.Order})
	return errOne == nil && errTwo == nil && string(one) == string(two)
}

// shown is the schedule with what follows from it.
func (e *entry) shown() Schedule {
	s := e.Schedule
	if t, err := parse(s.Cron, s.TZ); err == nil && s.Paused == nil {
		if next := t.next(s.Upto); !next.IsZero() {
			s.Next = &next
		}
	}
	return s
}

func read(it bus.Item) (e entry, ok bool) {
	if it.Value == nil || exactjson.Unmarshal(it.Value, &e) != nil || e.Name != it.Key {
		return entry{}, false
	}
	return e, e.Check() == nil
}

func put(ctx context.Context, bucket *bus.Bucket, e *entry, revision uint64) error {
	body, err := json.Marshal(e)
	if err == nil {
		_, err = bucket.Swap(ctx, e.Name, body, revision)
	}
	return err
}

// List returns all schedules by their names. It makes nothing.
func (k *Book) List(ctx context.Context) ([]Schedule, error) {
	bucket, err := k.bus.BucketIfThere(ctx, k.bus.Names().SchedulesBucket())
	if err != nil || bucket == nil {
		return []Schedule{}, err
	}
	items, err := bucket.All(ctx)
	if err != nil {
		return nil, err
	}
	all := []Schedule{}
	for _, it := range items {
		if e, ok := read(it); ok {
			all = append(all, e.shown())
		}
	}
	slices.SortFunc(all, func(a, b Schedule) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// Find returns the schedule of a name.
func (k *Book) Find(ctx context.Context, name string) (Schedule, error) {
	all, err := k.List(ctx)
	if i := slices.IndexFunc(all, func(s Schedule) bool { return s.Name == name }); err == nil && i >= 0 {
		return all[i], nil
	}
	if err == nil {
		err = fmt.Errorf("schedule %q: %w", name, ErrNone)
	}
	return Schedule{}, err
}

// change changes a schedule as f says; f returns false where there is nothing to change.
func (k *Book) change(ctx context.Context, name string, f func(*Schedule) bool) (Schedule, error) {
	bucket, err := k.bucket(ctx)
	for err == nil {
		it, _, bad := bucket.Get(ctx, name)
		if bad != nil {
			return Schedule{}, bad
		}
		e, ok := read(it)
		if !ok {
			return Schedule{}, fmt.Errorf("schedule %q: %w", name, ErrNone)
		}
		if !f(&e.Schedule) {
			return e.shown(), nil
		}
		if err = put(ctx, bucket, &e, it.Revision); err == nil {
			return e.shown(), nil
		}
		if errors.Is(err, bus.ErrConflict) {
			err = nil // somebody else was first
		}
	}
	return Schedule{}, err
}

// Pause lets a schedule fire no more. One that is paused stays as it is.
func (k *Book) Pause(ctx context.Context, name string, p Pause) (Schedule, error) {
	return k.change(ctx, name, func(s *Schedule) bool {
		if s.Paused != nil {
			return false
		}
		s.Paused = &p
		return true
	})
}

// Resume lets a schedule fire again, from now on: what would have been fired meanwhile was not missed.
func (k *Book) Resume(ctx context.Context, name string) (Schedule, error) {
	return k.change(ctx, name, func(s *Schedule) bool {
		if s.Paused == nil {
			return false
		}
		s.Paused, s.Upto = nil, k.bus.Now().UTC()
		return true
	})
}

// Remove removes a schedule. The runs that it has started stay.
func (k *Book) Remove(ctx context.Context, name string) (Schedule, error) {
	s, err := k.Find(ctx, name)
	if err != nil {
		return s, err
	}
	bucket, err := k.bucket(ctx)
	if err == nil {
		err = bucket.Delete(ctx, name)
	}
	return s, err
}
