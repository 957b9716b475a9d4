package runlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"belay/internal/bus"
	"belay/internal/wire"
)

// Picker says which runs a list may show, so that nobody must look at all that are kept.
type Picker interface {
	// Pick gives at most so many runs that may match f, the newest first, behind f.After. Whether they do, their logs say.
	// Where that run is not kept any more it is an [ErrNoPlace].
	Pick(ctx context.Context, f Filter, most int) (Picked, error)
	// EndingIn gives the ids that end in suffix, or [MostEndingIn] of them.
	EndingIn(ctx context.Context, suffix string) ([]string, error)
}

// MostEndingIn is how many ids a [Picker] gives that end alike.
const MostEndingIn = 100

// Ref is a run as a [Picker] names it.
type Ref struct {
	ID   string `json:"id"`             // of the run
	At   int64  `json:"at"`             // when it was submitted, in nanoseconds since 1970; its place in the list
	Open bool   `json:"open,omitempty"` // it had not ended when the picker looked
}

// Picked is what a [Picker] gives.
type Picked struct {
	Refs  []Ref  `json:"refs"`            // the newest first
	Total int    `json:"total"`           // how many may match in all, before and behind these
	More  bool   `json:"more,omitempty"`  // there may be more behind these
	Short string `json:"short,omitempty"` // why runs may be missing, as a sentence
}

// ErrNoPlace says that a list is to go on behind a run that is not there.
var ErrNoPlace = errors.New("no such run to go on behind")

// Behind reports whether a comes after b in lists. Everything comes after the zero Ref.
func (a Ref) Behind(b Ref) bool { return b.ID == "" || NewestFirst(b, a) < 0 }

// NewestFirst is the order of lists.
func NewestFirst(a, b Ref) int { return cmp.Or(cmp.Compare(b.At, a.At), cmp.Compare(b.ID, a.ID)) }

// Tail is a [Picker] that needs nothing but the logs: it reads submissions from their end. It looks at a bounded number
// of them, and says so.
type Tail struct {
	Bus *bus.Bus
	Why string // that nothing better is there, as the beginning of a sentence: "No dispatcher answers"
}

// tailMost is how many submissions a [Tail] looks at, in all partitions.
const tailMost = 20_000

// Pick is that of [Picker]; its total is that of the submissions that it has looked at.
func (t Tail) Pick(ctx context.Context, f Filter, most int) (Picked, error) {
	var all []Ref
	short := false
	for p := range t.Bus.Partitions() {
		refs, cut, err := t.tailOf(ctx, p, f)
		if err != nil {
			return Picked{}, err
		}
		all, short = append(all, refs...), short || cut
	}
	slices.SortFunc(all, NewestFirst)
	picked := Picked{Total: len(all)}
	if short {
		picked.Short = fmt.Sprintf("%s, so only the newest %d runs were looked at; older ones may be missing", t.Why, tailMost)
	}
	after, err := t.place(ctx, f.After)
	if err != nil {
		return Picked{}, err
	}
	all = slices.DeleteFunc(all, func(r Ref) bool { return !r.Behind(after) })
	picked.More = len(all) > most
	picked.Refs = all[:min(most, len(all))]
	return picked, nil
}

// place is where a run stands in lists; the zero Ref where id is empty.
func (t Tail) place(ctx context.Context, id string) (Ref, error) {
	if id == "" {
		return Ref{}, nil
	}
	if !wire.ValidName(id) {
		return Ref{}, NoPlace(id)
	}
	p := wire.Partition(id, t.Bus.Partitions())
	e, ok, err := t.Bus.First(ctx, t.Bus.Names().RunsStream(p), t.Bus.Names().Log(p, id, wire.KindPlan))
	if err == nil && !ok {
		err = NoPlace(id)
	}
	return Ref{ID: id, At: e.Time.UnixNano()}, err
}

// NoPlace is the [ErrNoPlace] of a run.
func NoPlace(id string) error {
	return fmt.Errorf("%w: %q is not kept; begin with the newest", ErrNoPlace, id)
}

// tailOf gives the newest runs of a partition that f does not rule out; cut is true where older ones were not looked at.
func (t Tail) tailOf(ctx context.Context, p int, f Filter) (all []Ref, cut bool, err error) {
	names, most := t.Bus.Names(), tailMost/t.Bus.Partitions()
	end, err := t.Bus.LastSeq(ctx, p)
	if err != nil {
		return nil, false, err
	}
	seen := map[string]bool{}
	looked := 0
	for window := uint64(2048); end > 0; window *= 2 {
		from := end - min(window, end) + 1
		entries, err := t.Bus.ReadRange(ctx, names.RunsStream(p), names.LogKind(p, wire.KindPlan), from, end)
		if err != nil {
			return nil, false, err
		}
		for _, e := range slices.Backward(entries) {
			_, run, _, ok := names.ParseLog(e.Subject)
			if looked++; !ok || isRepeated(e.Header) || isAct(e) || seen[run] {
				continue
			}
			if seen[run] = true; f.mayBe(e) {
				all = append(all, Ref{ID: run, At: e.Time.UnixNano()})
			}
		}
		if end = from - 1; looked >= most {
			return all, end > 0, nil
		}
		if !f.Since.IsZero() && len(entries) > 0 && entries[0].Time.Before(f.Since) {
			return all, false, nil
		}
	}
	return all, false, nil
}

// isAct reports whether an entry is that somebody cancelled the run or wrote to its agent, which has the subject of its
// submission.
func isAct(e bus.Entry) bool {
	act := e.Header[wire.HeaderAct]
	return len(act) == 1 && (act[0] == actCancel || act[0] == actSteer)
}

// IsSubmission reports whether an entry on the subject of submissions is one: neither a repetition nor a later act.
func IsSubmission(e bus.Entry) bool { return !isRepeated(e.Header) && !isAct(e) }

// mayBe rules a submission out by what stands in it.
func (f Filter) mayBe(e bus.Entry) bool {
	if e.Time.Before(f.Since) || !f.Until.IsZero() && !e.Time.Before(f.Until) {
		return false
	}
	if f.Workflow == "" && f.Owner == "" && f.Tool == "" && len(f.Labels) == 0 && len(f.Input) == 0 {
		return true
	}
	f.EndedSince, f.EndedUntil = time.Time{}, time.Time{} // a submission does not tell
	h := ReadHead(e.Data)
	return f.matches(Summary{ID: "?", State: f.State, Workflow: h.Workflow, Labels: h.Labels, Started: e.Time, owner: h.Owner, tools: h.Tools}) && holds(h.Input, f.Input)
}

// EndingIn is that of [Picker]; it lists the ids of all runs that are kept.
func (t Tail) EndingIn(ctx context.Context, suffix string) ([]string, error) {
	var all []string
	names := t.Bus.Names()
	for p := range t.Bus.Partitions() {
		subjects, err := t.Bus.Subjects(ctx, names.RunsStream(p), names.LogKind(p, wire.KindPlan))
		if err != nil {
			return nil, err
		}
		for _, s := range subjects {
			if _, run, _, ok := names.ParseLog(s); ok && strings.HasSuffix(run, suffix) && len(all) < MostEndingIn {
				all = append(all, run)
			}
		}
	}
	return all, nil
}
