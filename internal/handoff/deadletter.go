package handoff

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"belay/internal/dlq"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// decideDeadLetter decides a dead letter: skip discards the unreadable entry, retry reads it once more. If that still
// fails, the run stays frozen and the dead letter open, so that it can be decided another time.
//
// If the message belongs to no run, skip removes it and everything like it.
func (k *Desk) decideDeadLetter(ctx context.Context, who people.Actor, id string, a people.Act, done Done) (Done, error) {
	run, ok := steps.RunOfEscalation(id)
	if !ok {
		return k.discard(ctx, id, a, done, notAnID(id))
	}
	r, err := k.beside(ctx, id)
	if err == nil {
		err = k.Admits(ctx, who, id)
	}
	if err != nil {
		return done, err
	}
	claim := r.ofOther(who.Name, k.Now())
	if claim != nil && !a.TakeOver {
		return done, fmt.Errorf("%w: %s has it until %s; nothing was decided", ErrClaimed, claim.By, claim.Until.UTC().Format(time.RFC3339))
	}
	d := decisionOf(who, id, a, claim)
	stray, err := k.Runs.FindStray(ctx, d.Escalation)
	if err != nil {
		return done, err
	}
	if stray == nil {
		done.Effect, err = decideFrozen(ctx, k.Runs, run, d)
		return done, err
	}
	if d.Verb != steps.VerbSkip {
		return done, fmt.Errorf("%w: %q; it belongs to no run, and skip removes it", ErrNotAllowed, d.Verb)
	}
	if err := k.Runs.Discard(ctx, stray); err != nil {
		return done, err
	}
	return k.removed(ctx, view.Escalation{ID: d.Escalation, Kind: steps.KindDeadLetter}, done)
}

// removed removes an entry that no run knows.
func (k *Desk) removed(ctx context.Context, v view.Escalation, done Done) (Done, error) {
	if _, err := k.Open.Get(ctx, v.ID); errors.Is(err, dlq.ErrNotFound) {
		return done, fmt.Errorf("%w: %w", ErrNoEscalation, err)
	}
	if err := k.Open.Remove(ctx, v); err != nil {
		return done, err
	}
	done.Discarded, done.Effect = true, "removed, with everything like it; no run knows of it"
	return done, nil
}

// strayEffect is what skip does with a message that belongs to no run.
const strayEffect = "remove it and everything like it; no run knows of it"

// discard removes an open entry that its run does not know, if the decision is skip: the run has never asked that. Any
// other decision fails with unknown.
func (k *Desk) discard(ctx context.Context, id string, a people.Act, done Done, unknown error) (Done, error) {
	if a.Verb != people.Skip {
		return done, unknown
	}
	l, err := k.Open.Get(ctx, id)
	if err != nil {
		return done, unknown
	}
	return k.removed(ctx, l.Escalation, done)
}

// decideFrozen decides the dead letter about the entry that freezes a run. Effect is what the log says afterwards.
func decideFrozen(ctx context.Context, log *runlog.Log, run string, d steps.Decided) (effect string, err error) {
	if allowed := []steps.Verb{steps.VerbRetry, steps.VerbSkip}; !slices.Contains(allowed, d.Verb) {
		return "", fmt.Errorf("%w: %q; allowed on a dead letter are retry, skip", ErrNotAllowed, d.Verb)
	}
	if err := frozenAt(ctx, log, run, d.Escalation); err != nil {
		return "", err
	}
	if _, err := log.AppendSurely(ctx, run, d); err != nil {
		return "", err
	}
	return standingAfter(ctx, log, run, d), nil
}

// standingAfter says where the run stands after a dead letter was decided, as this program reads its log.
func standingAfter(ctx context.Context, log *runlog.Log, run string, d steps.Decided) string {
	_, err := log.Load(ctx, run)
	f, frozen := errors.AsType[*runlog.Frozen](err)
	switch {
	case frozen && f.DeadLetter == d.Escalation:
		return "the entry was read again and still cannot be: the run stays frozen"
	case frozen:
		return "the run is frozen at another entry now: " + f.DeadLetter
	case err != nil:
		return "it is not known what it did: " + err.Error()
	case d.Verb == steps.VerbSkip:
		return "the entry is left out of the run's history for good; the run goes on without it"
	}
	return "the entry can be read now; the run goes on"
}

func frozenAt(ctx context.Context, log *runlog.Log, run, deadLetter string) error {
	_, err := log.Load(ctx, run)
	if f, ok := errors.AsType[*runlog.Frozen](err); ok {
		if f.DeadLetter == deadLetter {
			return nil
		}
		return fmt.Errorf("%w: the run is frozen at another entry: decide %s", ErrNoEscalation, f.DeadLetter)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoEscalation, err)
	}
	return fmt.Errorf("%w: the run is not frozen", ErrDecidedBefore)
}

// deadLetterEffects say what each decision about a dead letter does.
var deadLetterEffects = map[steps.Verb]string{
	steps.VerbRetry: "read it again, with a version that can",
	steps.VerbSkip:  "leave it out of the run's history for good; the run goes on without it",
}

// DeadLetterEffect says what a verb does with a dead letter that allows these verbs; if it belongs to no run, skip is
// the only one.
func DeadLetterEffect(allowed []steps.Verb, v steps.Verb) string {
	if len(allowed) == 1 && v == steps.VerbSkip {
		return strayEffect
	}
	return deadLetterEffects[v]
}

// shownBytes is how many bytes of an unreadable message a card shows.
const shownBytes = 2 << 10

// deadLetterCard is the card of a dead letter. It shows the bytes of the message, because nothing else is known of it.
func (k *Desk) deadLetterCard(ctx context.Context, id string) (Card, error) {
	l, err := k.Open.Get(ctx, id)
	if errors.Is(err, dlq.ErrNotFound) {
		return Card{}, fmt.Errorf("%w: %w", ErrNoEscalation, err)
	}
	if err != nil {
		return Card{}, err
	}
	r, err := k.Claims.get(ctx, l.ID)
	if err != nil {
		return Card{}, err
	}
	var notified []TrailLine
	if k.Notified != nil {
		if notified, err = k.Notified(ctx, l.Escalation); err != nil {
			return Card{}, err
		}
	}
	c := Card{Item: k.item(l.Escalation, r), Dossier: view.Dossier{Escalation: l.Escalation, Offers: []view.Offer{}}, Similar: []string{}, Trail: inOrder([]TrailLine{}, r, notified)}
	for _, v := range l.Allowed {
		c.Dossier.Offers = append(c.Dossier.Offers, view.Offer{Verb: v, Effect: DeadLetterEffect(l.Allowed, v), Grave: v == steps.VerbSkip})
	}
	if o := l.Origin; o != nil {
		detail := fmt.Sprintf("subject %s, sequence %d, %d bytes\n%s", o.Subject, o.Sequence, o.Size, hex.Dump(o.Raw[:min(len(o.Raw), shownBytes)]))
		c.Dossier.LastError = &steps.Fault{Message: l.Message, Detail: detail}
	}
	return c, nil
}
