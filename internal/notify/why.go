package notify

import (
	"context"
	"slices"
	"strings"
	"time"

	"belay/internal/bus"
	"belay/internal/gates"
	"belay/internal/handoff"
	"belay/internal/limits"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// Asker finds out what a run waits for. All fields but Doubt are required.
type Asker struct {
	Bus   *bus.Bus
	Items func(ctx context.Context) ([]handoff.Item, error) // the open escalations
	// Doubt says what has happened to the log that may concern a run, and nobody has accepted; empty = nothing.
	Doubt func(ctx context.Context, s *steps.State) (string, error)
}

// Of says what run s waits for, and what will happen if nobody acts.
func (a Asker) Of(ctx context.Context, s *steps.State) (view.Why, error) {
	now := a.Bus.Now()
	if s.Status().Ended() {
		return view.WhyOf(s, view.Foresight{Now: now}), nil
	}
	limited, err := limitedNow(ctx, a.Bus, s) // first, since the run goes on meanwhile
	if err != nil {
		return view.Why{}, err
	}
	all, err := a.Bus.Dispatchers(ctx)
	if err != nil {
		return view.Why{}, err
	}
	foresight := view.Foresight{Now: now, Unserved: byRung(bus.UnservedBy(all)), Limited: limited}
	if a.Doubt != nil {
		if foresight.Doubt, err = a.Doubt(ctx, s); err != nil {
			return view.Why{}, err
		}
	}
	w, err := WhyOf(ctx, a.Bus, s, foresight)
	if err != nil {
		return view.Why{}, err
	}
	if len(all) == 0 {
		w.Note = "no dispatcher answers: nothing of this happens until one is running"
	}
	if err := a.people(ctx, s, &w, now); err != nil {
		return view.Why{}, err
	}
	return w, nil
}

// WhyOf is [view.WhyOf] with what the log of run s does not say of what it waits for: which limits have kept its calls back only for a moment, at
// which place of a limit its steps stand, and which of the gates that hold them back were opened. Beside an error it is what the log says.
func WhyOf(ctx context.Context, b *bus.Bus, s *steps.State, f view.Foresight) (view.Why, error) {
	var err error
	if f.Limited == nil {
		f.Limited, err = limitedNow(ctx, b, s)
	}
	w := view.WhyOf(s, f)
	if err == nil {
		err = places(ctx, b, s, &w)
	}
	if err == nil {
		err = openedGates(ctx, b, &w)
	}
	return w, err
}

// limitedNow is which limits keep calls of run s out of the queue that its log has queued. A dispatcher puts that on the log only once it has
// lasted for some seconds; what the limits' records say is true from the first moment.
func limitedNow(ctx context.Context, b *bus.Bus, s *steps.State) (func(i int) *steps.Hold, error) {
	none := func(int) *steps.Hold { return nil }
	all := awaited(s, b.Now())
	if len(all) == 0 {
		return none, nil
	}
	counting, err := limits.List(ctx, b)
	if err != nil {
		return none, err
	}
	holds := map[int]*steps.Hold{}
	for _, i := range all {
		if h, ok := limits.Holding(counting, s, i, view.TargetHost(s, i), b.Now()); ok {
			h.Since = sinceWhen(&s.Units[i])
			holds[i] = &h
		}
	}
	if len(holds) == 0 {
		return none, nil
	}
	queued, _, err := b.Queued(ctx, b.Names().StepsOf(s.Run))
	if err != nil {
		return none, err
	}
	return func(i int) *steps.Hold {
		if holds[i] == nil || slices.Contains(queued, b.Names().Step(s.Tool(i).Name, s.RungName(i), s.Run, s.Attempt(i))) {
			return nil
		}
		return holds[i]
	}, nil
}

// awaited are the units of which the log says that a worker could take them now.
func awaited(s *steps.State, now time.Time) (list []int) {
	for i := range s.Units {
		if u := &s.Units[i]; s.MayBeHeld(i) && !u.Limited() && !u.NotBefore().After(now) {
			list = append(list, i)
		}
	}
	return list
}

// sinceWhen is since when a worker could take the attempt of a unit.
func sinceWhen(u *steps.Unit) time.Time {
	if queued := u.Current().Queued; queued.After(u.NotBefore()) {
		return queued.UTC()
	}
	return u.NotBefore().UTC()
}

// places adds where the steps stand that wait for a limit, as far as that is known.
func places(ctx context.Context, b *bus.Bus, s *steps.State, w *view.Why) error {
	if !slices.ContainsFunc(w.Waits, func(x view.Wait) bool { return x.For == view.ForLimit }) {
		return nil
	}
	all, err := limits.List(ctx, b)
	if err != nil {
		return err
	}
	for i := range w.Waits {
		if x := &w.Waits[i]; x.For == view.ForLimit {
			placed(all, s, x)
		}
	}
	return nil
}

// placed says where a step stands that waits for one of these limits.
func placed(all []limits.Limit, s *steps.State, x *view.Wait) {
	place := limits.Place(all, s.Run, x.Step)
	covers := coveredBy(s, x)
	if x.Why != steps.HoldConcurrency {
		place = limits.Rank(all, x.Why, covers, s.Priority())
	}
	switch {
	case place == "":
	case x.Why == steps.HoldBreaker: // it is not open any more: the log says so once the turn has come
		x.Brief = "waits for its turn behind the breaker of " + covers
		x.Text = "behind the breaker of " + covers + ", whose target answers again: it goes on when its turn comes, few calls go at first; " + place
	default:
		x.Text += "; " + place
	}
}

// coveredBy is what the limit counts that a step, or the first of its items, waits for.
func coveredBy(s *steps.State, x *view.Wait) string {
	for i := range s.Units {
		u := &s.Units[i]
		if h, _ := u.HeldBack(); h != nil && h.Why == x.Why && (u.ID == x.Step || strings.HasPrefix(u.ID, x.Step+"~")) {
			return h.Covers
		}
	}
	return ""
}

// openedGates says of steps that a gate has held back which is open now that they wait for their turn: the log says that once it has come.
func openedGates(ctx context.Context, b *bus.Bus, w *view.Why) error {
	behind := func(x view.Wait) bool { return x.For == view.ForGate }
	if !slices.ContainsFunc(w.Waits, behind) {
		return nil
	}
	all, err := gates.Of(b).List(ctx)
	if err != nil {
		return err
	}
	for i := range w.Waits {
		x := &w.Waits[i]
		n := slices.IndexFunc(all, func(g gates.Progress) bool { return behind(*x) && g.ID == x.Gate && !g.Closed() })
		if n >= 0 {
			at := all[n].Opened.At.UTC()
			x.Until, x.Opened, x.Brief = nil, &at, "waits for its turn behind gate "+x.Gate
			x.Text = "behind gate " + x.Gate + ", which was opened at " + view.Clock(at, b.Now()) + ": it goes on when its turn comes, few calls go at first"
		}
	}
	return nil
}

// byRung returns a function that says when people are asked about a rung that no worker serves.
func byRung(list []bus.Unserved) func(tool, rung string) (time.Time, bool) {
	return func(tool, rung string) (time.Time, bool) {
		i := slices.IndexFunc(list, func(u bus.Unserved) bool { return u.Tool == tool && u.Rung == rung })
		if i < 0 {
			return time.Time{}, false
		}
		return list[i].Asks, true
	}
}

// people adds who has claimed the escalations of the run, and who will be notified of them.
func (a Asker) people(ctx context.Context, s *steps.State, w *view.Why, now time.Time) error {
	if !slices.ContainsFunc(w.Waits, func(x view.Wait) bool { return x.For == view.ForPerson }) {
		return nil
	}
	items, err := a.Items(ctx)
	if err != nil {
		return err
	}
	items = slices.DeleteFunc(slices.Clone(items), func(it handoff.Item) bool { return it.Run != s.Run })
	for i := range w.Waits {
		w.Waits[i].Claimed, w.Waits[i].Assigned = holder(items, w.Waits[i].Escalation)
	}
	foreseen, err := Foresee(ctx, a.Bus, items, now)
	if err != nil {
		return err
	}
	w.Add(notices(foreseen, items, w, now))
	return nil
}

// holder returns who has claimed an item, and to whom it is assigned.
func holder(items []handoff.Item, id string) (claimed, assigned string) {
	i := slices.IndexFunc(items, func(it handoff.Item) bool { return it.ID == id })
	if i < 0 {
		return "", ""
	}
	if c := items[i].Claim; c != nil {
		claimed = c.By
	}
	return claimed, items[i].Assigned
}

// notices returns those that will be sent while the escalations are open.
func notices(foreseen []Foreseen, items []handoff.Item, w *view.Why, now time.Time) []view.Happening {
	var list []view.Happening
	for _, t := range foreseen {
		i := slices.IndexFunc(items, func(it handoff.Item) bool { return it.ID == t.ID })
		if d := items[i].Deadline; d != nil && !t.At.Before(*d) || w.Over(t.At) {
			continue
		}
		at := t.At.UTC()
		list = append(list, view.Happening{
			At: &at, In: steps.Duration(max(0, at.Sub(now))), Step: items[i].Step, What: view.HappensNotified, Text: strings.TrimSpace(t.Tier + " is notified " + t.Why),
		})
	}
	return list
}
