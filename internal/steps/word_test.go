package steps

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// asked is a run with one open question, on which a verb is allowed.
type asked struct {
	*world
	t  *testing.T
	id string
	e  *Escalation
}

// ask makes the question that a verb is for. The run was submitted by sue.
func ask(t *testing.T, v Verb, rule Approval) *asked {
	t.Helper()
	tool := Tool{Name: "pay", Effects: EffectsUnsafe, Rungs: []Rung{{Name: "primary", Executor: "http", Retry: RetryPolicy{MaxAttempts: 1, Factor: 2}}}}
	end := Failed{Attempt: Attempt{Step: "a", Try: 1}, Worker: "w", Fault: Fault{Class: InvalidInput, Acted: ActedNo, Message: "no"}}
	switch v {
	case VerbApprove, VerbReject:
		rule.Decisions = []Verb{VerbApprove, VerbReject, VerbEdit, VerbAbort}
		tool.Approval = &rule
	case VerbVerify:
		tool.Verify = &Verify{Rung: Rung{Name: VerifyRung, Executor: "http", Retry: RetryPolicy{MaxAttempts: 1, Factor: 2}}, Happened: "json:true"}
	}
	p := &testPlan{}
	p.Plan.Name, p.Plan.Steps = "p", []Step{{ID: "a", Tool: "pay", OnFailure: OnFailureEscalate}}
	p.Tools = map[string]Tool{"pay": tool}
	a := &asked{world: newWorld(t), t: t, id: "r-1"}
	a.add(Submitted{Epoch: Epoch, Program: p.program(), Input: json.RawMessage(`{}`), By: "sue"})
	switch {
	case v == VerbVerify:
		end.Fault = Fault{Class: Timeout, Acted: ActedMaybe, Message: "no answer"}
		fallthrough
	case tool.Approval == nil:
		a.add(Claimed{Attempt: end.Attempt, Worker: "w"})
		a.add(end)
	}
	if v == VerbVerify { // the probe was asked once, and says nothing
		a.add(Failed{Attempt: a.state.Attempt(0), Worker: "w", Fault: Fault{Class: Timeout, Acted: ActedMaybe, Message: "no answer"}})
	}
	a.e = &a.state.Escalations[0]
	if a.e.State != EscalationOpen || !slices.Contains(a.e.Allowed, v) {
		t.Fatalf("%s is not asked for: %+v", v, a.e)
	}
	return a
}

// decision is somebody's, complete and with a grant where it is an approval.
func (a *asked) decision(v Verb, by string) Decided {
	d := Decided{Escalation: a.id, Verb: v, By: by, Via: "cli", Reason: "because"}
	switch v {
	case VerbEdit:
		d.Params = json.RawMessage(`{"x":1}`)
	case VerbAnswer:
		d.Answer = json.RawMessage(`7`)
	case VerbApprove:
		g, ok, err := GrantFor(a.state, 0, d)
		if !ok {
			a.t.Fatalf("no grant: %v", err)
		}
		g.Nonce = "n-" + by
		d.Grant = &g
	}
	return d
}

// tell appends a decision and says what came of it. Whatever it says must be so: a deed that counts has changed the run,
// one that does not has left it as it was.
func (a *asked) tell(d Decided) Word {
	a.t.Helper()
	before := picture(a.state)
	a.add(d)
	w := Tell(a.state, Deed{Event: d, Seq: a.state.Seq})
	changed := picture(a.state) != before
	if w.Counts() != changed && w.Outcome != OutcomeExpired { // the clock's own, which that record let it notice
		a.t.Errorf("%s by %s: told %q (%s), and the run changed: %v", d.Verb, d.By, w.Text, w.Outcome, changed)
	}
	if later := Tell(a.refold(), Deed{Event: d, Seq: a.state.Seq}); later.Outcome != w.Outcome || later.Text != w.Text {
		a.t.Errorf("whoever folds it anew is told %q, not %q", later.Text, w.Text)
	}
	return w
}

// verbsToTell are all that may be decided.
var verbsToTell = []Verb{VerbApprove, VerbReject, VerbRetry, VerbEdit, VerbAnswer, VerbSkip, VerbVerify, VerbAbort}

// TestTellOfDecisions runs every verb against every way in which a decision may not count.
func TestTellOfDecisions(t *testing.T) {
	counted := map[Verb]string{
		VerbApprove: "pay is queued to run once, with exactly these parameters",
		VerbReject:  "not executed; the run failed",
		VerbRetry:   "pay is queued again from its first rung, with the same parameters and the same idempotency key",
		VerbEdit:    "pay is queued with the parameters that you gave, under a new idempotency key",
		VerbAnswer:  "what you gave is a's output, marked as yours; nothing was executed; the run succeeded",
		VerbSkip:    "a is skipped; its output is null; the run succeeded",
		VerbVerify:  "the tool's probe is queued, to look whether it has happened; nothing is repeated",
		VerbAbort:   "nothing was executing; the run is aborted",
	}
	ways := []struct {
		name    string
		do      func(a *asked, v Verb) Word
		outcome Outcome
		says    string // empty: what the verb does
	}{
		{"it counts", func(a *asked, v Verb) Word { return a.tell(a.decision(v, "mia")) }, OutcomeCounts, ""},
		{"somebody was first", func(a *asked, v Verb) Word {
			a.add(Decided{Escalation: a.id, Verb: VerbAbort, By: "bo", Reason: "enough"})
			return a.tell(a.decision(v, "mia"))
		}, OutcomeDecided, "already decided: bo chose abort at 2026-01-01T03:00:00Z; the run is aborted"},
		{"she was first, otherwise", func(a *asked, v Verb) Word {
			a.add(Decided{Escalation: a.id, Verb: VerbAbort, By: "Mia", Reason: "enough"})
			return a.tell(a.decision(v, "mia"))
		}, OutcomeDecided, "already decided: you chose abort"},
		{"twice the same", func(a *asked, v Verb) Word {
			d := a.decision(v, "mia")
			a.add(d)
			return a.tell(d)
		}, OutcomeAgain, "you had decided so before"},
		{"cancelled meanwhile", func(a *asked, v Verb) Word {
			d := a.decision(v, "mia")
			a.add(Cancelled{By: "ann", Reason: "not needed"})
			return a.tell(d)
		}, OutcomeRunOver, "already settled at 2026-01-01T03:00:00Z before anybody decided: the run was cancelled by ann: not needed"},
		{"the run is over", func(a *asked, v Verb) Word {
			d := a.decision(v, "mia")
			a.add(Cancelled{By: "ann"})
			a.add(Closed{State: RunCancelled})
			return a.tell(d)
		}, OutcomeRunOver, "the run is cancelled"},
		{"no such question", func(a *asked, v Verb) Word {
			d := a.decision(v, "mia")
			d.Escalation = "r-9"
			return a.tell(d)
		}, OutcomeNoQuestion, "run r has not asked r-9; it has asked 1 question"},
		{"not allowed here", func(a *asked, v Verb) Word {
			d := a.decision(v, "mia")
			d.Verb = map[bool]Verb{true: VerbSkip, false: VerbApprove}[a.e.Kind == KindApproval]
			return a.tell(d)
		}, OutcomeNotAllowed, "; allowed are "},
		{"not stored, and stale", func(a *asked, v Verb) Word {
			return Tell(a.state, Deed{Event: a.decision(v, "mia"), Revision: a.e.Revision + 1})
		}, OutcomeChanged, "you saw revision "},
		{"not stored, under another's claim", func(a *asked, v Verb) Word {
			return Tell(a.state, Deed{Event: a.decision(v, "mia"), Now: epoch, Held: &Hold{"bo", epoch.Add(time.Minute)}})
		}, OutcomeClaimed, "bo has it until 2026-01-01T03:01:00Z; nothing was decided"},
		{"perhaps not stored, under her own claim", func(a *asked, v Verb) Word {
			return Tell(a.state, Deed{Event: a.decision(v, "mia"), Now: epoch, Held: &Hold{"MIA ", epoch.Add(time.Minute)}})
		}, OutcomeUncertain, "it is not known whether this is stored"},
		{"perhaps not stored, under a claim that has run out", func(a *asked, v Verb) Word {
			return Tell(a.state, Deed{Event: a.decision(v, "mia"), Now: epoch.Add(time.Hour), Held: &Hold{"bo", epoch.Add(time.Minute)}})
		}, OutcomeUncertain, "repeated without harm"},
		{"over a claim", func(a *asked, v Verb) Word {
			d := a.decision(v, "mia")
			d.Over = "bo"
			return a.tell(d)
		}, OutcomeCounts, "; bo had claimed it, and is shown that you decided it"},
		{"no such run", func(a *asked, v Verb) Word { return Tell(nil, Deed{Event: a.decision(v, "mia")}) }, OutcomeNoQuestion, "no such run"},
	}
	for _, v := range verbsToTell {
		for _, way := range ways {
			t.Run(string(v)+" "+way.name, func(t *testing.T) {
				if v == VerbAbort && way.name == "she was first, otherwise" {
					way.outcome, way.says = OutcomeDecided, "already decided: you chose abort" // for another reason
				}
				w := way.do(ask(t, v, Approval{}), v)
				says := way.says
				if says == "" {
					says = counted[v]
				}
				if w.Outcome != way.outcome || !strings.Contains(w.Text, says) || strings.HasSuffix(w.Text, ".") {
					t.Errorf("told %s: %q; want %s: %q", w.Outcome, w.Text, way.outcome, says)
				}
			})
		}
	}
}

// TestTellOfApprovals: two people must approve, and one person is one however the name is written.
func TestTellOfApprovals(t *testing.T) {
	two := Approval{Approvers: 2, NotSubmitter: true}
	a := ask(t, VerbApprove, two)
	is := func(w Word, o Outcome, says string) {
		t.Helper()
		if w.Outcome != o || w.Text != says {
			t.Errorf("told %s: %q; want %s: %q", w.Outcome, w.Text, o, says)
		}
	}
	const more = "1 of 2 approved, mia; one more person must approve before pay runs"
	is(a.tell(a.decision(VerbApprove, "sue")), OutcomeSubmitter, "sue submitted the run, and may not approve it")
	is(a.tell(a.decision(VerbApprove, " ＳＵＥ")), OutcomeSubmitter, " ＳＵＥ submitted the run, and may not approve it")
	first := a.decision(VerbApprove, "mia")
	is(a.tell(first), OutcomePart, more)
	voted := a.state.Seq
	for _, name := range []string{"mia", "Mia", " mia ", "ｍｉａ", "ＭＩＡ\u3000", "mia\u00a0", "m\u200bia"} {
		is(a.tell(a.decision(VerbApprove, name)), OutcomeApproved, more)
		is(Tell(a.state, Deed{Event: Decided{Escalation: a.id, Verb: VerbApprove, By: name}}), OutcomeApproved, more)
	}
	unsigned := a.decision(VerbApprove, "bo")
	unsigned.Grant = nil
	is(a.tell(unsigned), OutcomeChanged, "the approval is not of what is asked")
	is(a.tell(a.decision(VerbApprove, "bo")), OutcomeCounts, "pay is queued to run once, with exactly these parameters")
	is(a.tell(a.decision(VerbApprove, "Bo")), OutcomeAgain, "you had decided so before")
	is(a.tell(Decided{Escalation: a.id, Verb: VerbReject, By: "ann", Reason: "no"}), OutcomeDecided, "already decided: bo chose approve (2 of 2 approved, mia, bo) at 2026-01-01T03:00:00Z")
	is(Tell(a.state, Deed{Event: first, Seq: voted}), OutcomePart, "2 of 2 approved, mia, bo")
}

// TestTellOfLateDecisions: the deadline may be first, and so may events.
func TestTellOfLateDecisions(t *testing.T) {
	for _, v := range []Verb{VerbApprove, VerbReject} {
		a := ask(t, v, Approval{Deadline: Duration(time.Minute), OnDeadline: ExpiryPark})
		d := a.decision(v, "mia")
		a.now = a.now.Add(time.Minute)
		if w := a.tell(d); w.Outcome != OutcomeExpired || w.Next != "r-2" || w.Text != "too late: nobody had decided by 2026-01-01T03:01:00Z; it is asked again as r-2" {
			t.Errorf("%s: %+v", v, w)
		}
	}
	a := ask(t, VerbVerify, Approval{})
	a.add(Succeeded{Attempt: Attempt{Step: "a", Try: 1}, Worker: "w", Output: json.RawMessage(`1`)})
	if w := a.tell(a.decision(VerbVerify, "mia")); w.Outcome != OutcomeSuperseded || !strings.Contains(w.Text, "events answered it") {
		t.Errorf("%+v", w)
	}
	if w := ask(t, VerbReject, Approval{}).tell(Decided{Escalation: "r-1", Verb: VerbReject, By: "mia"}); w.Outcome != OutcomeNoReason {
		t.Errorf("%+v", w)
	}
}

// TestTellOfActs: what people do on the way to a decision, and to a run as a whole.
func TestTellOfActs(t *testing.T) {
	bo := &Hold{"bo", epoch.Add(time.Minute)}
	until := epoch.Add(time.Hour)
	for name, c := range map[string]struct {
		d       Deed
		outcome Outcome
		says    string
	}{
		"claim":                 {Deed{Act: "claim", Until: until}, OutcomeCounts, "yours until 2026-01-01T04:00:00Z; others are not told of it meanwhile"},
		"claim of her own":      {Deed{Act: "claim", Until: until, Held: &Hold{"MIA", until}}, OutcomeCounts, "yours until"},
		"claim of another's":    {Deed{Act: "claim", Until: until, Held: bo}, OutcomeClaimed, "bo has it until 2026-01-01T03:01:00Z"},
		"claim all the same":    {Deed{Act: "claim", Until: until, Held: bo, Take: true}, OutcomeCounts, "bo had it, and is shown that you took it over"},
		"claim of what ran out": {Deed{Act: "claim", Until: until, Held: &Hold{"bo", epoch}}, OutcomeCounts, "yours until"},
		"release":               {Deed{Act: "release", Held: &Hold{" mia", until}}, OutcomeCounts, "open again for everybody"},
		"release of another's":  {Deed{Act: "release", Held: bo, Take: true}, OutcomeClaimed, "only they release it before"},
		"assign":                {Deed{Act: "assign", To: "ann", Held: bo}, OutcomeCounts, "assigned to ann"},
		"snooze":                {Deed{Act: "snooze", Until: until}, OutcomeCounts, "nobody is told of it before 2026-01-01T04:00:00Z; its deadline stands"},
		"note":                  {Deed{Act: "note"}, OutcomeCounts, "noted"},
	} {
		c.d.By, c.d.Now = "mia", epoch
		if w := Tell(nil, c.d); w.Outcome != c.outcome || !strings.Contains(w.Text, c.says) {
			t.Errorf("%s: %+v; want %s %q", name, w, c.outcome, c.says)
		}
	}
}

func TestTellOfCancels(t *testing.T) {
	a := ask(t, VerbApprove, Approval{})
	cancel := func(e Cancelled) Word {
		a.add(e)
		return Tell(a.state, Deed{Event: e, Seq: a.state.Seq})
	}
	if w := Tell(a.state, Deed{Event: Cancelled{By: "ann"}}); w.Outcome != OutcomeUncertain {
		t.Errorf("%+v", w)
	}
	if w := cancel(Cancelled{By: "ann"}); w.Outcome != OutcomeCounts || w.Text != "nothing was executing; the run is cancelled" || !w.Ended {
		t.Errorf("%+v", w)
	}
	if w := cancel(Cancelled{By: "bo"}); w.Outcome != OutcomeRunOver || w.Text != "it is cancelled" {
		t.Errorf("%+v", w)
	}
	a = ask(t, VerbRetry, Approval{})
	a.add(a.decision(VerbRetry, "mia"))
	a.add(Claimed{Attempt: a.state.Attempt(0), Worker: "w"})
	if w := cancel(Cancelled{By: "ann"}); w.Outcome != OutcomeCounts || w.Text != "the run is told to stop; 1 attempt that is out is stopped first" || w.Ended {
		t.Errorf("%+v", w)
	}
	if w := cancel(Cancelled{By: "bo"}); w.Outcome != OutcomeAgain || w.Text != "it is ending already: cancelled by ann" {
		t.Errorf("%+v", w)
	}
}

func TestTellOfRetries(t *testing.T) {
	a := ask(t, VerbSkip, Approval{})
	again := func() Word { return Tell(a.state, Deed{Event: Submitted{RetryOf: "r"}}) }
	if w := again(); w.Outcome != OutcomeRunOpen || w.Text != "it is waiting; decide its escalation, or cancel it first" {
		t.Errorf("%+v", w)
	}
	a.add(a.decision(VerbSkip, "mia"))
	if w := again(); w.Outcome != OutcomeRunOver || w.Text != "it succeeded, there is nothing to do again" {
		t.Errorf("%+v", w)
	}
	a = ask(t, VerbAbort, Approval{})
	a.add(a.decision(VerbAbort, "mia"))
	if w := again(); w.Outcome != OutcomeUncertain {
		t.Errorf("%+v", w)
	}
	e := Submitted{Epoch: Epoch, Program: a.state.Program, Input: json.RawMessage(`{}`), By: "mia", RetryOf: "r", Carried: Carry(a.state)}
	s, _ := Apply(nil, Record{Seq: 9, Run: "r-r1", Event: e})
	if w := Tell(s, Deed{Event: e, Seq: 9}); w.Outcome != OutcomeCounts || w.Text != "goes on as r-r1, with 0 steps taken over" {
		t.Errorf("%+v", w)
	}
}

// TestNamesOfAnOlderRun: a run of the first rules is folded as it always was, by names as they are written.
func TestNamesOfAnOlderRun(t *testing.T) {
	for n, want := range map[int]EscalationState{1: EscalationDecided, 2: EscalationOpen} {
		a := ask(t, VerbApprove, Approval{Approvers: 2})
		first := a.log[0].Event.(Submitted)
		first.Epoch = n
		old := newWorld(t)
		old.add(first)
		a.world = old
		for _, by := range []string{"mia", "Mia"} {
			old.add(a.decision(VerbApprove, by))
		}
		if e := &old.state.Escalations[0]; e.State != want {
			t.Errorf("epoch %d: %s by %v", n, e.State, e.givenBy())
		}
		d := MakeDossier(old.state, 0)
		if n == 2 && d.Bars("MIA").Outcome != OutcomeApproved {
			t.Error("MIA is offered to approve")
		}
	}
}

func TestSamePerson(t *testing.T) {
	for _, same := range [][2]string{{"mia", "Mia"}, {"mia", " mia\t"}, {"mia", "ｍｉａ"}, {"José", "JOSE\u0301"}, {"straße", "STRAẞE"}, {"σίσυφος", "ΣΊΣΥΦΟΣ"}, {"", "\u200b "}} {
		if !SamePerson(same[0], same[1]) {
			t.Errorf("%q and %q are two people", same[0], same[1])
		}
	}
	for _, other := range [][2]string{{"mia", "mi a"}, {"mia", "mia2"}, {"ann", "anna"}, {"mia", ""}} {
		if SamePerson(other[0], other[1]) {
			t.Errorf("%q and %q are one person", other[0], other[1])
		}
	}
}
