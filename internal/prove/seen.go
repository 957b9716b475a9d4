package prove

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"belay/internal/plan"
	"belay/internal/steps"
)

// Seen is a class of faults that a tool of the plan has really had, and that the plan leaves to people.
type Seen struct {
	Tool  string      `json:"tool"`
	Class steps.Class `json:"class"`
	Times int         `json:"times"` // attempts that ended so
	Asked int         `json:"asked"` // of these, how many were the last before people were asked
}

// Sentence is Seen as people read it.
func (s Seen) Sentence() string {
	return fmt.Sprintf("%s answered `%s` %s, and people were asked %s", s.Tool, s.Class, often(s.Times), often(s.Asked))
}

func often(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// Tally counts the faults in the logs of runs.
type Tally map[[2]string]*Seen

// Add counts the faults of a run.
func (t Tally) Add(s *steps.State) {
	for i := range s.Units {
		u := &s.Units[i]
		for n := range u.Attempts {
			a := &u.Attempts[n]
			if a.Fault == nil || a.Fault.Class == steps.NeedsHuman {
				continue
			}
			key := [2]string{s.Tool(i).Name, string(a.Fault.Class)}
			if t[key] == nil {
				t[key] = &Seen{Tool: key[0], Class: a.Fault.Class}
			}
			t[key].Times++
			if t.last(s, i, n) {
				t[key].Asked++
			}
		}
	}
}

// last reports whether people were asked about unit i in the round in which attempt n was the last one.
func (t Tally) last(s *steps.State, i, n int) bool {
	u := &s.Units[i]
	if n+1 < len(u.Attempts) && u.Attempts[n+1].Round == u.Attempts[n].Round {
		return false
	}
	return slices.ContainsFunc(s.Escalations, func(e steps.Escalation) bool {
		return e.Unit == i && e.Kind != steps.KindApproval && e.Question == nil && !e.Opened.Before(u.Attempts[n].Ended)
	})
}

// Unminded are the classes that the plan's tools have had and that led to people, the most frequent first: those for which
// a fallback, a retry or a probe would be worth its while.
func (t Tally) Unminded(doc *plan.Document) []Seen {
	var list []Seen
	for _, s := range slices.Collect(maps.Values(t)) {
		if _, names := doc.Definition.Tools[s.Tool]; names && s.Asked > 0 {
			list = append(list, *s)
		}
	}
	slices.SortFunc(list, func(a, b Seen) int {
		return cmp.Or(cmp.Compare(b.Asked, a.Asked), cmp.Compare(b.Times, a.Times), cmp.Compare(a.Tool, b.Tool), cmp.Compare(a.Class, b.Class))
	})
	return list
}

// Served says which rungs of the plan's tools no worker serves, given those that some worker does, as `tool/rung`.
func Served(doc *plan.Document, served []string) (missing []string) {
	for _, name := range slices.Sorted(maps.Keys(doc.Definition.Tools)) {
		t := doc.Definition.Tools[name]
		for k := range t.Rungs {
			if t.Rungs[k].Human == nil && !slices.Contains(served, name+"/"+t.Rungs[k].Name) {
				missing = append(missing, name+"/"+t.Rungs[k].Name)
			}
		}
		if t.Verify != nil && !slices.Contains(served, name+"/"+steps.VerifyRung) {
			missing = append(missing, name+"/"+steps.VerifyRung)
		}
	}
	return missing
}
