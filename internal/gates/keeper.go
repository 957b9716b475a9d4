package gates

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"belay/internal/bus"
	"belay/internal/steps"
)

// Keeper is a dispatcher's own view of the gates. It is safe for concurrent use.
type Keeper struct {
	// Expired is called once a gate has opened because its time was up; by one dispatcher only. Default none.
	Expired func(Gate)

	book   *Book
	logger *slog.Logger
	ready  chan struct{} // closed once the gates are known
	once   sync.Once
	closed atomic.Pointer[[]Gate] // nil = none is closed

	mu      sync.Mutex
	known   map[string]Gate
	seen    uint64        // revision up to which changes were heard
	heard   chan struct{} // closed at the next change of seen
	changed chan struct{} // has a value after a change

	reports   chan Drain
	following *bus.Following
}

// NewKeeper makes a Keeper; nothing is known before [Keeper.Run].
func NewKeeper(b *bus.Bus, logger *slog.Logger) *Keeper {
	return &Keeper{
		book: Of(b), logger: logger, ready: make(chan struct{}), known: map[string]Gate{}, heard: make(chan struct{}), changed: make(chan struct{}, 1),
		reports: make(chan Drain, 256), following: bus.NewFollowing(logger, "cannot hear of gates; those that are known stay as they are"),
	}
}

// pause is how long to wait before what could not be stored is tried again.
const pause = 500 * time.Millisecond

// Run follows the gates until ctx ends. While nothing is heard of them, those that are known stay as they are.
func (k *Keeper) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { k.report(ctx) })
	wg.Go(func() { k.expire(ctx) })
	k.following.Run(ctx, k.listen)
	wg.Wait()
}

// Anew lets the Keeper follow a bucket that was made again.
func (k *Keeper) Anew() { k.following.Anew() }

// listen follows the bucket. One that is made again after it was removed has none of the gates: those that are known and closed
// are stored in it again.
func (k *Keeper) listen(ctx context.Context) error {
	bucket, err := k.book.bucket(ctx)
	if err != nil {
		return err
	}
	k.mu.Lock()
	k.seen = 0
	k.mu.Unlock()
	there, ready := map[string]bool{}, false
	return bucket.Watch(ctx, func(it bus.Item) {
		g, ok := readGate(it)
		there[it.Key] = ok
		k.note(it.Revision, g, ok)
		if ready && ok {
			k.tell()
		}
	}, func() {
		ready = true
		k.restore(ctx, there)
		k.tell()
		k.once.Do(func() { close(k.ready) })
	})
}

// restore stores the gates again that this dispatcher knows as closed and that are not there.
func (k *Keeper) restore(ctx context.Context, there map[string]bool) {
	k.mu.Lock()
	known := maps.Clone(k.known)
	k.mu.Unlock()
	for _, g := range known {
		if !g.Closed() || there[g.key()] {
			continue
		}
		k.logger.Error("a closed gate was removed behind Belay's back; it stays closed, and is stored again", "gate_id", g.ID, "covers", g.Covers.String(), "by", g.By)
		if err := k.book.Restore(ctx, g); err != nil {
			k.logger.Error("the gate could not be stored again; this dispatcher keeps it closed", "gate_id", g.ID, "error", err)
		}
	}
}

// note takes in a change of the bucket. Nobody opens a gate by removing it.
func (k *Keeper) note(revision uint64, g Gate, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.seen = max(k.seen, revision)
	close(k.heard)
	k.heard = make(chan struct{})
	if ok {
		k.known[g.ID] = g
	}
}

// tell makes the closed gates known to whoever asks for each call.
func (k *Keeper) tell() {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []Gate
	for _, g := range k.known {
		if g.Closed() {
			list = append(list, g)
		}
	}
	if sorted(list); len(list) == 0 {
		k.closed.Store(nil)
	} else {
		k.closed.Store(&list)
	}
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// Ready is closed once the gates are known.
func (k *Keeper) Ready() <-chan struct{} { return k.ready }

// Changed has a value after a gate was closed or opened.
func (k *Keeper) Changed() <-chan struct{} { return k.changed }

// Closed are the gates that are closed, nil where none is: that is one load of a pointer.
func (k *Keeper) Closed() []Gate {
	if list := k.closed.Load(); list != nil {
		return *list
	}
	return nil
}

// Oldest is how many gates are closed, and since when the one of them is that is closed longest.
func (k *Keeper) Oldest() (n int, since time.Time) {
	closed := k.Closed()
	for i := range closed {
		if i == 0 || closed[i].Since.Before(since) {
			since = closed[i].Since
		}
	}
	return len(closed), since
}

// Covering is a closed gate that covers a call; nil where none does.
func Covering(closed []Gate, c *Call) *Gate {
	for i := range closed {
		if closed[i].Covers.Fits(c) {
			return &closed[i]
		}
	}
	return nil
}

// Opening is how the gate was opened that holds a run back by its log. A gate of which nothing is known was removed behind Belay's
// back: it stays closed, and is stored again.
func (k *Keeper) Opening(ctx context.Context, h steps.Hold) (Opening, bool) {
	k.mu.Lock()
	g, known := k.known[h.Gate]
	k.mu.Unlock()
	if known {
		if g.Closed() {
			return Opening{}, false
		}
		return *g.Opened, true
	}
	g, err := OfHold(h)
	if err != nil {
		k.logger.Error("a run is held back by a gate that is not there and cannot be made again; cancel the run, or close and open a gate of this id", "gate_id", h.Gate, "error", err)
		return Opening{}, false
	}
	k.mu.Lock()
	k.known[g.ID] = g
	k.mu.Unlock()
	k.logger.Error("a run is held back by a gate that is not there any more; it stays closed, and is stored again", "gate_id", g.ID, "covers", g.Covers.String(), "by", g.By)
	k.tell()
	go func() {
		if err := k.book.Restore(ctx, g); err != nil && ctx.Err() == nil {
			k.logger.Error("the gate could not be stored again; this dispatcher keeps it closed", "gate_id", g.ID, "error", err)
		}
	}()
	return Opening{}, false
}

// CatchUp waits until all changes are heard that were stored before the call: after that, what this dispatcher lets through no gate
// holds that somebody was told is closed.
func (k *Keeper) CatchUp(ctx context.Context) error {
	select {
	case <-k.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	bucket, err := k.book.bucket(ctx)
	if err != nil {
		return err
	}
	last, err := bucket.LastRevision(ctx)
	if err != nil {
		return err
	}
	for {
		k.mu.Lock()
		seen, heard := k.seen, k.heard
		k.mu.Unlock()
		if seen >= last {
			return nil
		}
		select {
		case <-heard:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Report says what has become of a gate in a partition. It does not block; the last word about each counts.
func (k *Keeper) Report(d Drain) {
	select {
	case k.reports <- d:
	default: // it is reported again with the next change
	}
}

func (k *Keeper) report(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-k.reports:
			for err := k.book.report(ctx, d); err != nil && ctx.Err() == nil; err = k.book.report(ctx, d) {
				k.logger.Debug("what has become of a gate is not stored yet", "gate_id", d.Gate, "error", err)
				bus.Sleep(ctx, pause)
			}
		}
	}
}

// expire opens gates whose time is up.
func (k *Keeper) expire(ctx context.Context) {
	for ctx.Err() == nil {
		k.mu.Lock()
		heard, known := k.heard, maps.Clone(k.known)
		k.mu.Unlock()
		now, next := k.book.bus.Now(), time.Hour
		for _, g := range known {
			if g.Until.IsZero() || !g.Closed() {
				continue
			}
			if left := g.Until.Sub(now); left > 0 {
				next = min(next, left)
				continue
			}
			opened, err := k.book.Open(ctx, g.ID, Opening{Reason: "its time was up", At: now.UTC()})
			if err == nil && k.Expired != nil {
				k.Expired(opened)
			}
			next = min(next, pause)
		}
		t := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-heard:
		case <-t.C:
		}
		t.Stop()
	}
}
