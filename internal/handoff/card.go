package handoff

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"belay/internal/dlq"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// Item is an open escalation as the inbox lists it: what is asked, and what people do about it.
type Item struct {
	view.Escalation
	Fingerprint string `json:"fingerprint"` // of tool, rung, class and target: items with the same one are alike
	Beside
}

// Beside is what people do about an escalation beside deciding it.
type Beside struct {
	Claim    *Claim    `json:"claim"`                  // null while nobody has it
	Lease    *Claim    `json:"-"`                      // the last claim, also one that has run out
	Assigned string    `json:"assigned,omitempty"`     // the person it is assigned to; everybody else still may decide it
	Snoozed  time.Time `json:"snoozed_until,omitzero"` // when it is shown again; until then nobody is notified of it
	Notes    []Note    `json:"notes,omitempty"`        // of people, the oldest first
}

// Claim is the exclusive right of a person to decide, for the time of a lease. One that has run out does not count.
type Claim = view.Claim

// Note is what one person writes for the next one.
type Note struct {
	By   string    `json:"by"`            // who wrote it
	At   time.Time `json:"at"`            // when
	Via  string    `json:"via,omitempty"` // the way in: cli, console, api
	Text string    `json:"text"`          // at most maxText bytes
}

// Card is everything about one escalation: the dossier, made from the run's log, and what people did about it.
type Card struct {
	Item    Item         `json:"item"`    // as the inbox lists it
	Dossier view.Dossier `json:"dossier"` // what a person needs to decide it
	Trail   []TrailLine  `json:"trail"`   // the oldest first
	Similar []string     `json:"similar"` // other open items with the same fingerprint

	question *question // what it was made of, for [Desk.ActOn]; nil for a dead letter
}

// Document is a card in one flat document: what `esc show -o json` prints.
type Document struct {
	view.Dossier
	Fingerprint string `json:"fingerprint"` // of tool, rung, class and target: escalations with the same one are alike
	Beside
	Trail []TrailLine `json:"trail"` // the oldest first
}

// Document is the card in one flat document.
func (c *Card) Document() Document {
	return Document{c.Dossier, c.Item.Fingerprint, c.Item.Beside, c.Trail}
}

// RawParams are the parameters that an edit starts from, and the schema that they must fit.
func (c *Card) RawParams() (params, schema json.RawMessage) { return RawParams(&c.Dossier) }

// RawParams are the parameters that an edit starts from, and the schema that they must fit.
func RawParams(d *view.Dossier) (params, schema json.RawMessage) {
	if d.Failing != nil {
		params = d.Failing.Params
	}
	for _, o := range d.Offers {
		if o.Verb == steps.VerbEdit {
			schema = o.Schema
		}
	}
	return params, schema
}

// Items are the open escalations, the most urgent first; see [Urgency].
func (k *Desk) Items(ctx context.Context) ([]Item, error) {
	open, err := k.Open.List(ctx)
	if err != nil {
		return nil, err
	}
	inbox, err := k.Claims.all(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Item, len(open))
	for i, l := range open {
		list[i] = k.item(l.Escalation, inbox[l.ID])
		delete(inbox, l.ID)
	}
	k.tidy(ctx, inbox)
	slices.SortFunc(list, Urgency(k.Now()))
	return list, nil
}

// ItemsOf are the open escalations of one run, the most urgent first: as its log has them, since the entries that
// [Desk.Items] lists are written after it. Of a run that is not there, or frozen, they are the entries.
func (k *Desk) ItemsOf(ctx context.Context, run string) ([]Item, error) {
	open, err := k.Open.List(ctx)
	if err != nil {
		return nil, err
	}
	open = slices.DeleteFunc(open, func(l dlq.Entry) bool { return l.Run != run })
	inbox, err := k.Claims.all(ctx)
	if err != nil {
		return nil, err
	}
	s, err := k.Runs.Open(ctx, run)
	unread := errors.Is(err, runlog.ErrNoRun) || errors.Is(err, runlog.ErrBadID) || errors.Is(err, runlog.ErrFrozen)
	if err != nil && !unread {
		return nil, err
	}
	items := []Item{}
	for _, l := range open {
		if unread || steps.IsDeadLetter(l.ID) {
			items = append(items, k.item(l.Escalation, inbox[l.ID]))
		}
	}
	if !unread {
		for n := range s.State.Escalations {
			if e := &s.State.Escalations[n]; e.State == steps.EscalationOpen {
				items = append(items, k.item(view.EscalationOf(s.State, n), inbox[e.ID]))
			}
		}
	}
	slices.SortFunc(items, Urgency(k.Now()))
	return items, nil
}

// tidyAfter is how old the last act on an item must be before the item is put away: its entry may be on its way.
const tidyAfter = time.Hour

// tidy puts away what was done about items that are no longer open, however they ended. What fails here is done by the
// next call of [Desk.Items].
func (k *Desk) tidy(ctx context.Context, left map[string]record) {
	for id, r := range left {
		if k.Now().Sub(r.last) < tidyAfter {
			continue
		}
		s, n, err := locate(ctx, k.Runs, id)
		if errors.Is(err, ErrNoEscalation) || err == nil && s.State.Escalations[n].State != steps.EscalationOpen {
			_ = k.Claims.settle(ctx, id, r, nil)
		}
	}
}

func (k *Desk) item(v view.Escalation, r record) Item {
	if len(r.Votes) > len(v.Approvals) { // the entry was written when it was asked
		v = v.WithApprovals(r.Votes)
	}
	return Item{v, v.Fingerprint(), Beside{Claim: r.live(k.Now()), Lease: r.Claim, Assigned: r.Assigned, Snoozed: r.Snoozed, Notes: r.Notes}}
}

// Question is the card of an escalation, open or not, without the trail and the similar items: all that it takes to
// decide. If the escalation is no longer open, it also lacks what people did beside deciding. A dead letter has no run
// to load, and therefore only an item.
func (k *Desk) Question(ctx context.Context, id string) (Card, error) {
	if steps.IsDeadLetter(id) {
		return k.deadLetterCard(ctx, id)
	}
	q, err := k.asked(ctx, id, nil)
	if errors.Is(err, ErrNoEscalation) { // it may have an entry all the same
		if c, deadErr := k.deadLetterCard(ctx, id); deadErr == nil {
			return c, nil
		}
	}
	if err != nil {
		return Card{}, err
	}
	c := Card{Trail: []TrailLine{}, Similar: []string{}, question: q}
	if c.Dossier, err = dossier(q.run, q.n); err == nil {
		err = k.prove(ctx, q.run.State, &c.Dossier)
	}
	c.Item = k.item(c.Dossier.Escalation, q.record)
	return c, err
}

// Card is everything about one escalation, open or not.
func (k *Desk) Card(ctx context.Context, id string) (Card, error) {
	c, err := k.Question(ctx, id)
	q := c.question
	if err != nil || q == nil {
		return c, err
	}
	var notified []TrailLine
	switch {
	case !q.open():
		q.record, err = k.Claims.past(ctx, id)
		c.Item = k.item(c.Dossier.Escalation, q.record)
	case k.Notified != nil:
		notified, err = k.Notified(ctx, c.Dossier.Escalation)
	}
	if err != nil {
		return Card{}, err
	}
	c.Trail = trail(q.run.State, q.n, q.record, notified)
	c.Similar, err = k.similar(ctx, &c.Item)
	return c, err
}

// Dossier is the dossier of an escalation: what is in question or, if it is no longer open, what was in question when
// it ended. Without proofs it does not say who submitted the run.
func Dossier(ctx context.Context, log *runlog.Log, proofs Proofs, id string) (view.Dossier, error) {
	s, n, err := locate(ctx, log, id)
	if err != nil {
		return view.Dossier{}, err
	}
	d, err := dossier(s, n)
	if err == nil && proofs != nil {
		_ = (&Desk{Proofs: proofs}).prove(ctx, s.State, &d) // who may not read the keys is not told who submitted it
	}
	return d, err
}

func dossier(s *runlog.Snapshot, n int) (view.Dossier, error) {
	e := &s.State.Escalations[n]
	if e.State == steps.EscalationOpen {
		return view.DossierOf(s.State, n), nil
	}
	before, err := s.At(e.EndedSeq - 1)
	if err != nil {
		return view.Dossier{}, fmt.Errorf("read what %s was about: %w", e.ID, err)
	}
	return view.EndedDossierOf(before, s.State, n), nil
}

// maxSimilar is how many similar items a card names.
const maxSimilar = 50

// similar are other open items with the same fingerprint.
func (k *Desk) similar(ctx context.Context, it *Item) ([]string, error) {
	alike := []string{}
	open, err := k.Open.List(ctx)
	for _, l := range open {
		if l.ID != it.ID && len(alike) < maxSimilar && l.Fingerprint() == it.Fingerprint {
			alike = append(alike, l.ID)
		}
	}
	return alike, err
}
