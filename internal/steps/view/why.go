package view

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"belay/internal/steps"
)

// Why says what a run waits for, and what will happen if nobody acts: what `runs why -o json` prints. Field names are a
// contract; texts are for people and may change.
type Why struct {
	Run      string         `json:"id"`             // the run's id
	Workflow string         `json:"workflow"`       // the plan's name
	State    steps.RunState `json:"state"`          // where it stands
	At       time.Time      `json:"at"`             // the moment that it is about
	Waits    []Wait         `json:"waits"`          // empty once it has ended
	Then     []Happening    `json:"then"`           // in the order of time
	Note     string         `json:"note,omitempty"` // what could not be found out
}

// Add adds what somebody else knows about the future.
func (w *Why) Add(more []Happening) {
	w.Then = append(more, w.Then...)
	slices.SortStableFunc(w.Then, func(a, b Happening) int { return compare(a.At, b.At) })
}

// Over reports whether the run will have ended at a time.
func (w *Why) Over(at time.Time) bool {
	return slices.ContainsFunc(w.Then, func(h Happening) bool { return h.What == HappensEnd && h.At != nil && !h.At.After(at) })
}

// WaitFor is what a unit of a run waits for.
type WaitFor string

// What there is to wait for.
const (
	ForPerson     WaitFor = "person"     // an open escalation
	ForWorker     WaitFor = "worker"     // in the queue, and nobody has taken it
	ForOutcome    WaitFor = "outcome"    // a worker executes it
	ForTime       WaitFor = "time"       // the wait before its next try, or before the run begins
	ForDependency WaitFor = "dependency" // steps that it needs
	ForSlot       WaitFor = "slot"       // other items of the same step, max_parallel of which run at once
	ForRun        WaitFor = "run"        // people are asked about the run's deadline
	ForGate       WaitFor = "gate"       // a gate that somebody has closed
	ForLimit      WaitFor = "limit"      // a limit on calls: a rate, a concurrency, a Retry-After, a breaker
	ForLog        WaitFor = "log"        // the log is not what it was, and nobody has accepted that
	ForStop       WaitFor = "stop"       // nobody wants it any more, and it is being recalled
)

// Wait is one thing that a run waits for. Items of a for_each step that wait for the same are counted in one.
type Wait struct {
	Step  string     `json:"step"`           // empty: the run itself
	Count int        `json:"count"`          // of items
	Tool  string     `json:"tool,omitempty"` // its name
	Rung  string     `json:"rung,omitempty"` // that it stands on
	For   WaitFor    `json:"for"`            // in one word
	Since *time.Time `json:"since"`          // null where the log does not say
	Until *time.Time `json:"until"`          // when something happens by itself; null = never
	Text  string     `json:"text"`           // in words

	Escalation string               `json:"escalation,omitempty"`  // its id
	Kind       steps.EscalationKind `json:"kind,omitempty"`        // what people are asked
	Worker     string               `json:"worker,omitempty"`      // that executes it
	Needs      []string             `json:"needs,omitempty"`       // steps that are not done
	Claimed    string               `json:"claimed_by,omitempty"`  // who has claimed the escalation
	Assigned   string               `json:"assigned_to,omitempty"` // the person it is assigned to
	Unserved   bool                 `json:"unserved,omitempty"`    // no worker serves it
	Gate       string               `json:"gate,omitempty"`        // id of the gate that holds it
	Opened     *time.Time           `json:"opened,omitempty"`      // when that gate was opened: it goes on when its turn comes
	By         string               `json:"by,omitempty"`          // who has closed the gate
	Reason     string               `json:"reason,omitempty"`      // in that person's words; of a limit, what it is
	Why        steps.HoldWhy        `json:"why,omitempty"`         // which kind of limit holds it

	Units []string `json:"-"` // ids of the units that it is about
	Brief string   `json:"-"` // what holds them back, in a few words; empty: nothing does
}

// HeldBack says in a few words what holds units back, by their ids.
func (w *Why) HeldBack() map[string]string {
	all := map[string]string{}
	for i := range w.Waits {
		if x := &w.Waits[i]; x.Brief != "" {
			for _, id := range x.Units {
				all[id] = x.Brief
			}
		}
	}
	return all
}

// Foresight is what is known beside a run's log. Each field may be left out.
type Foresight struct {
	Now time.Time // the moment to ask about; the log's last time if that is later
	// Unserved reports whether no worker serves a rung, and when people are asked because of that.
	Unserved func(tool, rung string) (asks time.Time, unserved bool)
	// Doubt is what has happened to the log that may concern the run, while nobody has accepted it; empty = nothing. Calls that
	// must not happen twice are not queued meanwhile.
	Doubt string
	// Limited is the limit that keeps the attempt of a unit out of the queue whose log does not say so: it does only once that has lasted.
	// nil: none does.
	Limited func(i int) *steps.Hold
}

func (o Foresight) unserved(tool, rung string) (time.Time, bool) {
	if o.Unserved == nil {
		return time.Time{}, false
	}
	return o.Unserved(tool, rung)
}

func (o Foresight) limited(i int) *Held {
	if o.Limited == nil {
		return nil
	}
	h := o.Limited(i)
	if h == nil {
		return nil
	}
	return &Held{Hold: *h, From: h.Since}
}

// WhyOf says what run s waits for and what will happen. The state stays as it is.
func WhyOf(s *steps.State, o Foresight) Why {
	o.Now = later(o.Now, s.Now)
	w := Why{Run: s.Run, Workflow: s.Program.Plan.Name, State: s.Status(), At: o.Now.UTC(), Waits: []Wait{}, Then: []Happening{}}
	if w.State.Ended() {
		return w
	}
	w.Waits = append(w.Waits, waits(s, o)...)
	w.Then = append(w.Then, foresee(s, o)...)
	return w
}

// waits lists what the units of s wait for; items that wait for the same are one.
func waits(s *steps.State, o Foresight) []Wait {
	r := run{s}
	var all []Wait
	at := map[string]int{}
	add := func(w Wait) {
		key := strings.Join([]string{stepOf(w.Step), string(w.For), w.Rung, w.Text}, "\x00")
		if w.Escalation == "" && w.Worker == "" && strings.Contains(w.Step, "~") {
			if k, ok := at[key]; ok {
				all[k].join(w)
				return
			}
			at[key] = len(all)
		}
		all = append(all, w)
	}
	for n := range s.Escalations {
		if s.Escalations[n].State == steps.EscalationOpen {
			add(r.waitsForPerson(n))
		}
	}
	if s.Status() == steps.RunScheduled {
		add(Wait{Count: 1, For: ForTime, Since: moment(s.Submitted), Until: moment(s.Scheduled), Text: "its time: it is " + ScheduledFor(&s.Scheduled, o.Now)})
		return all
	}
	for i := range s.Units {
		if w, ok := r.waitsFor(i, o); ok {
			add(w)
		}
	}
	return all
}

// join counts one more item that waits for the same.
func (w *Wait) join(o Wait) {
	w.Step = stepOf(w.Step)
	w.Count++
	w.Units = append(w.Units, o.Units...)
	w.Since, w.Until = first(w.Since, o.Since), first(w.Until, o.Until)
}

func first(a, b *time.Time) *time.Time {
	if a == nil || b != nil && b.Before(*a) {
		return b
	}
	return a
}

// stepOf is the plan's step of a unit.
func stepOf(unit string) string {
	step, _, _ := strings.Cut(unit, "~")
	return step
}

func (s run) waitsForPerson(n int) Wait {
	e := EscalationOf(s.State, n)
	return Wait{
		Step: e.Step, Count: 1, Tool: e.Tool, Rung: e.Rung, For: ForPerson, Since: moment(e.Opened), Until: e.Deadline,
		Escalation: e.ID, Kind: e.Kind, Text: s.asked(n),
	}
}

// asked says what escalation n asks people.
func (s run) asked(n int) string {
	e := &s.Escalations[n]
	switch e.Kind {
	case steps.KindApproval:
		text := "a person's approval"
		if e.Needed > 1 {
			text = strconv.Itoa(e.Needed) + " people's approval"
		}
		if who := e.ApprovedBy(); len(who) > 0 {
			text += fmt.Sprintf(" (%d of %d approved: %s)", len(who), e.Needed, strings.Join(who, ", "))
		}
		return text
	case steps.KindQuestion:
		return "a person's answer: " + e.Fault.Message
	case steps.KindLimit:
		return "a person to say how the agent goes on: " + e.Fault.Message
	case steps.KindUnknown:
		return "a person to say whether it happened: " + e.Fault.Message
	}
	return "a person's decision: " + e.Fault.Error()
}

// waitsFor is what unit i waits for without a person; ok is false when that is nothing.
func (s run) waitsFor(i int, o Foresight) (w Wait, ok bool) {
	u := &s.Units[i]
	w = Wait{Step: u.ID, Count: 1, Tool: s.Tool(i).Name, Rung: s.RungName(i), Units: []string{u.ID}}
	switch {
	case u.FannedOut() || u.Over():
		return w, false
	case u.Limited():
		s.waitsForLimit(i, &w, s.held(i), o.Now)
	case s.held(i) != nil:
		s.waitsForGate(&w, s.held(i), o.Now)
	case u.State() == steps.StepPending && u.Deferred():
		w.For, w.Text = ForRun, "the run's deadline is with a person"
	case u.State() == steps.StepPending && u.IsItem():
		w.For, w.Text = ForSlot, "a free slot: "+strconv.Itoa(s.parallel(i))+" items are executed at once"
	case u.State() == steps.StepPending && u.Unmet() > 0:
		w.For, w.Since, w.Needs = ForDependency, moment(s.Began), s.unmet(i)
		w.Text = strings.Join(w.Needs, ", ") + " to be done"
	case u.State().InQueue():
		s.waitsInQueue(i, &w, o)
	default:
		return w, false
	}
	return w, true
}

func (s run) waitsInQueue(i int, w *Wait, o Foresight) {
	u := &s.Units[i]
	rec := u.Current()
	what := s.Tool(i).Name + "/" + w.Rung
	w.Since, w.Until = moment(rec.Queued), moment(u.Deadline)
	asks, unserved := o.unserved(w.Tool, w.Rung)
	held := o.limited(i)
	switch {
	case (u.Recalled() || s.Stopping(i)) && u.State() == steps.StepRunning:
		w.For, w.Worker, w.Since, w.Until = ForStop, workerOf(rec), moment(rec.Started), nil
		w.Text = what + " to be stopped by " + w.Worker + ", which executes it"
	case u.Recalled() || s.Stopping(i):
		w.For, w.Until, w.Text = ForStop, nil, what+" to be taken out of the queue"
	case u.State() == steps.StepRunning:
		w.For, w.Worker, w.Since = ForOutcome, workerOf(rec), moment(rec.Started)
		w.Text = "the outcome of " + what + ", which " + w.Worker + " executes"
		if rec.Note != "" {
			w.Text += ": " + rec.Note
		}
	case o.Doubt != "" && s.Tool(i).Effects.Unsafe():
		w.For, w.Brief = ForLog, "held back, since the log is not what it was"
		w.Text = "somebody to accept, with `dispatcher store accept`, what has happened to the log, which may have forgotten that " + what + " was called: " + o.Doubt
	case held != nil && !u.NotBefore().After(o.Now):
		s.waitsForLimit(i, w, held, o.Now)
	case unserved:
		w.For, w.Unserved, w.Until = ForWorker, true, moment(asks)
		w.Text = "a worker that serves " + what + "; none does"
	case u.NotBefore().After(o.Now):
		w.For, w.Until, w.Text = ForTime, moment(u.NotBefore()), fmt.Sprintf("its time for try %d of %s", u.Try, what)
	default:
		w.For, w.Text = ForWorker, "a worker that takes "+what
	}
}

// workerOf is the worker that executes an attempt, without the token of its claim.
func workerOf(rec *steps.AttemptRecord) string {
	name, _, _ := strings.Cut(rec.Worker, "#")
	return cmp.Or(name, "a worker")
}

func (s run) parallel(i int) int {
	if n := s.Program.Nodes[s.Units[i].Node].Step.MaxParallel; n > 0 {
		return n
	}
	return steps.DefaultFanOut
}

// unmet are the steps that unit i needs and that are not done.
func (s run) unmet(i int) (list []string) {
	for _, j := range s.Program.Nodes[s.Units[i].Node].Needs {
		if !s.Units[j].State().Done() && !slices.Contains(list, s.Units[j].ID) {
			list = append(list, s.Units[j].ID)
		}
	}
	return list
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
