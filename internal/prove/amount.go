package prove

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"belay/internal/yamldoc"
)

// Amount is a number that may depend on the lengths of lists that nobody knows before the run.
type Amount struct {
	Fixed int   `json:"fixed"`          // whatever the lists hold
	Each  []Per `json:"each,omitempty"` // for each element of a list, in the order of the plan
}

// Per is what each element of the list of a for_each step adds.
type Per struct {
	Step string `json:"step"`
	N    int    `json:"n"`
}

func (a Amount) plus(b Amount) Amount {
	sum := Amount{Fixed: a.Fixed + b.Fixed, Each: slices.Clone(a.Each)}
	for _, p := range b.Each {
		i := slices.IndexFunc(sum.Each, func(o Per) bool { return o.Step == p.Step })
		if i < 0 {
			sum.Each = append(sum.Each, p)
			continue
		}
		sum.Each[i].N += p.N
	}
	return sum
}

// atLeastOne is the amount where each list has one element, by which amounts are compared.
func (a Amount) atLeastOne() int {
	n := a.Fixed
	for _, p := range a.Each {
		n += p.N
	}
	return n
}

func (a Amount) String() string {
	var words []string
	if a.Fixed > 0 || len(a.Each) == 0 {
		words = append(words, fmt.Sprint(a.Fixed))
	}
	for _, p := range a.Each {
		words = append(words, fmt.Sprintf("%d x items of %s", p.N, p.Step))
	}
	return strings.Join(words, " + ")
}

// MarshalJSON writes the amount with the text that people are shown.
func (a Amount) MarshalJSON() ([]byte, error) {
	type plain Amount
	return json.Marshal(struct {
		plain
		Text string `json:"text"`
	}{plain(a), a.String()})
}

// Span is a length of time that may depend on the lengths of lists.
type Span struct {
	Fixed   time.Duration
	Each    []SpanPer
	Endless bool // nothing bounds it
}

// SpanPer is what each element of a list adds, where some of them are at work at the same time.
type SpanPer struct {
	Step     string
	Duration time.Duration
	Parallel int // elements at work at once
}

func (s Span) plus(t Span) Span {
	sum := Span{Fixed: total(s.Fixed, t.Fixed), Each: slices.Clone(s.Each), Endless: s.Endless || t.Endless}
	sum.Endless = sum.Endless || sum.Fixed == centuries
	for _, p := range t.Each {
		i := slices.IndexFunc(sum.Each, func(o SpanPer) bool { return o.Step == p.Step && o.Parallel == p.Parallel })
		if i < 0 {
			sum.Each = append(sum.Each, p)
			continue
		}
		sum.Each[i].Duration += p.Duration
	}
	return sum
}

// longer is the longer of two spans; where that depends on a list, a span that is at least as long as both.
func (s Span) longer(t Span) Span {
	switch {
	case s.covers(t):
		return s
	case t.covers(s):
		return t
	}
	both := Span{Fixed: max(s.Fixed, t.Fixed), Each: slices.Clone(s.Each), Endless: s.Endless || t.Endless}
	for _, p := range t.Each {
		if i := slices.IndexFunc(both.Each, func(o SpanPer) bool { return o.Step == p.Step && o.Parallel == p.Parallel }); i < 0 {
			both.Each = append(both.Each, p)
		} else {
			both.Each[i].Duration = max(both.Each[i].Duration, p.Duration)
		}
	}
	return both
}

// shorter is t where it is never longer than s, else s.
func (s Span) shorter(t Span) Span {
	if s.covers(t) {
		return t
	}
	return s
}

// covers reports whether s is at least as long as t, whatever the lists hold.
func (s Span) covers(t Span) bool {
	if s.Fixed < t.Fixed || t.Endless && !s.Endless {
		return false
	}
	for _, p := range t.Each {
		if !slices.ContainsFunc(s.Each, func(o SpanPer) bool { return o.Step == p.Step && o.Parallel == p.Parallel && o.Duration >= p.Duration }) {
			return false
		}
	}
	return true
}

// times is s for n elements, of which some are at work at once.
func (s Span) times(n length, step string, parallel int) Span {
	if s.Endless {
		return s
	}
	if !n.known {
		return Span{Each: []SpanPer{{step, s.Fixed, parallel}}}
	}
	return s.by((n.most + parallel - 1) / parallel)
}

// by is a span that depends on no list, n times over.
func (s Span) by(n int) Span {
	d := product(s.Fixed, n)
	return Span{Fixed: d, Endless: s.Endless || d == centuries}
}

// centuries is the longest time that is reckoned with: what takes longer has no end for anybody.
const centuries = time.Duration(math.MaxInt64)

// product is a length of time n times over.
func product(d time.Duration, n int) time.Duration {
	if n > 0 && d > centuries/time.Duration(n) {
		return centuries
	}
	return d * time.Duration(n)
}

func total(d, more time.Duration) time.Duration {
	if d > centuries-more {
		return centuries
	}
	return d + more
}

// atLeastOne is the span where each list has one element.
func (s Span) atLeastOne() time.Duration {
	d := s.Fixed
	for _, p := range s.Each {
		d += p.Duration
	}
	return d
}

func (s Span) String() string {
	if s.Endless {
		return "no end"
	}
	var words []string
	if s.Fixed > 0 || len(s.Each) == 0 {
		words = append(words, spoken(s.Fixed))
	}
	for _, p := range s.Each {
		if p.Parallel <= 1 {
			words = append(words, fmt.Sprintf("%s x items of %s", spoken(p.Duration), p.Step))
			continue
		}
		words = append(words, fmt.Sprintf("%s for every %d items of %s", spoken(p.Duration), p.Parallel, p.Step))
	}
	return strings.Join(words, " + ")
}

// MarshalJSON writes the span in seconds, with the text that people are shown.
func (s Span) MarshalJSON() ([]byte, error) {
	type per struct {
		Step     string  `json:"step"`
		Seconds  float64 `json:"seconds"`
		Parallel int     `json:"parallel"`
	}
	each := make([]per, len(s.Each))
	for i, p := range s.Each {
		each[i] = per{p.Step, p.Duration.Seconds(), p.Parallel}
	}
	return json.Marshal(struct {
		Seconds float64 `json:"seconds"`
		Each    []per   `json:"each,omitempty"`
		Endless bool    `json:"endless,omitempty"`
		Text    string  `json:"text"`
	}{s.Fixed.Seconds(), each, s.Endless, s.String()})
}

// spoken is a length of time without fractions that nobody reads.
func spoken(d time.Duration) string {
	if d > time.Minute {
		d = (d + time.Second - 1).Truncate(time.Second)
	}
	return yamldoc.SpokenDuration(d)
}

// length is how many elements a list has at most.
type length struct {
	most  int
	known bool
}

func (n length) times(calls int, step string) Amount {
	if n.known {
		return Amount{Fixed: calls * n.most}
	}
	return Amount{Each: []Per{{step, calls}}}
}

// sortedByWeight orders by the larger amount, then by name.
func sortedByWeight(list []Dependency) {
	slices.SortFunc(list, func(a, b Dependency) int {
		return cmp.Or(cmp.Compare(b.Calls.atLeastOne(), a.Calls.atLeastOne()), cmp.Compare(a.Name, b.Name))
	})
}
