package view_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/stepstest"
)

// asked is a run with one open question, on which a verb is allowed.
type asked struct {
	*stepstest.World
	t  *testing.T
	id string
	e  *steps.Escalation
}

// ask makes the question that a verb is for. The run was submitted by sue.
func ask(t *testing.T, v steps.Verb, rule steps.Approval) *asked {
	t.Helper()
	tool := steps.Tool{Name: "pay", Effects: steps.EffectsUnsafe, Rungs: []steps.Rung{{Name: "primary", Executor: "http", Retry: steps.RetryPolicy{MaxAttempts: 1, Factor: 2}}}}
	end := steps.Failed{Attempt: steps.Attempt{Step: "a", Try: 1}, Worker: "w", Fault: steps.Fault{Class: steps.InvalidInput, Acted: steps.ActedNo, Message: "no"}}
	switch v {
	case steps.VerbApprove, steps.VerbReject:
		rule.Decisions = []steps.Verb{steps.VerbApprove, steps.VerbReject, steps.VerbEdit, steps.VerbAbort}
		tool.Approval = &rule
	case steps.VerbVerify:
		tool.Verify = &steps.Verify{Rung: steps.Rung{Name: steps.VerifyRung, Executor: "http", Retry: steps.RetryPolicy{MaxAttempts: 1, Factor: 2}}, Happened: "json:true"}
	}
	p := &stepstest.Plan{}
	p.Plan.Name, p.Plan.Steps = "p", []steps.Step{{ID: "a", Tool: "pay", OnFailure: steps.OnFailureEscalate}}
	p.Tools = map[string]steps.Tool{"pay": tool}
	a := &asked{World: stepstest.NewWorld(t), t: t, id: "r-1"}
	a.Add(steps.Submitted{Epoch: steps.Epoch, Program: p.Program(), Input: json.RawMessage(`{}`), By: "sue"})
	switch {
	case v == steps.VerbVerify:
		end.Fault = steps.Fault{Class: steps.Timeout, Acted: steps.ActedMaybe, Message: "no answer"}
		fallthrough
	case tool.Approval == nil:
		a.Add(steps.Claimed{Attempt: end.Attempt, Worker: "w"})
		a.Add(end)
	}
	if v == steps.VerbVerify { // the probe was asked once, and says nothing
		a.Add(steps.Failed{Attempt: a.State.Attempt(0), Worker: "w", Fault: steps.Fault{Class: steps.Timeout, Acted: steps.ActedMaybe, Message: "no answer"}})
	}
	a.e = &a.State.Escalations[0]
	if a.e.State != steps.EscalationOpen || !slices.Contains(a.e.Allowed, v) {
		t.Fatalf("%s is not asked for: %+v", v, a.e)
	}
	return a
}

// decision is somebody's, complete and with a grant where it is an approval.
func (a *asked) decision(v steps.Verb, by string) steps.Decided {
	d := steps.Decided{Escalation: a.id, Verb: v, By: by, Via: "cli", Reason: "because"}
	switch v {
	case steps.VerbEdit:
		d.Params = json.RawMessage(`{"x":1}`)
	case steps.VerbAnswer:
		d.Answer = json.RawMessage(`7`)
	case steps.VerbApprove:
		g, ok, err := steps.GrantFor(a.State, 0, d)
		if !ok {
			a.t.Fatalf("no grant: %v", err)
		}
		g.Nonce = "n-" + by
		d.Grant = &g
	}
	return d
}

// tell appends a decision and says what came of it. Whatever it says must be so: an act that counts has changed the run,
// one that does not has left it as it was.
func (a *asked) tell(d steps.Decided) view.Reply {
	a.t.Helper()
	before := stepstest.Picture(a.State)
	a.Add(d)
	w := view.Tell(a.State, view.Act{Event: d, Seq: a.State.Seq})
	changed := stepstest.Picture(a.State) != before
	if w.Counts() != changed && w.Outcome != view.OutcomeExpired { // the clock's own, which that record let it notice
		a.t.Errorf("%s by %s: told %q (%s), and the run changed: %v", d.Verb, d.By, w.Text, w.Outcome, changed)
	}
	if later := view.Tell(a.Refold(), view.Act{Event: d, Seq: a.State.Seq}); later.Outcome != w.Outcome || later.Text != w.Text {
		a.t.Errorf("whoever folds it anew is told %q, not %q", later.Text, w.Text)
	}
	return w
}

// verbsToTell are all that may be decided.
var verbsToTell = []steps.Verb{steps.VerbApprove, steps.VerbReject, steps.VerbRetry, steps.VerbEdit, steps.VerbAnswer, steps.VerbSkip, steps.VerbVerify, steps.VerbAbort}

// TestTellOfDecisions runs every verb against every way in which a decision may not count.
func TestTellOfDecisions(t *testing.T) {
	t.Parallel()
	counted := map[steps.Verb]string{
		steps.VerbApprove: "pay is queued to run once, with exactly these parameters",
		steps.VerbReject:  "not executed; the run failed",
		steps.VerbRetry:   "pay is queued again from its first rung, with the same parameters and the same idempotency key",
		steps.VerbEdit:    "pay is queued with the parameters that you gave, under a new idempotency key",
		steps.VerbAnswer:  "what you gave is a's output, marked as yours; nothing was executed; the run succeeded",
		steps.VerbSkip:    "a is skipped; its output is null; the run succeeded",
		steps.VerbVerify:  "the tool's probe is queued, to look whether it has happened; nothing is repeated",
		steps.VerbAbort:   "nothing was executing; the run is aborted",
	}
	ways := []struct {
		name    string
		do      func(a *asked, v steps.Verb) view.Reply
		outcome view.Outcome
		says    string // empty: what the verb does
	}{
		{"it counts", func(a *asked, v steps.Verb) view.Reply { return a.tell(a.decision(v, "mia")) }, view.OutcomeCounts, ""},
		{"somebody was first", func(a *asked, v steps.Verb) view.Reply {
			a.Add(steps.Decided{Escalation: a.id, Verb: steps.VerbAbort, By: "bo", Reason: "enough"})
			return a.tell(a.decision(v, "mia"))
		}, view.OutcomeDecided, "already decided: bo chose abort at 2026-01-01T03:00:00Z; the run is aborted"},
		{"she was first, otherwise", func(a *asked, v steps.Verb) view.Reply {
			a.Add(steps.Decided{Escalation: a.id, Verb: steps.VerbAbort, By: "Mia", Reason: "enough"})
			return a.tell(a.decision(v, "mia"))
		}, view.OutcomeDecided, "already decided: you chose abort"},
		{"twice the same", func(a *asked, v steps.Verb) view.Reply {
			d := a.decision(v, "mia")
			a.Add(d)
			return a.tell(d)
		}, view.OutcomeRepeated, "you had decided so before"},
		{"cancelled meanwhile", func(a *asked, v steps.Verb) view.Reply {
			d := a.decision(v, "mia")
			a.Add(steps.Cancelled{By: "ann", Reason: "not needed"})
			return a.tell(d)
		}, view.OutcomeRunOver, "already ended at 2026-01-01T03:00:00Z before anybody decided: the run was cancelled by ann: not needed"},
		{"the run is over", func(a *asked, v steps.Verb) view.Reply {
			d := a.decision(v, "mia")
			a.Add(steps.Cancelled{By: "ann"})
			a.Add(steps.Closed{State: steps.RunCancelled})
			return a.tell(d)
		}, view.OutcomeRunOver, "the run is cancelled"},
		{"no such question", func(a *asked, v steps.Verb) view.Reply {
			d := a.decision(v, "mia")
			d.Escalation = "r-9"
			return a.tell(d)
		}, view.OutcomeNoQuestion, "run r has not asked r-9; it has asked 1 question"},
		{"not allowed here", func(a *asked, v steps.Verb) view.Reply {
			d := a.decision(v, "mia")
			d.Verb = map[bool]steps.Verb{true: steps.VerbSkip, false: steps.VerbApprove}[a.e.Kind == steps.KindApproval]
			return a.tell(d)
		}, view.OutcomeNotAllowed, "; allowed are "},
		{"not stored, and stale", func(a *asked, v steps.Verb) view.Reply {
			return view.Tell(a.State, view.Act{Event: a.decision(v, "mia"), Revision: a.e.Revision + 1})
		}, view.OutcomeChanged, "you saw revision "},
		{"not stored, under another's claim", func(a *asked, v steps.Verb) view.Reply {
			return view.Tell(a.State, view.Act{Event: a.decision(v, "mia"), Now: stepstest.Start, Claim: &view.Claim{By: "bo", Until: stepstest.Start.Add(time.Minute)}})
		}, view.OutcomeClaimed, "bo has it until 2026-01-01T03:01:00Z; nothing was decided"},
		{"perhaps not stored, under her own claim", func(a *asked, v steps.Verb) view.Reply {
			return view.Tell(a.State, view.Act{Event: a.decision(v, "mia"), Now: stepstest.Start, Claim: &view.Claim{By: "MIA ", Until: stepstest.Start.Add(time.Minute)}})
		}, view.OutcomeUncertain, "it is not known whether this is stored"},
		{"perhaps not stored, under a claim that has run out", func(a *asked, v steps.Verb) view.Reply {
			return view.Tell(a.State, view.Act{Event: a.decision(v, "mia"), Now: stepstest.Start.Add(time.Hour), Claim: &view.Claim{By: "bo", Until: stepstest.Start.Add(time.Minute)}})
		}, view.OutcomeUncertain, "repeated without harm"},
		{"over a claim", func(a *asked, v steps.Verb) view.Reply {
			d := a.decision(v, "mia")
			d.Over = "bo"
			return a.tell(d)
		}, view.OutcomeCounts, "; bo had claimed it, and is shown that you decided it"},
		{"no such run", func(a *asked, v steps.Verb) view.Reply { return view.Tell(nil, view.Act{Event: a.decision(v, "mia")}) }, view.OutcomeNoQuestion, "no such run"},
	}
	for _, v := range verbsToTell {
		for _, way := range ways {
			t.Run(string(v)+" "+way.name, func(t *testing.T) {
				t.Parallel()
				if v == steps.VerbAbort && way.name == "she was first, otherwise" {
					way.outcome, way.says = view.OutcomeDecided, "already decided: you chose abort" // for another reason
				}
				w := way.do(ask(t, v, steps.Approval{}), v)
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
	t.Parallel()
	two := steps.Approval{Approvers: 2, NotSubmitter: true}
	a := ask(t, steps.VerbApprove, two)
	is := func(w view.Reply, o view.Outcome, says string) {
		t.Helper()
		if w.Outcome != o || w.Text != says {
			t.Errorf("told %s: %q; want %s: %q", w.Outcome, w.Text, o, says)
		}
	}
	const more = "1 of 2 approved, mia; one more person must approve before pay runs"
	is(a.tell(a.decision(steps.VerbApprove, "sue")), view.OutcomeSubmitter, "sue submitted the run, and may not approve it")
	is(a.tell(a.decision(steps.VerbApprove, " ＳＵＥ")), view.OutcomeSubmitter, " ＳＵＥ submitted the run, and may not approve it")
	first := a.decision(steps.VerbApprove, "mia")
	is(a.tell(first), view.OutcomePart, more)
	voted := a.State.Seq
	for _, name := range []string{"mia", "Mia", " mia ", "ｍｉａ", "ＭＩＡ\u3000", "mia\u00a0", "m\u200bia"} {
		is(a.tell(a.decision(steps.VerbApprove, name)), view.OutcomeApproved, more)
		is(view.Tell(a.State, view.Act{Event: steps.Decided{Escalation: a.id, Verb: steps.VerbApprove, By: name}}), view.OutcomeApproved, more)
	}
	unsigned := a.decision(steps.VerbApprove, "bo")
	unsigned.Grant = nil
	is(a.tell(unsigned), view.OutcomeChanged, "the approval is not of what is asked")
	is(a.tell(a.decision(steps.VerbApprove, "bo")), view.OutcomeCounts, "pay is queued to run once, with exactly these parameters")
	is(a.tell(a.decision(steps.VerbApprove, "Bo")), view.OutcomeRepeated, "you had decided so before")
	is(a.tell(steps.Decided{Escalation: a.id, Verb: steps.VerbReject, By: "ann", Reason: "no"}), view.OutcomeDecided, "already decided: bo chose approve (2 of 2 approved, mia, bo) at 2026-01-01T03:00:00Z")
	is(view.Tell(a.State, view.Act{Event: first, Seq: voted}), view.OutcomePart, "2 of 2 approved, mia, bo")
}

// TestTellOfLateDecisions: the deadline may be first, and so may events.
func TestTellOfLateDecisions(t *testing.T) {
	t.Parallel()
	for _, v := range []steps.Verb{steps.VerbApprove, steps.VerbReject} {
		a := ask(t, v, steps.Approval{Deadline: steps.Duration(time.Minute), OnDeadline: steps.ExpiryPark})
		d := a.decision(v, "mia")
		a.Now = a.Now.Add(time.Minute)
		if w := a.tell(d); w.Outcome != view.OutcomeExpired || w.Next != "r-2" || w.Text != "too late: nobody had decided by 2026-01-01T03:01:00Z; it is asked again as r-2" {
			t.Errorf("%s: %+v", v, w)
		}
	}
	a := ask(t, steps.VerbVerify, steps.Approval{})
	a.Add(steps.Succeeded{Attempt: steps.Attempt{Step: "a", Try: 1}, Worker: "w", Output: json.RawMessage(`1`)})
	if w := a.tell(a.decision(steps.VerbVerify, "mia")); w.Outcome != view.OutcomeSuperseded || !strings.Contains(w.Text, "events answered it") {
		t.Errorf("%+v", w)
	}
	if w := ask(t, steps.VerbReject, steps.Approval{}).tell(steps.Decided{Escalation: "r-1", Verb: steps.VerbReject, By: "mia"}); w.Outcome != view.OutcomeNoReason {
		t.Errorf("%+v", w)
	}
}

// TestTellOfActs: what people do on the way to a decision, and to a run as a whole.
func TestTellOfActs(t *testing.T) {
	t.Parallel()
	bo := &view.Claim{By: "bo", Until: stepstest.Start.Add(time.Minute)}
	until := stepstest.Start.Add(time.Hour)
	for name, c := range map[string]struct {
		d       view.Act
		outcome view.Outcome
		says    string
	}{
		"claim":                 {view.Act{Kind: "claim", Until: until}, view.OutcomeCounts, "yours until 2026-01-01T04:00:00Z; others are not notified meanwhile"},
		"claim of her own":      {view.Act{Kind: "claim", Until: until, Claim: &view.Claim{By: "MIA", Until: until}}, view.OutcomeCounts, "yours until"},
		"claim of another's":    {view.Act{Kind: "claim", Until: until, Claim: bo}, view.OutcomeClaimed, "bo has it until 2026-01-01T03:01:00Z"},
		"claim all the same":    {view.Act{Kind: "claim", Until: until, Claim: bo, Take: true}, view.OutcomeCounts, "bo had it, and is shown that you took it over"},
		"claim of what ran out": {view.Act{Kind: "claim", Until: until, Claim: &view.Claim{By: "bo", Until: stepstest.Start}}, view.OutcomeCounts, "yours until"},
		"release":               {view.Act{Kind: "release", Claim: &view.Claim{By: " mia", Until: until}}, view.OutcomeCounts, "open again for everybody"},
		"release of another's":  {view.Act{Kind: "release", Claim: bo, Take: true}, view.OutcomeClaimed, "only they release it before"},
		"assign":                {view.Act{Kind: "assign", To: "ann", Claim: bo}, view.OutcomeCounts, "assigned to ann"},
		"snooze":                {view.Act{Kind: "snooze", Until: until}, view.OutcomeCounts, "nobody is notified before 2026-01-01T04:00:00Z; the deadline stays"},
		"note":                  {view.Act{Kind: "note"}, view.OutcomeCounts, "noted"},
	} {
		c.d.By, c.d.Now = "mia", stepstest.Start
		if w := view.Tell(nil, c.d); w.Outcome != c.outcome || !strings.Contains(w.Text, c.says) {
			t.Errorf("%s: %+v; want %s %q", name, w, c.outcome, c.says)
		}
	}
}

func TestTellOfCancels(t *testing.T) {
	t.Parallel()
	a := ask(t, steps.VerbApprove, steps.Approval{})
	cancel := func(e steps.Cancelled) view.Reply {
		a.Add(e)
		return view.Tell(a.State, view.Act{Event: e, Seq: a.State.Seq})
	}
	if w := view.Tell(a.State, view.Act{Event: steps.Cancelled{By: "ann"}}); w.Outcome != view.OutcomeUncertain {
		t.Errorf("%+v", w)
	}
	if w := cancel(steps.Cancelled{By: "ann"}); w.Outcome != view.OutcomeCounts || w.Text != "nothing was executing; the run is cancelled" || !w.Ended {
		t.Errorf("%+v", w)
	}
	if w := cancel(steps.Cancelled{By: "bo"}); w.Outcome != view.OutcomeRunOver || w.Text != "it is cancelled" {
		t.Errorf("%+v", w)
	}
	a = ask(t, steps.VerbRetry, steps.Approval{})
	a.Add(a.decision(steps.VerbRetry, "mia"))
	a.Add(steps.Claimed{Attempt: a.State.Attempt(0), Worker: "w"})
	if w := cancel(steps.Cancelled{By: "ann"}); w.Outcome != view.OutcomeCounts || w.Text != "the run is told to stop; 1 attempt that is out is stopped first" || w.Ended {
		t.Errorf("%+v", w)
	}
	if w := cancel(steps.Cancelled{By: "bo"}); w.Outcome != view.OutcomeRepeated || w.Text != "it is ending already: cancelled by ann" {
		t.Errorf("%+v", w)
	}
}

// TestTellOfADeferredRetry: while people are asked about the run's deadline, what they send back is not queued yet.
func TestTellOfADeferredRetry(t *testing.T) {
	t.Parallel()
	st := stepstest.NewStory(t)
	for _, line := range []string{"tool t max=1 timeout=1h", "plan deadline=30s", "step a tool=t", "step b tool=t needs=", "submit", "fail a 0-0-1 not_found no", "+30s", "decide r-1 retry"} {
		st.Command(line)
	}
	d := steps.Decided{Escalation: "r-1", Verb: steps.VerbRetry, By: "ann"}
	if w := view.Tell(st.State, view.Act{Event: d, Seq: st.State.Seq}); w.Text != "a goes on once the run has its time budget again" {
		t.Errorf("told %q", w.Text)
	}
}

func TestTellOfRetries(t *testing.T) {
	t.Parallel()
	a := ask(t, steps.VerbSkip, steps.Approval{})
	again := func() view.Reply { return view.Tell(a.State, view.Act{Event: steps.Submitted{RetryOf: "r"}}) }
	if w := again(); w.Outcome != view.OutcomeRunOpen || w.Text != "it is waiting; decide its escalation, or cancel it first" {
		t.Errorf("%+v", w)
	}
	a.Add(a.decision(steps.VerbSkip, "mia"))
	if w := again(); w.Outcome != view.OutcomeRunOver || w.Text != "it succeeded, there is nothing to do again" {
		t.Errorf("%+v", w)
	}
	a = ask(t, steps.VerbAbort, steps.Approval{})
	a.Add(a.decision(steps.VerbAbort, "mia"))
	if w := again(); w.Outcome != view.OutcomeUncertain {
		t.Errorf("%+v", w)
	}
	e := steps.Submitted{Epoch: steps.Epoch, Program: a.State.Program, Input: json.RawMessage(`{}`), By: "mia", RetryOf: "r", Carried: steps.Carry(a.State)}
	s, _ := steps.Apply(nil, steps.Record{Seq: 9, Run: "r-r1", Event: e})
	if w := view.Tell(s, view.Act{Event: e, Seq: 9}); w.Outcome != view.OutcomeCounts || w.Text != "goes on as r-r1, with 0 steps taken over" {
		t.Errorf("%+v", w)
	}
}

// TestNamesOfAnOlderRun: a run of the first rules is folded as it always was, by names as they are written.
func TestNamesOfAnOlderRun(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]steps.EscalationState{1: steps.EscalationDecided, 2: steps.EscalationOpen} {
		a := ask(t, steps.VerbApprove, steps.Approval{Approvers: 2})
		first := a.Records[0].Event.(steps.Submitted)
		first.Epoch = n
		old := stepstest.NewWorld(t)
		old.Add(first)
		a.World = old
		for _, by := range []string{"mia", "Mia"} {
			old.Add(a.decision(steps.VerbApprove, by))
		}
		if e := &old.State.Escalations[0]; e.State != want {
			t.Errorf("epoch %d: %s by %v", n, e.State, e.ApprovedBy())
		}
		d := view.DossierOf(old.State, 0)
		if n == 2 && d.Bars("MIA").Outcome != view.OutcomeApproved {
			t.Error("MIA is offered to approve")
		}
	}
}

// TestARunWithoutPartOfItsLog: whoever is asked whether it goes on is told what that does, before and after.
func TestARunWithoutPartOfItsLog(t *testing.T) {
	t.Parallel()
	p := &stepstest.Plan{}
	p.Plan.Name, p.Plan.Steps = "p", []steps.Step{{ID: "a", Tool: "pay"}}
	p.Tools = map[string]steps.Tool{"pay": {Name: "pay", Effects: steps.EffectsUnsafe, Rungs: []steps.Rung{{Name: "primary", Executor: "http"}}}}
	w := stepstest.NewWorld(t)
	w.Add(steps.Submitted{Epoch: steps.Epoch, Program: p.Program(), Input: json.RawMessage(`{}`)})
	w.Add(steps.Damaged{Damage: "d", What: "entries are missing", Hole: true})
	d := view.DossierOf(w.State, 0)
	if d.Kind != steps.KindFailure || d.Class != steps.Unknown || len(d.Offers) != 2 || !strings.Contains(d.Offers[0].Effect, "asked about, or looked up") {
		t.Fatalf("%s, %s: %+v", d.Kind, d.Class, d.Offers)
	}
	act := steps.Decided{Escalation: "r-1", Verb: steps.VerbRetry, By: "mia"}
	w.Add(act)
	if r := view.Tell(w.State, view.Act{Event: act, Seq: w.State.Seq}); !strings.Contains(r.Text, "goes on from what its log still says") {
		t.Error(r.Text)
	}
}
