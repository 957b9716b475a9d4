package view

import (
	"strconv"

	"belay/internal/steps"
)

// Fate is what became of what an escalation asked about, once it was decided.
type Fate string

const (
	FateOpen     Fate = "open"      // nobody has decided
	FateUnderWay Fate = "under_way" // decided, and what it led to is still at work
	FateDone     Fate = "done"      // nothing that it led to is at work: it is done, or waits for a person who was asked before
	FateBack     Fate = "back"      // people are asked the same once more: about the same step, rung and class
	FateOther    Fate = "other"     // people are asked something else because of it, there or further on in its run
	FateFailed   Fate = "failed"    // its run did not end as the decision meant it to
)

// Bad reports whether the decision did not help.
func (f Fate) Bad() bool { return f == FateBack || f == FateOther || f == FateFailed }

// Aftermath is what came of an escalation once it had ended, as its run stands now.
type Aftermath struct {
	Fate     Fate           `json:"fate"`              // in one word
	Text     string         `json:"text"`              // in words: "ship succeeded on try 3; the run goes on"
	Next     string         `json:"next,omitempty"`    // the first escalation that it led to
	Step     string         `json:"step,omitempty"`    // where that one asks, as people read it; empty: about the run as a whole
	Message  string         `json:"message,omitempty"` // what it asks about
	RunState steps.RunState `json:"run_state"`         // where the run stands now
}

// AftermathOf says what came of escalation n of s. It can lead to something in its own step, in the steps that need that
// one, in their compensations and in the run as a whole; an escalation that was opened there since then counts as caused
// by it, whatever its kind.
func AftermathOf(s *steps.State, n int) Aftermath {
	r, e, a := run{s}, &s.Escalations[n], Aftermath{RunState: s.Status()}
	if e.State == steps.EscalationOpen {
		a.Fate = FateOpen
		return a
	}
	wake := r.wake(e.Unit)
	if k := r.ledTo(n, wake); k >= 0 {
		a.followed(r, n, k)
		return a
	}
	a.Fate, a.Text = r.fate(e, wake), r.courseOf(e.Unit)+r.runCourse(e.Unit)
	return a
}

// UnderWay reports, at little cost, that escalation n of s is decided and its own step still at work.
func UnderWay(s *steps.State, n int) bool {
	e := &s.Escalations[n]
	return e.State != steps.EscalationOpen && e.Unit != steps.RunUnit && s.Units[e.Unit].State().InQueue() && (run{s}).lastRevision() < e.EndedSeq
}

// lastRevision is when the newest escalation was opened.
func (s run) lastRevision() uint64 { return s.Escalations[len(s.Escalations)-1].Revision }

// wake is where a decision about a unit can lead to something.
type wake struct {
	unit  int
	nodes []bool // plan steps: the unit's own and all that need it; nil = all
}

func (s run) wake(i int) wake {
	w := wake{unit: i}
	if i == steps.RunUnit {
		return w
	}
	w.nodes = make([]bool, len(s.Program.Nodes))
	next := []int{s.Units[i].Node}
	for len(next) > 0 {
		j := next[len(next)-1]
		next = next[:len(next)-1]
		if !w.nodes[j] {
			w.nodes[j] = true
			next = append(next, s.Program.Nodes[j].Dependents...)
		}
	}
	return w
}

// has reports whether unit k of s is in the wake. Other items of the same for_each step are not.
func (w wake) has(s run, k int) bool {
	if w.nodes == nil || k == steps.RunUnit || k == w.unit || s.Units[k].IsUndo() {
		return true
	}
	u := &s.Units[k]
	sibling := u.IsItem() && u.Node == s.Units[w.unit].Node && s.Units[w.unit].IsItem()
	return w.nodes[u.Node] && !sibling
}

// ledTo is the first escalation that was opened in the wake of escalation n since that one ended, -1 when there is none.
// Escalations that events have answered do not count, nor do those about forged messages.
func (s run) ledTo(n int, w wake) int {
	found, e := -1, &s.Escalations[n]
	for k := len(s.Escalations) - 1; k > n && s.Escalations[k].Revision >= e.EndedSeq; k-- {
		next := &s.Escalations[k]
		forged := next.Unit == steps.RunUnit && next.Fault.Class == steps.PolicyDenied
		if next.State != steps.EscalationSuperseded && !forged && w.has(s, next.Unit) {
			found = k
		}
	}
	return found
}

// cameBack reports whether escalation k asks the same as escalation n did.
func (s run) cameBack(n, k int) Fate {
	e, next := &s.Escalations[n], &s.Escalations[k]
	if next.Unit == e.Unit && next.Kind == e.Kind && next.Rung == e.Rung && next.Fault.Class == e.Fault.Class {
		return FateBack
	}
	return FateOther
}

func (s run) fate(e *steps.Escalation, w wake) Fate {
	switch st := s.Status(); {
	case st.Ended() && !meant(e, st):
		return FateFailed
	case st == steps.RunRunning && (s.Ending() != "" || !s.over(w)):
		return FateUnderWay
	}
	return FateDone
}

// meant reports whether a run that ended as st ended the way that the decision on e meant it to.
func meant(e *steps.Escalation, st steps.RunState) bool {
	switch {
	case st == steps.RunSucceeded || st == steps.RunDegraded:
		return true
	case e.Decision == nil:
		return false
	}
	return e.Decision.Verb == steps.VerbAbort || e.Decision.Verb == steps.VerbReject && st == steps.RunFailed
}

// over reports whether nothing more comes of any plan step in the wake.
func (s run) over(w wake) bool {
	if w.nodes == nil {
		return false
	}
	for j := range w.nodes {
		if w.nodes[j] && !s.Units[j].Over() {
			return false
		}
	}
	return true
}

// followed says that escalation k of s followed on escalation n.
func (a *Aftermath) followed(s run, n, k int) {
	next, where := &s.Escalations[k], "the run"
	if next.Unit != steps.RunUnit {
		a.Step = s.Units[next.Unit].Spoken()
		where = a.Step
	}
	a.Fate, a.Next, a.Message = s.cameBack(n, k), next.ID, next.Fault.Message
	a.Text = "stopped again at " + where + ": " + a.Message
	if next.Follows == s.Escalations[n].ID {
		a.Text = "it is asked again"
	}
}

// courseOf says in words where unit i stands.
func (s run) courseOf(i int) string {
	if i == steps.RunUnit {
		return ""
	}
	u := &s.Units[i]
	name := u.Spoken()
	switch {
	case u.State() == steps.StepSucceeded && u.AnswerBy != "":
		return name + " has the answer of " + u.AnswerBy
	case u.State() == steps.StepSucceeded:
		return name + " succeeded" + s.onTry(i)
	case u.State() == steps.StepSkipped, u.State() == steps.StepCancelled:
		return name + " was " + string(u.State())
	case u.State().Ended():
		return name + " " + string(u.State())
	case u.State() == steps.StepRetrying:
		return name + " waits for try " + strconv.Itoa(u.Try)
	case u.State().InQueue():
		return name + " is at work" + s.onTry(i)
	}
	return name + " is " + string(u.State())
}

// onTry says which try of which rung unit i stands on.
func (s run) onTry(i int) string {
	u := &s.Units[i]
	if len(u.Attempts) == 0 || u.FannedOut() {
		return ""
	}
	text := " on try " + strconv.Itoa(u.Try)
	if u.Rung > 0 {
		text += " of " + s.RungName(i)
	}
	return text
}

// runCourse says in words where the run stands, as it follows the course of unit i.
func (s run) runCourse(i int) string {
	text := "the run goes on"
	if s.Ending() != "" {
		text = "the run is ending: " + s.Reason
	}
	switch s.Status() {
	case steps.RunWaiting:
		text = "the run waits for a person"
	case steps.RunSucceeded:
		text = "the run succeeded"
	case steps.RunDegraded:
		text = "the run ended degraded"
	case steps.RunFailed:
		text = "the run failed: " + s.Reason
	case steps.RunMigrated:
		text = "the run goes on as " + s.GoesOnAs()
	case steps.RunAborted, steps.RunCancelled:
		text = "the run was " + s.Reason // by whom, and why
	}
	if i == steps.RunUnit {
		return text
	}
	return "; " + text
}
