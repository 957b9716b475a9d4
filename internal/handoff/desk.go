package handoff

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"belay/internal/bus"
	"belay/internal/dlq"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/wire"
)

// Signer makes an approval one that workers believe.
type Signer interface {
	Sign(g steps.Grant, now time.Time, validFor time.Duration) (steps.Grant, error)
}

// Desk is where people's work is done: it shows what is open, and carries out what they want. It is safe for concurrent
// use. All fields but Proofs, RequireProof, Passkeys,
// PasskeyFile, Acted and Notified are required.
type Desk struct {
	Runs   *runlog.Log      // what is asked, and what was decided
	Open   *dlq.Queue       // which questions are open, for lists
	Claims *Claims          // what people do about them beside deciding
	Signer Signer           // nil where nothing is decided
	Now    func() time.Time // decides which claims still count, and is what approvals are signed with: the server's time
	Proofs Proofs           // checks who submitted a run; nil = nobody does, and no submitter is proven
	// RequireProof refuses an approval under the rule not_submitter where who submitted the run is not proven. Without it
	// such an approval counts, and whoever gives it, the log and the audit trail say what nobody has checked.
	RequireProof bool
	// Removing is told that an archived run is about to be removed from the log, with its entries; an error keeps it. Nil = nothing is removed.
	Removing func(ctx context.Context, who people.Actor, a people.Act, run string, entries []bus.Entry) error
	// Passkeys check those of approvers, where a tool asks for them; nil = then nobody approves.
	Passkeys Passkeys
	// PasskeyFile is where those are kept that are registered here, for workers in this process.
	PasskeyFile string
	// Acted is told of everything that was done, once it counts; nil = nobody.
	Acted func(ctx context.Context, who people.Actor, a people.Act, d Done)
	// Notified says who was notified of an open item, and when; nil = nobody knows.
	Notified func(ctx context.Context, v view.Escalation) ([]TrailLine, error)

	console atomic.Pointer[string] // where people reach the console, see [Desk.ReachedAt]
}

// NewDesk is a desk that reads and writes through b's streams.
func NewDesk(runs *runlog.Log, escalations *dlq.Queue, claims *Claims, signer Signer) *Desk {
	return &Desk{Runs: runs, Open: escalations, Claims: claims, Signer: signer, Now: claims.now}
}

// Done is what came of an act about an escalation.
type Done struct {
	ID       string        `json:"id"`               // of the escalation
	Action   people.Action `json:"action"`           // what was done
	At       time.Time     `json:"applied_at"`       // when
	By       string        `json:"by"`               // who did it
	Effect   string        `json:"effect,omitempty"` // what came of it, in words
	Repeated bool          `json:"again,omitempty"`  // the same person had decided the same before
	Part     bool          `json:"part,omitempty"`   // an approval, and more people must approve

	Discarded bool `json:"discarded,omitempty"` // it belonged to no run and was removed; no run's log says so
}

// tell takes over what came of a decision.
func (d *Done) tell(w view.Reply) {
	d.Effect, d.Repeated, d.Part = w.Text, w.Outcome == view.OutcomeRepeated, w.Outcome == view.OutcomePart
}

// Act carries out what somebody wants done about an escalation, or says why not: [ErrNoEscalation], [ErrNotAllowed],
// [people.ErrForbidden], [ErrInvalid], [ErrChanged], [ErrClaimed], or [ErrDecidedBefore] when somebody was first, also
// while it was on its way. A decision is safe to repeat: the same one of the same person is found, not made twice.
func (k *Desk) Act(ctx context.Context, who people.Actor, id string, a people.Act) (Done, error) {
	return k.carryOut(ctx, who, id, a, nil)
}

// ActOn is Act on a card that was made for it, with [Desk.Question] or [Desk.Card]: its run is not read a second time, and
// what is checked beforehand is checked against what the card shows. Whoever decided since then was first all the same,
// because the log's order says so.
func (k *Desk) ActOn(ctx context.Context, who people.Actor, c *Card, a people.Act) (Done, error) {
	q := c.question
	c.question = nil // the act moves on what it holds
	return k.carryOut(ctx, who, c.Item.ID, a, q)
}

func (k *Desk) carryOut(ctx context.Context, who people.Actor, id string, a people.Act, q *question) (Done, error) {
	done := Done{ID: id, Action: a.Verb, By: who.Name}
	err := who.May(a.Verb)
	if err == nil && strings.TrimSpace(who.Name) == "" {
		err = fmt.Errorf("%w: nobody knows who you are", people.ErrForbidden)
	}
	if err == nil {
		done, err = k.act(ctx, who, id, a, q, done)
	}
	if err != nil {
		return done, fmt.Errorf("%s %s: %w", a.Verb, id, err)
	}
	done.At = k.Now().UTC()
	if k.Acted != nil {
		k.Acted(ctx, who, a, done)
	}
	return done, nil
}

func (k *Desk) act(ctx context.Context, who people.Actor, id string, a people.Act, q *question, done Done) (Done, error) {
	switch {
	case a.Verb == people.RemoveRun:
		return k.removeRun(ctx, who, id, a, done)
	case a.Verb.Decides() && steps.IsDeadLetter(id):
		return k.decideDeadLetter(ctx, who, id, a, done)
	case a.Verb.Decides():
		return k.decide(ctx, who, id, a, q, done)
	case steps.IsDeadLetter(id):
		r, err := k.beside(ctx, id)
		if err != nil {
			return done, err
		}
		return k.note(ctx, who, id, a, r, done)
	}
	q, err := k.asked(ctx, id, q)
	if err != nil {
		return done, err
	}
	if !q.open() {
		return done, refused(view.Tell(q.run.State, view.Act{Event: steps.Decided{Escalation: id}}))
	}
	return k.note(ctx, who, id, a, q.record, done)
}

// note carries out what decides nothing: r is what people had done about the escalation before.
func (k *Desk) note(ctx context.Context, who people.Actor, id string, a people.Act, r record, done Done) (_ Done, err error) {
	over := r.ofOther(who.Name, k.Now())
	if done.Effect, err = k.Claims.do(ctx, who, id, a, k.Now(), r); err == nil && over != nil && a.Verb == people.Claim {
		k.tellTakenOver(ctx, over.By, TakenOver{ID: id, By: who.Name, Did: TrailLine{Action: string(a.Verb)}.Did(), At: k.Now().UTC()})
	}
	return done, err
}

// question is an escalation as it was read once, for everything that one request does with it.
type question struct {
	run    *runlog.Snapshot
	n      int    // of the escalation in the run
	record record // what people have done about it beside deciding; empty when it is not open any more
}

func (q *question) escalation() *steps.Escalation { return &q.run.State.Escalations[q.n] }

func (q *question) open() bool { return q.escalation().State == steps.EscalationOpen }

// asked is an escalation as it was read before, or now.
func (k *Desk) asked(ctx context.Context, id string, before *question) (*question, error) {
	if before != nil {
		return before, nil
	}
	run, n, err := locate(ctx, k.Runs, id)
	if err != nil {
		return nil, err
	}
	q := &question{run: run, n: n}
	if q.open() {
		q.record, err = k.beside(ctx, id)
	}
	return q, err
}

// beside is what people have done about an open escalation beside deciding it.
func (k *Desk) beside(ctx context.Context, id string) (record, error) {
	if run, ok := steps.RunOfEscalation(id); !ok || !wire.ValidName(run) {
		return record{}, nil // there is no such question
	}
	return k.Claims.get(ctx, id)
}
