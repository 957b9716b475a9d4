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
	bus       *bus.Bus
	logger    *slog.Logger
	ready     chan struct{}
	unknown   atomic.Int32 // of the kinds of records, those that are not known yet
	following [2]*bus.Following
	life      context.Context // until the end of Run
	end       context.CancelFunc

	mu    sync.Mutex
	waits atomic.Pointer[map[string]Wait] // by target; nil = nobody waits. Replaced under mu
	rooms rooms
	given func(partition int, t Use) // called under mu

	slotted atomic.Bool // some attempt has a slot
}

// NewKeeper makes a Keeper; nothing is known before [Keeper.Run].
func NewKeeper(b *bus.Bus, logger *slog.Logger) *Keeper {
	k := &Keeper{bus: b, logger: logger, ready: make(chan struct{}), rooms: rooms{byKey: map[string]*room{}, uses: map[string][]Use{}}}
	k.following[0] = bus.NewFollowing(logger, "cannot hear from other dispatchers which targets have asked to wait")
	k.following[1] = bus.NewFollowing(logger, "cannot hear from other dispatchers which calls have a slot of a limit; those that wait for one wait")
	k.unknown.Store(int32(len(k.following)))
	k.life, k.end = context.WithCancel(context.Background())
	return k
}

// Ready is closed once it is known which targets have asked to wait, and who has a slot.
func (k *Keeper) Ready() <-chan struct{} { return k.ready }

func (k *Keeper) isReady() {
	if k.unknown.Add(-1) == 0 {
		close(k.ready)
	}
}

// Anew lets the Keeper follow a bucket that was made again, and store in it who has a slot.
func (k *Keeper) Anew() {
	for _, f := range k.following {
		f.Anew()
	}
}

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

// waitName begins the names of times at which calls to a target may begin that has asked to wait.
const waitName = "wait/"

// WaitName names those times.
func WaitName(target string) string { return waitName + target }

// gateName begins the names of times at which calls go on that a gate has held back which was opened.
const gateName = "gate/"

// GateName names those times, for one target.
func GateName(gate string, opened time.Time, target string) string {
	return gateName + gate + "/" + opened.UTC().Format(time.RFC3339Nano) + "/" + target
}

// breakerName begins the names of times at which calls go to a target that is back, which its breaker has kept them from.
const breakerName = "breaker/"

// BreakerName names those times, for one ramp of a breaker.
func BreakerName(target string, began time.Time) string {
	return breakerName + target + "/" + began.UTC().Format(time.RFC3339Nano)
}

// BehindGate says in words which calls go on then.
func BehindGate(target, gate string) string { return target + ", behind gate " + gate }

// keyOf makes a key of a name, which may be anything.
func keyOf(prefix, name string) string {
	sum := sha256.Sum256([]byte(name))
	return prefix + hex.EncodeToString(sum[:12])
}

// pause is how long to wait before what could not be stored is tried again.
const pause = 500 * time.Millisecond

// Run follows what targets have asked for, and who has a slot, until ctx ends. While nothing is heard of it, what is known stays.
func (k *Keeper) Run(ctx context.Context) {
	defer k.end()
	var once sync.Once
	var wg sync.WaitGroup
	wg.Go(func() {
		k.following[0].Run(ctx, func(ctx context.Context) error { return k.follow(ctx, func() { once.Do(k.isReady) }) })
	})
	wg.Go(func() { k.following[1].Run(ctx, k.followSlots) })
	wg.Go(func() { k.keep(ctx) })
	wg.Wait()
}

func (k *Keeper) follow(ctx context.Context, known func()) error {
	bucket, err := k.bucket(ctx)
	if err != nil {
		return err
	}
	return bucket.WatchUnder(ctx, waitPrefix, func(it bus.Item) {
		var w Wait
		if it.Value != nil && exactjson.Unmarshal(it.Value, &w) == nil && w.V == wire.Version {
			k.note(w)
		}
	}, known)
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
			bus.Sleep(ctx, pause)
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

// Times allots the next times at which calls that share a name may begin, to whoever asks: at most as many as wait, all but the first no later
// than [Ahead] from now.
func (k *Keeper) Times(ctx context.Context, a Asked, p Pace) (Allotted, error) {
	for {
		bucket, err := k.bucket(ctx)
		if err != nil {
			return Allotted{}, err
		}
		key := keyOf(timesPrefix, a.Name)
		it, _, err := bucket.Get(ctx, key)
		if err != nil {
			return Allotted{}, err
		}
		var rec Times
		if it.Value != nil && (exactjson.Unmarshal(it.Value, &rec) != nil || rec.V != wire.Version) {
			rec = Times{}
		}
		got, then := rec.next(a, p, k.bus.Now())
		if len(got.At) == 0 && then.same(&rec) {
			return got, nil
		}
		body, err := json.Marshal(then)
		if err != nil {
			return Allotted{}, err
		}
		_, err = bucket.Swap(ctx, key, body, it.Revision)
		if err == nil {
			return got, nil
		}
		if !errors.Is(err, bus.ErrConflict) {
			return Allotted{}, err
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
