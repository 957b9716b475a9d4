package notify

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"belay/internal/bus"
	"belay/internal/exactjson"
)

// memory is the bucket that stores which notices were sent, so that a restart sends none of them twice.
type memory struct{ bucket *bus.Bucket }

const noticesDescription = "Belay: what people were told"

// Keys of the bucket.
const (
	leaderKey  = "leader" // the lease of the loop that sends
	tiersKey   = "tiers"  // who is notified when, for forecasts; without channels, which may be secret
	sentPrefix = "sent."
)

func openMemory(ctx context.Context, b *bus.Bus) (memory, error) {
	bucket, err := b.Bucket(ctx, b.Names().NoticesBucket(), noticesDescription)
	return memory{bucket}, err
}

// sent returns the records of all notices that arrived and still matter.
func (m memory) sent(ctx context.Context) ([]Sent, error) {
	all, err := m.bucket.All(ctx)
	if err != nil {
		return nil, err
	}
	var sent []Sent
	for _, it := range all {
		var s Sent
		if strings.HasPrefix(it.Key, sentPrefix) && exactjson.Unmarshal(it.Value, &s) == nil {
			sent = append(sent, s)
		}
	}
	return sent, nil
}

// remember stores the records of a notice. It does not change one that is there already.
func (m memory) remember(ctx context.Context, records []Sent) error {
	var errs []error
	for _, s := range records {
		body, err := json.Marshal(s)
		if err == nil {
			_, err = m.bucket.Swap(ctx, sentPrefix+s.Key, body, 0)
		}
		if err != nil && !errors.Is(err, bus.ErrConflict) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// forget removes records by their keys.
func (m memory) forget(ctx context.Context, keys []string) error {
	for _, key := range keys {
		if err := m.bucket.Delete(ctx, sentPrefix+key); err != nil {
			return err
		}
	}
	return nil
}

// shownTier is a tier as the bucket keeps it.
type shownTier struct {
	Name   string        `json:"name"`
	After  time.Duration `json:"after"`
	Remind time.Duration `json:"remind"`
}

// showTiers stores in the bucket who is notified when.
func (m memory) showTiers(ctx context.Context, tiers []Tier) error {
	list := make([]shownTier, 0, len(tiers))
	for _, t := range tiers {
		list = append(list, shownTier{t.Name, t.After, t.Remind})
	}
	body, err := json.Marshal(list)
	if err != nil {
		return err
	}
	old, _, err := m.bucket.Get(ctx, tiersKey)
	if err != nil || string(old.Value) == string(body) {
		return err
	}
	if _, err = m.bucket.Swap(ctx, tiersKey, body, old.Revision); errors.Is(err, bus.ErrConflict) {
		return nil // another process has just done it
	}
	return err
}

// tiers returns the tiers that a process with a notify file has stored; none if there is no such process.
func (m memory) tiers(ctx context.Context) (tiers []Tier, err error) {
	it, ok, err := m.bucket.Get(ctx, tiersKey)
	var list []shownTier
	if err != nil || !ok || exactjson.Unmarshal(it.Value, &list) != nil {
		return nil, err
	}
	for _, t := range list {
		tiers = append(tiers, Tier{Name: t.Name, After: t.After, Remind: t.Remind})
	}
	return tiers, nil
}
