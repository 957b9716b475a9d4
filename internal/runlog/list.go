package runlog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/wire"
)

// Filter says which runs to list. The zero value matches all of them.
type Filter struct {
	State      steps.RunState    `json:"state,omitempty"`      // empty = any
	Workflow   string            `json:"workflow,omitempty"`   // the plan's name; empty = any
	Since      time.Time         `json:"since,omitzero"`       // submitted at or after
	Until      time.Time         `json:"until,omitzero"`       // submitted before; zero = whenever
	Labels     map[string]string `json:"labels,omitempty"`     // all of these
	Input      map[string]string `json:"input,omitempty"`      // values of the input by their paths (order, customer.id), as text; all of these
	Tool       string            `json:"tool,omitempty"`       // its plan uses it; empty = any
	Class      steps.Class       `json:"class,omitempty"`      // an attempt failed with such a fault; empty = any, or none
	Reason     steps.Reason      `json:"reason,omitempty"`     // with such a one, the same as that of Class and Text
	Text       string            `json:"text,omitempty"`       // with one that says this, in letters of either case
	Owner      string            `json:"owner,omitempty"`      // started over HTTP with a token of this person; empty = any
	EndedSince time.Time         `json:"ended_since,omitzero"` // ended at or after
	EndedUntil time.Time         `json:"ended_until,omitzero"` // ended before; zero = whenever, or not yet
	After      string            `json:"after,omitempty"`      // goes on behind the run with this id: [Page.Next]; empty = from the newest
	Limit      int               `json:"limit,omitempty"`      // the newest so many; 0 = all
}

// Page is a part of a list, the newest run first.
type Page struct {
	Items []Summary // at most Filter.Limit
	Total int       // how many match on all pages; where State is running or waiting: how many of the open ones may
	Next  string    // for Filter.After; empty = there are no more
	Short string    // why runs may be missing, as a sentence; empty = none is
	Read  int       // runs whose whole log was read because they may have met the fault that is asked for
}

// Summary is a run as lists show it.
type Summary struct {
	ID       string            `json:"id"`               // of the run
	Workflow string            `json:"workflow"`         // the plan's name
	State    steps.RunState    `json:"state"`            // waiting too while it is frozen
	Ending   steps.RunState    `json:"ending,omitempty"` // how it will end, once what it executes has stopped
	Labels   map[string]string `json:"labels"`           // the plan's, and those of its submitter
	Started  time.Time         `json:"started"`          // when it was submitted, by the log
	Ended    *time.Time        `json:"ended"`            // nil while it is open

	ScheduledFor *time.Time `json:"scheduled_for,omitempty"` // when it begins, or was to; nil: when it was submitted

	owner string   // whose token was shown for it; empty = none was
	tools []string // that its plan uses
	read  bool     // its whole log was read
}

const (
	inParallel = 32   // runs that a list looks at side by side
	mostLooks  = 5000 // runs that one page looks at; it may be shorter then, and the next one goes on behind it
	mostReads  = 1000 // runs whose whole log one page reads because of a fault that is asked for; likewise
)

// List summarises runs, the newest first. Which ones, [Log.Picker] says; what is shown of them stands in their logs. An
// ended run is not folded: how it ended stands in the last entry of its log, and what it was in the first. A frozen run is
// listed as waiting, since only a person can move it on.
func (l *Log) List(ctx context.Context, f Filter) (Page, error) {
	page, err := l.list(ctx, f)
	if err != nil {
		return Page{}, fmt.Errorf("list runs: %w", err)
	}
	return page, nil
}

func (l *Log) list(ctx context.Context, f Filter) (page Page, err error) {
	for looks := 0; ; {
		picked, err := l.Picker.Pick(ctx, f, f.looks(len(page.Items)))
		if err != nil {
			return Page{}, err
		}
		if looks == 0 {
			page.Total, page.Short = picked.Total, picked.Short
		}
		found, err := l.summaries(ctx, picked.Refs, f)
		if err != nil {
			return Page{}, err
		}
		f.After = page.take(f, picked.Refs, found)
		looks += len(picked.Refs)
		switch last := len(picked.Refs) - 1; {
		case last < 0 || !picked.More && f.After == picked.Refs[last].ID:
			return page, nil
		case f.Limit > 0 && (len(page.Items) == f.Limit || looks >= mostLooks || page.Read >= mostReads):
			page.Next = f.After
			return page, nil
		}
	}
}

// take puts what matches onto the page, as far as it has room, and gives the last run that was looked at.
func (p *Page) take(f Filter, refs []Ref, found []Summary) (last string) {
	last = f.After
	for i, s := range found {
		if f.Limit > 0 && len(p.Items) == f.Limit {
			break
		}
		if s.read && f.asksFault() {
			p.Read++
		}
		if last = refs[i].ID; f.matches(s) {
			p.Items = append(p.Items, s)
		}
	}
	return last
}

// looks is at how many runs a list looks next, that has found some.
func (f Filter) looks(found int) int {
	if f.Limit == 0 {
		return inParallel * 4
	}
	return max(inParallel, f.Limit-found)
}

func (f Filter) matches(s Summary) bool {
	if s.ID == "" || f.State != "" && s.State != f.State || f.Workflow != "" && s.Workflow != f.Workflow || f.Owner != "" && s.owner != f.Owner {
		return false
	}
	if s.Started.Before(f.Since) || !f.Until.IsZero() && !s.Started.Before(f.Until) {
		return false
	}
	for k, v := range f.Labels {
		if s.Labels[k] != v {
			return false
		}
	}
	return (f.Tool == "" || slices.Contains(s.tools, f.Tool)) && f.endedThen(s.Ended)
}

// asksEnd reports whether only runs that have ended are wanted.
func (f Filter) asksEnd() bool { return !f.EndedSince.IsZero() || !f.EndedUntil.IsZero() }

func (f Filter) endedThen(at *time.Time) bool {
	if !f.asksEnd() {
		return true
	}
	return at != nil && !at.Before(f.EndedSince) && (f.EndedUntil.IsZero() || at.Before(f.EndedUntil))
}

// Took is how long the run took, or has taken until now, with the time that people took; 0 where it never began.
func (s Summary) Took(now time.Time) time.Duration {
	return view.Took(s.Started, s.ScheduledFor, s.Ended, now)
}

// summaries looks at the runs, many side by side. One that is gone meanwhile, or has another input, leaves an empty
// summary.
func (l *Log) summaries(ctx context.Context, all []Ref, f Filter) ([]Summary, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	found := make([]Summary, len(all))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(inParallel, len(all)) {
		wg.Go(func() {
			for i := range next {
				s, err := l.summary(ctx, all[i], &f)
				if err != nil {
					cancel(fmt.Errorf("run %s: %w", all[i].ID, err))
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

func (l *Log) summary(ctx context.Context, r Ref, f *Filter) (Summary, error) {
	if ctx.Err() != nil || r.Open {
		return l.folded(ctx, r.ID, f)
	}
	p := wire.Partition(r.ID, l.bus.Partitions())
	stream := l.names.RunsStream(p)
	end, ok, err := l.bus.Last(ctx, stream, l.names.Log(p, r.ID, wire.KindResult))
	if err != nil {
		return Summary{}, err
	}
	_, closed, err := Parse(l.names, end)
	if !ok || err != nil { // it is open after all, or people must look at it
		return l.folded(ctx, r.ID, f)
	}
	faults, known := ReadFaults(end)
	switch {
	case known && !f.met(faults):
		return Summary{}, nil
	case f.Text != "", f.asksFault() && !known:
		return l.folded(ctx, r.ID, f)
	}
	begin, ok, err := l.bus.Last(ctx, stream, l.names.Log(p, r.ID, wire.KindPlan))
	if err != nil || !ok {
		return Summary{}, err
	}
	h := ReadHead(begin.Data)
	if h.Workflow == "" || isRepeated(begin.Header) { // not as it was first submitted
		return l.folded(ctx, r.ID, f)
	}
	if !holds(h.Input, f.Input) {
		return Summary{}, nil
	}
	return Summary{
		ID: r.ID, Workflow: h.Workflow, State: closed.(steps.Closed).State, Labels: h.labels(), Started: begin.Time.UTC(), Ended: utc(end.Time),
		ScheduledFor: utc(h.start.Begins(begin.Time)), owner: h.Owner, tools: h.Tools,
	}, nil
}

// folded summarises a run from its fold.
func (l *Log) folded(ctx context.Context, run string, f *Filter) (Summary, error) {
	s, err := l.Load(ctx, run)
	if errors.Is(err, ErrNoRun) {
		return Summary{}, nil
	}
	frozen := errors.Is(err, ErrFrozen)
	if err != nil && !frozen {
		return Summary{}, err
	}
	sum := Summary{ID: run, State: steps.RunWaiting, Labels: map[string]string{}, read: true}
	if s == nil && !f.asksFault() {
		return sum, nil
	}
	if s == nil || !holds(s.Input, f.Input) || !f.hasMet(s) {
		return Summary{read: true}, nil
	}
	sum.tools = slices.Sorted(maps.Keys(s.Program.Tools))
	sum.Workflow, sum.Started = s.Program.Plan.Name, s.Submitted.UTC()
	sum.ScheduledFor = utc(s.Scheduled)
	sum.owner = ownerOf(s.By, s.Token)
	if s.Labels != nil {
		sum.Labels = s.Labels
	}
	if !frozen {
		sum.State, sum.Ending = s.Status(), s.Ending()
	}
	sum.Ended = utc(s.Ended)
	return sum, nil
}

// utc is a time as documents have it; the zero time is nil.
func utc(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
