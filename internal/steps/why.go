package steps

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Why says what a run waits for, and what will happen if nobody acts: what `runs why -o json` prints. Field names are a
// contract; texts are for people.
type Why struct {
	Run      string      `json:"id"`
	Workflow string      `json:"workflow"`
	State    RunState    `json:"state"`
	At       time.Time   `json:"at"` // when it was asked; what follows is from the log until then
	Waits    []Wait      `json:"waits"`
	Then     []Happening `json:"then"` // in the order of time
	Note     string      `json:"note,omitempty"`
}

// Add puts in what somebody else knows of the future.
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
	ForTime       WaitFor = "time"       // the wait before its next try
	ForDependency WaitFor = "dependency" // steps that it needs
	ForSlot       WaitFor = "slot"       // other items of the same step, max_parallel of which run at once
	ForRun        WaitFor = "run"        // the run's deadline is with a person
	ForStop       WaitFor = "stop"       // nobody wants it any more, and it is being taken out of the queue and of every hand
)

// Wait is one thing that a run waits for. Items of a for_each step that wait for the same are one.
type Wait struct {
	Step  string     `json:"step"` // empty: the run itself
	Count int        `json:"count"`
	Tool  string     `json:"tool,omitempty"`
	Rung  string     `json:"rung,omitempty"`
	For   WaitFor    `json:"for"`
	Since *time.Time `json:"since"` // null where the log does not say
	Until *time.Time `json:"until"` // when something happens by itself; null = never
	Text  string     `json:"text"`

	Escalation string         `json:"escalation,omitempty"`
	Kind       EscalationKind `json:"kind,omitempty"`
	Worker     string         `json:"worker,omitempty"`
	Needs      []string       `json:"needs,omitempty"`
	Claimed    string         `json:"claimed_by,omitempty"` // the person who is at it
	Assigned   string         `json:"assigned_to,omitempty"`
	Unserved   bool           `json:"unserved,omitempty"` // no worker serves it
}

// Foresight is what is known beside a run's log. Both may be left out.
type Foresight struct {
	Now time.Time // of whoever asks; times before it are over
	// Unserved says that no worker serves a rung, and when people are asked because of that.
	Unserved func(tool, rung string) (asks time.Time, unserved bool)
}

func (o Foresight) unserved(tool, rung string) (time.Time, bool) {
	if o.Unserved == nil {
		return time.Time{}, false
	}
	return o.Unserved(tool, rung)
}

// MakeWhy says of run s what it waits for and what will happen. The state stays as it is.
func MakeWhy(s *State, o Foresight) Why {
	o.Now = later(o.Now, s.Now)
	w := Why{Run: s.Run, Workflow: s.Program.Plan.Name, State: s.Status(), At: o.Now.UTC(), Waits: []Wait{}, Then: []Happening{}}
	if w.State.Ended() {
		return w
	}
	w.Waits = append(w.Waits, waits(s, o)...)
	w.Then = append(w.Then, foresee(s, o)...)
	return w
}

// waits lists what the units of s wait for, items that wait for the same as one.
func waits(s *State, o Foresight) []Wait {
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
		if s.Escalations[n].State == EscalationOpen {
			add(s.waitsForPerson(n))
		}
	}
	for i := range s.Units {
		if w, ok := s.waitsFor(i, o); ok {
			add(w)
		}
	}
	return all
}

// join counts one more item that waits for the same.
func (w *Wait) join(o Wait) {
	w.Step = stepOf(w.Step)
	w.Count++
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

func (s *State) waitsForPerson(n int) Wait {
	e := ViewEscalation(s, n)
	return Wait{
		Step: e.Step, Count: 1, Tool: e.Tool, Rung: e.Rung, For: ForPerson, Since: moment(e.Opened), Until: e.Deadline,
		Escalation: e.ID, Kind: e.Kind, Text: s.asked(n),
	}
}

// asked says what people are asked by escalation n.
func (s *State) asked(n int) string {
	e := &s.Escalations[n]
	switch e.Kind {
	case KindApproval:
		text := "a person's approval"
		if e.Needed > 1 {
			text = strconv.Itoa(e.Needed) + " people's approval"
		}
		if who := e.givenBy(); len(who) > 0 {
			text += fmt.Sprintf(" (%d of %d approved: %s)", len(who), e.Needed, strings.Join(who, ", "))
		}
		return text
	case KindQuestion:
		return "a person's answer: " + e.Fault.Message
	case KindUnknown:
		return "a person to say whether it happened: " + e.Fault.Message
	}
	return "a person's decision: " + e.Fault.Error()
}

// waitsFor is what unit i waits for without a person; ok is false when that is nothing.
func (s *State) waitsFor(i int, o Foresight) (w Wait, ok bool) {
	u := &s.Units[i]
	w = Wait{Step: u.ID, Count: 1, Tool: s.Tool(i).Name, Rung: s.RungName(i)}
	switch {
	case u.fan != nil || u.over():
		return w, false
	case u.State == StepPending && u.deferred:
		w.For, w.Text = ForRun, "the run's deadline is with a person"
	case u.State == StepPending && u.kind == fanItem:
		w.For, w.Text = ForSlot, "a free slot: "+strconv.Itoa(s.parallel(i))+" items are executed at once"
	case u.State == StepPending && u.waiting > 0:
		w.For, w.Since, w.Needs = ForDependency, moment(s.Submitted), s.unmet(i)
		w.Text = strings.Join(w.Needs, ", ") + " to be done"
	case u.State.InQueue():
		s.waitsInQueue(i, &w, o)
	default:
		return w, false
	}
	return w, true
}

func (s *State) waitsInQueue(i int, w *Wait, o Foresight) {
	u := &s.Units[i]
	rec := u.record()
	what := s.Tool(i).Name + "/" + w.Rung
	w.Since, w.Until = moment(rec.Queued), moment(u.Deadline)
	asks, unserved := o.unserved(w.Tool, w.Rung)
	switch {
	case (u.giving != nil || s.stopping(i)) && u.State == StepRunning:
		w.For, w.Worker, w.Since, w.Until = ForStop, workerOf(rec), moment(rec.Started), nil
		w.Text = what + " to be stopped by " + w.Worker + ", which executes it"
	case u.giving != nil || s.stopping(i):
		w.For, w.Until, w.Text = ForStop, nil, what+" to be taken out of the queue"
	case u.State == StepRunning:
		w.For, w.Worker, w.Since = ForOutcome, workerOf(rec), moment(rec.Started)
		w.Text = "the outcome of " + what + ", which " + w.Worker + " executes"
	case unserved:
		w.For, w.Unserved, w.Until = ForWorker, true, moment(asks)
		w.Text = "a worker that serves " + what + "; none does"
	case u.notBefore.After(o.Now):
		w.For, w.Until, w.Text = ForTime, moment(u.notBefore), fmt.Sprintf("its time for try %d of %s", u.Try, what)
	default:
		w.For, w.Text = ForWorker, "a worker that takes "+what
	}
}

// workerOf is who executes an attempt, without the token of its claim.
func workerOf(rec *AttemptRecord) string {
	name, _, _ := strings.Cut(rec.Worker, "#")
	return orElse(name, "a worker")
}

func (s *State) parallel(i int) int {
	if n := s.Program.Nodes[s.Units[i].Node].Step.MaxParallel; n > 0 {
		return n
	}
	return DefaultFanOut
}

// unmet are the steps that unit i needs and that are not done.
func (s *State) unmet(i int) (list []string) {
	for _, j := range s.Program.Nodes[s.Units[i].Node].Needs {
		if !s.Units[j].State.Done() && !slices.Contains(list, s.Units[j].ID) {
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
