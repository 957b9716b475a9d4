package steps

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Deed is one thing that somebody did, or wants to do, about a run or one of its questions.
type Deed struct {
	// Event is a decision, a cancel, or the submission of a retry; nil for what people do on the way to a decision.
	Event Event
	// Seq is the event's in the run's log; 0 while it is not stored there, or nobody knows whether it is.
	Seq uint64

	Act   string    // without an event: claim, release, assign, snooze or note
	By    string    // who does that
	To    string    // assign: whom
	Until time.Time // claim, snooze

	Now  time.Time
	Held *Hold // who was at the question before; nil = nobody
	Take bool  // all the same

	Revision uint64 // of the question that was shown; 0 = whatever it is
	Digest   string // of the call that was shown; empty = whatever it is
}

// Outcome says whether a deed counts, or why not.
type Outcome string

const (
	OutcomeCounts     Outcome = "counts"
	OutcomePart       Outcome = "counts_in_part"  // an approval; more people must approve
	OutcomeAgain      Outcome = "again"           // the same person had decided the same before; nothing was done again
	OutcomeApproved   Outcome = "approved_before" // by the same person, and others are still needed
	OutcomeDecided    Outcome = "decided"         // somebody was first
	OutcomeExpired    Outcome = "expired"         // nobody had decided in time
	OutcomeSuperseded Outcome = "superseded"      // events answered it before anybody did
	OutcomeRunOver    Outcome = "run_over"        // or ending
	OutcomeRunOpen    Outcome = "run_open"        // a retry: the run has not ended
	OutcomeSubmitter  Outcome = "submitter"       // whoever submitted the run may not approve
	OutcomeNotAllowed Outcome = "not_allowed"     // this verb, here
	OutcomeNoReason   Outcome = "no_reason"
	OutcomeChanged    Outcome = "changed" // it is not what was shown
	OutcomeClaimed    Outcome = "claimed" // somebody else is at it
	OutcomeNoQuestion Outcome = "no_question"
	OutcomeUncertain  Outcome = "uncertain" // nothing speaks against it, and nobody knows whether it is stored
)

// Word is what is told after a deed, to whoever did it and to whoever reads of it later.
type Word struct {
	Outcome Outcome
	Text    string // what came of it, or why nothing did: a clause without its full stop

	Decision *Decided        // the one that counts; nil = nobody decided
	State    EscalationState // how the question stands
	At       time.Time       // since when it is settled
	Next     string          // the question that asks the same again
	Ended    bool            // the run is over
}

// Counts reports whether the deed did something.
func (w Word) Counts() bool { return w.Outcome == OutcomeCounts || w.Outcome == OutcomePart }

// Tell says what came of a deed, from what the run was before it, the deed, and what the run is after it. It is the one
// place where that is put into words: the command line, the API, the console, the log and the audit trail repeat them.
//
// State is the one right after the deed's event, or the one that stands while the deed is not stored. The state before is
// in it: what an event changes bears the event's sequence, so that whatever does not was there before. Nil is no run.
func Tell(s *State, d Deed) Word {
	if d.Event == nil {
		return d.tellAct()
	}
	if s == nil {
		return Word{Outcome: OutcomeNoQuestion, Text: "there is no such run"}
	}
	w := Word{Outcome: OutcomeNotAllowed, Text: "that is nothing that people do"}
	switch e := d.Event.(type) {
	case Decided:
		w = s.tellDecided(d, e)
	case Cancelled:
		w = s.tellCancelled(d)
	case Submitted:
		w = s.tellRetried(e)
	}
	w.Ended = s.Status().Ended()
	return w
}

// tellDecided tells of a decision.
func (s *State) tellDecided(deed Deed, d Decided) Word {
	n := s.FindEscalation(d.Escalation)
	if n < 0 {
		return Word{Outcome: OutcomeNoQuestion, Text: "run " + s.Run + " has not asked " + d.Escalation + "; it has asked " + count(len(s.Escalations), "question", "questions")}
	}
	e := &s.Escalations[n]
	w := Word{State: e.State, Decision: e.Decision, At: e.Ended}
	switch {
	case deed.Seq != 0 && e.decided == deed.Seq:
		w.Outcome, w.Text = OutcomeCounts, s.did(e, d)+s.overClaim(d)
	case slices.Contains(e.votes, deed.Seq):
		w.Outcome, w.Text = OutcomePart, s.oneOf(e)+s.overClaim(d)
	case e.State != EscalationOpen:
		s.settled(n, d, &w)
	default:
		w.Outcome, w.Text = s.stillOpen(e, deed, d)
	}
	return w
}

// stillOpen says why a question is open after a decision, or whether it may be decided so.
func (s *State) stillOpen(e *Escalation, deed Deed, d Decided) (Outcome, string) {
	why := s.bars(e, d)
	switch {
	case why != "" && why != OutcomeChanged:
		return why, s.why(e, why, d)
	case deed.Revision != 0 && deed.Revision != e.Revision:
		return OutcomeChanged, fmt.Sprintf("you saw revision %d, it is %d now", deed.Revision, e.Revision)
	case deed.Digest != "" && deed.Digest != e.Digest:
		return OutcomeChanged, fmt.Sprintf("you saw digest %.12s, it is %.12s now", deed.Digest, e.Digest)
	case deed.Seq != 0 && why == OutcomeChanged:
		return OutcomeChanged, "the approval is not of what is asked"
	case deed.Seq == 0 && deed.others(d.By) && !deed.Take:
		return OutcomeClaimed, heldBy(deed.Held) + "; nothing was decided. Take it over to decide it all the same, and they are told (--take, \"take\": true)"
	}
	return OutcomeUncertain, "it is not known whether this is stored; it can be repeated without harm"
}

// why puts into words why a decision does not count on an open question.
func (s *State) why(e *Escalation, why Outcome, d Decided) string {
	switch why {
	case OutcomeNotAllowed:
		return quoted(string(d.Verb)) + "; allowed are " + verbList(e.Allowed)
	case OutcomeSubmitter:
		if s.person(d.By) == "" {
			return "nobody knows who you are"
		}
		return submitter(d.By)
	case OutcomeApproved:
		return s.oneOf(e)
	}
	return "reject needs a reason: the plan, and whoever asked, will read it"
}

func submitter(by string) string { return by + " submitted the run, and may not approve it" }

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func verbList(verbs []Verb) string {
	words := make([]string, len(verbs))
	for i, v := range verbs {
		words[i] = string(v)
	}
	return strings.Join(words, ", ")
}

// settled says how a question ended that a decision found settled.
func (s *State) settled(n int, d Decided, w *Word) {
	e := &s.Escalations[n]
	at := e.Ended.UTC().Format(time.RFC3339)
	switch {
	case s.alike(e, d):
		w.Outcome, w.Text = OutcomeAgain, "you had decided so before"
	case e.Decision != nil:
		w.Outcome, w.Text = OutcomeDecided, "already decided: "+s.chose(e, d.By)+" at "+at
	case e.State == EscalationExpired:
		w.Outcome, w.Next = OutcomeExpired, s.follower(n)
		w.Text = "too late: nobody had decided by " + at + ", and what was to happen then has happened"
		if w.Next != "" {
			w.Text = "too late: nobody had decided by " + at + "; it is asked again as " + w.Next
		}
	default:
		w.Outcome, w.Text = OutcomeSuperseded, "already settled at "+at+" before anybody decided: "+s.SupersededBy(n)
		if s.overtaken(e) {
			w.Outcome = OutcomeRunOver
		}
	}
	if s.Status().Ended() && w.Outcome != OutcomeAgain {
		w.Text += "; the run " + ended(s.Status())
	}
}

// overtaken reports whether e was settled because the run ends.
func (s *State) overtaken(e *Escalation) bool {
	return e.State == EscalationSuperseded && s.ending != "" && !e.Ended.Before(s.endingFrom)
}

// SupersededBy says what settled question n before anybody decided.
func (s *State) SupersededBy(n int) string {
	switch {
	case !s.overtaken(&s.Escalations[n]):
		return "events answered it"
	case s.ending == RunFailed:
		return "the run failed: " + s.Reason
	}
	return "the run was " + s.Reason
}

// chose says who decided, for somebody who wanted to decide as well.
func (s *State) chose(e *Escalation, reader string) string {
	who := cmp.Or(e.Decision.By, "somebody")
	if reader != "" && s.person(who) == s.person(reader) {
		who = "you"
	}
	text := who + " chose " + string(e.Decision.Verb)
	if e.Decision.Verb == VerbApprove && e.Needed > 1 {
		text += " (" + e.approved() + ")"
	}
	return text
}

// follower is the question that asks again what question n asked in vain.
func (s *State) follower(n int) string {
	for k := n + 1; k < len(s.Escalations); k++ {
		if s.Escalations[k].Follows == s.Escalations[n].ID {
			return s.Escalations[k].ID
		}
	}
	return ""
}

// alike reports whether the decision that counts on e, or an approval that it rests on, is the same as d.
func (s *State) alike(e *Escalation, d Decided) bool {
	have := e.Decision
	if have == nil || d.Verb == "" {
		return false
	}
	if d.Verb == VerbApprove && have.Verb == VerbApprove {
		return s.approvalOf(e, d.By) != nil
	}
	return have.Verb == d.Verb && s.person(have.By) == s.person(d.By) && have.Via == d.Via && have.Reason == d.Reason &&
		alikeJSON(have.Params, d.Params) && alikeJSON(have.Answer, d.Answer)
}

func alikeJSON(a, b json.RawMessage) bool {
	var x, y bytes.Buffer
	if json.Compact(&x, a) != nil || json.Compact(&y, b) != nil {
		return bytes.Equal(a, b)
	}
	return bytes.Equal(x.Bytes(), y.Bytes())
}

// approved says how many of the people who must approve have, and who; empty where one is enough.
func approved(needed int, by []string) string {
	if needed < 2 {
		return ""
	}
	return strings.Join(append([]string{number(len(by)) + " of " + number(needed) + " approved"}, by...), ", ")
}

func (e *Escalation) approved() string { return approved(e.Needed, e.givenBy()) }

// oneOf says who has approved e, and how many others must.
func (s *State) oneOf(e *Escalation) string {
	if e.State != EscalationOpen {
		return e.approved()
	}
	return e.approved() + "; " + missing(e.Needed-len(e.Approvals), s.Tool(e.Unit).Name)
}

func missing(more int, tool string) string {
	if more == 1 {
		return "one more person must approve before " + tool + " runs"
	}
	return number(more) + " more people must approve before " + tool + " runs"
}

// overClaim tells of the claim that a decision was made under.
func (s *State) overClaim(d Decided) string {
	if d.Over == "" {
		return ""
	}
	return "; " + d.Over + " had claimed it, and is shown that you decided it"
}

// others reports whether somebody else is at the question.
func (d Deed) others(by string) bool {
	return d.Held != nil && d.Now.Before(d.Held.Until) && !SamePerson(d.Held.By, by)
}

func heldBy(h *Hold) string { return h.By + " has it until " + h.Until.UTC().Format(time.RFC3339) }

// tellAct tells of what people do on the way to a decision. It decides nothing, so only another's claim is in its way.
func (d Deed) tellAct() Word {
	others := d.others(d.By)
	until := d.Until.UTC().Format(time.RFC3339)
	switch {
	case d.Act == "claim" && others && !d.Take:
		return Word{Outcome: OutcomeClaimed, Text: heldBy(d.Held)}
	case d.Act == "release" && others:
		return Word{Outcome: OutcomeClaimed, Text: heldBy(d.Held) + "; only they release it before"}
	case d.Act == "claim" && others:
		return Word{Outcome: OutcomeCounts, Text: "yours until " + until + "; " + d.Held.By + " had it, and is shown that you took it over"}
	case d.Act == "claim":
		return Word{Outcome: OutcomeCounts, Text: "yours until " + until + "; others are not told of it meanwhile"}
	case d.Act == "release":
		return Word{Outcome: OutcomeCounts, Text: "open again for everybody"}
	case d.Act == "assign":
		return Word{Outcome: OutcomeCounts, Text: "assigned to " + d.To}
	case d.Act == "snooze":
		return Word{Outcome: OutcomeCounts, Text: "nobody is told of it before " + until + "; its deadline stands"}
	}
	return Word{Outcome: OutcomeCounts, Text: "noted"}
}
