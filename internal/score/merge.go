package score

import (
	"maps"
	"slices"
	"time"
)

// merged adds the partitions up.
func merged(books map[string]*Book, days map[string]map[string]Day) *Counts {
	c := &Counts{Tools: map[string]*Tool{}}
	hours, slots, seen := map[time.Time]*Slot{}, map[time.Time]*Slot{}, causes{}
	add := func(to map[time.Time]*Slot, at time.Time, s *Slot) {
		if to[at] == nil {
			to[at] = &Slot{At: at}
		}
		to[at].Add(s)
	}
	for p, b := range books {
		for _, d := range days[p] {
			for i := range d.Hours {
				if h := &d.Hours[i]; h.At.Before(b.Closed) { // a later one is in the slots
					add(hours, h.At, h)
				}
			}
		}
		for i := range b.Slots {
			s := &b.Slots[i]
			add(slots, s.At, s)
			if !s.At.Before(b.Closed) {
				add(hours, s.At.Truncate(time.Hour), s)
			}
		}
		c.know(b, seen)
	}
	c.Hours, c.Slots, c.Causes = inOrder(hours), inOrder(slots), []Cause{}
	for _, x := range seen {
		c.Causes = append(c.Causes, *x)
	}
	sorted(c.Causes)
	return c
}

func inOrder(m map[time.Time]*Slot) (list []Slot) {
	for _, at := range slices.SortedFunc(maps.Keys(m), time.Time.Compare) {
		list = append(list, *m[at])
	}
	return list
}

// know takes in what a partition knows of tools and causes.
func (c *Counts) know(b *Book, seen causes) {
	c.At = later(c.At, b.At)
	if !b.Since.IsZero() && (c.Since.IsZero() || b.Since.Before(c.Since)) {
		c.Since = b.Since
	}
	for id, x := range b.Causes {
		if was := seen[id]; was != nil {
			was.join(x)
			continue
		}
		own := *x
		own.Days = maps.Clone(x.Days)
		seen[id] = &own
	}
	for name, t := range b.Tools {
		if c.Tools[name] == nil {
			c.Tools[name] = &Tool{}
		}
		c.Tools[name].join(t)
	}
}

// join takes in what another partition knows of the same tool: the definition that was changed last is the present one, from when
// the first partition has seen it.
func (t *Tool) join(o *Tool) {
	rungs := slices.Concat(t.Rungs, o.Rungs)
	same := len(t.Known) > 0 && len(o.Known) > 0 && t.Known[0] == o.Known[0]
	switch {
	case same && o.Changed.Before(t.Changed):
		t.Changed = o.Changed
	case !same && o.Changed.After(t.Changed):
		t.SLO, t.Changed, t.Known, t.Rungs = o.SLO, o.Changed, o.Known, slices.Clone(o.Rungs)
	}
	for i := range t.Rungs {
		for _, r := range rungs {
			if mine := &t.Rungs[i]; r.Name == mine.Name {
				mine.Answered, mine.Tried = later(mine.Answered, r.Answered), later(mine.Tried, r.Tried)
				if r.Since.Before(mine.Since) {
					mine.Since = r.Since
				}
			}
		}
	}
}
