package handoff

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"belay/internal/bus"
	"belay/internal/crashpoint"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// decide checks a decision against the run as q has it, appends it, and answers with what the log says came of it.
func (k *Desk) decide(ctx context.Context, who people.Actor, id string, a people.Act, q *question, done Done) (Done, error) {
	if _, ok := steps.RunOfEscalation(id); !ok {
		return k.discard(ctx, id, a, done, notAnID(id))
	}
	q, err := k.asked(ctx, id, q)
	if errors.Is(err, ErrNoEscalation) {
		return k.discard(ctx, id, a, done, err)
	}
	if err == nil {
		err = k.Admits(ctx, who, id)
	}
	if err != nil {
		return done, err
	}
	claim := q.record.ofOther(who.Name, k.Now())
	d := decisionOf(who, id, a, claim)
	w := view.Tell(q.run.State, view.Act{Event: d, Now: k.Now(), Claim: claim, Take: a.TakeOver, Revision: a.Revision, Digest: a.Digest})
	if w.Outcome == view.OutcomeRepeated {
		if err := restate(ctx, k.Runs, q.run.State.Run, q.escalation(), d); err != nil {
			return done, err
		}
	}
	if w.Outcome != view.OutcomeUncertain { // it is known already that it would change nothing
		done.tell(w)
		return done, refused(w)
	}
	if d, err = k.complete(ctx, q.run.State, q.n, who, d, a); err != nil {
		return done, err
	}
	asked := view.EscalationOf(q.run.State, q.n)
	w, err = carry(ctx, k.Runs, q.run, d)
	if done.tell(w); err == nil {
		k.decided(ctx, asked, q.record, d, w)
	}
	return done, err
}

// decisionOf returns the decision as it will be in the log; claim is that of somebody else, nil if there is none.
func decisionOf(who people.Actor, id string, a people.Act, claim *Claim) steps.Decided {
	d := steps.Decided{Escalation: id, Verb: steps.Verb(a.Verb), By: who.Name, Via: who.Via, Reason: a.Reason, Scope: steps.DenialScope(a.Scope), Params: a.Params, Answer: a.Answer, Many: a.Many}
	if strings.TrimSpace(d.Reason) == "" {
		d.Reason = ""
	}
	if claim != nil {
		d.Over = claim.By
	}
	return d
}

// complete refuses decisions that cannot be carried out, and signs approvals.
func (k *Desk) complete(ctx context.Context, s *steps.State, n int, who people.Actor, d steps.Decided, a people.Act) (steps.Decided, error) {
	if d.Verb == steps.VerbApprove && s.Escalations[n].Kind == steps.KindApproval && a.Digest == "" {
		return d, fmt.Errorf("%w: approve names the digest of what is approved (approval.digest of `esc show -o json`)", ErrInvalid)
	}
	d, err := check(s, n, d)
	if err == nil {
		d, err = reopen(s, n, who, d, a.Many)
	}
	if err != nil {
		return d, err
	}
	return k.sign(ctx, s, n, who, d, a)
}

// decided does what remains to be done outside the log, where the decision counts already. What fails here is either
// done by [Desk.Items] later or not essential. R is what people did about the escalation before.
func (k *Desk) decided(ctx context.Context, asked view.Escalation, r record, d steps.Decided, w view.Reply) {
	if d.Over != "" && w.Counts() {
		k.tellTakenOver(ctx, d.Over, TakenOver{ID: asked.ID, By: d.By, Did: TrailLine{Action: string(d.Verb)}.Did(), At: k.Now().UTC()})
	}
	if w.Outcome == view.OutcomePart {
		_ = k.Claims.vote(ctx, asked.ID, d.By, r)
		return
	}
	var notified []TrailLine
	if k.Notified != nil {
		var err error
		if notified, err = k.Notified(ctx, asked); err != nil {
			return
		}
	}
	_ = k.Claims.settle(ctx, asked.ID, r, notified)
}

// sign adds a signed grant to a decision that approves a call, if the person may approve it.
func (k *Desk) sign(ctx context.Context, s *steps.State, n int, who people.Actor, d steps.Decided, a people.Act) (steps.Decided, error) {
	g, ok, err := steps.GrantFor(s, n, d)
	if err != nil {
		return d, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if !ok {
		return d, nil
	}
	rule := s.Tool(s.Escalations[n].Unit).Approval
	forbidden := who.May(people.Approve)
	if !s.MayApprove(n, d.By) {
		forbidden = fmt.Errorf("%w: %s submitted the run, and may not approve it", people.ErrForbidden, d.By)
	}
	if a.Many && forbidden == nil {
		forbidden = fmt.Errorf("%w: an approval is for exactly what one person saw, so it cannot be one of many", ErrNotAllowed)
	}
	if rule.NotSubmitter && forbidden == nil {
		if d.Unproven, forbidden, err = k.countsOnSubmitter(ctx, s); err != nil {
			return d, err
		}
	}
	if forbidden != nil && d.Verb != steps.VerbApprove {
		d.Unproven = false
		return d, nil // the step is held, and somebody is asked
	}
	if forbidden != nil {
		return d, forbidden
	}
	if err = k.addPasskey(ctx, s, rule, &g, a.Passkey); err != nil {
		return d, err
	}
	if g, err = k.Signer.Sign(g, k.Now(), cmp.Or(time.Duration(rule.ValidFor), time.Hour)); err != nil {
		return d, err
	}
	d.Grant = &g
	return d, nil
}

// carry appends a checked decision and returns what came of it. A decision that can be read but was not confirmed does
// not count as stored, because a crash may still lose it. The fold ignores a second copy of a decision.
func carry(ctx context.Context, log *runlog.Log, run *runlog.Snapshot, d steps.Decided) (w view.Reply, err error) {
	crashpoint.At(crashpoint.DecisionSigned)
	seq, err := log.AppendSurely(ctx, run.State.Run, d)
	crashpoint.At(crashpoint.DecisionStored)
	switch {
	case err == nil:
		return outcome(ctx, run, d, seq)
	case errors.Is(err, bus.ErrUncertain):
		err = fmt.Errorf("it may not be stored, and can be repeated without harm: %w", err)
	case errors.Is(err, bus.ErrTooLarge):
		err = fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return w, err
}

// restate writes a decision that is in the log once more. The person may have been told that it is not known whether it
// is stored, and repeats it to make sure.
func restate(ctx context.Context, log *runlog.Log, run string, e *steps.Escalation, d steps.Decided) error {
	made := madeBy(e, d)
	if made == nil {
		return nil
	}
	if _, err := log.AppendSurely(ctx, run, *made); err != nil {
		return fmt.Errorf("the same was decided before, but it is not known whether that is stored; repeat it: %w", err)
	}
	return nil
}

// madeBy returns the decision or approval like d that the same person made before; nil if there is none.
func madeBy(e *steps.Escalation, d steps.Decided) *steps.Decided {
	for i := range e.Approvals {
		if d.Verb == steps.VerbApprove && steps.SamePerson(e.Approvals[i].By, d.By) {
			return &e.Approvals[i]
		}
	}
	if e.Decision != nil && e.Decision.Verb == d.Verb && steps.SamePerson(e.Decision.By, d.By) {
		return e.Decision
	}
	return nil
}

// outcome reads on in the log up to the decision at seq, and says what came of it at that moment, whatever happens
// later.
func outcome(ctx context.Context, run *runlog.Snapshot, d steps.Decided, seq uint64) (w view.Reply, err error) {
	err = run.Follow(ctx, func(s *steps.State, r steps.Record, _ []int) bool {
		if made, is := r.Event.(steps.Decided); is && twin(made, d) && !w.Counts() {
			w = view.Tell(s, view.Act{Seq: r.Seq, Event: made})
		}
		if r.Seq < seq && !s.Closed() {
			return true
		}
		if w.Outcome == "" {
			w = view.Tell(s, view.Act{Seq: seq, Event: d})
		}
		return false
	})
	if err != nil {
		return w, fmt.Errorf("it is stored, but it is not known whether it was the first: %w", err)
	}
	return w, refused(w)
}

// twin reports whether two decisions are one decision that was appended twice: they have the same grant or, without
// one, the same contents.
func twin(a, b steps.Decided) bool {
	if a.Grant != nil && b.Grant != nil {
		return a.Grant.Nonce == b.Grant.Nonce
	}
	return a.Grant == nil && b.Grant == nil && a.Escalation == b.Escalation && a.Verb == b.Verb && a.By == b.By && a.Via == b.Via && a.Reason == b.Reason &&
		bytes.Equal(a.Params, b.Params) && bytes.Equal(a.Answer, b.Answer)
}
