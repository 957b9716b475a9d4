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
	"belay/internal/exactjson"
	"belay/internal/people"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// Lease is how long a claim lasts; after that anybody can claim the item.
const Lease = 15 * time.Minute

// Bounds of the notes on one item.
const (
	maxNotes = 50
	maxText  = 2000 // bytes of a note
)

// InboxDescription is what the bucket of claims is called.
const InboxDescription = "Belay: who is at which escalation"

// Claims are what people do about open items beside deciding them: who has claimed and who is assigned each, and their
// notes. They are in a bucket and are changed by compare-and-set. No decision depends on them.
type Claims struct {
	now     func() time.Time // the server's time
	open    func(ctx context.Context) (*bus.Bucket, error)
	settled func(ctx context.Context) (*bus.Bucket, error) // of items that are not open any more
}

// NewClaims returns the claims in b's bucket, which is opened when it is first needed.
func NewClaims(b *bus.Bus) *Claims {
	return &Claims{
		now: b.Now,
		open: func(ctx context.Context) (*bus.Bucket, error) {
			return b.Bucket(ctx, b.Names().InboxBucket(), InboxDescription)
		},
		settled: func(ctx context.Context) (*bus.Bucket, error) {
			return b.Bucket(ctx, b.Names().SettledBucket(), "Belay: what people did about escalations that are settled", bus.KeepFor(keepSettled))
		},
	}
}

// keepSettled is how long cards show what was done on the way to a decision, as long as ended runs are kept by default.
// The audit trail keeps it for good.
const keepSettled = 30 * 24 * time.Hour

// Prepare makes the buckets that are missing, so that processes that may only read find them later.
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

	Votes []string `json:"votes,omitempty"` // who has approved so far, for lists, which do not read logs

	Acts     []TrailLine `json:"acts,omitempty"` // without notes, the oldest first
	Notified []TrailLine `json:"told,omitempty"` // once the item is decided: who was notified of it

	last     time.Time // when it was changed
	revision uint64    // of the bucket's key; 0 = it is not there
}

// live returns the claim while its lease lasts.
func (r *record) live(now time.Time) *Claim {
	if r.Claim == nil || !now.Before(r.Claim.Until) {
		return nil
	}
	return r.Claim
}

// ofOther returns the claim of somebody else while its lease lasts.
func (r *record) ofOther(name string, now time.Time) *Claim {
	if claim := r.live(now); claim != nil && !steps.SamePerson(claim.By, name) {
		return claim
	}
	return nil
}

// all is what people have done about all items, by their ids.
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
		if r, ok := readRecord(it); ok {
			all[it.Key] = r
		}
	}
	return all, nil
}

// get returns the record of an item; an empty one if there is none.
func (c *Claims) get(ctx context.Context, id string) (r record, err error) {
	bucket, err := c.open(ctx)
	if err != nil {
		return r, err
	}
	it, ok, err := bucket.Get(ctx, id)
	if err != nil || !ok {
		return r, err
	}
	r, _ = readRecord(it)
	return r, nil
}

// readRecord reads a record. If it cannot be read, another version of the program has written it: it counts as empty.
func readRecord(it bus.Item) (r record, ok bool) {
	if ok = exactjson.Unmarshal(it.Value, &r) == nil; !ok {
		r = record{}
	}
	r.last, r.revision = it.Time, it.Revision
	return r, ok
}

// do changes the record of an item, and repeats that until nobody else has changed it in between. R was read before.
func (c *Claims) do(ctx context.Context, who people.Actor, id string, a people.Act, now time.Time, r record) (effect string, err error) {
	for {
		before := r.live(now)
		if effect, err = r.change(who, a, now); err != nil {
			return "", err
		}
		r.did(who, a, now, before)
		err = c.put(ctx, id, r)
		if !errors.Is(err, bus.ErrConflict) {
			return effect, err
		}
		if r, err = c.get(ctx, id); err != nil {
			return "", err
		}
	}
}

// put writes a record down; [bus.ErrConflict] means that somebody has changed it since it was read.
func (c *Claims) put(ctx context.Context, id string, r record) error {
	bucket, err := c.open(ctx)
	if err != nil {
		return err
	}
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write down the claim of %s: %w", id, err)
	}
	_, err = bucket.Swap(ctx, id, body, r.revision)
	return err
}

// settle moves the record of an item that is no longer open to the bucket that only cards read, so that the inbox stays
// short. R was read before; what was changed since then stays for the next call of [Desk.Items].
func (c *Claims) settle(ctx context.Context, id string, r record, notified []TrailLine) error {
	revision := r.revision
	r.Claim, r.Snoozed, r.Notified = nil, time.Time{}, notified
	if len(r.Acts)+len(r.Notes)+len(r.Notified) > 0 {
		if err := c.keep(ctx, id, r); err != nil {
			return err
		}
	}
	if revision == 0 {
		return nil // there was nothing to put away
	}
	bucket, err := c.open(ctx)
	if err != nil {
		return err
	}
	return bucket.DeleteRevision(ctx, id, revision)
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
	if _, err = bucket.Swap(ctx, id, body, 0); !errors.Is(err, bus.ErrConflict) {
		return err
	}
	return bucket.Put(ctx, id, body, func(bus.Item) bool { return true }) // what another process has put away stays as it is
}

// past returns what was done about an item that is no longer open.
func (c *Claims) past(ctx context.Context, id string) (r record, err error) {
	bucket, err := c.settled(ctx)
	if err != nil {
		return r, err
	}
	it, ok, err := bucket.Get(ctx, id)
	if err != nil {
		return r, err
	}
	if !ok { // it was not put away yet, or nothing was done
		r, err = c.get(ctx, id)
		r.Claim, r.Snoozed = nil, time.Time{}
		return r, err
	}
	if exactjson.Unmarshal(it.Value, &r) != nil {
		r = record{}
	}
	return r, nil
}

// change applies an act to the record.
func (r *record) change(who people.Actor, a people.Act, now time.Time) (effect string, err error) {
	deed := view.Act{Kind: string(a.Verb), By: who.Name, To: a.To, Claim: r.live(now), Take: a.TakeOver, Now: now, Until: a.Until}
	if a.Verb == people.Claim {
		deed.Until = now.Add(Lease).UTC()
	}
	w := view.Tell(nil, deed)
	if err := refused(w); err != nil {
		return "", err
	}
	switch a.Verb {
	case people.Claim:
		r.Claim, r.Snoozed = &Claim{By: who.Name, Until: deed.Until}, time.Time{}
	case people.Release:
		r.Claim = nil
	case people.Assign:
		if strings.TrimSpace(a.To) == "" {
			return "", fmt.Errorf("%w: assign needs the name of a person", ErrInvalid)
		}
		r.Assigned = a.To
	case people.Snooze:
		err = r.snooze(a, now)
	default:
		err = r.note(who, a, now)
	}
	return w.Text, err
}

func (r *record) snooze(a people.Act, now time.Time) error {
	if !a.Until.After(now) || a.Until.After(now.Add(7*24*time.Hour)) {
		return fmt.Errorf("%w: snooze needs a time from now until a week from now", ErrInvalid)
	}
	r.Snoozed = a.Until.UTC()
	return nil
}

func (r *record) note(who people.Actor, a people.Act, now time.Time) error {
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
