package limits

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"belay/internal/bus"
	"belay/internal/exactjson"
	"belay/internal/steps"
	"belay/internal/wire"
)

// Limit is where a limit stands, for people.
type Limit struct {
	ID      string         `json:"id"`     // of the limit, short
	Why     steps.HoldWhy  `json:"why"`    // which kind it is: concurrency, rate, retry_after, gate: one that was opened, behind which calls wait for their turn, or breaker: one whose target is back, likewise
	Covers  string         `json:"covers"` // what it counts: a tool with what its calls are counted by, or a target
	Waiting int            `json:"waiting"`
	Of      map[string]int `json:"waiting_of,omitempty"` // of all kinds but concurrency: the same by priority, people, new and redone

	Most   int      `json:"most,omitempty"`    // concurrency: calls that may be in hand at once
	InHand int      `json:"in_hand,omitempty"` // concurrency: those that are, or are about to be
	Calls  []Slot   `json:"calls,omitempty"`   // concurrency: the same by name, first the one that is in hand longest
	Waits  []Waiter `json:"waits,omitempty"`   // concurrency: who waits, first the one that goes next; of many the first ones

	Rate   string    `json:"rate,omitempty"`    // rate: calls that may begin, as the tools file has it
	PerSec float64   `json:"per_sec,omitempty"` // calls that begin in a second at present
	Next   time.Time `json:"next,omitzero"`     // when the next call may begin; without it at once, or when a slot is free

	Until time.Time `json:"until,omitzero"` // retry_after: before that no call is made
	Run   string    `json:"run,omitempty"`  // retry_after: the run whose call was told so
	Tool  string    `json:"tool,omitempty"` // retry_after: that it called
}

// ErrNone says that there is no limit of an id at present.
var ErrNone = errors.New("no such limit")

// idOf is the short name of a limit.
func idOf(key string) string {
	_, sum, _ := strings.Cut(key, ".")
	return key[:1] + sum[:min(8, len(sum))]
}

// List lists the limits that calls have counted for lately, first those for which most wait. It makes nothing.
func List(ctx context.Context, b *bus.Bus) ([]Limit, error) {
	list := []Limit{}
	bucket, err := b.BucketIfThere(ctx, b.Names().LimitsBucket())
	if err != nil || bucket == nil {
		return list, err
	}
	items, err := bucket.All(ctx)
	if err != nil {
		return nil, err
	}
	now, ramps := b.Now(), map[string]Times{}
	for _, it := range items {
		var t Times
		if strings.HasPrefix(it.Key, timesPrefix) && exactjson.Unmarshal(it.Value, &t) == nil && t.V == wire.Version {
			if strings.HasPrefix(t.Name, waitName) {
				ramps[t.Name] = t
			} else if now.Sub(t.Next) < countFor && (t.waiting(now) > 0 || !t.ramps()) {
				list = append(list, ofTimes(it.Key, &t, now))
			}
		}
	}
	for _, it := range items {
		var s Slots
		var w Wait
		switch {
		case strings.HasPrefix(it.Key, slotsPrefix) && exactjson.Unmarshal(it.Value, &s) == nil && s.V == wire.Version:
			if len(s.Calls)+s.waiting() > 0 {
				list = append(list, ofSlots(it.Key, &s))
			}
		case strings.HasPrefix(it.Key, waitPrefix) && exactjson.Unmarshal(it.Value, &w) == nil && w.V == wire.Version && !now.After(w.Over()):
			list = append(list, ofWait(it.Key, &w, ramps[WaitName(w.Target)], now))
		}
	}
	slices.SortStableFunc(list, func(a, b Limit) int {
		if a.Waiting != b.Waiting {
			return b.Waiting - a.Waiting
		}
		return strings.Compare(a.Covers+string(a.Why), b.Covers+string(b.Why))
	})
	return list, nil
}

// Find finds a limit by its id, or by what it covers if only one does.
func Find(ctx context.Context, b *bus.Bus, id string) (Limit, error) {
	all, err := List(ctx, b)
	if err != nil {
		return Limit{}, err
	}
	return In(all, id)
}

// In is [Find] among limits.
func In(all []Limit, id string) (Limit, error) {
	var found []Limit
	for _, l := range all {
		if l.ID == id {
			return l, nil
		}
		if l.Covers == id {
			found = append(found, l)
		}
	}
	switch len(found) {
	case 0:
		return Limit{}, fmt.Errorf("%q: %w", id, ErrNone)
	case 1:
		return found[0], nil
	}
	return Limit{}, fmt.Errorf("%q has several limits: name the id of one of them: %w", id, ErrNone)
}

func ofSlots(key string, s *Slots) Limit {
	return Limit{ID: idOf(key), Why: steps.HoldConcurrency, Covers: s.Covers, Waiting: s.waiting(), Most: s.Most, InHand: len(s.Calls), Calls: s.Calls, Waits: s.Waits}
}

func ofTimes(key string, t *Times, now time.Time) Limit {
	l := Limit{ID: idOf(key), Why: steps.HoldRate, Covers: t.Covers, Rate: t.Text, PerSec: t.perSec(now), Waiting: t.waiting(now), Of: t.waitingOf(now)}
	switch {
	case strings.HasPrefix(t.Name, gateName):
		l.Why = steps.HoldGate
	case strings.HasPrefix(t.Name, breakerName):
		l.Why = steps.HoldBreaker
	}
	if t.Next.After(now) {
		l.Next = t.Next
	}
	return l
}

// ramps reports whether the times are those of a ramp, of which nothing is left once nobody waits.
func (t *Times) ramps() bool {
	return strings.HasPrefix(t.Name, gateName) || strings.HasPrefix(t.Name, breakerName)
}

func ofWait(key string, w *Wait, t Times, now time.Time) Limit {
	l := Limit{ID: idOf(key), Why: steps.HoldRetryAfter, Covers: w.Target, Until: w.Until, Run: w.Run, Tool: w.Tool, PerSec: t.perSec(now), Waiting: t.waiting(now), Of: t.waitingOf(now)}
	if next := w.Until; t.Next.After(next) {
		l.Next = t.Next
	} else if next.After(now) {
		l.Next = next
	}
	return l
}

// perSec is how many calls began in a second of late.
func (t *Times) perSec(now time.Time) float64 {
	if t.idle(now) || t.Begun == 0 {
		return 0
	}
	last := t.Next
	if now.After(last) {
		last = now
	}
	return float64(int(float64(t.Begun)/max(last.Sub(t.Since).Seconds(), 0.1)*100+0.5)) / 100
}

// waiting is how many wait for a time.
func (t *Times) waiting(now time.Time) (n int) {
	if t.idle(now) {
		return 0
	}
	for _, w := range t.Waiting {
		n += w
	}
	return n
}

// waitingOf is how many wait for a time, by priority.
func (t *Times) waitingOf(now time.Time) map[string]int {
	if t.idle(now) || len(t.Of) == 0 {
		return nil
	}
	m := map[string]int{}
	for _, counts := range t.Of {
		for of, n := range counts {
			if n > 0 {
				m[steps.Priority(of).String()] += n
			}
		}
	}
	return m
}

// Place says in words where a step of a run, or the first of its items, stands among those that wait for a slot; empty where that is
// not known, because many stand before it.
func Place(all []Limit, run, step string) string {
	of := func(w Waiter) bool {
		return strings.HasPrefix(w.Attempt, run+"/"+step+"/") || strings.HasPrefix(w.Attempt, run+"/"+step+"~")
	}
	for i := range all {
		l := &all[i]
		if n := slices.IndexFunc(l.Waits, of); n >= 0 {
			return fmt.Sprintf("%s of %d that wait for a free slot of %s; %d of %d are in hand", ordinal(n+1), l.Waiting, l.Covers, l.InHand, l.Most)
		}
	}
	return ""
}

// Rank says in words how many of those that wait for a time of a limit have a higher priority than a step; empty where that is not known.
func Rank(all []Limit, why steps.HoldWhy, covers string, of steps.Priority) string {
	i := slices.IndexFunc(all, func(l Limit) bool { return l.Why == why && l.Covers == covers })
	if i < 0 || all[i].Of[of.String()] == 0 {
		return ""
	}
	l, higher := &all[i], 0
	for first := range of {
		higher += l.Of[first.String()]
	}
	like := [steps.Priorities]string{"about whose runs people have decided", "that are new", "that are done again"}[of]
	before := fmt.Sprintf("%d have", higher)
	switch higher {
	case 0:
		before = "none has"
	case 1:
		before = "1 has"
	}
	return fmt.Sprintf("of %d that wait %s a higher priority, and it is one of %d %s", l.Waiting, before, l.Of[of.String()], like)
}

// ordinal writes a number as 1st, 2nd, 3rd, 11th.
func ordinal(n int) string {
	suffix := "th"
	if n%100/10 != 1 {
		switch n % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprintf("%d%s", n, suffix)
}

// Words say where a limit stands.
func (l *Limit) Words() string {
	waits := fmt.Sprintf("%d wait", l.Waiting)
	if l.Waiting == 0 {
		waits = "nobody waits"
	}
	if by := l.priorities(); by != "" {
		waits += " (" + by + ")"
	}
	next := ""
	if !l.Next.IsZero() {
		next = ", the next call may begin at " + l.Next.UTC().Format("15:04:05 UTC")
	}
	switch l.Why {
	case steps.HoldConcurrency:
		return fmt.Sprintf("%d of %d in hand, %s", l.InHand, l.Most, waits)
	case steps.HoldRate:
		return fmt.Sprintf("%s, %g a second at present, %s%s", l.Rate, l.PerSec, waits, next)
	case steps.HoldBreaker:
		return fmt.Sprintf("it answers again, and few go at first: %g a second at present, %s%s", l.PerSec, waits, next)
	case steps.HoldGate:
		return fmt.Sprintf("it was opened, and few go at first: %g a second at present, %s%s", l.PerSec, waits, next)
	}
	return "asked all to wait until " + l.Until.UTC().Format("15:04:05 UTC") + ", and few go at first; " + waits + next
}

// priorities says how many wait of each priority; empty where all have the same.
func (l *Limit) priorities() string {
	var list []string
	for of := range steps.Priority(steps.Priorities) {
		if n := l.Of[of.String()]; n > 0 {
			list = append(list, fmt.Sprintf("%s %d", of, n))
		}
	}
	if len(list) < 2 {
		return ""
	}
	return strings.Join(list, ", ")
}
