package limits

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"belay/internal/bus"
	"belay/internal/exactjson"
	"belay/internal/steps"
	"belay/internal/wire"
)

// Wait is that a target takes no calls before a time.
type Wait struct {
	V      int       `json:"v"`
	Target string    `json:"target"`           // its host, or what else names it
	Since  time.Time `json:"since"`            // when it said so
	Until  time.Time `json:"until"`            // the first calls are made then
	Run    string    `json:"run"`              // the run whose call was told so
	Tool   string    `json:"tool"`             // that it called
	Status int       `json:"status,omitempty"` // of the answer, if it has one
}

// Over is when the calls that waited have all been let go: after the ramp.
func (w *Wait) Over() time.Time { return w.Until.Add(RampFor) }

// Pace is how fast calls to the target may begin.
func (w *Wait) Pace() Pace { return rampOf(w.Until) }

// Keeper is a dispatcher's own view of the limits. It is safe for concurrent use.
type Keeper struct {
	bus    *bus.Bus
	logger *slog.Logger
	ready  chan struct{}
	once   sync.Once

	mu    sync.Mutex
	waits atomic.Pointer[map[string]Wait] // by target; nil = nobody waits. Replaced under mu
}

// NewKeeper makes a Keeper; nothing is known before [Keeper.Run].
func NewKeeper(b *bus.Bus, logger *slog.Logger) *Keeper {
	return &Keeper{bus: b, logger: logger, ready: make(chan struct{})}
}

// Ready is closed once it is known which targets have asked to wait.
func (k *Keeper) Ready() <-chan struct{} { return k.ready }

// forgottenAfter is when the server forgets a record that nobody has changed: nothing that is in one matters for longer.
const forgottenAfter = 24 * time.Hour

func (k *Keeper) bucket(ctx context.Context) (*bus.Bucket, error) {
	return k.bus.Bucket(ctx, k.bus.Names().LimitsBucket(), "Belay: when calls may begin, and targets that take none for a while", bus.KeepFor(forgottenAfter))
}

// waitPrefix begins the keys of targets that have asked to wait, timesPrefix those of records of times.
const (
	waitPrefix  = "wait."
	timesPrefix = "times."
)

// keyOf makes a key of a name, which may be anything.
func keyOf(prefix, name string) string {
	sum := sha256.Sum256([]byte(name))
	return prefix + hex.EncodeToString(sum[:12])
}

// pause is how long to wait before a bucket that does not answer is asked again.
const pause = 500 * time.Millisecond

// Run follows what targets have asked for until ctx ends. While nothing is heard of it, what is known stays.
func (k *Keeper) Run(ctx context.Context) {
	for troubled := false; ctx.Err() == nil; {
		err := k.follow(ctx)
		if err != nil && ctx.Err() == nil && !troubled {
			k.logger.Warn("cannot hear from other dispatchers which targets have asked to wait", "error", err)
		}
		troubled = err != nil
		sleep(ctx, pause)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func (k *Keeper) follow(ctx context.Context) error {
	bucket, err := k.bucket(ctx)
	if err != nil {
		return err
	}
	return bucket.WatchUnder(ctx, waitPrefix, func(it bus.Item) {
		var w Wait
		if it.Value != nil && exactjson.Unmarshal(it.Value, &w) == nil && w.V == wire.Version {
			k.note(w)
		}
	}, func() { k.once.Do(func() { close(k.ready) }) })
}

// Same is how much later a target must want to be called than it has said before, to be one that has said something new: thousands of
// calls that were under way are told the same.
const Same = time.Second

// note takes in that a target has asked to wait, unless it is known to take no calls for as long, and forgets those that are over.
func (k *Keeper) note(w Wait) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	now, all := k.bus.Now(), map[string]Wait{}
	if was := k.waits.Load(); was != nil {
		maps.Copy(all, *was)
	}
	maps.DeleteFunc(all, func(_ string, w Wait) bool { return now.After(w.Over()) })
	if was, ok := all[w.Target]; ok && !w.Until.After(was.Until.Add(Same)) || now.After(w.Over()) {
		return false
	}
	all[w.Target] = w
	k.waits.Store(&all)
	return true
}

// Waits are the targets that have asked to wait, and those whose calls are still let go in a ramp.
func (k *Keeper) Waits() (list []Wait) {
	all := k.waits.Load()
	if all == nil {
		return nil
	}
	now := k.bus.Now()
	for _, w := range *all {
		if !now.After(w.Over()) {
			list = append(list, w)
		}
	}
	return list
}

// Any reports whether a target may have to be waited for: one load of a pointer.
func (k *Keeper) Any() bool { return k.waits.Load() != nil }

// WaitsFor says whether a target has asked to wait, and is not past its ramp yet.
func (k *Keeper) WaitsFor(target string) (Wait, bool) {
	all := k.waits.Load()
	if all == nil {
		return Wait{}, false
	}
	w, ok := (*all)[target]
	if ok && k.bus.Now().After(w.Over()) {
		k.forget()
		return Wait{}, false
	}
	return w, ok
}

// forget removes what is over.
func (k *Keeper) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	now, all := k.bus.Now(), map[string]Wait{}
	maps.Copy(all, *k.waits.Load())
	maps.DeleteFunc(all, func(_ string, w Wait) bool { return now.After(w.Over()) })
	if len(all) == 0 {
		k.waits.Store(nil)
		return
	}
	k.waits.Store(&all)
}

// Ask notes that a target has asked to wait: here at once, and for everybody else as soon as it is stored. It does not block.
func (k *Keeper) Ask(ctx context.Context, w Wait) {
	w.V = wire.Version
	if !k.note(w) {
		return
	}
	k.logger.Info("a target takes no calls for a while; all that would call it wait", "target", w.Target, "until", w.Until, "run_id", w.Run, "tool", w.Tool)
	go func() {
		for err := k.store(ctx, w); err != nil && ctx.Err() == nil && k.bus.Now().Before(w.Until); err = k.store(ctx, w) {
			sleep(ctx, pause)
		}
	}()
}

func (k *Keeper) store(ctx context.Context, w Wait) error {
	bucket, err := k.bucket(ctx)
	if err != nil {
		return err
	}
	body, err := json.Marshal(w)
	if err != nil {
		return err
	}
	return bucket.Put(ctx, keyOf(waitPrefix, w.Target), body, func(it bus.Item) bool {
		var was Wait
		return exactjson.Unmarshal(it.Value, &was) == nil && was.Until.After(w.Until)
	})
}

// times is a record of when the next call may begin.
type times struct {
	V    int       `json:"v"`
	Next time.Time `json:"next"`
}

// Times allots the next times at which calls that share a name may begin, to whoever asks: at least one and at most n, all but the
// first no later than [Ahead] from now.
func (k *Keeper) Times(ctx context.Context, name string, p Pace, n int) ([]time.Time, error) {
	for {
		bucket, err := k.bucket(ctx)
		if err != nil {
			return nil, err
		}
		key := keyOf(timesPrefix, name)
		it, _, err := bucket.Get(ctx, key)
		if err != nil {
			return nil, err
		}
		var rec times
		if it.Value != nil && (exactjson.Unmarshal(it.Value, &rec) != nil || rec.V != wire.Version) {
			rec = times{}
		}
		list, then := p.times(rec.Next, k.bus.Now(), n)
		body, err := json.Marshal(times{wire.Version, then.UTC()})
		if err != nil {
			return nil, err
		}
		_, err = bucket.Swap(ctx, key, body, it.Revision)
		if err == nil {
			return list, nil
		}
		if !errors.Is(err, bus.ErrConflict) {
			return nil, err
		}
	}
}

// TargetOf is what names the target of a call: its host, or what stands for one; of a rung that says nothing of it, the rung itself.
func TargetOf(host string, s *steps.State, i int) string {
	if host != "" {
		return host
	}
	return s.Tool(i).Name + "/" + s.RungName(i)
}
