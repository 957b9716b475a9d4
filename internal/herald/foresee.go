package herald

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"belay/internal/bus"
	"belay/internal/handoff"
	"belay/internal/notify"
)

// Telling is a notice that will be sent if nobody acts.
type Telling struct {
	At   time.Time
	Tier string
	ID   string // of the escalation that it is about
	Why  string // what is said of it that is not new; empty: that it is there
}

// tiersKey is where the bucket has who is told when, for those who want to know; no channels, which may be secret.
const tiersKey = "tiers"

// shownTier is a tier as the bucket keeps it.
type shownTier struct {
	Name   string        `json:"name"`
	After  time.Duration `json:"after"`
	Remind time.Duration `json:"remind"`
}

// publish says in the bucket who is told when.
func (h *Herald) publish(ctx context.Context) error {
	list := make([]shownTier, 0, len(h.Policy.Tiers))
	for _, t := range h.Policy.Tiers {
		list = append(list, shownTier{t.Name, t.After, t.Remind})
	}
	body, err := json.Marshal(list)
	if err != nil {
		return err
	}
	old, _, err := h.bucket.Get(ctx, tiersKey)
	if err != nil || string(old.Value) == string(body) {
		return err
	}
	if _, err = h.bucket.Swap(ctx, tiersKey, body, old.Revision); errors.Is(err, bus.ErrConflict) {
		return nil // another one has just said it
	}
	return err
}

// mostTellings bounds a forecast.
const mostTellings = 40

// Foresee says who will be told of these items, and when, if nobody acts; reminders are left out. It is empty where no
// dispatcher has a notify file.
func Foresee(ctx context.Context, b *bus.Bus, items []handoff.Item, now time.Time) ([]Telling, error) {
	bucket, err := b.Bucket(ctx, b.Names().NoticesBucket(), noticesDescription)
	if err != nil {
		return nil, err
	}
	h := &Herald{bucket: bucket}
	if h.Policy, err = published(ctx, bucket); err != nil || len(h.Policy.Tiers) == 0 {
		return nil, err
	}
	sent, err := h.told(ctx)
	if err != nil {
		return nil, err
	}
	return foresee(h.Policy, h.itemsOf(items, now), sent, now), nil
}

// published is what a dispatcher that tells people said of its tiers.
func published(ctx context.Context, bucket *bus.Bucket) (p notify.Policy, err error) {
	it, ok, err := bucket.Get(ctx, tiersKey)
	var list []shownTier
	if err != nil || !ok || json.Unmarshal(it.Value, &list) != nil {
		return p, err
	}
	for _, t := range list {
		p.Tiers = append(p.Tiers, notify.Tier{Name: t.Name, After: t.After, Remind: t.Remind})
	}
	return p, nil
}

// foresee looks at the items at all times at which the policy asks for it.
func foresee(p notify.Policy, items []notify.Item, sent []notify.Sent, now time.Time) (list []Telling) {
	for range mostTellings {
		due := p.Look(items, sent, now)
		for _, n := range due.Notices {
			sent = append(sent, n.Told...)
			if n.What != notify.Reminder && n.What != notify.Expired {
				list = append(list, tellings(n, items)...)
			}
		}
		sent = slices.DeleteFunc(sent, func(s notify.Sent) bool { return slices.Contains(due.Forget, s.Key) })
		if due.Next.IsZero() {
			break
		}
		now = due.Next
	}
	return list
}

// said is what a notice on an occasion says.
var said = map[notify.What]string{notify.Deadline: "that the deadline is near", notify.Returned: "again, when nobody holds it any more"}

func tellings(n notify.Notice, items []notify.Item) (list []Telling) {
	for _, it := range items {
		if slices.ContainsFunc(n.Told, func(s notify.Sent) bool { return s.Names(it.ID, it.Fingerprint, it.Opened) }) {
			list = append(list, Telling{n.At, n.Tier, it.ID, said[n.What]})
		}
	}
	return list
}
