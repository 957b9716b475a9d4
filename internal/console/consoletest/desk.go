// Package consoletest is a world for the tests of the console: a desk, runs and tools that live in memory, with a
// morning's worth of questions on them. It keeps to the contract of the console's interfaces: it refuses a stale
// revision and a digest that is not the one to be approved, and the first decision counts.
package consoletest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"belay/internal/console"
	"belay/internal/fleet"
	"belay/internal/handoff"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// World implements all that a console reads. It is safe for concurrent use.
type World struct {
	Now func() time.Time

	mu        sync.Mutex
	items     []handoff.Item // the most urgent first
	cards     map[string]handoff.Card
	runs      map[string]steps.Document
	summaries []runlog.Summary
	tools     []console.ToolHealth
	workers   []fleet.Worker
	acts      []handoff.Act
	batches   map[string]handoff.Batch
	listeners map[chan console.Change]bool
	broken    error
	refusal   error // of every act
}

// Break lets everything fail with err from now on; nil mends it.
func (w *World) Break(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = err
}

// Refuse lets every act fail with err from now on.
func (w *World) Refuse(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refusal = err
}

// Acts are all acts that were done, in their order.
func (w *World) Acts() []handoff.Act {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.acts)
}

// Inbox implements [console.Desk].
func (w *World) Inbox(context.Context) ([]handoff.Item, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.items), w.broken
}

// Card implements [console.Desk].
func (w *World) Card(_ context.Context, id string) (handoff.Card, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return handoff.Card{}, w.broken
	}
	card, ok := w.cards[id]
	if !ok {
		return card, fmt.Errorf("%w: %s", handoff.ErrNoEscalation, id)
	}
	for _, it := range w.items {
		if it.ID != id && it.Fingerprint != "" && it.Fingerprint == card.Item.Fingerprint {
			card.Similar = append(card.Similar, it.ID)
		}
	}
	return card, nil
}

// Act implements [console.Desk].
func (w *World) Act(_ context.Context, who console.Person, id string, a handoff.Act) (handoff.Done, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := errors.Join(w.broken, w.refusal); err != nil {
		return handoff.Done{}, err
	}
	card, ok := w.cards[id]
	if !ok {
		return handoff.Done{}, fmt.Errorf("%w: %s", handoff.ErrNoEscalation, id)
	}
	now := w.Now()
	effect, err := apply(&card, who.Name, a, now)
	if err != nil {
		return handoff.Done{}, fmt.Errorf("decide %s: %w", id, err)
	}
	card.Trail = append(slices.Clone(card.Trail), handoff.TrailLine{At: now, By: who.Name, Via: "console", Action: string(a.Verb), To: a.To, Until: a.Until, Reason: cmp.Or(a.Reason, a.Text)})
	w.acts = append(w.acts, a)
	w.store(card)
	w.tell(console.Change{Kind: console.ItemChanged, ID: id})
	return handoff.Done{ID: id, Action: a.Verb, At: now, By: who.Name, Effect: effect}, nil
}

// store keeps a card, and its item in the list while it is open.
func (w *World) store(card handoff.Card) {
	id := card.Item.ID
	w.cards[id] = card
	n := slices.IndexFunc(w.items, func(it handoff.Item) bool { return it.ID == id })
	switch open := card.Item.State == steps.EscalationOpen; {
	case n >= 0 && open:
		w.items[n] = card.Item
	case n >= 0:
		w.items = slices.Delete(w.items, n, n+1)
	case open:
		w.items = append(w.items, card.Item)
		slices.SortStableFunc(w.items, handoff.Urgency(w.Now()))
	}
}

func apply(card *handoff.Card, by string, a handoff.Act, now time.Time) (string, error) {
	it := &card.Item
	switch a.Verb {
	case handoff.ActClaim:
		it.Claim = &handoff.Claim{By: by, Until: now.Add(10 * time.Minute)}
	case handoff.ActRelease:
		it.Claim = nil
	case handoff.ActAssign:
		it.Assigned = a.To
	case handoff.ActSnooze:
		it.Snoozed = a.Until
	case handoff.ActNote:
		it.Notes = append(slices.Clone(it.Notes), handoff.Note{By: by, At: now, Text: a.Text})
	default:
		return decide(card, by, a, now)
	}
	return "", nil
}

func decide(card *handoff.Card, by string, a handoff.Act, now time.Time) (string, error) {
	d := &card.Dossier
	if d.State != steps.EscalationOpen {
		return "", &handoff.DecidedBefore{Decision: d.Decision, At: now}
	}
	i := slices.IndexFunc(d.Offers, func(o steps.Offer) bool { return string(o.Verb) == string(a.Verb) })
	if i < 0 {
		return "", fmt.Errorf("%w: %q", handoff.ErrNotAllowed, a.Verb)
	}
	if a.Revision != 0 && a.Revision != d.Revision {
		return "", fmt.Errorf("%w: revision %d is not %d", handoff.ErrInvalid, a.Revision, d.Revision)
	}
	if d.Approval != nil && a.Verb == handoff.Action(steps.VerbApprove) && a.Digest != d.Approval.Digest {
		return "", fmt.Errorf("%w: the digest is another one", handoff.ErrInvalid)
	}
	d.Decision = &steps.Decided{Escalation: d.ID, Verb: steps.Verb(a.Verb), By: by, Via: "console", Reason: a.Reason, Params: a.Params, Answer: a.Answer}
	d.State, card.Item.State, card.Item.Decision = steps.EscalationDecided, steps.EscalationDecided, d.Decision
	return d.Offers[i].Effect, nil
}

// Run implements [console.Runs].
func (w *World) Run(_ context.Context, id string) (steps.Document, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d, ok := w.runs[id]
	if !ok {
		return d, fmt.Errorf("%w: %s", runlog.ErrNoRun, id)
	}
	return d, w.broken
}

// List implements [console.Runs].
func (w *World) List(_ context.Context, f runlog.Filter) ([]runlog.Summary, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(w.summaries), func(s runlog.Summary) bool {
		return f.State != "" && s.State != f.State || f.Workflow != "" && s.Workflow != f.Workflow
	})
	return list, w.broken
}

// Tools implements [console.Fleet].
func (w *World) Tools(context.Context) ([]console.ToolHealth, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.tools), w.broken
}

// Workers implements [console.Fleet].
func (w *World) Workers(context.Context) ([]fleet.Worker, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.workers), w.broken
}

// PutWorkers says which workers run.
func (w *World) PutWorkers(all ...fleet.Worker) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.workers = all
}

// Put adds a card, or replaces one.
func (w *World) Put(card handoff.Card) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.store(card)
	w.tell(console.Change{Kind: console.ItemChanged, ID: card.Item.ID})
}

// PutRun adds a run, or replaces one.
func (w *World) PutRun(d steps.Document) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, there := w.runs[d.ID]; !there {
		w.summaries = append(w.summaries, runlog.Summary{ID: d.ID, Workflow: d.Workflow, State: d.State, Labels: d.Labels, Started: d.Started, Ended: d.Ended})
	}
	w.runs[d.ID] = d
	w.tell(console.Change{Kind: console.RunChanged, ID: d.ID})
}
