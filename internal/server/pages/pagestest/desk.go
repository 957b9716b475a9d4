// Package pagestest is a world for the tests of the console: a desk, runs and tools in memory, with a morning's worth of
// escalations. It keeps to the contract of the console's interfaces: it refuses a stale revision and a digest other than
// the one to be approved, and the first decision counts.
package pagestest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"belay/internal/breaker"
	"belay/internal/bus"
	"belay/internal/doctor"
	"belay/internal/gates"
	"belay/internal/handoff"
	"belay/internal/limits"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/schedules"
	"belay/internal/score"
	"belay/internal/server/pages"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// World implements all that a console reads. It is safe for concurrent use.
type World struct {
	Now     func() time.Time // what time it is
	Changes pages.Changes    // notified of every change that is made here

	mu        sync.Mutex
	items     []handoff.Item // the most urgent first
	cards     map[string]handoff.Card
	runs      map[string]view.Document
	summaries []runlog.Summary
	asked     runlog.Filter // of the last list of runs
	tools     []pages.ToolHealth
	workers   []bus.Worker
	gates     []gates.Gate // the newest first
	Breakers  []breaker.Record
	Schedules []schedules.Schedule
	Limits    []limits.Limit
	Counts    *score.Counts // what came of calls; nil = none were made
	Spikes    []score.Spike
	acts      []people.Act
	messages  []steps.Steered // to agents, in order
	redrives  map[string]handoff.Redrive
	overruled map[string][]handoff.TakenOver // by whose claim it was
	broken    error
	refusal   error // of every act
}

// Break makes everything fail with err from now on; nil ends that.
func (w *World) Break(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = err
}

// Refuse makes every act fail with err from now on.
func (w *World) Refuse(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refusal = err
}

// Acts returns all acts that were done, in order.
func (w *World) Acts() []people.Act {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.acts)
}

// Items implements [pages.Desk].
func (w *World) Items(context.Context) ([]handoff.Item, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.items), w.broken
}

// Card implements [pages.Desk].
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

// Question implements [pages.Desk].
func (w *World) Question(ctx context.Context, id string) (handoff.Card, error) {
	c, err := w.Card(ctx, id)
	c.Trail, c.Similar = nil, nil
	return c, err
}

// TakenOver implements [pages.Desk].
func (w *World) TakenOver(_ context.Context, name string) ([]handoff.TakenOver, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.overruled[name]), w.broken
}

// Admits implements [pages.Desk]: everything here is about what agents do.
func (w *World) Admits(_ context.Context, who people.Actor, _ string) error {
	if who.Local {
		return handoff.ErrSignIn
	}
	return nil
}

// Challenge implements [pages.Desk].
func (w *World) Challenge(_ people.Actor, c *handoff.Card) []byte {
	if c.Dossier.Approval == nil || c.Dossier.Approval.Proof == "" {
		return nil
	}
	return []byte("approve " + c.Item.ID)
}

// Act implements [pages.Desk].
func (w *World) Act(ctx context.Context, who people.Actor, id string, a people.Act) (handoff.Done, error) {
	if a.Verb.Decides() && w.Admits(ctx, who, id) != nil {
		return handoff.Done{}, handoff.ErrSignIn
	}
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
	if c := w.cards[id].Item.Claim; c != nil && a.TakeOver {
		w.overruled[c.By] = append(w.overruled[c.By], handoff.TakenOver{ID: id, By: who.Name, Did: handoff.TrailLine{Action: string(a.Verb)}.Did(), At: now})
	}
	w.store(card)
	w.Changes.Tell(pages.Change{Kind: pages.ItemChanged, ID: id})
	return handoff.Done{ID: id, Action: a.Verb, At: now, By: who.Name, Effect: effect}, nil
}

// ActOn implements [pages.Desk].
func (w *World) ActOn(ctx context.Context, who people.Actor, c *handoff.Card, a people.Act) (handoff.Done, error) {
	return w.Act(ctx, who, c.Item.ID, a)
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

func apply(card *handoff.Card, by string, a people.Act, now time.Time) (string, error) {
	it := &card.Item
	switch a.Verb {
	case people.Claim:
		it.Claim = &handoff.Claim{By: by, Until: now.Add(10 * time.Minute)}
	case people.Release:
		it.Claim = nil
	case people.Assign:
		it.Assigned = a.To
	case people.Snooze:
		it.Snoozed = a.Until
	case people.Note:
		it.Notes = append(slices.Clone(it.Notes), handoff.Note{By: by, At: now, Text: a.Text})
	default:
		return decide(card, by, a, now)
	}
	return "", nil
}

func decide(card *handoff.Card, by string, a people.Act, now time.Time) (string, error) {
	d := &card.Dossier
	if c := card.Item.Claim; c != nil && now.Before(c.Until) && !steps.SamePerson(c.By, by) && !a.TakeOver {
		return "", fmt.Errorf("%w: %s has it", handoff.ErrClaimed, c.By)
	}
	if bars := d.Bars(by); bars.Outcome == view.OutcomeApproved && a.Verb == people.Approve {
		return "", fmt.Errorf("%w: %s", handoff.ErrApproved, bars.Text)
	}
	if d.State != steps.EscalationOpen {
		return "", &handoff.DecidedBefore{Decision: d.Decision, At: now}
	}
	i := slices.IndexFunc(d.Offers, func(o view.Offer) bool { return string(o.Verb) == string(a.Verb) })
	if i < 0 {
		return "", fmt.Errorf("%w: %q", handoff.ErrNotAllowed, a.Verb)
	}
	if a.Revision != 0 && a.Revision != d.Revision {
		return "", fmt.Errorf("%w: revision %d is not %d", handoff.ErrInvalid, a.Revision, d.Revision)
	}
	if d.Approval != nil && a.Verb == people.Approve && a.Digest != d.Approval.Digest {
		return "", fmt.Errorf("%w: the digest is another one", handoff.ErrInvalid)
	}
	d.Decision = &steps.Decided{Escalation: d.ID, Verb: steps.Verb(a.Verb), By: by, Via: "console", Reason: a.Reason, Params: a.Params, Answer: a.Answer}
	d.Settled = "already decided: " + by + " chose " + string(a.Verb)
	d.State, card.Item.State, card.Item.Decision = steps.EscalationDecided, steps.EscalationDecided, d.Decision
	return d.Offers[i].Effect, nil
}

// Document implements [pages.Runs].
func (w *World) Document(_ context.Context, id string) (view.Document, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d, ok := w.runs[id]
	if !ok {
		return d, fmt.Errorf("%w: %s", runlog.ErrNoRun, id)
	}
	return d, w.broken
}

// List implements [pages.Runs].
func (w *World) List(_ context.Context, f runlog.Filter) (runlog.Page, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = f
	list := slices.DeleteFunc(slices.Clone(w.summaries), func(s runlog.Summary) bool {
		return f.State != "" && s.State != f.State || f.Workflow != "" && s.Workflow != f.Workflow
	})
	page := runlog.Page{Total: len(list), Items: list}
	if f.After != "" {
		i := slices.IndexFunc(list, func(s runlog.Summary) bool { return s.ID == f.After })
		if i < 0 {
			return runlog.Page{}, runlog.NoPlace(f.After)
		}
		page.Items = list[i+1:]
	}
	if f.Limit > 0 && len(page.Items) > f.Limit {
		page.Items = page.Items[:f.Limit]
		page.Next = page.Items[f.Limit-1].ID
	}
	return page, w.broken
}

// Asked is the filter of the last list of runs.
func (w *World) Asked() runlog.Filter {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked
}

// Tools returns how the tools are served, for [pages.Options].
func (w *World) Tools(context.Context) ([]pages.ToolHealth, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.tools), w.broken
}

// Workers returns the running workers, for [pages.Options].
func (w *World) Workers(context.Context) ([]bus.Worker, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.workers), w.broken
}

// Examine is what the page System shows, for [pages.Options]: one finding of each state.
func (w *World) Examine(context.Context) doctor.Report {
	r := doctor.Of("nats://nats.internal:4222",
		doctor.Finding{Check: "server version", State: doctor.OK, Seen: "NATS 2.15.2 at nats://nats.internal:4222"},
		doctor.Finding{Check: "sync", State: doctor.Unknown, Seen: "a server does not say over NATS whether it syncs before it confirms", Do: "set sync_interval: always; `dispatcher doctor --monitor URL` looks"},
		doctor.Finding{Check: "settings", State: doctor.Fail, Seen: "stream BELAY_RUNS_0: max_age is 1h0m0s, Belay needs 0s", Do: "set it back (`nats stream edit`)"},
		doctor.Finding{Check: "workers", State: doctor.Warn, Seen: "no worker serves <b>payments.refund</b>/primary of /etc/belay/a-folder-with-a-long-name/and-another-one/tools.yaml", Do: "start a worker with that file"},
	)
	r.At = w.Now()
	return r
}

// PutWorkers sets the running workers.
func (w *World) PutWorkers(all ...bus.Worker) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.workers = all
}

// Put adds a card, or replaces one.
func (w *World) Put(card handoff.Card) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.store(card)
	w.Changes.Tell(pages.Change{Kind: pages.ItemChanged, ID: card.Item.ID})
}

// PutRun adds a run, or replaces one.
func (w *World) PutRun(d view.Document) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, there := w.runs[d.ID]; !there {
		w.summaries = append(w.summaries, runlog.Summary{ID: d.ID, Workflow: d.Workflow, State: d.State, Labels: d.Labels, Started: d.Started, Ended: d.Ended, ScheduledFor: d.ScheduledFor})
	}
	w.runs[d.ID] = d
	w.Changes.Tell(pages.Change{Kind: pages.RunChanged, ID: d.ID})
}
