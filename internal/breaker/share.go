package breaker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"belay/internal/bus"
	"belay/internal/exactjson"
	"belay/internal/steps"
)

// Count is what a dispatcher has counted of a target lately. While calls fail it is told once a second.
type Count struct {
	Target
	By     string    `json:"by"`     // the dispatcher
	At     time.Time `json:"at"`     // when it was so
	Calls  int       `json:"calls"`  // in the window
	Failed int       `json:"failed"` // of these
}

// countsFor is how long such a word counts: it is told anew after a second.
const countsFor = 3 * time.Second

const (
	recordPrefix = "breaker."
	countPrefix  = "count."
)

// id names a target in keys.
func (t Target) id() string {
	sum := sha256.Sum256([]byte(t.Tool + "\x00" + t.Rung + "\x00" + t.Host))
	return hex.EncodeToString(sum[:12])
}

func (r *Record) key() string { return recordPrefix + r.id() }

func (c *Count) key() string {
	sum := sha256.Sum256([]byte(c.By))
	return countPrefix + c.id() + "." + hex.EncodeToString(sum[:6])
}

func openBucket(ctx context.Context, b *bus.Bus) (*bus.Bucket, error) {
	return b.Bucket(ctx, b.Names().BreakersBucket(), "Belay: breakers that are not closed")
}

// Anew lets the Keeper follow a bucket that was made again.
func (k *Keeper) Anew() { k.following.Anew() }

// listen follows the bucket. A record that is not there, or is removed, is a closed breaker.
func (k *Keeper) listen(ctx context.Context) error {
	bucket, err := openBucket(ctx, k.bus)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	k.mu.Lock()
	for _, g := range k.targets {
		g.seen = 0
	}
	k.mu.Unlock()
	return bucket.Watch(ctx, func(it bus.Item) {
		there[it.Key] = it.Value != nil
		k.hear(it)
	}, func() { k.known(there) })
}

// known closes breakers whose records are not there.
func (k *Keeper) known(there map[string]bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, g := range k.targets {
		if g.rec != nil && !there[g.rec.key()] {
			k.note(g, nil, g.seen+1)
		}
	}
	k.once.Do(func() { close(k.ready) })
}

func (k *Keeper) hear(it bus.Item) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var r Record
	var c Count
	switch {
	case it.Value == nil:
		for _, g := range k.targets {
			if recordPrefix+g.id() == it.Key {
				k.note(g, nil, it.Revision)
			}
		}
	case exactjson.Unmarshal(it.Value, &r) == nil && r.key() == it.Key:
		k.note(k.of(r.Target, nil), &r, it.Revision)
	case exactjson.Unmarshal(it.Value, &c) == nil && c.key() == it.Key && c.By != k.name:
		g := k.of(c.Target, nil)
		g.others[c.By] = c
		k.trip(g, k.bus.Now())
	}
}

// note takes in where a breaker stands. Hold the lock.
func (k *Keeper) note(g *target, r *Record, revision uint64) {
	if revision <= g.seen {
		return
	}
	was := g.rec
	if g.seen, g.rev, g.rec = revision, revision, r; r == nil {
		g.rev = 0 // a key that was removed is created anew
	}
	if was == nil != (r == nil) || was != nil && was.State != r.State {
		g.calls, g.sent, g.at = Window{}, Window{}, k.bus.Now()
		clear(g.granted)
		if r != nil && r.State == Open {
			k.trips++
		}
	}
	if r != nil && g.set.Min == 0 {
		g.set = r.Settings
	}
	k.tell()
}

// store has a change stored, if nobody else was first; nil closes the breaker. Hold the lock.
func (k *Keeper) store(g *target, next *Record) {
	if g.busy {
		return
	}
	g.busy = true
	was, rev := g.rec, g.rev
	go func() {
		revision, err := k.swap(g.Target, next, rev)
		k.mu.Lock()
		defer k.mu.Unlock()
		if g.busy = false; err == nil {
			k.say(was, next)
			k.note(g, next, revision)
		} else if !errors.Is(err, bus.ErrConflict) {
			k.logger.Warn("a breaker's change is not stored", "target", g.String(), "error", err)
		}
		k.tell()
	}()
}

// patience is how long the store of a change may take.
const patience = 10 * time.Second

func (k *Keeper) swap(t Target, next *Record, revision uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	bucket, err := openBucket(ctx, k.bus)
	if err != nil {
		return 0, err
	}
	key := recordPrefix + t.id()
	if next == nil {
		return revision + 1, bucket.DeleteRevision(ctx, key, revision)
	}
	body, err := json.Marshal(next)
	if err != nil {
		return 0, err
	}
	return bucket.Swap(ctx, key, body, revision)
}

// say logs a change that this dispatcher has made.
func (k *Keeper) say(was, now *Record) {
	r, level := now, slog.LevelInfo
	var what string
	switch {
	case now == nil:
		r, what = was, "breaker closed: all calls go again"
	case now.State == HalfOpen:
		what = "breaker half-open: one call goes, to see whether the target is back"
	case now.State == Ramp:
		what = "breaker's target is back: calls go, more of them every second"
	case was == nil:
		what, level = "breaker opened: no call goes", slog.LevelWarn
	default:
		what, level = "breaker open still: no call goes", slog.LevelWarn
	}
	k.logger.Log(context.Background(), level, what,
		"tool", r.Tool, "rung", r.Rung, "target", r.Host, "calls", r.Calls, "failed", r.Failed, "since", r.Since, "until", r.Until, "probe", r.Probe, "fault", r.Fault)
}

// report tells the other dispatchers what was counted here, of targets that fail here or there, and forgets what nobody counts any more.
func (k *Keeper) report(ctx context.Context) {
	now := k.bus.Now()
	k.mu.Lock()
	var put, remove []Count
	for _, g := range k.targets {
		c := Count{Target: g.Target, By: k.name, At: now.UTC()}
		c.Calls, c.Failed = g.calls.Sum(now, g.window())
		failing := c.Failed > 0
		for by, o := range g.others {
			if now.Sub(o.At) < countsFor {
				failing = failing || o.Failed > 0
			} else if now.Sub(o.At) > keptIdle { // that dispatcher has ended
				remove = append(remove, o)
				delete(g.others, by)
			}
		}
		switch {
		case failing && c.Calls > 0 && (g.rec == nil || g.rec.State == Ramp):
			g.published = true
			put = append(put, c)
		case g.published:
			g.published = false
			remove = append(remove, c)
		}
	}
	k.mu.Unlock()
	if len(put)+len(remove) == 0 {
		return
	}
	if err := k.publish(ctx, put, remove); err != nil && ctx.Err() == nil {
		k.logger.Debug("the other dispatchers do not know what was counted here", "error", err)
	}
}

func (k *Keeper) publish(ctx context.Context, put, remove []Count) error {
	bucket, err := openBucket(ctx, k.bus)
	if err != nil {
		return err
	}
	for _, c := range put {
		body, err := json.Marshal(c)
		if err == nil {
			err = bucket.Put(ctx, c.key(), body, nil)
		}
		if err != nil {
			return err
		}
	}
	for _, c := range remove {
		if err := bucket.Delete(ctx, c.key()); err != nil {
			return err
		}
	}
	return nil
}

// retriesText says why a retry waits.
func retriesText(set *steps.Breaker) string {
	return fmt.Sprintf("retries are at most %g%% of its calls", set.Retries*100)
}

// List lists the breakers that are not closed, by name. It makes nothing.
func List(ctx context.Context, b *bus.Bus) ([]Record, error) {
	list := []Record{}
	bucket, err := b.BucketIfThere(ctx, b.Names().BreakersBucket())
	if err != nil || bucket == nil {
		return list, err
	}
	items, err := bucket.All(ctx)
	if err != nil {
		return nil, err
	}
	for _, it := range items {
		var r Record
		if strings.HasPrefix(it.Key, recordPrefix) && exactjson.Unmarshal(it.Value, &r) == nil && r.key() == it.Key {
			list = append(list, r)
		}
	}
	return sorted(list), nil
}
