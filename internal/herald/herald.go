// Package herald tells people what waits for them. It watches the desk, asks the policy who is to be told what, hands
// that to the sender, and remembers in a bucket what was said, so that a restart says nothing twice.
//
// Any number of dispatchers may have one; the one that holds the lease in the bucket speaks. A notice is remembered once
// it has arrived on one of its channels: whoever takes over after a crash says again what may not have arrived, under
// the same id.
package herald

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"belay/internal/bus"
	"belay/internal/handoff"
	"belay/internal/lease"
	"belay/internal/notify"
)

// Options are what a herald needs. All but Log are required.
type Options struct {
	Bus    *bus.Bus
	Items  func(ctx context.Context) ([]handoff.Item, error)
	Policy notify.Policy
	Sender func(reports func(notify.Report)) Sender // makes the sender that tells of its attempts
	Log    *slog.Logger
}

// Sender brings notices to people.
type Sender interface {
	Send(n notify.Notice)
	Stop(ctx context.Context)
}

// Herald is one.
type Herald struct {
	Options
	bucket *bus.Bucket
	lease  *lease.Lease
	sender Sender
	wake   chan struct{}
	mu     sync.Mutex
	under  map[string]*way // what is on its way, by notice
	shown  bool            // the bucket says who is told when
}

// way is a notice on its way to its channels.
type way struct {
	told    []notify.Sent
	arrived bool // on one of them
}

// Times of the loop.
const (
	term   = 15 * time.Second       // a herald that is gone is replaced after it
	settle = 200 * time.Millisecond // many changes are one look
	again  = 5 * time.Second        // after a failure
)

// Run tells people until ctx ends.
func Run(ctx context.Context, o Options) error {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := &Herald{Options: o, wake: make(chan struct{}, 1), under: map[string]*way{}}
	var err error
	if h.bucket, err = o.Bus.Bucket(ctx, o.Bus.Names().NoticesBucket(), noticesDescription); err != nil {
		return err
	}
	h.lease = lease.New(h.bucket, leaderKey, term)
	h.sender = o.Sender(h.reported)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	h.watch(watching)
	h.loop(ctx)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), again)
	defer cancel()
	h.sender.Stop(end)
	h.lease.Resign(end)
	return nil
}

// loop looks when something has changed, when the policy says so, and often enough to keep the lease.
func (h *Herald) loop(ctx context.Context) {
	for {
		next, err := h.round(ctx)
		if err != nil && ctx.Err() == nil {
			h.Log.Warn("people may not be told of what waits for them; trying again", "error", err)
			next = again
		}
		t := time.NewTimer(next)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		case <-h.wake:
			t.Stop()
			if !pause(ctx, settle) {
				return
			}
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// round looks once, if this herald is the one that speaks, and says when to look again.
func (h *Herald) round(ctx context.Context) (next time.Duration, err error) {
	speaks, err := h.lease.Hold(ctx)
	if err != nil || !speaks {
		return term / 2, err
	}
	if !h.shown {
		if err := h.publish(ctx); err != nil {
			return again, err
		}
		h.shown = true
	}
	items, err := h.Items(ctx)
	if err != nil {
		return again, err
	}
	sent, err := h.told(ctx)
	if err != nil {
		return again, err
	}
	now := time.Now()
	due := h.Policy.Look(h.itemsOf(items, now), sent, now)
	for _, n := range due.Notices {
		h.mu.Lock()
		h.under[n.ID] = &way{told: n.Told}
		h.mu.Unlock()
		h.sender.Send(n)
	}
	for _, key := range due.Forget {
		if err := h.bucket.Delete(ctx, sentPrefix+key); err != nil {
			return again, err
		}
	}
	next = term / 3
	if !due.Next.IsZero() {
		next = min(next, max(0, time.Until(due.Next)))
	}
	return next, nil
}

// itemsOf are the escalations as the policy sees them. What was decided is not among them.
func (h *Herald) itemsOf(items []handoff.Item, now time.Time) []notify.Item {
	list := make([]notify.Item, 0, len(items))
	for _, it := range items {
		item := notify.Item{
			ID: it.ID, Fingerprint: it.Fingerprint, Kind: string(it.Kind), Workflow: it.Workflow, Run: it.Run, Step: it.Step, Tool: it.Tool,
			Class: string(it.Class), Message: it.Message, Summary: it.Summary, Opened: it.Opened, OnDeadline: string(it.OnExpiry), SnoozedUntil: it.Snoozed,
		}
		if n := len(h.Policy.Tiers); it.Tier > 0 && n > 0 {
			item.Tier = h.Policy.Tiers[min(it.Tier, n-1)].Name // asked again: the next people
		}
		if it.Deadline != nil {
			item.Deadline = *it.Deadline
		}
		if c := it.Lease; c != nil {
			item.Claimed, item.ClaimedBy = now.Before(c.Until), c.By
			item.ClaimUntil = c.Until
			if !item.Claimed {
				item.ClaimUntil, item.LeaseEnded = time.Time{}, c.Until
			}
		}
		list = append(list, item)
	}
	return list
}

const noticesDescription = "Belay: what people were told"

// Keys of the bucket.
const (
	leaderKey  = "leader"
	sentPrefix = "sent."
)

// told is what was said before, and what is on its way.
func (h *Herald) told(ctx context.Context) ([]notify.Sent, error) {
	all, err := h.bucket.All(ctx)
	if err != nil {
		return nil, err
	}
	var sent []notify.Sent
	for _, it := range all {
		var s notify.Sent
		if strings.HasPrefix(it.Key, sentPrefix) && json.Unmarshal(it.Value, &s) == nil {
			sent = append(sent, s)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.under {
		sent = append(sent, w.told...)
	}
	return sent, nil
}

// reported remembers what has arrived. What no channel took is said again, since nobody has heard it.
func (h *Herald) reported(r notify.Report) {
	h.mu.Lock()
	w := h.under[r.Notice]
	h.mu.Unlock()
	if w == nil {
		return
	}
	arrived := r.Outcome == notify.Delivered
	if arrived {
		h.remember(w.told)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	w.arrived = w.arrived || arrived
	if !r.Over {
		return
	}
	delete(h.under, r.Notice)
	if !w.arrived {
		h.nudge()
	}
}

func (h *Herald) remember(said []notify.Sent) {
	ctx, cancel := context.WithTimeout(context.Background(), again)
	defer cancel()
	for _, s := range said {
		body, err := json.Marshal(s)
		if err == nil {
			_, err = h.bucket.Swap(ctx, sentPrefix+s.Key, body, 0)
		}
		if err != nil && !errors.Is(err, bus.ErrConflict) {
			h.Log.Warn("what people were told is not remembered; they may be told again", "error", err)
		}
	}
}

// nudge makes the loop look soon.
func (h *Herald) nudge() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// watch nudges when a question comes or goes, or somebody claims one.
func (h *Herald) watch(ctx context.Context) {
	names := h.Bus.Names()
	follow := func(what string, f func() error) {
		go func() {
			for {
				err := f()
				if ctx.Err() != nil {
					return
				}
				h.Log.Debug("following anew", "what", what, "error", err)
				if !pause(ctx, again) {
					return
				}
			}
		}()
	}
	follow("escalations", func() error {
		return h.Bus.FollowNew(ctx, names.EscalationsStream(), names.EscalationsSubjects(), h.nudge, func(bus.Entry) { h.nudge() })
	})
	follow("claims", func() error {
		claims, err := h.Bus.Bucket(ctx, names.InboxBucket(), handoff.InboxDescription)
		if err != nil {
			return err
		}
		return claims.Watch(ctx, func(bus.Item) { h.nudge() }, nil)
	})
}
