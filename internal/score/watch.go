package score

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"belay/internal/bus"
	"belay/internal/exactjson"
)

const (
	judgeEvery = 15 * time.Second
	judgeTerm  = 45 * time.Second
)

// Watch judges what is counted, in one process at a time, and knows in each how it goes. It is safe for concurrent use.
type Watch struct {
	Bus    *bus.Bus
	Logger *slog.Logger

	last atomic.Pointer[Report]
}

// Last is how it went a moment ago; nil before it is known.
func (w *Watch) Last() *Report { return w.last.Load() }

// Run judges until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	tick := time.NewTicker(judgeEvery)
	defer tick.Stop()
	var lease *bus.Lease
	for {
		select {
		case <-ctx.Done():
			if lease != nil {
				end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
				defer cancel()
				lease.Resign(end)
			}
			return
		case <-tick.C:
		}
		var err error
		if lease == nil {
			lease, err = w.lease(ctx)
		}
		if err == nil {
			err = w.look(ctx, lease)
		}
		if err != nil && ctx.Err() == nil {
			w.Logger.Debug("cannot judge how it goes; trying again", "error", err)
		}
	}
}

func (w *Watch) lease(ctx context.Context) (*bus.Lease, error) {
	bucket, err := openBucket(ctx, w.Bus)
	if err != nil {
		return nil, err
	}
	return bus.NewLease(bucket, leaseKey, judgeTerm), nil
}

func (w *Watch) look(ctx context.Context, lease *bus.Lease) error {
	leads, err := lease.Renew(ctx)
	if err != nil {
		return err
	}
	counts, err := Read(ctx, w.Bus)
	if err != nil {
		return err
	}
	now := w.Bus.Now()
	if leads {
		if err := w.judge(ctx, counts, now); err != nil {
			return err
		}
	}
	spikes, err := Spikes(ctx, w.Bus)
	if err == nil {
		r := counts.Report(now, 0, spikes)
		w.last.Store(&r)
	}
	return err
}

func (w *Watch) judge(ctx context.Context, c *Counts, now time.Time) error {
	return change(ctx, w.Bus, func(was []Spike) []Spike {
		next := Judge(c, was, now.UTC())
		for i := range next {
			s := &next[i]
			switch {
			case s.Since.Equal(now):
				w.Logger.Warn("spike: "+s.Text, "spike", s.ID, "tool", s.Tool)
			case s.Over.Equal(now):
				w.Logger.Info("spike is over: "+s.Text, "spike", s.ID, "tool", s.Tool)
			}
		}
		return next
	})
}

// Spikes reads what is unusual now, and what was lately; it makes nothing.
func Spikes(ctx context.Context, b *bus.Bus) ([]Spike, error) {
	bucket, err := b.BucketIfThere(ctx, b.Names().ScoreBucket())
	if err != nil || bucket == nil {
		return []Spike{}, err
	}
	it, _, err := bucket.Get(ctx, spikesKey)
	return parseSpikes(it.Value), err
}

func parseSpikes(body []byte) []Spike {
	list := []Spike{}
	if len(body) == 0 || exactjson.Unmarshal(body, &list) != nil {
		return []Spike{}
	}
	return list
}

// change changes the spikes, whoever else does.
func change(ctx context.Context, b *bus.Bus, f func([]Spike) []Spike) error {
	bucket, err := openBucket(ctx, b)
	if err != nil {
		return err
	}
	for {
		it, _, err := bucket.Get(ctx, spikesKey)
		if err != nil {
			return err
		}
		body, err := json.Marshal(f(parseSpikes(it.Value)))
		if err != nil || string(body) == string(it.Value) || len(it.Value) == 0 && string(body) == "null" {
			return err
		}
		if _, err = bucket.Swap(ctx, spikesKey, body, it.Revision); !errors.Is(err, bus.ErrConflict) {
			return err
		}
	}
}

// Keep stores spikes in the place of those that are there.
func Keep(ctx context.Context, b *bus.Bus, list []Spike) error {
	return change(ctx, b, func([]Spike) []Spike { return list })
}

// ToNotify are the spikes that people are to be notified of, with what is to be said: that one began, or that it is over. Of one that
// was over before anybody was notified nothing is said.
func ToNotify(all []Spike) (list []Spike) {
	for _, s := range all {
		begun, over := s.Notified == "" && s.Over.IsZero(), s.Notified == NotifiedBegin && !s.Over.IsZero()
		if begun || over {
			list = append(list, s)
		}
	}
	return list
}

// Note notes that people were notified of a spike as it stood.
func Note(ctx context.Context, b *bus.Bus, as Spike) error {
	return change(ctx, b, func(list []Spike) []Spike {
		for i := range list {
			if s := &list[i]; s.ID == as.ID && s.Since.Equal(as.Since) {
				if s.Notified = NotifiedBegin; !as.Over.IsZero() {
					s.Notified = NotifiedOver
				}
			}
		}
		return list
	})
}
