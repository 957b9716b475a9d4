package stepstest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"belay/internal/steps"
	"belay/internal/steps/view"
)

// Start is the time of sequence 0 in every test.
var Start = time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)

// World is what a dispatcher keeps outside the core: the log, the queue, one timer, the open escalations. It publishes
// differences only, the way the real one does, so comparing it with Wants(all) proves that differences are enough.
type World struct {
	T           TB                                                     // fails when the core does
	Apply       func(*steps.State, steps.Record) (*steps.State, []int) // [steps.Apply], or what watches it
	Run         string                                                 // its id; r
	Now         time.Time                                              // of the next record
	State       *steps.State                                           // the fold of the log
	Records     []steps.Record                                         // the run's log
	Queue       map[string]steps.StepMessage                           // by attempt name
	withdraw    map[string]steps.StepMessage
	stopped     map[string]bool
	Ended       map[string]bool              // attempts whose outcome is in the log
	loose       map[string]steps.StepMessage // attempts that a worker may begin, for all that the log says
	bound       map[string]bool              // attempts that no worker can begin any more
	Timer       time.Time                    // when Fired comes next; zero = never
	escalations map[string]bool
	result      *steps.Closed
	next        *steps.Migrated // the run that it goes on as
}

// TB is what of a test the world needs.
type TB interface {
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// NewWorld is a world without a run.
func NewWorld(t TB) *World {
	return &World{
		T: t, Apply: steps.Apply, Run: "r", Now: Start, Queue: map[string]steps.StepMessage{}, withdraw: map[string]steps.StepMessage{}, stopped: map[string]bool{},
		Ended: map[string]bool{}, loose: map[string]steps.StepMessage{}, bound: map[string]bool{}, escalations: map[string]bool{},
	}
}

// Add appends an event to the log, folds it, and publishes what is wanted because of it.
func (w *World) Add(e steps.Event) []int {
	r := steps.Record{Seq: uint64(len(w.Records) + 1), Time: w.Now, Run: w.Run, Event: e}
	if j, is := e.(steps.Junk); is { // written by workers of its own tool alone
		r.Tool = w.State.Tool(w.State.Unit(j.Step)).Name
	}
	w.Records = append(w.Records, r)
	var touched []int
	w.State, touched = w.Apply(w.State, r)
	if touched == nil {
		w.T.Fatalf("touched is nil after %T: that would mean all units", e)
	}
	w.publish(touched)
	w.bind(e)
	w.checkLoose()
	return touched
}

// bind notes after which events no worker can begin an attempt any more: its outcome, its claim, its withdrawal.
func (w *World) bind(e steps.Event) {
	var a steps.Attempt
	switch e := e.(type) {
	case steps.Succeeded:
		a = e.Attempt
	case steps.Failed:
		a = e.Attempt
	case steps.Withdrawn:
		a = e.Attempt
	case steps.Objected:
		a = e.Attempt
	case steps.Junk:
		a = e.Attempt
	case steps.Claimed:
		if m, ok := w.loose[steps.AttemptName(w.Run, e.Attempt)]; ok && m.Claimed() {
			a = e.Attempt
		}
	}
	w.bound[steps.AttemptName(w.Run, a)] = true
	delete(w.loose, steps.AttemptName(w.Run, a))
}

// checkLoose: whatever a worker may still begin is what its unit stands on, in a run that has not ended. A probe that the
// true outcome has overtaken acts on nothing.
func (w *World) checkLoose() {
	if w.State == nil || w.State.Epoch() < 2 {
		return
	}
	for name, m := range w.loose {
		i := w.State.Unit(m.Step)
		if m.RungName != steps.VerifyRung && (i < 0 || !out(w.State, i, m.Attempt) || w.State.Status().Ended()) {
			w.T.Fatalf("after %+v a worker may still begin %s, which is over", w.Records[len(w.Records)-1], name)
		}
	}
}

// out reports whether a is the attempt that unit i stands on, and still out.
func out(s *steps.State, i int, a steps.Attempt) bool {
	return len(s.Units[i].Attempts) > 0 && s.Attempt(i) == a && s.Units[i].State().InQueue() && !s.Units[i].FannedOut()
}

func (w *World) publish(touched []int) {
	want := steps.Wants(w.State, touched)
	for _, i := range touched {
		w.forget(i)
	}
	for _, m := range want.Steps {
		name := steps.AttemptName(m.Run, m.Attempt)
		if !w.bound[name] {
			w.loose[name] = m
		}
		if w.Ended[name] {
			w.T.Fatalf("attempt %s is wanted although its outcome is in the log", name)
		}
		w.Queue[name] = m
	}
	for _, m := range want.Withdraw {
		w.withdraw[steps.AttemptName(m.Run, m.Attempt)] = m
	}
	for _, m := range want.Stop {
		w.stopped[steps.AttemptName(m.Run, m.Attempt)] = true
	}
	for _, n := range want.Escalations {
		w.escalations[w.State.Escalations[n].ID] = true
	}
	for _, n := range want.Closed {
		delete(w.escalations, w.State.Escalations[n].ID)
	}
	if _, fired := w.Records[len(w.Records)-1].Event.(steps.Fired); fired || w.Timer.IsZero() || want.Timer.Before(w.Timer) && !want.Timer.IsZero() {
		w.Timer = want.Timer // a set timer is replaced only by an earlier one
	}
	w.next, w.result = want.Next, want.Result
}

// forget drops what was wanted because of unit i; what is still wanted comes back at once.
func (w *World) forget(i int) {
	if i == steps.RunUnit {
		return
	}
	id := w.State.Units[i].ID
	for name, m := range w.Queue {
		if m.Step == id {
			delete(w.Queue, name)
		}
	}
	for name, m := range w.withdraw {
		if m.Step == id {
			delete(w.withdraw, name)
		}
	}
}

// WantedText writes down a list of wants, without the timer: a set timer may be early.
func WantedText(list steps.WantList, s *steps.State) string {
	var b strings.Builder
	lines := []string{}
	for _, m := range list.Steps {
		line := "step " + steps.AttemptName(m.Run, m.Attempt) + " " + m.Tool + "/" + m.RungName + " " + string(m.Params) + " " + m.Key
		if m.Continues {
			line += " goes on"
		}
		if m.Lane != "" {
			line += " " + string(m.Lane)
		}
		lines = append(lines, line)
	}
	for _, m := range list.Withdraw {
		lines = append(lines, "withdraw "+steps.AttemptName(m.Run, m.Attempt))
	}
	for _, n := range list.Escalations {
		lines = append(lines, "escalation "+s.Escalations[n].ID)
	}
	if list.Next != nil {
		lines = append(lines, "run "+list.Next.To)
	}
	if list.Result != nil {
		lines = append(lines, "result "+string(list.Result.State))
	}
	slices.Sort(lines)
	for _, l := range lines {
		fmt.Fprintln(&b, l)
	}
	return b.String()
}

// Have writes down what the world holds, in the words of [WantedText].
func (w *World) Have() string {
	list := steps.WantList{Steps: slices.Collect(maps.Values(w.Queue)), Withdraw: slices.Collect(maps.Values(w.withdraw)), Next: w.next, Result: w.result}
	for n := range w.State.Escalations {
		if w.escalations[w.State.Escalations[n].ID] {
			list.Escalations = append(list.Escalations, n)
		}
	}
	return WantedText(list, w.State)
}

// Refold folds the whole log anew.
func (w *World) Refold() *steps.State {
	var s *steps.State
	for _, r := range w.Records {
		s, _ = steps.Apply(s, r)
	}
	return s
}

// Picture is all that anybody can see of a state.
func Picture(s *steps.State) string {
	var views []view.Dossier
	for n := range s.Escalations {
		views = append(views, view.DossierOf(s, n))
	}
	b, err := json.MarshalIndent([]any{view.Show(s), views}, "", " ")
	if err != nil {
		panic(err)
	}
	return string(b) + WantedText(steps.Wants(s, nil), s) + steps.Wants(s, nil).Timer.String()
}
