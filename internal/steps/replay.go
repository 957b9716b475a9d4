package steps

import (
	"encoding/json"
	"slices"
	"strings"
)

// A replay is a new run that does again what another one did, from a step on. What stands before that step is taken over as it is
// and stays the other run's; what is executed again has other idempotency keys, so whoever keeps to them takes it for something new.

// ReplayOf says, on the log of a replay, what it does again.
type ReplayOf struct {
	Run       string   `json:"run"`             // the other run
	From      []string `json:"from"`            // steps that are done again, and all behind them
	Confirmed []string `json:"again,omitempty"` // steps of which somebody has said that calls are made again which had been made, or may have been
}

// ReplayWish is what somebody wants of a replay.
type ReplayWish struct {
	Program   *Program        // of the plan that is executed: the other run's, or another version of it
	Input     json.RawMessage // the whole input, checked
	From      []string        // see [ReplayOf]
	Confirmed []string        // likewise
}

// ReplayFate says what becomes of a step in a replay.
type ReplayFate string

const (
	ReplayTakenOver ReplayFate = "taken_over" // its result is taken over, and nothing of it is executed
	ReplayRedone    ReplayFate = "again"      // it had begun in the other run, and is executed again
	ReplayFirst     ReplayFate = "first"      // it had not begun there
)

// Replay is what would become of each step of a run that does another one again, and why that is not possible.
type Replay struct {
	Of          string       `json:"of"`                    // the other run
	Steps       []ReplayStep `json:"steps"`                 // of the plan, in its order
	Gone        []string     `json:"gone,omitempty"`        // steps that the other run had begun and the plan does not have
	Refused     []string     `json:"refused,omitempty"`     // why it is not possible, each a sentence; empty = it is
	Unconfirmed []string     `json:"unconfirmed,omitempty"` // steps of which it has yet to be said that calls are made again

	carried   []Carried
	confirmed []string
}

// ReplayStep is a step of a replay.
type ReplayStep struct {
	Step  string       `json:"step"`            // its id
	Tool  string       `json:"tool"`            // its name
	Fate  ReplayFate   `json:"fate"`            // what becomes of it
	Why   string       `json:"why"`             // in words
	State StepState    `json:"state,omitempty"` // where it stood in the other run; empty: it was not in that one's plan
	Calls []ReplayCall `json:"calls,omitempty"` // of one that is executed again: what changed something before
}

// ReplayCall is a call of the other run that has changed something, or may have.
type ReplayCall struct {
	Unit   string          `json:"unit"`          // its id
	Tool   string          `json:"tool"`          // its name
	Run    string          `json:"run"`           // that made it: the other run, or one that it had taken it over from
	Params json.RawMessage `json:"params"`        // null where the other run had taken it over
	Key    string          `json:"key,omitempty"` // the idempotency key that it had, in the replay it has another one; empty likewise
	Was    ReplayWas       `json:"was"`           // what is known of it
}

// ReplayWas is what is known of a call of the run that is done again.
type ReplayWas string

const (
	ReplayMade   ReplayWas = "made"   // and nothing has undone it
	ReplayMaybe  ReplayWas = "maybe"  // nobody knows whether it happened
	ReplayUndone ReplayWas = "undone" // it was made, and then undone
)

// TakenOver are the steps that are taken over.
func (r *Replay) TakenOver() []Carried { return r.carried }

// Says is what stands on the log of the replay.
func (r *Replay) Says(from []string) *ReplayOf {
	return &ReplayOf{Run: r.Of, From: from, Confirmed: r.confirmed}
}

// PlanReplay says what becomes of each step if the run s is done again as somebody wishes.
func PlanReplay(s *State, w ReplayWish) Replay {
	r := &replaying{ReplayWish: w, old: s, takenOver: make([]bool, len(w.Program.Nodes)), out: Replay{Of: s.Run}}
	r.checkWish()
	r.fates()
	r.compare()
	r.confirm()
	for id, i := range s.Program.index {
		if _, stays := w.Program.index[id]; !stays && s.hasBegun(i) {
			r.out.Gone = append(r.out.Gone, id)
		}
	}
	slices.Sort(r.out.Gone)
	return r.out
}

type replaying struct {
	ReplayWish
	old       *State
	behind    []bool // by node: it is one that is done again from, or behind it
	takenOver []bool // by node
	out       Replay
}

func (r *replaying) refuse(why string) { r.out.Refused = append(r.out.Refused, why) }

// checkWish refuses a wish that no plan could fulfil, and finds what stands behind its steps.
func (r *replaying) checkWish() {
	if to := r.old.GoesOnAs(); to != "" {
		r.refuse("run " + r.old.Run + " goes on as " + to + ": do that one again")
	}
	if st := r.old.Status(); !st.Ended() {
		r.refuse("run " + r.old.Run + " is " + string(st) + ", and what it does may still change: wait until it ends, or cancel it first")
	}
	if len(r.From) == 0 {
		r.refuse("say from which step it is done again: " + r.names())
	}
	r.behind = make([]bool, len(r.Program.Nodes))
	var next []int
	for _, id := range r.From {
		i, is := r.Program.index[id]
		base, _, part := strings.Cut(id, "~")
		switch _, of := r.Program.index[base]; {
		case is:
			next = append(next, i)
		case part && of:
			r.refuse("a run is done again from a step, not from a part of one: " + base + " in place of " + id)
		default:
			r.refuse("the plan has no step " + id + "; it has " + r.names())
		}
	}
	for len(next) > 0 {
		i := next[0]
		if next = next[1:]; !r.behind[i] {
			r.behind[i] = true
			next = append(next, r.Program.Nodes[i].Dependents...)
		}
	}
}

func (r *replaying) names() string {
	var list []string
	for i := range r.Program.Nodes {
		list = append(list, r.Program.Nodes[i].Step.ID)
	}
	return strings.Join(list, ", ")
}

// fates finds what becomes of each step, the steps that one needs before it.
func (r *replaying) fates() {
	r.out.Steps = make([]ReplayStep, len(r.Program.Nodes))
	var settle func(i int)
	settle = func(i int) {
		if r.out.Steps[i].Step != "" {
			return
		}
		for _, j := range r.Program.Nodes[i].Needs {
			settle(j)
		}
		r.out.Steps[i] = r.fate(i)
	}
	for i := range r.Program.Nodes {
		settle(i)
	}
}

func (r *replaying) fate(i int) ReplayStep {
	n := &r.Program.Nodes[i]
	is := ReplayStep{Step: n.Step.ID, Tool: n.Tool.Name, Fate: ReplayFirst, Why: r.whyExecuted(i)}
	k, known := r.old.Program.index[is.Step]
	if !known {
		is.Why = "it was not in the plan"
		return is
	}
	u := &r.old.Units[k]
	is.State = u.State()
	switch {
	case is.Why == "":
		is.Fate, is.Why = ReplayTakenOver, r.old.howTakenOver(k)
		r.takenOver[i] = true
		r.out.carried = append(r.out.carried, Carried{
			Step: is.Step, State: is.State, Rung: u.Rung, Output: u.Output, Degraded: carriedLabel(r.old, k), Tainted: u.tainted,
			Untrusted: u.stranger, From: orElse(r.old.TakenOverFrom(k), r.old.Run), AnswerBy: u.AnswerBy, Rejected: u.Rejected,
		})
	case r.old.hasBegun(k):
		is.Fate, is.Calls = ReplayRedone, r.old.callsOf(k)
	}
	return is
}

// howTakenOver says what is taken over of plan step k.
func (s *State) howTakenOver(k int) string {
	u, why := &s.Units[k], "its result"
	if u.phase == PhaseSkipped {
		why = "it was skipped"
		if slices.ContainsFunc(s.callsOf(k), func(c ReplayCall) bool { return c.Was == ReplayMaybe }) {
			why += ", and its call may have happened"
		}
	}
	if d := carriedLabel(s, k); d != nil {
		why += ", degraded by " + d.Rung + ": " + d.Cause
	}
	if u.AnswerBy != "" {
		why += ", given by " + u.AnswerBy
	}
	if from := s.TakenOverFrom(k); from != "" {
		why += ", of run " + from
	}
	return why
}

// whyExecuted says why a step is executed in the replay; empty: it is taken over.
func (r *replaying) whyExecuted(i int) string {
	n := &r.Program.Nodes[i]
	if slices.Contains(r.From, n.Step.ID) {
		return "asked for"
	}
	for _, j := range n.Needs {
		if !r.takenOver[j] {
			return "it stands behind " + r.Program.Nodes[j].Step.ID
		}
	}
	k, known := r.old.Program.index[n.Step.ID]
	if !known {
		return "it was not in the plan"
	}
	switch u := &r.old.Units[k]; {
	case u.State().Done() && slices.ContainsFunc(r.old.wasUndone(), func(i int) bool { return r.old.Units[i].Node == k }):
		return "it was undone"
	case u.State().Done():
		return ""
	case u.phase == PhaseLeftUnknown:
		return "nobody knows whether it happened"
	case r.old.hasBegun(k):
		return "it has no result"
	}
	return "the run ended before it"
}

// hasBegun reports whether anything was done about plan step k.
func (s *State) hasBegun(k int) bool {
	u := &s.Units[k]
	return u.State().Done() || u.Loops() || u.fan != nil || len(u.Attempts) > 0 || u.question != 0
}

// callsOf are the calls of plan step k that have changed something, or may have: its own, its items' or its agent's.
func (s *State) callsOf(k int) (list []ReplayCall) {
	undone := s.wasUndone()
	for i := range s.Units {
		u := &s.Units[i]
		if u.Node != s.Units[k].Node || u.origin.kind == undo || u.asksModel() {
			continue
		}
		c := ReplayCall{Unit: u.ID, Tool: s.Tool(i).Name, Run: s.Run, Params: u.Params, Key: s.Key(i), Was: s.was(i)}
		if c.Was == "" {
			continue
		}
		if slices.Contains(undone, i) {
			c.Was = ReplayUndone
		}
		if from := s.carried[u.ID].From; from != "" {
			c.Run, c.Key = from, ""
		}
		list = append(list, c)
	}
	return list
}

// was is what is known of the call of unit i; empty: it has changed nothing.
func (s *State) was(i int) ReplayWas {
	u := &s.Units[i]
	if s.Tool(i).Effects == EffectsNone || u.fan != nil || u.loop != nil || u.shows != 0 {
		return ""
	}
	if u.phase == PhaseSucceeded {
		how := s.Tool(i).Rung(u.Rung).Executor
		if u.AnswerBy != "" || how != "cache" && how != "static" {
			return ReplayMade
		}
	}
	if slices.ContainsFunc(u.Attempts, mayHaveActed) {
		return ReplayMaybe
	}
	return ""
}

// compare refuses to take over what the plan would do in another way, or from something else.
func (r *replaying) compare() {
	now := &State{Run: r.old.Run, Program: r.Program, Input: r.Input, Labels: r.old.Labels, epoch: r.old.epoch, Units: make([]Unit, len(r.Program.Nodes))}
	for i := range now.Units {
		now.Units[i] = Unit{ID: r.Program.Nodes[i].Step.ID, Node: i}
	}
	for _, k := range r.out.carried {
		u := &now.Units[r.Program.index[k.Step]]
		u.takeOver(k)
		if u.phase = PhaseSucceeded; k.State == StepSkipped {
			u.phase = PhaseSkipped
		}
	}
	for i := range r.takenOver {
		if !r.takenOver[i] {
			continue
		}
		id := r.Program.Nodes[i].Step.ID
		for _, what := range r.old.sameStep(r.old.Program.index[id], now, i) {
			r.refuse(id + " cannot be taken over: " + what + "; do it again too, from " + id)
		}
	}
}

// confirm finds the steps of which it has yet to be said that calls are made again, and refuses to say that of others.
func (r *replaying) confirm() {
	var asked []string
	for _, is := range r.out.Steps {
		if !slices.ContainsFunc(is.Calls, func(c ReplayCall) bool { return c.Was != ReplayUndone }) {
			continue
		}
		asked = append(asked, is.Step)
		if slices.Contains(r.Confirmed, is.Step) {
			r.out.confirmed = append(r.out.confirmed, is.Step)
		} else {
			r.out.Unconfirmed = append(r.out.Unconfirmed, is.Step)
		}
	}
	for _, id := range r.Confirmed {
		if !slices.Contains(asked, id) {
			r.refuse("no call of " + id + " is made again that had been made before")
		}
	}
}
