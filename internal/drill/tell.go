package drill

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"belay/internal/sim"
	"belay/internal/steps"
)

// Ending is a story that was played.
type Ending struct {
	*sim.Played
	Wrong []string // what is not as expected
}

// Bad says what must never be and is; empty if nothing is.
func (e *Ending) Bad() string {
	_, why := e.Played.Wrong()
	return why
}

// Expect is how the story ended.
func (e *Ending) Expect() Expect { return expectOf(e.Played) }

// Tell plays a story. The drill must be prepared with the story's plan, tools, input and outputs.
func (d *Drill) Tell(s *Story) (*Ending, error) {
	t := &telling{acting: newActing(d, &play{}), story: s, hits: make([]int, len(s.World)), used: make([]bool, len(s.People))}
	for i := range s.World {
		p, err := d.incident(&s.World[i])
		if err != nil {
			return nil, fmt.Errorf("world: %w", err)
		}
		t.faults = append(t.faults, p)
	}
	if s.Cancel != "" && !slices.ContainsFunc(d.Doc.Definition.Plan.Steps, func(st steps.Step) bool { return st.ID == stepOf(s.Cancel) }) {
		return nil, fmt.Errorf("cancel: the plan has no step %q", s.Cancel)
	}
	o := d.options(t.acting)
	o.CancelWith = s.Cancel
	o.World, o.People, o.Serves = t.world, t.people, t.serves
	ending := &Ending{Played: sim.Play(o)}
	ending.Wrong = d.unlike(ending.Played, &s.Expect)
	return ending, nil
}

// incident finds the play that an incident stands for.
func (d *Drill) incident(in *Incident) (*play, error) {
	t, err := d.rungOf(in.Step, in.Rung)
	if err != nil {
		return nil, err
	}
	if in.Class != "" {
		return hit(t, in.happens(), false), nil
	}
	f, err := faultOf(t, in.Fault)
	if err != nil {
		return nil, err
	}
	all, why := f.plays(d, t)
	for _, p := range slices.Backward(all) {
		if p.happens == nil || p.happens.Acts == in.Acted || !t.acts() {
			return p, nil
		}
	}
	if why == "" {
		why = "it is certain whether the call has had its effect: leave `acted` out"
	}
	return nil, &ErrNoCell{fmt.Sprintf("%s/%s: %s", t.Name(), in.Fault, why)}
}

func (in *Incident) happens() sim.Happens {
	f := steps.Fault{Class: in.Class, Acted: steps.ActedNo, Message: in.Message, RetryAfter: steps.Duration(in.RetryAfter)}
	if in.MayHave || in.Acted {
		f.Acted = steps.ActedMaybe
	}
	return sim.Happens{Took: usual, Fault: &f, Acts: in.Acted}
}

// rungOf finds a rung of a step, or of a turn or a call of an agent; an empty name is the first. An agent step alone is its model,
// and an item stands for its step.
func (d *Drill) rungOf(unit, rung string) (*target, error) {
	var names []string
	var ofStep *target
	for _, t := range d.targets() {
		if t.kind != onRung {
			continue
		}
		names = append(names, t.Name())
		if t.def().Name != rung && rung != "" {
			continue
		}
		if t.of() == unit {
			return t, nil
		}
		if ofStep == nil && t.standsFor(unit) {
			ofStep = t
		}
	}
	if ofStep != nil {
		return ofStep, nil
	}
	return nil, &ErrNoCell{fmt.Sprintf("there is no rung %q of step %q; there are %s", rung, unit, strings.Join(names, ", "))}
}

// standsFor reports whether the target is meant where a step is named as a whole: of an agent its model. An item is its step.
func (t *target) standsFor(unit string) bool {
	if t.step.Agent != nil && t.undoing == nil {
		return t.step.ID == unit && steps.IsTurn(t.unit)
	}
	return t.of() == stepOf(unit)
}

// telling is a story that is being played.
type telling struct {
	*acting
	story  *Story
	faults []*play // by incident
	hits   []int   // calls that each incident has seen
	used   []bool  // decisions that were made
}

// world lets the first incident that is not used up happen to a call.
func (t *telling) world(c sim.Call) sim.Happens {
	h := t.usually(c)
	for i, p := range t.faults {
		in := &t.story.World[i]
		if p.unserved || !in.hits(p, c) {
			continue
		}
		t.hits[i]++
		if n := t.hits[i] - in.After; n < 1 || in.Times > 0 && n > in.Times {
			continue
		}
		return t.suffer(p, c, h)
	}
	return h
}

// hits reports whether an incident is about a call: of the unit that it names, of any item of the step or any turn of the agent,
// or of a later turn, where it is in what a model says.
func (in *Incident) hits(p *play, c sim.Call) bool {
	if p.target.def().Name != c.RungName || p.target.tool.Name != c.Tool {
		return false
	}
	return in.Step == c.Step || in.Step == stepOf(c.Step) || p.strikes(c.Step) && p.says != nil
}

func (t *telling) serves(m steps.StepMessage) bool {
	return !slices.ContainsFunc(t.faults, func(p *play) bool {
		return p.away(m)
	})
}

// people decide as the story says, and otherwise as in a drill.
func (t *telling) people(s *steps.State, n int) []sim.Decision {
	e := &s.Escalations[n]
	var all []sim.Decision
	for i, d := range t.story.People {
		if t.used[i] || d.Asks != "" && d.Asks != e.Kind || d.Of != "" && d.Of != unitName(s, e) {
			continue
		}
		t.used[i] = true
		if d.Verb == "none" {
			return nil
		}
		all = append(all, d.decision(e))
		if len(all) >= max(1, e.Needed) {
			return all
		}
	}
	if len(all) > 0 {
		return all
	}
	return t.usualDecisions(s, n)
}

func (d *Deciding) decision(e *steps.Escalation) sim.Decision {
	out := sim.Decision{After: answersIn(e), By: "mia", Verb: d.Verb, Reason: "decided in a story"}
	if d.After > 0 {
		out.After = d.After
	}
	if d.By != "" {
		out.By = d.By
	}
	if d.Reason != "" {
		out.Reason = d.Reason
	}
	if d.Params != nil {
		out.Params = encode(d.Params)
	}
	if d.Answer != nil {
		out.Answer = encode(d.Answer)
	}
	return out
}

func unitName(s *steps.State, e *steps.Escalation) string {
	if e.Unit == steps.RunUnit {
		return ""
	}
	return s.Units[e.Unit].ID
}

// AnyEnd is a state that every run ends in.
const AnyEnd steps.RunState = "any"

// unlike lists what is not as expected.
func (d *Drill) unlike(p *sim.Played, e *Expect) (wrong []string) {
	differ := func(what string, want, got any) {
		if fmt.Sprint(want) != fmt.Sprint(got) {
			wrong = append(wrong, fmt.Sprintf("%s: want %v, got %v", what, want, got))
		}
	}
	if w, why := p.Wrong(); w != sim.Right {
		wrong = append(wrong, why)
	}
	got := expectOf(p)
	if e.Ends != AnyEnd {
		differ("ends", e.Ends, got.Ends)
	}
	if e.Degraded != nil {
		differ("degraded", e.Degraded, got.Degraded)
	}
	if e.Asked != nil {
		differ("asked", e.Asked, got.Asked)
	}
	for _, tool := range slices.Sorted(maps.Keys(e.Effects)) {
		differ("effects of "+tool, e.Effects[tool], got.Effects[tool])
	}
	if e.Within > 0 && got.Within > e.Within {
		wrong = append(wrong, fmt.Sprintf("within: want at most %v, got %v", e.Within, got.Within))
	}
	return wrong
}

// expectOf is how a play ended.
func expectOf(p *sim.Played) Expect {
	e := Expect{Ends: p.State.Status(), Degraded: []string{}, Asked: []string{}, Effects: map[string]int{}, Within: p.Took - waitedForPeople(p)}
	for i := range p.State.Units {
		if u := &p.State.Units[i]; u.Degraded != nil && u.Rung > 0 {
			e.Degraded = append(e.Degraded, u.ID+"."+u.Degraded.Rung)
		}
	}
	for _, id := range p.Asked {
		esc := &p.State.Escalations[p.State.FindEscalation(id)]
		asked := string(esc.Kind)
		if of := unitName(p.State, esc); of != "" {
			asked += " of " + of
		}
		e.Asked = append(e.Asked, asked)
	}
	for _, x := range p.Effects {
		e.Effects[x.Tool]++
	}
	return e
}
