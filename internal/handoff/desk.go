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
			_, err := verdict(s, n, steps.Decided{})
			return done, err
		}
	}
	var err error
	done.Effect, err = k.Claims.do(ctx, who, id, a, k.Now())
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
	d := steps.Decided{Escalation: id, Verb: steps.Verb(a.Verb), By: who.Name, Via: who.Via, Reason: a.Reason, Params: a.Params, Answer: a.Answer}
	run, ok := RunOf(id)
	if !ok {
		return done, fmt.Errorf("%w: %q: an escalation's id is its run's id, - and a number", ErrNoEscalation, id)
	}
	if _, letter := runlog.LetterRun(id); letter {
		return done, decideLetter(ctx, k.Runs, run, d)
	}
	s, n, err := find(ctx, k.Runs, id)
	if err != nil {
		return done, err
	}
	if s.Escalations[n].State != steps.EscalationOpen {
		_, err := verdict(s, n, d)
		done.Again, done.Effect = err == nil, "you had decided so before"
		return done, err
	}
	if err := a.seen(&s.Escalations[n]); err != nil {
		return done, err
	}
	if d, err = check(s, n, d); err == nil {
		d, err = reopen(s, n, who, d, a.Many)
	}
	if err == nil {
		d, err = k.sign(s, n, who, d, a.Many)
	}
	if err != nil {
		return done, err
	}
	done.Effect = effect(s, n, d.Verb)
	if _, err = carry(ctx, k.Runs, run, d); err != nil {
		return done, err
	}
	k.settled(ctx, steps.MakeDossier(s, n).EscalationView)
	return done, nil
}

// settled puts away what was done about a decided item. The decision counts already: what fails here is seen to by [Desk.Items].
func (k *Desk) settled(ctx context.Context, v steps.EscalationView) {
	if _, told, err := k.done(ctx, v); err == nil {
		_ = k.Claims.settle(ctx, v.ID, told)
	}
}

// seen makes sure that somebody decides about what they were shown.
func (a *Act) seen(e *steps.Escalation) error {
	switch {
	case a.Revision != 0 && a.Revision != e.Revision:
		return fmt.Errorf("%w: you saw revision %d, it is %d now", ErrChanged, a.Revision, e.Revision)
	case e.Kind == steps.KindApproval && steps.Verb(a.Verb) == steps.VerbApprove && a.Digest == "":
		return fmt.Errorf("%w: approve names the digest of what is approved (approval.digest of `esc show -o json`)", ErrInvalid)
	case a.Digest != "" && a.Digest != e.Digest:
		return fmt.Errorf("%w: you saw digest %.12s, it is %.12s now", ErrChanged, a.Digest, e.Digest)
	}
	return nil
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
	if rule.NotSubmitter && d.By == s.By {
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

func effect(s *steps.State, n int, v steps.Verb) string {
	for _, o := range steps.MakeDossier(s, n).Offers {
		if o.Verb == v {
			return o.Effect
		}
	}
	return ""
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
