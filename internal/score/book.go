package score

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"belay/internal/steps"
)

// What is counted is kept in slots: the last two hours in slots of five minutes, in the book; before that by the hour, and after
// a week by the day, in a value a day.
const (
	slotLen   = 5 * time.Minute
	keepSlots = 2 * time.Hour
	keepHours = 8 * 24 * time.Hour
	keep      = 30 * 24 * time.Hour // and a day, until that has ended
)

// What a partition keeps is bounded, whatever tools files, models and other sides come up with.
const (
	mostTools  = 100 // of more, the rest is counted as one tool, [Others]
	mostRungs  = 8   // of a tool
	mostCauses = 200 // of more, the rest is counted by tool and class
	mostOthers = 50
	mostKnown  = 8 // definitions of a tool that are remembered
)

// Others stands for the tools beyond mostTools.
const Others = "(others)"

// Book is what is kept of a partition, but for its days.
type Book struct {
	Upto   uint64           `json:"upto"`   // up to this sequence of the log everything is counted
	At     time.Time        `json:"at"`     // when that was so
	Since  time.Time        `json:"since"`  // when counting began: the time of the first record
	Closed time.Time        `json:"closed"` // hours before this are in their days; later ones in Slots only
	Slots  []Slot           `json:"slots"`  // the oldest first
	Tools  map[string]*Tool `json:"tools"`
	Causes causes           `json:"causes"`
}

// Tool is what is known of a tool from the runs that were submitted.
type Tool struct {
	SLO     *steps.SLO `json:"slo,omitempty"`
	Changed time.Time  `json:"changed"` // when it was first submitted with its present definition
	Known   []string   `json:"known"`   // digests of definitions, the present one first
	Rungs   []Rung     `json:"rungs"`   // of the present definition
}

// Rung is what is known of a rung.
type Rung struct {
	Name     string    `json:"name"`
	Since    time.Time `json:"since"`             // when it was first submitted
	Answered time.Time `json:"answered,omitzero"` // when an attempt on it last succeeded
	Tried    time.Time `json:"tried,omitzero"`    // when an attempt on it last ended
}

func newBook() *Book { return &Book{Tools: map[string]*Tool{}, Causes: causes{}} }

// count adds changes, in the order of their sequences, and leaves out what is counted already. Times of the log may go back a
// little: what would belong to a slot that is closed is counted in the first one that is open.
func (b *Book) count(list []Change) {
	for i := range list {
		c := &list[i]
		if c.Seq <= b.Upto {
			continue
		}
		if b.Since.IsZero() || c.At.Before(b.Since) {
			b.Since = c.At
		}
		switch c.What {
		case Defined:
			b.define(c)
			continue
		case Answered, Faulted:
			b.tried(c)
		}
		if c.What == Faulted {
			b.Causes.see(c)
		}
		b.slot(c.At).of(c.Tool).count(c)
	}
}

// slot is the one that a time belongs to.
func (b *Book) slot(t time.Time) *Slot {
	at := t.UTC().Truncate(slotLen)
	if at.Before(b.Closed) {
		at = b.Closed
	}
	i, there := slices.BinarySearchFunc(b.Slots, at, func(s Slot, at time.Time) int { return s.At.Compare(at) })
	if !there {
		b.Slots = slices.Insert(b.Slots, i, Slot{At: at})
	}
	return &b.Slots[i]
}

func (b *Book) tried(c *Change) {
	t := b.Tools[c.Tool]
	if t == nil {
		return
	}
	for i := range t.Rungs {
		if r := &t.Rungs[i]; r.Name == c.Rung {
			r.Tried = later(r.Tried, c.At)
			if c.What == Answered {
				r.Answered = later(r.Answered, c.At)
			}
		}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// define takes in tools as a run was submitted with them. A definition that was there before changes nothing: it may be an older
// client's.
func (b *Book) define(c *Change) {
	for name := range c.Tools {
		tool := c.Tools[name]
		def, digest := &tool, digestOf(&tool)
		t := b.Tools[name]
		switch {
		case t == nil && len(b.Tools) >= mostTools:
			continue
		case t == nil:
			t = &Tool{}
			b.Tools[name] = t
		case slices.Contains(t.Known, digest):
			continue
		}
		t.SLO, t.Changed, t.Rungs = def.SLO, c.At, rungsOf(def, t.Rungs, c.At)
		t.Known = append([]string{digest}, t.Known...)
		t.Known = t.Known[:min(mostKnown, len(t.Known))]
	}
}

func rungsOf(def *steps.Tool, were []Rung, at time.Time) (list []Rung) {
	for k := range def.Rungs[:min(mostRungs, len(def.Rungs))] {
		r := Rung{Name: def.Rungs[k].Name, Since: at}
		for _, was := range were {
			if was.Name == r.Name {
				r = was
			}
		}
		list = append(list, r)
	}
	return list
}

func digestOf(t *steps.Tool) string {
	body, err := json.Marshal(t)
	if err != nil {
		return "" // one like any other that cannot be written
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:6])
}

// due are the hours that are to be closed, the oldest first: they ended a while ago, so that all of their slots are there.
func (b *Book) due(now time.Time) (hours []Slot) {
	end := now.Add(-slotLen).UTC().Truncate(time.Hour)
	for i := range b.Slots {
		s := &b.Slots[i]
		if s.At.Before(b.Closed) || !s.At.Before(end) {
			continue
		}
		hour := s.At.Truncate(time.Hour)
		if len(hours) == 0 || !hours[len(hours)-1].At.Equal(hour) {
			hours = append(hours, Slot{At: hour})
		}
		hours[len(hours)-1].Add(s)
	}
	return hours
}

// closed is called when all hours that were due are in their days.
func (b *Book) closed(now time.Time) {
	b.Closed = later(b.Closed, now.Add(-slotLen).UTC().Truncate(time.Hour))
	b.Slots = slices.DeleteFunc(b.Slots, func(s Slot) bool { return s.At.Before(b.Closed) && s.At.Before(now.Add(-keepSlots)) })
	b.Causes.forget(now)
	for name, t := range b.Tools { // of a tool that is not submitted any more nothing is known after a while
		if t.lastSeen().Before(now.Add(-2 * keep)) {
			delete(b.Tools, name)
		}
	}
}

func (t *Tool) lastSeen() time.Time {
	at := t.Changed
	for _, r := range t.Rungs {
		at = later(at, r.Tried)
	}
	return at
}

// Day is what was counted on a day, by the hour; later all in one slot.
type Day struct {
	Hours []Slot `json:"hours"`
}

// put puts an hour in its place: once more changes nothing.
func (d *Day) put(h Slot) {
	i, there := slices.BinarySearchFunc(d.Hours, h.At, func(s Slot, at time.Time) int { return s.At.Compare(at) })
	if there {
		d.Hours[i] = h
		return
	}
	d.Hours = slices.Insert(d.Hours, i, h)
}

// rolledUp is the day in one slot.
func (d *Day) rolledUp() Day {
	if len(d.Hours) < 2 {
		return *d
	}
	all := Slot{At: d.Hours[0].At.Truncate(24 * time.Hour)}
	for i := range d.Hours {
		all.Add(&d.Hours[i])
	}
	return Day{Hours: []Slot{all}}
}
