package steps

import "strconv"

// Fate is what became of the matter that an escalation asked about, once it was decided.
type Fate string

const (
	FateOpen     Fate = "open"      // nobody has decided
	FateUnderWay Fate = "under_way" // decided, and at work
	FateDone     Fate = "done"      // all that it led to rests: it is done, or waits for an answer that was asked for before
	FateBack     Fate = "back"      // the same is asked again: the same tool, rung, class and target
	FateOther    Fate = "other"     // something else is asked because of it, there or further on in its run
	FateFailed   Fate = "failed"    // its run ended otherwise than the decision meant
)

// Bad reports whether the decision did not help.
func (f Fate) Bad() bool { return f == FateBack || f == FateOther || f == FateFailed }

// Aftermath is what came of an escalation once it was settled, by the run as it stands.
type Aftermath struct {
	Fate     Fate     `json:"fate"`
	Text     string   `json:"text"`              // in words: "ship succeeded on try 3; the run goes on"
	Next     string   `json:"next,omitempty"`    // the first escalation that it led to
	Step     string   `json:"step,omitempty"`    // where that one asks, as people read it; empty: about the run as a whole
	Message  string   `json:"message,omitempty"` // what it asks about
	RunState RunState `json:"run_state"`
}

// AftermathOf says what came of escalation n of s. What it led to is its own step, the steps that need that one, their
// compensations and the run as a whole; a question that is asked there since then is its doing, whatever its kind.
func AftermathOf(s *State, n int) Aftermath {
	e, a := &s.Escalations[n], Aftermath{RunState: s.Status()}
	if e.State == EscalationOpen {
		a.Fate = FateOpen
		return a
	}
	wake := s.wake(e.Unit)
	if k := s.ledTo(n, wake); k >= 0 {
		a.stoppedAgain(s, n, k)
		return a
	}
	a.Fate, a.Text = s.fate(e, wake), s.courseOf(e.Unit)+s.runCourse(e.Unit)
	return a
}

// UnderWay reports, at little cost, that escalation n is decided and its own step still at work.
func (s *State) UnderWay(n int) bool {
	e := &s.Escalations[n]
	return e.State != EscalationOpen && e.Unit != RunUnit && s.Units[e.Unit].State.InQueue() && s.lastRevision() < e.Settled
}

// lastRevision is when the newest escalation was opened.
func (s *State) lastRevision() uint64 { return s.Escalations[len(s.Escalations)-1].Revision }

// wake is what a decision about a unit can lead to.
type wake struct {
	unit  int
	nodes []bool // plan steps: the unit's own, and all that need it; nil = all
}

func (s *State) wake(i int) wake {
	w := wake{unit: i}
	if i == RunUnit {
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

// has reports whether unit k of s is in the wake. Of a for_each step, the other items are not.
func (w wake) has(s *State, k int) bool {
	if w.nodes == nil || k == RunUnit || k == w.unit || s.Units[k].kind == undo {
		return true
	}
	u := &s.Units[k]
	sibling := u.kind == fanItem && u.Node == s.Units[w.unit].Node && s.Units[w.unit].kind == fanItem
	return w.nodes[u.Node] && !sibling
}

// ledTo is the first escalation that was opened in the wake of escalation n since that was settled, -1 when there is none.
// One that events have answered stops nobody, and what a forger has caused is nobody's doing here.
func (s *State) ledTo(n int, w wake) int {
	found, e := -1, &s.Escalations[n]
	for k := len(s.Escalations) - 1; k > n && s.Escalations[k].Revision >= e.Settled; k-- {
		next := &s.Escalations[k]
		forged := next.Unit == RunUnit && next.Fault.Class == PolicyDenied
		if next.State != EscalationSuperseded && !forged && w.has(s, next.Unit) {
			found = k
		}
	}
	return found
}

// cameBack reports whether escalation k asks the same as escalation n did.
func (s *State) cameBack(n, k int) Fate {
	e, next := &s.Escalations[n], &s.Escalations[k]
	if next.Unit == e.Unit && next.Kind == e.Kind && next.Rung == e.Rung && next.Fault.Class == e.Fault.Class {
		return FateBack
	}
	return FateOther
}

func (s *State) fate(e *Escalation, w wake) Fate {
	switch st := s.Status(); {
	case st.Ended() && !meant(e, st):
		return FateFailed
	case st == RunRunning && (s.ending != "" || !s.over(w)):
		return FateUnderWay
	}
	return FateDone
}

// meant reports whether a run that ended as st ended the way that the decision on e meant it to.
func meant(e *Escalation, st RunState) bool {
	switch {
	case st == RunSucceeded || st == RunDegraded:
		return true
	case e.Decision == nil:
		return false
	}
	return e.Decision.Verb == VerbAbort || e.Decision.Verb == VerbReject && st == RunFailed
}

// over reports whether nothing more comes of any plan step in the wake.
func (s *State) over(w wake) bool {
	if w.nodes == nil {
		return false
	}
	for j := range w.nodes {
		if w.nodes[j] && !s.Units[j].over() {
			return false
		}
	}
	return true
}

// stoppedAgain says that escalation k of s followed on escalation n.
func (a *Aftermath) stoppedAgain(s *State, n, k int) {
	next, where := &s.Escalations[k], "the run"
	if next.Unit != RunUnit {
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
func (s *State) courseOf(i int) string {
	if i == RunUnit {
		return ""
	}
	u := &s.Units[i]
	name := u.Spoken()
	switch {
	case u.State == StepSucceeded && u.AnswerBy != "":
		return name + " has the answer of " + u.AnswerBy
	case u.State == StepSucceeded:
		return name + " succeeded" + s.onTry(i)
	case u.State == StepSkipped, u.State == StepCancelled:
		return name + " was " + string(u.State)
	case u.State.Ended():
		return name + " " + string(u.State)
	case u.State == StepRetrying:
		return name + " waits for try " + strconv.Itoa(u.Try)
	case u.State.InQueue():
		return name + " is at work" + s.onTry(i)
	}
	return name + " is " + string(u.State)
}

// onTry says which try of which rung unit i stands on.
func (s *State) onTry(i int) string {
	u := &s.Units[i]
	if len(u.Attempts) == 0 || u.fan != nil {
		return ""
	}
	text := " on try " + strconv.Itoa(u.Try)
	if u.Rung > 0 {
		text += " of " + s.RungName(i)
	}
	return text
}

// runCourse says in words where the run stands, as it follows the course of unit i.
func (s *State) runCourse(i int) string {
	text := "the run goes on"
	if s.Ending() != "" {
		text = "the run is ending: " + s.Reason
	}
	switch s.Status() {
	case RunWaiting:
		text = "the run waits for a person"
	case RunSucceeded:
		text = "the run succeeded"
	case RunDegraded:
		text = "the run ended degraded"
	case RunFailed:
		text = "the run failed: " + s.Reason
	case RunAborted, RunCancelled:
		text = "the run was " + s.Reason // by whom, and why
	}
	if i == RunUnit {
		return text
	}
	return "; " + text
}
