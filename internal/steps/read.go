package steps

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// What others read of a state beside its exported fields. Nothing here changes anything.

// IsItem reports whether the unit is an item of a for_each step.
func (u *Unit) IsItem() bool { return u.origin.kind == fanItem }

// IsUndo reports whether the unit is the compensation of another.
func (u *Unit) IsUndo() bool { return u.origin.kind == undo }

// FannedOut reports whether the unit is a for_each step whose items, or an agent step whose turns, calls and summaries, are units of
// their own. It has no attempts itself.
func (u *Unit) FannedOut() bool { return u.fan != nil || u.loop != nil }

// IsTurn reports whether the unit is a turn of an agent: it asks the model.
func (u *Unit) IsTurn() bool { return u.origin.kind == agentTurn }

// IsSummary reports whether the unit is a summary of an agent's turns: it asks the model of those.
func (u *Unit) IsSummary() bool { return u.origin.kind == agentSummary }

// IsCall reports whether the unit is a call that an agent has proposed.
func (u *Unit) IsCall() bool { return u.origin.kind == agentCall }

// Loops reports whether the unit is an agent step that has begun.
func (u *Unit) Loops() bool { return u.loop != nil }

// Agent is the unit of the agent whose turn, call or summary unit u is; -1 for any other unit.
func (u *Unit) Agent() int {
	if !u.ofAgent() {
		return -1
	}
	return int(u.origin.parent)
}

// Edited reports whether a person has changed the unit's parameters.
func (u *Unit) Edited() bool { return u.edit > 0 }

// ResultOf is the call whose result the unit, which is a call, only shows: it was done in a turn that was taken back, and is not
// made again. -1 for any other unit.
func (u *Unit) ResultOf() int { return u.shows.index() }

// TakenBack reports whether unit i belongs to a turn of an agent that was taken back: its model is not told of it.
func (s *State) TakenBack(i int) bool { return s.takenBackBy(i) != nil }

// TookBack is who took turns of an agent back in the record with this sequence, of the agent that unit i is or belongs to; the
// number of the first of them is 0 where nobody did.
func (s *State) TookBack(i int, seq uint64) (by TakenBack, first int) {
	if of := s.Units[i].Agent(); of >= 0 {
		i = of
	}
	if l := s.Units[i].loop; l != nil {
		for _, n := range l.notes {
			if n.seq == seq && n.back > 0 {
				return TakenBack{n.by, n.text, n.id, n.at}, n.back
			}
		}
	}
	return by, 0
}

// Recalled reports whether the unit's attempt, which is out, is being taken back: nobody wants it any more.
func (u *Unit) Recalled() bool { return recalledPhases.has(u.phase) }

// Deferred reports whether the unit's next attempt waits until a person has given the run its time again.
func (u *Unit) Deferred() bool { return u.phase == PhaseDeferred }

// NotBefore is when the unit's attempt may be executed at the earliest; zero for at once.
func (u *Unit) NotBefore() time.Time { return u.out.notBefore }

// Unmet is how many of the steps that the unit needs are not done yet.
func (u *Unit) Unmet() int { return int(u.unmet) }

// Escalation is the index of the last escalation about the unit, open or not; -1 where there is none.
func (u *Unit) Escalation() int { return u.question.index() }

// Approved reports whether the unit acts on approvals that people gave for its current round.
func (u *Unit) Approved() bool { return len(u.permit.grants) > 0 }

// EndingSince says how a run ends that does not go through as planned: as what, and by which record of the log at which
// time that began. It stays after the end. The state is empty for a run that goes on, or went through.
func (s *State) EndingSince() (as RunState, at time.Time, seq uint64) {
	return s.ending, s.endingFrom, s.endingSeq
}

// CarriedOver is how many steps the run took over from the run that it goes on from.
func (s *State) CarriedOver() int { return len(s.carried) }

// Compensations is how many steps would be undone if the run were ended now.
func (s *State) Compensations() int {
	n := 0
	for _, i := range s.completed {
		if s.undone(i) {
			n++
		}
	}
	return n
}

// Epoch is the version of the rules that the run is folded by; see the constant [Epoch].
func (s *State) Epoch() int { return s.epoch }

// FindEscalation is the index of an escalation by its id, -1 when there is none.
func (s *State) FindEscalation(id string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(id, s.Run+"-"))
	if err != nil || n < 1 || n > len(s.Escalations) || s.Escalations[n-1].ID != id {
		return -1
	}
	return n - 1
}

// KeyRun is the run named in this run's idempotency keys; a retry keeps it.
func (s *State) KeyRun() string { return s.keyRun }

// AgentWork is what an agent was asked, what it has done so far, and how much of its limits that took.
type AgentWork struct {
	Instructions, Prompt string
	Turns                []AgentTurn
	Summaries            []AgentSummary // of its first turns
	Limits, Used         AgentLimits    // the limits with what people have added; 0 is none, where there may be none
	Last                 bool           // its model is asked for the last time, without tools
}

// AgentSummary is what an agent's model reads in place of its first turns.
type AgentSummary struct {
	Unit    int
	Text    string // empty: there is none
	Made    int    // turns that had begun
	From    int    // number of the first turn that it is made of, beside the summary before it
	Upto    int    // number of the last turn that it stands for
	Missing int    // turns up to that one which are in no summary
	Read    bool   // it is what the model reads now
}

// AgentNote is what a person has written to an agent.
type AgentNote struct {
	By, Text  string
	TakesBack int  // number of the first turn that it takes back; 0 = none
	Unread    bool // its model has not been asked since
}

// TakenBack says who has taken back a turn of an agent, when and why.
type TakenBack struct {
	By, Reason string
	Note       string    // id of the message that did
	At         time.Time // the log's
}

// AgentTurn is one time that an agent's model was asked.
type AgentTurn struct {
	Unit  int
	Said  string // empty before it has answered, or where it only calls
	Wrong string // why its answer was not taken
	Calls []AgentProposal
	Notes []AgentNote // that people wrote while it was the last turn; the next one begins with them
	Back  *TakenBack  // nil while it counts
}

// AgentProposal is a call as the model proposed it.
type AgentProposal struct {
	Unit      int             // -1: it was not begun, because a limit is reached
	Name      string          // as the model is told of the tool
	Arguments json.RawMessage // what could not be read as JSON is a string
	Result    string          // what the model is told of it; empty before it is over
	Failed    bool            // it is told that there is no result
	Stays     bool            // it is done, and stays done although its turn was taken back
	Doubtful  bool            // its turn was taken back, and it may have happened, although it has no result
}

// AgentWork is the work of the agent of unit i; false if i is no agent that has begun.
func (s *State) AgentWork(i int) (AgentWork, bool) {
	if i < 0 || s.Units[i].loop == nil {
		return AgentWork{}, false
	}
	l := s.Units[i].loop
	w := AgentWork{Instructions: l.instructions, Prompt: l.prompt, Limits: s.limits(i), Used: s.agentUsed(i), Last: l.last}
	for n := range l.turns {
		t := s.agentTurn(&l.turns[n])
		if by := l.turns[n].back.index(); by >= 0 {
			t.Back = &TakenBack{l.notes[by].by, l.notes[by].text, l.notes[by].id, l.notes[by].at}
		}
		for _, note := range l.notes {
			if note.after == n+1 {
				t.Notes = append(t.Notes, AgentNote{note.by, note.text, note.back, n+1 == len(l.turns)})
			}
		}
		w.Turns = append(w.Turns, t)
	}
	read := s.past(i, len(l.turns)).read.index()
	for k := range l.summaries {
		m := &l.summaries[k]
		w.Summaries = append(w.Summaries, AgentSummary{m.unit, s.summed(m), m.made, m.from + 1, m.upto, m.missing, k == read})
	}
	return w, true
}

func (s *State) agentTurn(t *turn) AgentTurn {
	v := AgentTurn{Unit: t.unit, Wrong: t.wrong}
	u := &s.Units[t.unit]
	if u.phase != PhaseSucceeded {
		return v
	}
	answer := u.said()
	v.Said = answer.Text
	if v.Said == "" && len(answer.Calls) == 0 {
		v.Said = string(answer.Object)
	}
	for n, p := range answer.Calls {
		call := AgentProposal{Unit: -1, Name: p.Name, Arguments: orNull(p.Arguments)}
		if p.Unreadable != "" {
			call.Arguments, _ = json.Marshal(p.Unreadable) // a text is always JSON
		}
		if n < len(t.calls) {
			call.Unit = t.calls[n]
			if s.Units[call.Unit].Over() {
				call.Result, call.Failed = s.resultOf(call.Unit)
			}
			if over := &s.Units[call.Unit]; t.back != 0 && over.Over() && over.shows == 0 {
				call.Stays, call.Doubtful = s.doneIn(call.Unit), s.mayHaveHappened(call.Unit)
			}
		}
		v.Calls = append(v.Calls, call)
	}
	return v
}

// agentUsed is how much agent i has used of each of its limits.
func (s *State) agentUsed(i int) AgentLimits {
	l := s.Units[i].loop
	used := AgentLimits{Turns: len(l.turns), Calls: l.calls, Refusals: l.refused, Time: Duration(l.clock.at(s.Now))}
	used.Tokens, used.USD = s.agentSpent(i)
	if len(l.turns) > 0 && l.turns[len(l.turns)-1].digest != "" {
		used.Repeats = l.repeats(s.limits(i).Repeats)
	}
	return used
}
