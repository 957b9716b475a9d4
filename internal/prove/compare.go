package prove

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Difference is what has changed between two versions of a plan and its tools.
type Difference struct {
	Against  string    `json:"against"`  // what it is compared with
	Headline string    `json:"headline"` // one sentence
	Lines    []string  `json:"changes"`  // all of it, what matters most first
	New      []Finding `json:"new"`      // findings that were not there
	Gone     []Finding `json:"gone"`     // findings that are no longer there
}

// Compare says what is different in now. Before is nil where there was no such plan.
func Compare(before, now *Report, against string) *Difference {
	d := &Difference{Against: against, Lines: []string{}, New: []Finding{}, Gone: []Finding{}}
	if before == nil {
		d.Headline = fmt.Sprintf("Against %s: the plan is new.", against)
		d.New = slices.Clone(now.Findings)
		return d
	}
	d.compareCalls(before.Worst.Dependencies, now.Worst.Dependencies)
	d.compareFallbacks(before.Worst.Steps, now.Worst.Steps)
	if a, b := before.Worst.Work.String(), now.Worst.Work.String(); a != b {
		d.say("worst work %s -> %s", a, b)
	}
	if a, b := before.Worst.Undo.String(), now.Worst.Undo.String(); a != b {
		d.say("undoing a failed run %s -> %s", a, b)
	}
	d.compareAgents(before.Worst.Agents, now.Worst.Agents)
	d.compareSteps(before.Worst.Steps, now.Worst.Steps)
	d.compareFindings(before.Findings, now.Findings)
	const most = 3
	switch n := len(d.Lines); {
	case n == 0:
		d.Headline = fmt.Sprintf("Against %s: no difference in how it fails.", against)
	case n > most:
		d.Headline = fmt.Sprintf("Against %s: %s, and %d more.", against, strings.Join(d.Lines[:most], ", "), n-most)
	default:
		d.Headline = fmt.Sprintf("Against %s: %s.", against, strings.Join(d.Lines, ", "))
	}
	return d
}

func (d *Difference) say(format string, args ...any) {
	d.Lines = append(d.Lines, fmt.Sprintf(format, args...))
}

func (d *Difference) compareCalls(before, now []Dependency) {
	find := func(list []Dependency, name string) *Dependency {
		if i := slices.IndexFunc(list, func(o Dependency) bool { return o.Name == name }); i >= 0 {
			return &list[i]
		}
		return nil
	}
	for i := range now {
		n := &now[i]
		switch b := find(before, n.Name); {
		case b == nil:
			d.say("leans on %s now, worst %s", n.Name, callsOf(n.Calls))
		case b.Calls.String() != n.Calls.String():
			d.say("worst calls to %s %s -> %s", n.Name, b.Calls, n.Calls)
		case b.money() != n.money():
			d.say("worst cost of %s %s -> %s", n.Name, b.money(), n.money())
		}
	}
	for i := range before {
		if find(now, before[i].Name) == nil {
			d.say("leans on %s no longer", before[i].Name)
		}
	}
}

// compareFallbacks says which steps have lost all rungs but one, and which have got a second one.
func (d *Difference) compareFallbacks(before, now []StepCost) {
	var lost, got []string
	for _, n := range now {
		for _, b := range before {
			switch {
			case n.Undo || b.Undo || n.Step != b.Step:
			case b.Rungs > 1 && n.Rungs == 1:
				lost = append(lost, n.Step)
			case b.Rungs == 1 && n.Rungs > 1:
				got = append(got, n.Step)
			}
		}
	}
	for _, part := range []struct {
		steps     []string
		one, more string
	}{{lost, "loses its fallback", "lose their fallbacks"}, {got, "gets a fallback", "get fallbacks"}} {
		switch len(part.steps) {
		case 0:
		case 1:
			d.say("step %s %s", part.steps[0], part.one)
		default:
			d.say("steps %s %s", strings.Join(part.steps, ", "), part.more)
		}
	}
}

// compareAgents says what agents may spend that were there before; how often they ask and call is in the calls.
func (d *Difference) compareAgents(before, now []AgentCost) {
	for i := range now {
		for k := range before {
			if n, b := &now[i], &before[k]; n.Step == b.Step && n.money() != b.money() {
				d.say("money of the agent of %s %s -> %s", n.Step, b.money(), n.money())
			}
		}
	}
}

func (d *Difference) compareSteps(before, now []StepCost) {
	names := func(list []StepCost) (ids []string) {
		for _, s := range list {
			if !s.Undo {
				ids = append(ids, s.Step)
			}
		}
		return ids
	}
	was, is := names(before), names(now)
	for _, id := range is {
		if !slices.Contains(was, id) {
			d.say("step %s is new", id)
		}
	}
	for _, id := range was {
		if !slices.Contains(is, id) {
			d.say("step %s is gone", id)
		}
	}
}

func (d *Difference) compareFindings(before, now []Finding) {
	has := func(list []Finding, f *Finding) bool {
		return slices.ContainsFunc(list, func(o Finding) bool { return o.Print == f.Print && o.Counts() == f.Counts() })
	}
	for i := range now {
		if f := &now[i]; !has(before, f) {
			d.New = append(d.New, *f)
		}
	}
	for i := range before {
		if f := &before[i]; !has(now, f) {
			d.Gone = append(d.Gone, *f)
		}
	}
	d.sayFindings("new", d.New)
	d.sayFindings("gone", d.Gone)
}

func (d *Difference) sayFindings(how string, list []Finding) {
	byLevel := map[string][]string{}
	for i := range list {
		byLevel[list[i].level()] = append(byLevel[list[i].level()], list[i].Code)
	}
	for _, level := range []string{string(Error), string(Warning), "waived"} {
		codes := byLevel[level]
		what := level
		if level == "waived" {
			what = "waived finding"
		}
		switch len(codes) {
		case 0:
		case 1:
			d.say("%s %s (%s)", plural(1, what), how, codes[0])
		default:
			d.say("%s %s (%s)", plural(len(codes), what), how, strings.Join(codes, ", "))
		}
	}
}

func (d *Difference) isNew(f *Finding) bool {
	return slices.ContainsFunc(d.New, func(o Finding) bool { return o.Print == f.Print })
}

// Text writes the difference for people.
func (d *Difference) Text(w io.Writer) {
	fmt.Fprintln(w, d.Headline)
	const shown = 3
	if len(d.Lines) > shown {
		for _, line := range d.Lines {
			fmt.Fprintln(w, "  "+line)
		}
	}
}
