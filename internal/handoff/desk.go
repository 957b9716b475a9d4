package handoff

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"belay/internal/dlq"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/wire"
)

// Person is somebody who asks for something, as whoever let them in knows them.
type Person struct {
	Name string
	Via  string             // cli, console, api
	May  func(Action) error // what they may do; nil = everything
}

func (p Person) may(a Action) error {
	if p.May == nil {
		return nil
	}
	if err := p.May(a); err != nil {
		return fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	return nil
}

// Signer makes an approval one that workers believe.
type Signer interface {
	Sign(g steps.Grant, now time.Time, validFor time.Duration) (steps.Grant, error)
}

// Desk is where people's work is done: it shows what is open, and carries out what they want. It is safe for concurrent
// use. All fields but Acted and Told are required.
type Desk struct {
	Runs    *runlog.Log
	Letters *dlq.Box
	Claims  *Claims
	Signer  Signer
	Now     func() time.Time
	// Acted is told of everything that was done, once it counts; nil = nobody.
	Acted func(ctx context.Context, who Person, a Act, d Done)
	// Told says who was told of an open item, and when; nil = nobody knows.
	Told func(ctx context.Context, v steps.EscalationView) ([]TrailLine, error)
}

// Items are the open escalations, the most urgent first; see [Urgency].
func (k *Desk) Items(ctx context.Context) ([]Item, error) {
	letters, err := k.Letters.List(ctx)
	if err != nil {
		return nil, err
	}
	inbox, err := k.Claims.all(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Item, len(letters))
	for i, l := range letters {
		list[i] = k.item(l.EscalationView, inbox[l.ID])
		delete(inbox, l.ID)
	}
	k.tidy(ctx, inbox)
	slices.SortFunc(list, Urgency(k.Now()))
	return list, nil
}

// tidyAfter is how old the last act must be for its item to be looked at: a letter may be on its way.
const tidyAfter = time.Hour

// tidy puts away what was done about items that are not open any more, whatever ended them. The next one who lists sees
// to what fails here.
func (k *Desk) tidy(ctx context.Context, left map[string]record) {
	for id, r := range left {
		if k.Now().Sub(r.last) < tidyAfter {
			continue
		}
		s, n, err := find(ctx, k.Runs, id)
		if errors.Is(err, ErrNoEscalation) || err == nil && s.Escalations[n].State != steps.EscalationOpen {
			_ = k.Claims.settle(ctx, id, nil)
		}
	}
}

func (k *Desk) item(v steps.EscalationView, r record) Item {
	if len(r.Votes) > len(v.Approvals) { // the letter was written when it was asked
		v = v.WithApprovals(r.Votes)
	}
	return Item{
		EscalationView: v, Fingerprint: v.Fingerprint(), Claim: r.live(k.Now()), Lease: r.Claim, Assigned: r.Assigned, Snoozed: r.Snoozed, Notes: r.Notes,
	}
}

// Card is everything about one escalation, open or not. One without a run to load (a dead letter) has only its item.
func (k *Desk) Card(ctx context.Context, id string) (Card, error) {
	if _, letter := runlog.LetterRun(id); letter {
		return k.letterCard(ctx, id)
	}
	s, n, err := find(ctx, k.Runs, id)
	if errors.Is(err, ErrNoEscalation) { // a letter may lie there all the same
		if c, letterErr := k.letterCard(ctx, id); letterErr == nil {
			return c, nil
		}
	}
	if err != nil {
		return Card{}, err
	}
	var c Card
	if c.Dossier, err = Dossier(ctx, k.Runs, s, n); err != nil {
		return Card{}, err
	}
	r, told, err := k.done(ctx, c.Dossier.EscalationView)
	if err != nil {
		return Card{}, err
	}
	c.Item = k.item(c.Dossier.EscalationView, r)
	c.Trail = trail(s, n, r, told)
	c.Similar, err = k.similar(ctx, &c.Item)
	return c, err
}

// Dossier is the dossier of escalation n of s: what is in question, and of one that is settled what was in question then,
// whatever has happened since.
func Dossier(ctx context.Context, log *runlog.Log, s *steps.State, n int) (steps.Dossier, error) {
	e := &s.Escalations[n]
	if e.State == steps.EscalationOpen {
		return steps.MakeDossier(s, n), nil
	}
	before, err := log.At(ctx, s.Run, e.Settled-1)
	if err != nil {
		return steps.Dossier{}, fmt.Errorf("what was in question in %s: %w", e.ID, err)
	}
	return steps.SettledDossier(before, s, n), nil
}

// done is what was done about an item beside deciding it.
func (k *Desk) done(ctx context.Context, v steps.EscalationView) (r record, told []TrailLine, err error) {
	if v.State != steps.EscalationOpen {
		r, err = k.Claims.past(ctx, v.ID)
		return r, nil, err
	}
	if r, _, err = k.Claims.get(ctx, v.ID); err == nil && k.Told != nil {
		told, err = k.Told(ctx, v)
	}
	return r, told, err
}

// maxSimilar is how many alike items a card names.
const maxSimilar = 50

// similar are other open items with the same fingerprint.
func (k *Desk) similar(ctx context.Context, it *Item) ([]string, error) {
	alike := []string{}
	letters, err := k.Letters.List(ctx)
	for _, l := range letters {
		if l.ID != it.ID && len(alike) < maxSimilar && l.Fingerprint() == it.Fingerprint {
			alike = append(alike, l.ID)
		}
	}
	return alike, err
}

// Act carries out what somebody wants done about an escalation, or says why not: [ErrNoEscalation], [ErrNotAllowed],
// [ErrForbidden], [ErrInvalid], [ErrChanged], [ErrClaimed], or [ErrDecidedBefore] when somebody was first, also while it was on its way.
// A decision is safe to repeat: the same one of the same person is found, not made twice.
func (k *Desk) Act(ctx context.Context, who Person, id string, a Act) (Done, error) {
	done := Done{ID: id, Action: a.Verb, By: who.Name}
	err := who.may(a.Verb)
	if err == nil && strings.TrimSpace(who.Name) == "" {
		err = fmt.Errorf("%w: nobody knows who you are", ErrForbidden)
	}
	if err == nil {
		done, err = k.act(ctx, who, id, a, done)
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

func (k *Desk) act(ctx context.Context, who Person, id string, a Act, done Done) (Done, error) {
	if a.Verb.Decides() {
		return k.decide(ctx, who, id, a, done)
	}
	if _, letter := runlog.LetterRun(id); !letter {
		s, n, err := find(ctx, k.Runs, id)
		if err != nil {
			return done, err
		}
		if s.Escalations[n].State != steps.EscalationOpen {
			return done, refused(steps.Tell(s, steps.Deed{Event: steps.Decided{Escalation: id}}))
		}
	}
	over, err := k.heldByOther(ctx, id, who.Name)
	if err != nil {
		return done, err
	}
	if done.Effect, err = k.Claims.do(ctx, who, id, a, k.Now()); err == nil && over != nil && a.Verb == ActClaim {
		k.tellTaken(ctx, over.By, Taken{ID: id, By: who.Name, Did: TrailLine{Action: string(a.Verb)}.Did(), At: k.Now().UTC()})
	}
	return done, err
}

// Decides reports whether a is a decision, as opposed to what people do on the way to one.
func (a Action) Decides() bool {
	switch a {
	case ActClaim, ActRelease, ActAssign, ActSnooze, ActNote:
		return false
	}
	return true
}

func (k *Desk) decide(ctx context.Context, who Person, id string, a Act, done Done) (Done, error) {
	run, ok := RunOf(id)
	if !ok && steps.Verb(a.Verb) == steps.VerbSkip {
		return k.discard(ctx, id, done, fmt.Errorf("%w: %q", ErrNoEscalation, id))
	}
	if !ok {
		return done, fmt.Errorf("%w: %q: an escalation's id is its run's id, - and a number", ErrNoEscalation, id)
	}
	held, err := k.heldByOther(ctx, id, who.Name)
	if err != nil {
		return done, err
	}
	d := steps.Decided{Escalation: id, Verb: steps.Verb(a.Verb), By: who.Name, Via: who.Via, Reason: a.Reason, Params: a.Params, Answer: a.Answer}
	if strings.TrimSpace(d.Reason) == "" {
		d.Reason = ""
	}
	if held != nil {
		d.Over = held.By
	}
	if _, letter := runlog.LetterRun(id); letter {
		if held != nil && !a.Take {
			return done, fmt.Errorf("%w: %s has it until %s; nothing was decided", ErrClaimed, held.By, held.Until.UTC().Format(time.RFC3339))
		}
		return k.decideLetter(ctx, run, d, done)
	}
	s, n, err := find(ctx, k.Runs, id)
	if errors.Is(err, ErrNoEscalation) && d.Verb == steps.VerbSkip {
		return k.discard(ctx, id, done, err)
	}
	if err != nil {
		return done, err
	}
	w := steps.Tell(s, steps.Deed{Event: d, Now: k.Now(), Held: held, Take: a.Take, Revision: a.Revision, Digest: a.Digest})
	if w.Outcome == steps.OutcomeAgain {
		if err := restate(ctx, k.Runs, run, s, n, d); err != nil {
			return done, err
		}
	}
	if w.Outcome != steps.OutcomeUncertain { // it is known already that it would change nothing
		done.tell(w)
		return done, refused(w)
	}
	if d, err = k.complete(s, n, who, d, a); err != nil {
		return done, err
	}
	w, err = carry(ctx, k.Runs, run, d)
	if done.tell(w); err == nil {
		k.decided(ctx, steps.ViewEscalation(s, n), d, w)
	}
	return done, err
}

// tell takes over what came of a decision.
func (d *Done) tell(w steps.Word) {
	d.Effect, d.Again, d.Part = w.Text, w.Outcome == steps.OutcomeAgain, w.Outcome == steps.OutcomePart
}

// complete refuses what cannot be carried out, and signs what is an approval.
func (k *Desk) complete(s *steps.State, n int, who Person, d steps.Decided, a Act) (steps.Decided, error) {
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
	return k.sign(s, n, who, d, a.Many)
}

// decided does what is left to do beside the log, in which the decision counts already: what fails here is seen to by
// [Desk.Items], or was only a courtesy.
func (k *Desk) decided(ctx context.Context, v steps.EscalationView, d steps.Decided, w steps.Word) {
	if d.Over != "" && w.Counts() {
		k.tellTaken(ctx, d.Over, Taken{ID: v.ID, By: d.By, Did: TrailLine{Action: string(d.Verb)}.Did(), At: k.Now().UTC()})
	}
	if w.Outcome == steps.OutcomePart {
		_ = k.Claims.vote(ctx, v.ID, d.By)
		return
	}
	k.settled(ctx, v)
}

// heldByOther is somebody else's claim, while its lease lasts.
func (k *Desk) heldByOther(ctx context.Context, id, name string) (*Claim, error) {
	if run, ok := RunOf(id); !ok || !wire.ValidName(run) {
		return nil, nil // there is no such question
	}
	r, _, err := k.Claims.get(ctx, id)
	if err != nil {
		return nil, err
	}
	if held := r.live(k.Now()); held != nil && !steps.SamePerson(held.By, name) {
		return held, nil
	}
	return nil, nil
}

// settled puts away what was done about a decided item. The decision counts already: what fails here is seen to by [Desk.Items].
func (k *Desk) settled(ctx context.Context, v steps.EscalationView) {
	if _, told, err := k.done(ctx, v); err == nil {
		_ = k.Claims.settle(ctx, v.ID, told)
	}
}

// sign makes the decision an approval as well, where it is one and its person may approve.
func (k *Desk) sign(s *steps.State, n int, who Person, d steps.Decided, many bool) (steps.Decided, error) {
	g, ok, err := steps.GrantFor(s, n, d)
	if err != nil {
		return d, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if !ok {
		return d, nil
	}
	rule := s.Tool(s.Escalations[n].Unit).Approval
	forbidden := who.may(Action(steps.VerbApprove))
	if !s.MayApprove(n, d.By) {
		forbidden = fmt.Errorf("%w: %s submitted the run, and may not approve it", ErrForbidden, d.By)
	}
	if many && forbidden == nil {
		forbidden = fmt.Errorf("%w: an approval is of exactly what one person saw, not of many at once", ErrNotAllowed)
	}
	if forbidden != nil && d.Verb != steps.VerbApprove {
		return d, nil // the step is held, and somebody is asked
	}
	if forbidden != nil {
		return d, forbidden
	}
	if g, err = k.Signer.Sign(g, k.Now(), cmp.Or(time.Duration(rule.ValidFor), time.Hour)); err != nil {
		return d, err
	}
	d.Grant = &g
	return d, nil
}

// RawParams are the parameters that an edit starts from, and the schema that they must fit.
func (c *Card) RawParams() (params, schema json.RawMessage) {
	if c.Dossier.Failing != nil {
		params = c.Dossier.Failing.Params
	}
	for _, o := range c.Dossier.Offers {
		if o.Verb == steps.VerbEdit {
			schema = o.Schema
		}
	}
	return params, schema
}

// NewDesk is a desk that reads and writes through b's streams.
func NewDesk(runs *runlog.Log, letters *dlq.Box, claims *Claims, signer Signer) *Desk {
	return &Desk{Runs: runs, Letters: letters, Claims: claims, Signer: signer, Now: time.Now}
}
