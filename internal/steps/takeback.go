package steps

import (
	"fmt"
	"slices"
	"strings"
)

// MayNotTakeBack says why nobody can take back turn n of agent i, and those after it; empty if people can.
func (s *State) MayNotTakeBack(i, n int) string {
	if why := s.MayNotSteer(i); why != "" {
		return why
	}
	u := &s.Units[i]
	switch l := u.loop; {
	case !s.since(7):
		return "the run goes by the rules of an older version, under which no turn is taken back"
	case n < 1 || n > len(l.turns):
		return fmt.Sprintf("turn %d of %s has not begun: it is at turn %d", n, u.ID, len(l.turns))
	case l.turns[n-1].back != 0:
		return fmt.Sprintf("turn %d of %s is taken back already, by %s", n, u.ID, orElse(l.notes[l.turns[n-1].back.index()].by, "a person"))
	}
	return ""
}

// takeBack takes turns of agent i back, as its last note says: the model hears nothing of them any more. What was done stays
// done, what is under way goes to its end, and what nobody has begun is not done. The model is asked again once all of that
// is over.
func (c *change) takeBack(i int) {
	l := c.Units[i].loop
	by := markOf(len(l.notes) - 1)
	l.busy++ // until all of it is looked at
	for k := l.notes[by.index()].back - 1; k < len(l.turns); k++ {
		if l.turns[k].back != 0 {
			continue
		}
		l.turns[k].back = by
		for _, u := range append([]int{l.turns[k].unit}, l.turns[k].calls...) {
			c.takeBackUnit(u)
		}
	}
	if c.Units[i].phase == PhaseAsked {
		c.supersede(i)
		c.Units[i].Fault = nil
		c.become(i, PhaseLooping)
	}
	l.busy--
	c.goOn(i)
}

// goOn asks the model of agent i again once nothing of what was taken back is under way.
func (c *change) goOn(i int) {
	l := c.Units[i].loop
	if l.busy == 0 && c.ending == "" && c.Units[i].phase == PhaseLooping && c.Units[l.turns[len(l.turns)-1].unit].Over() {
		c.nextTurn(i)
	}
}

// takeBackUnit ends unit u of a turn that is taken back, as far as that can be done at once.
func (c *change) takeBackUnit(u int) {
	f := Fault{Class: PolicyDenied, Acted: ActedNo, Message: "not done: its turn was taken back by " + c.takenBackBy(u).reason()}
	isCall, at := c.Units[u].IsCall(), c.Units[u].phase
	switch {
	case c.Units[u].Over():
		c.keep(u)
	case isCall && at != PhaseHeld && (c.Units[u].doubt != 0 || c.mayHaveHappened(u)):
		c.askWithoutRepeating(u) // it is settled first, as ever
	case isCall && (at == PhaseRunning || at == PhaseStopping):
	case at.out():
		c.giveBack(u, f)
	default:
		c.supersede(u)
		c.notDone(u, f)
	}
}

// askWithoutRepeating asks people anew about call u, if they are: nobody sends it back any more.
func (c *change) askWithoutRepeating(u int) {
	if e := c.escalationOf(u); e != nil && (e.Question == nil || e.Resume != nil) {
		same := Escalation{Kind: e.Kind, Unit: u, Fault: e.Fault, Question: e.Question, Resume: e.Resume}
		c.supersede(u)
		c.Units[u].Fault = &same.Fault
		c.raise(same)
	}
}

// withoutRepeats is what may be decided about e, without what would make a call once more whose turn was taken back.
func (c *change) withoutRepeats(e *Escalation, verbs []Verb) []Verb {
	if e.Unit == RunUnit || !c.unwanted(e.Unit) {
		return verbs
	}
	return slices.DeleteFunc(slices.Clone(verbs), func(v Verb) bool { return v == VerbRetry || v == VerbEdit })
}

// notDone ends unit i of a turn that was taken back: without a result, and without another try.
func (c *change) notDone(i int, f Fault) {
	c.Units[i].doubt, c.Units[i].Fault = 0, &f
	c.done(i, PhaseFailed)
}

// dropped ends unit i after f, if that is of a turn that was taken back and need not be settled. A call that somebody refused
// to execute is shown to people all the same.
func (c *change) dropped(i int, f Fault) bool {
	refused := f.Class == PolicyDenied && c.Units[i].Current().State != AttemptWithdrawn
	if !c.unwanted(i) || c.Units[i].IsCall() && (refused || c.mayHaveHappened(i)) {
		return false
	}
	c.notDone(i, f)
	return true
}

// unwanted reports whether unit i belongs to a turn that was taken back. In a run that is ending that makes no difference.
func (s *State) unwanted(i int) bool { return s.ending == "" && s.takenBackBy(i) != nil }

// takenBackBy is the note that has taken back the turn that unit i is, or is a call of; nil where there is none.
func (s *State) takenBackBy(i int) *note {
	if !s.Units[i].ofAgent() {
		return nil
	}
	l := s.Units[s.Units[i].origin.parent].loop
	if len(l.notes) == 0 {
		return nil
	}
	for k := range l.turns {
		if t := &l.turns[k]; t.back != 0 && (t.unit == i || slices.Contains(t.calls, i)) {
			return &l.notes[t.back.index()]
		}
	}
	return nil
}

// reason is who took a turn back, and why.
func (n *note) reason() string { return orElse(n.by, "a person") + because(cut(n.text, 500)) }

// keep notes that call u of a turn that was taken back is done: where the model proposes it again, this is its result. Reads
// are made anew, and so is what a cache or a fixed value stood in for.
func (c *change) keep(u int) {
	of := &c.Units[u]
	if !c.doneIn(u) {
		return
	}
	l := c.Units[of.origin.parent].loop
	if of.shows != 0 {
		u = of.shows.index()
	}
	l.kept = append(l.kept, u)
}

// doneIn reports whether call u is done and has changed something.
func (s *State) doneIn(u int) bool {
	of := &s.Units[u]
	if !of.IsCall() || of.phase != PhaseSucceeded || s.Tool(u).Effects == EffectsNone {
		return false
	}
	how := s.Tool(u).Rung(of.Rung).Executor
	return of.AnswerBy != "" || how != "cache" && how != "static"
}

// kept takes the call that was done in a turn taken back and that a proposal of agent i names once more; -1 where there is
// none. One that a person has changed is found by what was proposed, and by what was done.
func (c *change) kept(i int, p proposal) int {
	l := c.Units[i].loop
	if len(l.kept) == 0 {
		return -1
	}
	digest := c.digestOf([]proposal{p})
	at := slices.IndexFunc(l.kept, func(u int) bool { return strings.HasPrefix(c.Units[u].call, digest[:16]+".") })
	if at < 0 {
		at = slices.IndexFunc(l.kept, func(u int) bool {
			return digest == c.digestOf([]proposal{{Name: CallName(c.pinned(u).Name), Arguments: c.Units[u].Params}})
		})
	}
	if at < 0 {
		return -1
	}
	u := l.kept[at]
	l.kept = slices.Delete(l.kept, at, at+1)
	return u
}

// show ends call u with the result of call k, which was done in a turn taken back. Nothing is made.
func (c *change) show(u, k int) {
	of, is := &c.Units[k], &c.Units[u]
	is.Params, is.Output, is.AnswerBy, is.Rung, is.edit = of.Params, of.Output, of.AnswerBy, of.Rung, of.edit
	is.tainted, is.shows = is.tainted || of.tainted, markOf(k)
	if of.Degraded != nil {
		label := *of.Degraded
		label.Step = is.ID
		is.Degraded = &label
	}
	c.warn(u, of.stranger)
	c.done(u, PhaseSucceeded)
}

// retraction is what the model of an agent reads where a person has taken back what it said.
func (s *State) retraction(l *loop, n int) string {
	note := &l.notes[n]
	text := fmt.Sprintf("%s has taken back what you said after turn %d; it is not shown to you any more.", orElse(note.by, "A person"), note.back-1)
	if note.back == 1 {
		text = orElse(note.by, "A person") + " has taken back all that you had said; it is not shown to you any more."
	}
	done, open := s.madeIn(l, n)
	if len(done)+len(open) == 0 {
		text += " No call was made in it that has changed anything."
	}
	if len(done) > 0 {
		text += " These calls were made in it, and stay made: " + strings.Join(done, "; ") +
			". If you propose one of them again, you get the result that it had, once for each, and it is not made again."
	}
	if len(open) > 0 {
		text += " These calls gave no result, and may have happened all the same: " + strings.Join(open, "; ") + "."
	}
	if note.text != "" {
		text += "\n" + note.words()
	}
	return text
}

// madeIn lists the calls that note n has taken back and that were done, and those that may have happened.
func (s *State) madeIn(l *loop, n int) (done, open []string) {
	for _, u := range s.callsBack(l, n) {
		call := CallName(s.Tool(u).Name) + " " + string(orNull(s.Units[u].Params))
		switch {
		case s.doneIn(u):
			done = append(done, call)
		case s.mayHaveHappened(u):
			open = append(open, call)
		}
	}
	return done, open
}

// callsBack are the calls that note n has taken back, without those that only show the result of another.
func (s *State) callsBack(l *loop, n int) (list []int) {
	for k := range l.turns {
		if l.turns[k].back != markOf(n) {
			continue
		}
		for _, u := range l.turns[k].calls {
			if s.Units[u].shows == 0 {
				list = append(list, u)
			}
		}
	}
	return list
}

// shown are the agent's turns, from 0, that its model may be shown: those from number `from` on, before number `to`, but for
// what was taken back.
func (l *loop) shown(from, to int) (list []int) {
	for k := from; k < to; k++ {
		if l.turns[k].back == 0 {
			list = append(list, k)
		}
	}
	return list
}
