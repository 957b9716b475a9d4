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
	ErrNone      = errors.New("there is no such schedule: `dispatcher schedules ls` lists them")
	ErrExists    = errors.New("there is another schedule of this name: replace it (--replace), or choose another name")
	ErrPaused    = errors.New("the schedule is paused already")
	ErrNotPaused = errors.New("the schedule is not paused")
	ErrBusy      = errors.New("it cannot fire now")
	ErrWrong     = errors.New("not a schedule")
	ErrDenied    = errors.New("not allowed")
)

// Book is where the schedules are kept.
type Book struct {
	bus *bus.Bus
	now func() time.Time // of the log
}

// Of returns the schedules of an installation.
func Of(b *bus.Bus) *Book { return &Book{b, b.Now} }

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
}

const (
	label = "schedule" // by which the runs of a schedule are found
	via   = "schedule" // the way in of what schedules submit
)

// submission is what the run of a firing begins with. The same firing is the same submission, whoever submits it.
func (e *entry) submission(f Firing) steps.Submitted {
	labels := maps.Clone(e.Order.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[label] = e.Name
	return steps.Submitted{
		Document: e.Order.Document, Input: e.Order.Input, Labels: labels, ToolsFile: e.Order.ToolsFile, Token: e.Order.Token, By: e.By, Via: via, At: e.begins(f),
	}
}

func (k *Book) bucket(ctx context.Context) (*bus.Bucket, error) {
	return k.bus.Bucket(ctx, k.bus.Names().SchedulesBucket(), "Belay: schedules, which start runs again and again")
}

// Add stores a schedule, whose runs begin with what is in e. The same again is no error; another one of the name is replaced if that is
// wanted: it stays paused if it was, and goes on from now.
func (k *Book) Add(ctx context.Context, s Schedule, e steps.Submitted, replace bool) (Schedule, error) {
	if err := s.Check(); err != nil {
		return s, fmt.Errorf("%w: %w", ErrWrong, err)
	}
	bucket, err := k.bucket(ctx)
	if err != nil {
		return s, err
	}
	now := k.now().Truncate(time.Millisecond).UTC()
	s.Since, s.Upto, s.Paused, s.Firings, s.Waiting, s.Missed, s.Skipped, s.Next, s.Problem = now, now, nil, nil, nil, nil, nil, nil, ""
	fresh := entry{s, order{Document: e.Document, Input: e.Input, Labels: e.Labels, ToolsFile: e.ToolsFile, Token: e.Token}}
	it, there, err := bucket.Get(ctx, s.Name)
	if err != nil {
		return s, err
	}
	was, is := read(it)
	switch is = is && there; {
	case is && was.same(&fresh):
		return was.shown(), nil
	case is && !replace:
		return s, fmt.Errorf("schedule %s: %w", s.Name, ErrExists)
	case is:
		fresh.Paused, fresh.Firings, fresh.Waiting, fresh.Missed, fresh.Skipped = was.Paused, was.Firings, was.Waiting, was.Missed, was.Skipped
	}
	if _, err = put(ctx, bucket, &fresh, it.Revision); errors.Is(err, bus.ErrConflict) {
		return s, fmt.Errorf("schedule %s: %w", s.Name, ErrExists)
	}
	return fresh.shown(), err
}

// same reports whether o asks for the same as e does.
func (e *entry) same(o *entry) bool {
	asks := func(e *entry) string {
		s := e.Schedule
		out, err := json.Marshal([]any{s.Cron, s.TZ, s.Jitter, s.Overlap, s.CatchUp, s.Window, s.By, e.Order})
		if err != nil {
			return err.Error() + s.Since.String()
		}
		return string(out)
	}
	return asks(e) == asks(o)
}

// shown is the schedule with what follows from it.
func (e *entry) shown() Schedule {
	s := e.Schedule
	if s.Paused == nil {
		if next := s.Times(s.Upto, 1); len(next) > 0 {
			s.Next = &next[0]
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

func put(ctx context.Context, bucket *bus.Bucket, e *entry, revision uint64) (uint64, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return 0, err
	}
	return bucket.Swap(ctx, e.Name, body, revision)
}

// entries are all schedules by their names. It makes nothing.
func (k *Book) entries(ctx context.Context) (all []entry, err error) {
	bucket, err := k.bus.BucketIfThere(ctx, k.bus.Names().SchedulesBucket())
	if err != nil || bucket == nil {
		return nil, err
	}
	items, err := bucket.All(ctx)
	for _, it := range items {
		if e, ok := read(it); ok {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.Name, b.Name) })
	return all, err
}

// find returns the schedule of a name.
func (k *Book) find(ctx context.Context, name string) (entry, error) {
	all, err := k.entries(ctx)
	if i := slices.IndexFunc(all, func(e entry) bool { return e.Name == name }); err == nil && i >= 0 {
		return all[i], nil
	}
	if err == nil {
		err = fmt.Errorf("schedule %q: %w", name, ErrNone)
	}
	return entry{}, err
}

// change changes a schedule as f says, whose error is returned as it is.
func (k *Book) change(ctx context.Context, name string, f func(*entry) error) (r revision, err error) {
	bucket, err := k.bucket(ctx)
	for err == nil {
		it, _, bad := bucket.Get(ctx, name)
		if bad != nil {
			return r, bad
		}
		e, ok := read(it)
		if !ok {
			return r, fmt.Errorf("schedule %q: %w", name, ErrNone)
		}
		if bad := f(&e); bad != nil {
			return r, fmt.Errorf("schedule %s: %w", name, bad)
		}
		number, bad := put(ctx, bucket, &e, it.Revision)
		if bad == nil {
			return revision{entry: e, number: number}, nil
		}
		if !errors.Is(bad, bus.ErrConflict) { // else somebody else was first
			err = bad
		}
	}
	return r, err
}

// Pause lets a schedule fire no more. What waits for its turn goes on waiting.
func (k *Book) Pause(ctx context.Context, name string, p Pause) (Schedule, error) {
	if len(p.Reason) > mostText {
		return Schedule{}, fmt.Errorf("%w: the reason has %d bytes, %d are allowed", ErrWrong, len(p.Reason), mostText)
	}
	r, err := k.change(ctx, name, func(e *entry) error {
		if e.Paused != nil {
			return fmt.Errorf("%w, by %s", ErrPaused, e.Paused.By)
		}
		e.Paused = &p
		return nil
	})
	return r.shown(), err
}

// Resume lets a schedule fire again, from now on: what would have been fired meanwhile was not missed.
func (k *Book) Resume(ctx context.Context, name string) (Schedule, error) {
	r, err := k.change(ctx, name, func(e *entry) error {
		if e.Paused == nil {
			return ErrNotPaused
		}
		e.Paused, e.Upto = nil, k.now().UTC()
		return nil
	})
	return r.shown(), err
}

// Remove removes a schedule. The runs that it has started stay.
func (k *Book) Remove(ctx context.Context, name string) (Schedule, error) {
	e, err := k.find(ctx, name)
	if err != nil {
		return Schedule{}, err
	}
	bucket, err := k.bucket(ctx)
	if err == nil {
		err = bucket.Delete(ctx, name)
	}
	return e.shown(), err
}
