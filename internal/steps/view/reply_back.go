package view

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"belay/internal/steps"
)

// whatSteers says what a message to agent i does.
func (s run) whatSteers(i int, e steps.Steered) string {
	if e.TakeBack == 0 {
		return s.whenRead(i)
	}
	w, _ := s.AgentWork(i)
	var turns []int
	var done, maybe, open []string
	for n := range w.Turns {
		t := &w.Turns[n]
		if t.Back == nil || t.Back.Note != e.ID {
			continue
		}
		turns = append(turns, n+1)
		for _, p := range t.Calls {
			switch {
			case p.Stays:
				done = append(done, s.callName(p.Unit))
			case p.Doubtful:
				maybe = append(maybe, s.callName(p.Unit))
			case p.Unit >= 0 && !s.Units[p.Unit].Over() && !s.Units[p.Unit].Recalled():
				open = append(open, s.callName(p.Unit))
			}
		}
	}
	text := numbered(turns) + " of " + s.Units[i].ID + map[bool]string{true: " is taken back", false: " are taken back"}[len(turns) == 1]
	if len(done)+len(maybe)+len(open) == 0 {
		text += ", without a call that has changed anything"
	}
	text += theCalls("; stays done: ", done) + theCalls("; may have happened: ", maybe) + theCalls("; under way, and settled first: ", open)
	return text + "; " + s.goesOn(i, w)
}

// tookBack says who took back what e asked about; empty if nobody did.
func (s run) tookBack(e *steps.Escalation) string {
	if e.Unit == steps.RunUnit {
		return ""
	}
	by, first := s.TookBack(e.Unit, e.EndedSeq)
	if first == 0 {
		return ""
	}
	text := fmt.Sprintf("%s took back turn %d and all after it", cmp.Or(by.By, "somebody"), first) + because(by.Reason)
	if n := s.openedIn(e.EndedSeq, e.Unit); n >= 0 {
		text += "; it is asked again as " + s.Escalations[n].ID
	}
	return text
}

// openedIn is the escalation about a unit that a record opened, also where it is over by now; -1 when it opened none.
func (s run) openedIn(seq uint64, unit int) int {
	for n := range s.Escalations {
		if e := &s.Escalations[n]; e.Revision == seq && e.Unit == unit {
			return n
		}
	}
	return -1
}

// goesOn says how agent i goes on after some of its turns were taken back.
func (s run) goesOn(i int, w steps.AgentWork) string {
	last := w.Turns[len(w.Turns)-1]
	switch {
	case s.Units[i].State() == steps.StepEscalated:
		return s.loops(&s.Units[i], "")
	case s.Units[i].Over() || s.Ending() != "":
		return s.Units[i].ID + " is " + string(s.Units[i].State())
	case last.Back == nil:
		return fmt.Sprintf("its model is asked again, as turn %d", len(w.Turns))
	}
	return "its model is asked again once all of it is over"
}

// callName is a call as people find it in the conversation: its tool and number.
func (s run) callName(i int) string {
	_, number, _ := strings.Cut(s.Units[i].ID, "~")
	return s.Tool(i).Name + " (" + number + ")"
}

// numbered names turns: "turn 3", "turns 3 to 5", "turns 2, 6".
func numbered(turns []int) string {
	if len(turns) == 1 {
		return "turn " + strconv.Itoa(turns[0])
	}
	first, last := turns[0], turns[len(turns)-1]
	if last-first == len(turns)-1 {
		return fmt.Sprintf("turns %d to %d", first, last)
	}
	var all []string
	for _, n := range turns {
		all = append(all, strconv.Itoa(n))
	}
	return "turns " + strings.Join(all, ", ")
}

// maxListed is how many calls a sentence names.
const maxListed = 10

// theCalls names some calls, if there are any.
func theCalls(what string, calls []string) string {
	switch n := len(calls); {
	case n == 0:
		return ""
	case n > maxListed:
		return what + strings.Join(calls[:maxListed], ", ") + fmt.Sprintf(" and %d more", n-maxListed)
	}
	return what + strings.Join(calls, ", ")
}
