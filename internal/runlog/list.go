package runlog

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"belay/internal/steps"
	"belay/internal/wire"
)

// Filter says which runs to list. The zero value means all of them.
type Filter struct {
	State    steps.RunState    // empty = any
	Workflow string            // the plan's name; empty = any
	Since    time.Time         // submitted at or after
	Labels   map[string]string // all of these
	Limit    int               // the newest so many; 0 = all
}

// Summary is a run as lists show it.
type Summary struct {
	ID       string            `json:"id"`
	Workflow string            `json:"workflow"`
	State    steps.RunState    `json:"state"`
	Ending   steps.RunState    `json:"ending,omitempty"` // how it will end, once what it executes has stopped
	Labels   map[string]string `json:"labels"`
	Started  time.Time         `json:"started"`
	Ended    *time.Time        `json:"ended"`
}

// inParallel is how many runs a list looks at side by side.
const inParallel = 32

// List summarises runs, the newest first. An ended run is not folded: how it ended stands in the last entry of its
// log, and what it was in the first. A frozen run is listed as waiting, since only a person can move it on.
func (l *Log) List(ctx context.Context, f Filter) ([]Summary, error) {
	all, err := l.ids(ctx)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	all = slices.DeleteFunc(all, func(r listed) bool { return !f.mayBe(r) })
	found, err := l.summaries(ctx, all)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	found = slices.DeleteFunc(found, func(s Summary) bool { return !f.matches(s) })
	slices.SortFunc(found, func(a, b Summary) int {
		return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(b.ID, a.ID))
	})
	if f.Limit > 0 && len(found) > f.Limit {
		found = found[:f.Limit]
	}
	return found, nil
}

// mayBe rules runs out by what the subjects alone tell.
func (f Filter) mayBe(r listed) bool {
	return f.State == "" || r.open == !f.State.Ended()
}

func (f Filter) matches(s Summary) bool {
	if s.ID == "" || f.State != "" && s.State != f.State || f.Workflow != "" && s.Workflow != f.Workflow || s.Started.Before(f.Since) {
		return false
	}
	for k, v := range f.Labels {
		if s.Labels[k] != v {
			return false
		}
	}
	return true
}

// listed is what the subjects of the log tell about a run.
type listed struct {
	id        string
	partition int
	open      bool
}

func (l *Log) ids(ctx context.Context) ([]listed, error) {
	var all []listed
	for p := range l.bus.Partitions() {
		runs, err := l.bus.Runs(ctx, p)
		if err != nil {
			return nil, err
		}
		for _, r := range runs {
			all = append(all, listed{r.Run, p, r.Open})
		}
	}
	return all, nil
}

// summaries looks at the runs, many side by side. A run that is gone meanwhile leaves an empty summary.
func (l *Log) summaries(ctx context.Context, all []listed) ([]Summary, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	found := make([]Summary, len(all))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(inParallel, len(all)) {
		wg.Go(func() {
			for i := range next {
				s, err := l.summary(ctx, all[i])
				if err != nil {
					cancel(fmt.Errorf("run %s: %w", all[i].id, err))
				}
				found[i] = s
			}
		})
	}
	for i := range all {
		next <- i
	}
	close(next)
	wg.Wait()
	return found, context.Cause(ctx)
}

func (l *Log) summary(ctx context.Context, r listed) (Summary, error) {
	if ctx.Err() != nil || r.open {
		return l.folded(ctx, r.id)
	}
	stream := l.names.RunsStream(r.partition)
	end, ok, err := l.bus.Last(ctx, stream, l.names.Log(r.partition, r.id, wire.KindResult))
	if err != nil || !ok {
		return Summary{}, err
	}
	closed, err := wire.DecodeEvent(wire.KindResult, end.Data)
	if err != nil {
		return l.folded(ctx, r.id)
	}
	begin, ok, err := l.bus.Last(ctx, stream, l.names.Log(r.partition, r.id, wire.KindPlan))
	if err != nil || !ok {
		return Summary{}, err
	}
	name, labels, ok := head(begin.Data)
	if !ok || len(begin.Header[wire.HeaderAgain]) > 0 { // not the first word of its submitter
		return l.folded(ctx, r.id)
	}
	ended := end.Time.UTC()
	return Summary{ID: r.id, Workflow: name, State: closed.(steps.Closed).State, Labels: labels, Started: begin.Time.UTC(), Ended: &ended}, nil
}

// folded summarises a run from its fold.
func (l *Log) folded(ctx context.Context, run string) (Summary, error) {
	s, err := l.Load(ctx, run)
	if errors.Is(err, ErrNoRun) {
		return Summary{}, nil
	}
	frozen := errors.Is(err, ErrFrozen)
	if err != nil && !frozen {
		return Summary{}, err
	}
	sum := Summary{ID: run, State: steps.RunWaiting, Labels: map[string]string{}}
	if s == nil {
		return sum, nil
	}
	sum.Workflow, sum.Started = s.Program.Plan.Name, s.Submitted.UTC()
	if s.Labels != nil {
		sum.Labels = s.Labels
	}
	if !frozen {
		sum.State, sum.Ending = s.Status(), s.Ending()
	}
	if !s.Ended.IsZero() {
		ended := s.Ended.UTC()
		sum.Ended = &ended
	}
	return sum, nil
}

// head reads of a submission only what lists show.
func head(body []byte) (workflow string, labels map[string]string, ok bool) {
	var s struct {
		Document struct {
			Plan struct {
				Name string `json:"name"`
			} `json:"plan"`
		} `json:"document"`
		Labels map[string]string `json:"labels"`
	}
	if json.Unmarshal(body, &s) != nil || s.Document.Plan.Name == "" {
		return "", nil, false
	}
	if s.Labels == nil {
		s.Labels = map[string]string{}
	}
	return s.Document.Plan.Name, s.Labels, true
}
