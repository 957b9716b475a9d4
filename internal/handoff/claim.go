package handoff

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"belay/internal/bus"
	"belay/internal/steps"
)

// Lease is how long a claim lasts; one that has run out is open again.
const Lease = 15 * time.Minute

// Bounds of what people write about one item.
const (
	maxNotes = 50
	maxText  = 2000 // bytes of a note
)

// InboxDescription is what the bucket of claims is called.
const InboxDescription = "Belay: who is at which escalation"

// Claims are what people do about open items beside deciding them: who is at it, who is to be, and what they noted. They
// are kept in a bucket of NATS and changed by compare-and-set. Nothing in there decides anything.
type Claims struct {
	open    func(ctx context.Context) (*bus.Bucket, error)
	settled func(ctx context.Context) (*bus.Bucket, error) // of items that are not open any more
}

// NewClaims keeps claims in b's bucket, which is opened when it is needed.
func NewClaims(b *bus.Bus) *Claims {
	return &Claims{
		open: func(ctx context.Context) (*bus.Bucket, error) {
			return b.Bucket(ctx, b.Names().InboxBucket(), InboxDescription)
		},
		settled: func(ctx context.Context) (*bus.Bucket, error) {
			return b.Bucket(ctx, b.Names().SettledBucket(), "Belay: what people did about escalations that are settled", bus.KeepFor(keepSettled))
		},
	}
}

// keepSettled is how long cards show what was done on the way to a decision; the audit trail keeps it for good. It is
// the time for which ended runs are kept by default.
const keepSettled = 30 * 24 * time.Hour

// Prepare makes the buckets that are missing: whoever may only read later finds them.
func (c *Claims) Prepare(ctx context.Context) error {
	if _, err := c.open(ctx); err != nil {
		return err
	}
	_, err := c.settled(ctx)
	return err
}

// record is what the bucket holds about one item.
type record struct {
	Claim    *Claim    `json:"claim,omitempty"`
	Assigned string    `json:"assigned,omitempty"`
	Snoozed  time.Time `json:"snoozed,omitzero"`
	Notes    []Note    `json:"notes,omitempty"`

	Votes []string `json:"votes,omitempty"` // who has approved so far, as the log said; for lists, which read no logs

	Acts []TrailLine `json:"acts,omitempty"` // without notes, the oldest first
	Told []TrailLine `json:"told,omitempty"` // of a settled item: who was told of it
	last time.Time   // when it was changed
}

// live is the claim, while its lease lasts.
func (r *record) live(now time.Time) *Claim {
	if r.Claim == nil || !now.Before(r.Claim.Until) {
		return nil
	}
	return r.Claim
}

func (c *Claims) all(ctx context.Context) (map[string]record, error) {
	bucket, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	items, err := bucket.All(ctx)
	if err != nil {
		return nil, err
	}
	all := make(map[string]record, len(items))
	for _, it := range items {
		var r record
		if json.Unmarshal(it.Value, &r) == nil {
			r.last = it.Time
			all[it.Key] = r
		}
	}
	return all, nil
}

func (c *Claims) get(ctx context.Context, id string) (r record, revision uint64, err error) {
	bucket, err := c.open(ctx)
	if err != nil {
		return r, 0, err
	}
	it, ok, err := bucket.Get(ctx, id)
	if err != nil || !ok {
		return r, 0, err
	}
	if json.Unmarshal(it.Value, &r) != nil {
		r = record{} // another version's, or nobody's: written anew
	}
	return r, it.Revision, nil
}

// do changes the record of an item, as often as it takes to be the one who changes what was read.
func (c *Claims) do(ctx context.Context, who Person, id string, a Act, now time.Time) (effect string, err error) {
	for {
		r, revision, err := c.get(ctx, id)
		if err != nil {
			return "", err
		}
		before := r.live(now)
		if effect, err = r.change(who, a, now); err != nil {
			return "", err
		}
		r.did(who, a, now, before)
		err = c.put(ctx, id, r, revision)
		if !errors.Is(err, bus.ErrConflict) {
			return effect, err
		}
	}
}

func (c *Claims) put(ctx context.Context, id string, r record, revision uint64) error {
	bucket, err := c.open(ctx)
	if err != nil {
		return err
	}
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write down the claim of %s: %w", id, err)
	}
	_, err = bucket.Swap(ctx, id, body, revision)
	return err
}

// settle puts what was done about an item that is not open any more where only its card looks: the inbox stays short.
func (c *Claims) settle(ctx context.Context, id string, told []TrailLine) error {
	r, _, err := c.get(ctx, id)
	if err != nil {
		return err
	}
	r.Claim, r.Snoozed, r.Told = nil, time.Time{}, told
	if len(r.Acts)+len(r.Notes)+len(r.Told) > 0 {
		err = c.keep(ctx, id, r)
	}
	if err != nil {
		return err
	}
	bucket, err := c.open(ctx)
	if err != nil {
		return err
	}
	return bucket.Delete(ctx, id)
}

func (c *Claims) keep(ctx context.Context, id string, r record) error {
	bucket, err := c.settled(ctx)
	if err != nil {
		return err
	}
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("put away what was done about %s: %w", id, err)
	}
	return bucket.Put(ctx, id, body, func(bus.Item) bool { return true }) // what somebody else put away stays
}

// past is what was done about an item that is not open any more.
func (c *Claims) past(ctx context.Context, id string) (r record, err error) {
	bucket, err := c.settled(ctx)
	if err != nil {
		return r, err
	}
	it, ok, err := bucket.Get(ctx, id)
	if err != nil {
		return r, err
	}
	if !ok { // not put away yet, or nothing was done
		r, _, err = c.get(ctx, id)
		r.Claim, r.Snoozed = nil, time.Time{}
		return r, err
	}
	if json.Unmarshal(it.Value, &r) != nil {
		r = record{}
	}
	return r, nil
}

// change does a to the record, at a time.
func (r *record) change(who Person, a Act, now time.Time) (effect string, err error) {
	deed := steps.Deed{Act: string(a.Verb), By: who.Name, To: a.To, Held: r.live(now), Take: a.Take, Now: now, Until: a.Until}
	if a.Verb == ActClaim {
		deed.Until = now.Add(Lease).UTC()
	}
	w := steps.Tell(nil, deed)
	if err := refused(w); err != nil {
		return "", err
	}
	switch a.Verb {
	case ActClaim:
		r.Claim, r.Snoozed = &Claim{By: who.Name, Until: deed.Until}, time.Time{}
	case ActRelease:
		r.Claim = nil
	case ActAssign:
		if strings.TrimSpace(a.To) == "" {
			return "", fmt.Errorf("%w: assign needs to whom", ErrInvalid)
		}
		r.Assigned = a.To
	case ActSnooze:
		err = r.snooze(a, now)
	default:
		err = r.note(who, a, now)
	}
	return w.Text, err
}

func (r *record) snooze(a Act, now time.Time) error {
	if !a.Until.After(now) || a.Until.After(now.Add(7*24*time.Hour)) {
		return fmt.Errorf("%w: snooze needs a time from now until a week from now", ErrInvalid)
	}
	r.Snoozed = a.Until.UTC()
	return nil
}

func (r *record) note(who Person, a Act, now time.Time) error {
	text := strings.TrimSpace(cmp.Or(a.Text, a.Reason))
	switch {
	case text == "":
		return fmt.Errorf("%w: a note needs a text", ErrInvalid)
	case len(text) > maxText:
		return fmt.Errorf("%w: the note has %d bytes, %d are allowed", ErrInvalid, len(text), maxText)
	case len(r.Notes) >= maxNotes:
		return fmt.Errorf("%w: there are %d notes already", ErrInvalid, len(r.Notes))
	}
	r.Notes = append(r.Notes, Note{By: who.Name, At: now.UTC(), Via: who.Via, Text: text})
	return nil
}
