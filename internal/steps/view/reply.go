package view

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"belay/internal/steps"
)

// Act is one thing that somebody did, or wants to do, about a run or one of its escalations.
type Act struct {
	// Event is a decision, a cancel, or the submission of a retry. It is nil for what people do before they decide.
	Event steps.Event
	// Seq is the event's sequence in the run's log; 0 while it is not stored, or nobody knows whether it is.
	Seq uint64

	Kind  string    // without an event: claim, release, assign, snooze or note
	By    string    // who does that
	To    string    // assign: whom
	Until time.Time // claim, snooze

	Now   time.Time // when it is done; claims that have run out by then do not count
	Claim *Claim    // the claim on the escalation until then; nil = none
	Take  bool      // take that claim over

	Revision uint64 // of the escalation that was shown; 0 = any
	Digest   string // of the call that was shown; empty = any
}

// Claim is one person's exclusive right to decide about an escalation, for a while. One that has run out does not count.
type Claim struct {
	By    string    `json:"by"`    // who has it
	Until time.Time `json:"until"` // when it runs out
}

// Outcome says whether an act counts, or why it does not.
type Outcome string

const (
	OutcomeCounts     Outcome = "counts"                     // it changed what it was meant to change
	OutcomePart       Outcome = "counts_in_part"             // an approval; more people must approve
	OutcomeRepeated   Outcome = "again"                      // the same person had decided the same before; this changed nothing
	OutcomeApproved           = Outcome(steps.BarApproved)   // the same person had approved before, and others are still needed
	OutcomeDecided    Outcome = "decided"                    // somebody else was first
	OutcomeExpired    Outcome = "expired"                    // nobody had decided in time
	OutcomeSuperseded Outcome = "superseded"                 // events answered it before anybody did
	OutcomeRunOver    Outcome = "run_over"                   // the run has ended, or is ending
	OutcomeNoTurn     Outcome = "no_turn"                    // a turn to be taken back that has not begun, or is taken back already
	OutcomeRunOpen    Outcome = "run_open"                   // a retry: the run has not ended
	OutcomeSubmitter          = Outcome(steps.BarSubmitter)  // whoever submitted the run may not approve
	OutcomeUnproven   Outcome = "submitter_unproven"         // nobody has proven who submitted the run, and the server requires it
	OutcomeNotAllowed         = Outcome(steps.BarNotAllowed) // the escalation does not allow this verb
	OutcomeNoReason           = Outcome(steps.BarNoReason)   // a rejection needs a reason
	OutcomeChanged            = Outcome(steps.BarChanged)    // it is no longer what was shown, or the approval is of something else
	OutcomeNoPasskey          = Outcome(steps.BarNoPasskey)  // the tool asks for the approver's passkey, and the approval has none
	OutcomeClaimed    Outcome = "claimed"                    // somebody else has claimed it
	OutcomeSameID     Outcome = "same_id"                    // another message to the agent has this id
	OutcomeNoQuestion Outcome = "no_question"                // there is no such run or escalation
	OutcomeUncertain  Outcome = "uncertain"                  // nothing is against it, and nobody knows whether it is stored
)

// Reply is what whoever did something is told about it, and whoever reads of it later.
type Reply struct {
	Outcome Outcome // in one word
	Text    string  // what came of it, or why nothing did: a clause without a full stop

	Decision *steps.Decided        // the one that counts; nil = nobody decided
	State    steps.EscalationState // where the escalation stands
	At       time.Time             // when the escalation or the run ended
	Next     string                // the escalation that asks the same once more
	Ended    bool                  // the run is over
}

// Counts reports whether the act changed something.
func (w Reply) Counts() bool { return w.Outcome == OutcomeCounts || w.Outcome == OutcomePart }

// Tell says what came of an act. It is the one place where that is put into words: the command line, the API, the console,
// the log and the audit trail repeat them.
//
// s is the run right after the act's event or, where the act is not stored, the run as it stands; nil when there is no such
// run. What the run was before need not be given: whatever an event changes carries the event's sequence.
func Tell(s *steps.State, d Act) Reply {
	if d.Event == nil {
		return d.tellAct()
	}
	if s == nil {
		return Reply{Outcome: OutcomeNoQuestion, Text: "there is no such run"}
	}
	w := Reply{Outcome: OutcomeNotAllowed, Text: "people cannot do that"}
	r := run{s}
	switch e := d.Event.(type) {
	case steps.Decided:
		w = r.tellDecided(d, e)
	case steps.Cancelled:
		w = r.tellCancelled(d)
	case steps.Migrated:
		w = r.tellMigrated(e)
	case steps.Steered:
		w = r.tellSteered(d, e)
	case steps.Submitted:
		w = r.tellRetried(e)
	}
	w.Ended = s.Status().Ended()
	return w
}

// tellDecided tells of a decision.
func (s run) tellDecided(act Act, d steps.Decided) Reply {
	n := s.FindEscalation(d.Escalation)
	if n < 0 {
		return Reply{Outcome: OutcomeNoQuestion, Text: "run " + s.Run + " has not asked " + d.Escalation + "; it has asked " + count(len(s.Escalations), "question", "questions")}
	}
	e := &s.Escalations[n]
	w := Reply{State: e.State, Decision: e.Decision, At: e.Ended}
	switch {
	case act.Seq != 0 && e.DecisionSeq == act.Seq:
		w.Outcome, w.Text = OutcomeCounts, s.did(e, d)+s.unproven(d)+s.overClaim(d)
	case slices.Contains(e.ApprovalSeqs, act.Seq):
		w.Outcome, w.Text = OutcomePart, s.oneOf(e)+s.unproven(d)+s.overClaim(d)
	case e.State != steps.EscalationOpen:
		s.hadEnded(n, d, &w)
	default:
		w.Outcome, w.Text = s.stillOpen(e, act, d)
	}
	return w
}

// stillOpen says why an escalation is open after a decision, or whether it may be decided like that.
func (s run) stillOpen(e *steps.Escalation, act Act, d steps.Decided) (Outcome, string) {
	bar := s.Bars(e, d)
	switch {
	case bar != "" && bar != steps.BarChanged:
		return Outcome(bar), s.barText(e, bar, d)
	case act.Revision != 0 && act.Revision != e.Revision:
		return OutcomeChanged, fmt.Sprintf("you saw revision %d, it is %d now", act.Revision, e.Revision)
	case act.Digest != "" && act.Digest != e.Digest:
		return OutcomeChanged, fmt.Sprintf("you saw digest %.12s, it is %.12s now", act.Digest, e.Digest)
	case act.Seq != 0 && bar == steps.BarChanged:
		return OutcomeChanged, "the approval is not of what is asked"
	case act.Seq == 0 && act.others(d.By) && !act.Take:
		return OutcomeClaimed, claimedBy(act.Claim) + "; nothing was decided. Take it over to decide anyway (--take, \"take\": true); they are notified"
	}
	return OutcomeUncertain, "it is not known whether this is stored; it can be repeated without harm"
}

// barText says why a decision does not count on an open escalation.
func (s run) barText(e *steps.Escalation, bar steps.Bar, d steps.Decided) string {
	switch bar {
	case steps.BarNotAllowed:
		return quoted(string(d.Verb)) + "; allowed are " + verbList(e.Allowed)
	case steps.BarSubmitter:
		if s.Person(d.By) == "" {
			return "nobody knows who you are"
		}
		return submitter(d.By)
	case steps.BarApproved:
		return s.oneOf(e)
	case steps.BarNoPasskey:
		return "the approval came without the passkey that " + s.Tool(e.Unit).Name + " asks for"
	}
	return "reject needs a reason: the plan, and whoever asked, will read it"
}

func submitter(by string) string { return by + " submitted the run, and may not approve it" }

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func verbList(verbs []steps.Verb) string {
	words := make([]string, len(verbs))
	for i, v := range verbs {
		words[i] = string(v)
	}
	return strings.Join(words, ", ")
}

// hadEnded says how an escalation had ended before a decision about it came.
func (s run) hadEnded(n int, d steps.Decided, w *Reply) {
	e := &s.Escalations[n]
	at := e.Ended.UTC().Format(time.RFC3339)
	switch {
	case s.alike(e, d):
		w.Outcome, w.Text = OutcomeRepeated, "you had decided so before"
	case e.Decision != nil:
		w.Outcome, w.Text = OutcomeDecided, "already decided: "+s.chose(e, d.By)+" at "+at
	case e.State == steps.EscalationExpired:
		w.Outcome, w.Next = OutcomeExpired, s.follower(n)
		w.Text = "too late: nobody had decided by " + at + ", and what was to happen then has happened"
		if w.Next != "" {
			w.Text = "too late: nobody had decided by " + at + "; it is asked again as " + w.Next
		}
	default:
		w.Outcome, w.Text = OutcomeSuperseded, "already ended at "+at+" before anybody decided: "+s.supersededBy(n)
		if s.overtaken(e) {
			w.Outcome = OutcomeRunOver
		}
	}
	if s.Status().Ended() && w.Outcome != OutcomeRepeated {
		w.Text += "; the run " + ended(s.Status())
	}
}

// overtaken reports whether e ended because the run ends.
func (s run) overtaken(e *steps.Escalation) bool {
	if s.GoesOnAs() != "" {
		return e.State == steps.EscalationSuperseded && !e.Ended.Before(s.Ended)
	}
	as, from, _ := s.EndingSince()
	return e.State == steps.EscalationSuperseded && as != "" && !e.Ended.Before(from)
}

// SupersededBy says what ended escalation n of s before anybody decided.
func SupersededBy(s *steps.State, n int) string { return run{s}.supersededBy(n) }

func (s run) supersededBy(n int) string {
	as, _, _ := s.EndingSince()
	e := &s.Escalations[n]
	switch {
	case !s.overtaken(e):
		return cmp.Or(s.coveredBy(e), s.tookBack(e), "events answered it")
	case s.GoesOnAs() != "":
		return "the run goes on as " + s.GoesOnAs() + ", and it is asked there"
	case as == steps.RunFailed:
		return "the run failed: " + s.Reason
	}
	return "the run was " + s.Reason
}

// coveredBy says whose rejection of another call answered e; empty if none did.
func (s run) coveredBy(e *steps.Escalation) string {
	if e.Kind != steps.KindApproval {
		return ""
	}
	for _, d := range s.RejectedBefore(e.Unit) {
		n := s.FindEscalation(d.Escalation)
		if d.Covers != "" && n >= 0 && s.Escalations[n].EndedSeq == e.EndedSeq {
			return d.By + " rejected " + d.Covers + " (" + d.Escalation + ")"
		}
	}
	return ""
}

// chose says who decided what, to somebody who wanted to decide as well.
func (s run) chose(e *steps.Escalation, reader string) string {
	who := cmp.Or(e.Decision.By, "somebody")
	if reader != "" && s.Person(who) == s.Person(reader) {
		who = "you"
	}
	text := who + " chose " + string(e.Decision.Verb)
	if e.Decision.Verb == steps.VerbApprove && e.Needed > 1 {
		text += " (" + approvals(e) + ")"
	}
	return text
}

// follower is the escalation that asks once more what escalation n asked in vain.
func (s run) follower(n int) string {
	for k := n + 1; k < len(s.Escalations); k++ {
		if s.Escalations[k].Follows == s.Escalations[n].ID {
			return s.Escalations[k].ID
		}
	}
	return ""
}

// alike reports whether d is the same as the decision that counts on e, or as an approval that it rests on.
func (s run) alike(e *steps.Escalation, d steps.Decided) bool {
	have := e.Decision
	if have == nil || d.Verb == "" {
		return false
	}
	if d.Verb == steps.VerbApprove && have.Verb == steps.VerbApprove {
		return s.ApprovalOf(e, d.By) != nil
	}
	return have.Verb == d.Verb && s.Person(have.By) == s.Person(d.By) && have.Via == d.Via && have.Reason == d.Reason &&
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
	return strings.Join(append([]string{strconv.Itoa(len(by)) + " of " + strconv.Itoa(needed) + " approved"}, by...), ", ")
}

// approvals says how many of the people who must approve e have.
func approvals(e *steps.Escalation) string { return approved(e.Needed, e.ApprovedBy()) }

// oneOf says who has approved e, and how many others must.
func (s run) oneOf(e *steps.Escalation) string {
	if e.State != steps.EscalationOpen {
		return approvals(e)
	}
	return approvals(e) + "; " + missing(e.Needed-len(e.Approvals), s.Tool(e.Unit).Name)
}

func missing(more int, tool string) string {
	if more == 1 {
		return "one more person must approve before " + tool + " runs"
	}
	return strconv.Itoa(more) + " more people must approve before " + tool + " runs"
}

// overClaim names whoever had claimed what somebody else decided.
func (s run) overClaim(d steps.Decided) string {
	if d.Over == "" {
		return ""
	}
	return "; " + d.Over + " had claimed it, and is shown that you decided it"
}

// others reports whether somebody else has a claim that counts.
func (d Act) others(by string) bool {
	return d.Claim != nil && d.Now.Before(d.Claim.Until) && !steps.SamePerson(d.Claim.By, by)
}

func claimedBy(h *Claim) string { return h.By + " has it until " + h.Until.UTC().Format(time.RFC3339) }

// tellAct is about what people do before they decide. It decides nothing, so only somebody else's claim can be in its way.
func (d Act) tellAct() Reply {
	others := d.others(d.By)
	until := d.Until.UTC().Format(time.RFC3339)
	switch {
	case d.Kind == "claim" && others && !d.Take:
		return Reply{Outcome: OutcomeClaimed, Text: claimedBy(d.Claim)}
	case d.Kind == "release" && others:
		return Reply{Outcome: OutcomeClaimed, Text: claimedBy(d.Claim) + "; only they release it before"}
	case d.Kind == "claim" && others:
		return Reply{Outcome: OutcomeCounts, Text: "yours until " + until + "; " + d.Claim.By + " had it, and is shown that you took it over"}
	case d.Kind == "claim":
		return Reply{Outcome: OutcomeCounts, Text: "yours until " + until + "; others are not notified meanwhile"}
	case d.Kind == "release":
		return Reply{Outcome: OutcomeCounts, Text: "open again for everybody"}
	case d.Kind == "assign":
		return Reply{Outcome: OutcomeCounts, Text: "assigned to " + d.To}
	case d.Kind == "snooze":
		return Reply{Outcome: OutcomeCounts, Text: "nobody is notified before " + until + "; the deadline stays"}
	}
	return Reply{Outcome: OutcomeCounts, Text: "noted"}
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
