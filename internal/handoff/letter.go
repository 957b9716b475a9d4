package handoff

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"belay/internal/dlq"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// decideLetter decides a dead letter: skip discards the entry that nobody can read, retry lets everybody read it
// again. A retry that helps nothing leaves the run frozen and the letter open, so it can be decided again.
//
// One about what belongs to no run is decided by removal: skip removes it with everything that is alike.
func (k *Desk) decideLetter(ctx context.Context, run string, d steps.Decided, done Done) (Done, error) {
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
	return k.removed(ctx, steps.EscalationView{ID: d.Escalation, Kind: steps.KindDeadLetter}, done)
}

// removed takes a letter out that no run knows.
func (k *Desk) removed(ctx context.Context, v steps.EscalationView, done Done) (Done, error) {
	if _, err := k.Letters.Get(ctx, v.ID); errors.Is(err, dlq.ErrNoLetter) {
		return done, fmt.Errorf("%w: %w", ErrNoEscalation, err)
	}
	if err := k.Letters.Remove(ctx, v); err != nil {
		return done, err
	}
	done.Discarded, done.Effect = true, "removed, with all that is alike; no run knows of it"
	return done, nil
}

// strayEffect is what skip does with what belongs to no run.
const strayEffect = "remove it, and all that is alike; no run knows of it"

// discard removes an open letter whose run does not know it: it was never that run's question.
func (k *Desk) discard(ctx context.Context, id string, done Done, unknown error) (Done, error) {
	l, err := k.Letters.Get(ctx, id)
	if err != nil {
		return done, unknown
	}
	return k.removed(ctx, l.EscalationView, done)
}

// decideFrozen decides the letter about the entry that holds a run. Effect is what the log says afterwards.
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
	return letterEffect(ctx, log, run, d), nil
}

// letterEffect is where the run stands once a dead letter was decided, as this program reads its log.
func letterEffect(ctx context.Context, log *runlog.Log, run string, d steps.Decided) string {
	_, err := log.Load(ctx, run)
	f, frozen := errors.AsType[*runlog.Frozen](err)
	switch {
	case frozen && f.Letter == d.Escalation:
		return "the entry was read again and still cannot be: the run stays frozen"
	case frozen:
		return "the run is frozen at another entry now: " + f.Letter
	case err != nil:
		return "what it did cannot be told now: " + err.Error()
	case d.Verb == steps.VerbSkip:
		return "the entry is left out of the run's history for good; the run goes on without it"
	}
	return "the entry can be read now; the run goes on"
}

func frozenAt(ctx context.Context, log *runlog.Log, run, letter string) error {
	_, err := log.Load(ctx, run)
	if f, ok := errors.AsType[*runlog.Frozen](err); ok {
		if f.Letter == letter {
			return nil
		}
		return fmt.Errorf("%w: the run is frozen at another entry: decide %s", ErrNoEscalation, f.Letter)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoEscalation, err)
	}
	return fmt.Errorf("%w: the run is not frozen", ErrDecidedBefore)
}

// LetterEffects are what the decisions about a dead letter do.
var LetterEffects = map[steps.Verb]string{
	steps.VerbRetry: "read it again, with a version that can",
	steps.VerbSkip:  "leave it out of the run's history for good; the run goes on without it",
}

// LetterEffect is what a verb does with a dead letter that allows some. What belongs to no run can only be removed.
func LetterEffect(allowed []steps.Verb, v steps.Verb) string {
	if len(allowed) == 1 && v == steps.VerbSkip {
		return strayEffect
	}
	return LetterEffects[v]
}

// shownBytes is how much of a dead letter a card shows.
const shownBytes = 2 << 10

// letterCard is the card of a message that nobody can read: its bytes are all there is.
func (k *Desk) letterCard(ctx context.Context, id string) (Card, error) {
	l, err := k.Letters.Get(ctx, id)
	if errors.Is(err, dlq.ErrNoLetter) {
		return Card{}, fmt.Errorf("%w: %w", ErrNoEscalation, err)
	}
	if err != nil {
		return Card{}, err
	}
	r, told, err := k.done(ctx, l.EscalationView)
	if err != nil {
		return Card{}, err
	}
	c := Card{Item: k.item(l.EscalationView, r), Dossier: steps.Dossier{EscalationView: l.EscalationView, Offers: []steps.Offer{}}, Similar: []string{}, Trail: inOrder([]TrailLine{}, r, told)}
	for _, v := range l.Allowed {
		c.Dossier.Offers = append(c.Dossier.Offers, steps.Offer{Verb: v, Effect: LetterEffect(l.Allowed, v), Grave: v == steps.VerbSkip})
	}
	if o := l.Origin; o != nil {
		detail := fmt.Sprintf("subject %s, sequence %d, %d bytes\n%s", o.Subject, o.Sequence, o.Size, hex.Dump(o.Raw[:min(len(o.Raw), shownBytes)]))
		c.Dossier.LastError = &steps.Fault{Message: l.Message, Detail: detail}
	}
	return c, nil
}
