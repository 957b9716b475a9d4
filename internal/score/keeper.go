package score

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"belay/internal/bus"
	"belay/internal/runlog"
	"belay/internal/steps"
)

const (
	flushEvery = 5 * time.Second
	tidyEvery  = 6 * time.Hour
	fullAt     = 8_000 // changes in memory by which they are stored at once
)

// Keeper counts the partitions that a dispatcher has. It is safe for concurrent use.
type Keeper struct {
	bus    *bus.Bus
	runs   *runlog.Log
	logger *slog.Logger
	parts  []*part
}

// part is a partition. A dispatcher that has it adds to pending; the keeper's goroutine brings the book to where that begins, and
// then moves pending into it.
type part struct {
	p    int
	wake chan struct{}
	upto atomic.Uint64 // what lies before it need not be looked at

	mu        sync.Mutex
	era       int // grows with each take-over
	has       bool
	live      bool // changes are kept in pending
	pending   []Change
	spare     []Change            // what pending was before; used again
	inHand    map[uint64]struct{} // delivered to the dispatcher, and not yet acknowledged by it
	delivered uint64
	knows     programs // whose tools are counted

	book     *Book // of the keeper's goroutine, like the next two; nil: to be read
	revision uint64
	tidied   time.Time
}

// NewKeeper makes a keeper, which does nothing before it is given to a dispatcher and running.
func NewKeeper(b *bus.Bus, runs *runlog.Log, logger *slog.Logger) *Keeper {
	k := &Keeper{bus: b, runs: runs, logger: logger}
	for p := range b.Partitions() {
		k.parts = append(k.parts, &part{p: p, wake: make(chan struct{}, 1), inHand: map[uint64]struct{}{}, knows: programs{}})
	}
	return k
}

// Took says that the dispatcher has got a partition.
func (k *Keeper) Took(partition int) { k.parts[partition].turn(true) }

// Lost says that another dispatcher has got it.
func (k *Keeper) Lost(partition int) { k.parts[partition].turn(false) }

func (t *part) turn(has bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.era++
	t.has, t.live, t.pending, t.delivered = has, false, nil, 0
	clear(t.inHand)
	t.nudge()
}

func (t *part) nudge() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// InHand says that an entry of the log was delivered, which [Keeper.Done] will be said of.
func (k *Keeper) InHand(partition int, seq uint64) {
	t := k.parts[partition]
	t.mu.Lock()
	t.inHand[seq] = struct{}{}
	t.delivered = max(t.delivered, seq)
	t.mu.Unlock()
}

// Done says that an entry is applied, and all that it caused is stored.
func (k *Keeper) Done(partition int, seq uint64) {
	t := k.parts[partition]
	t.mu.Lock()
	delete(t.inHand, seq)
	t.mu.Unlock()
}

// Applied counts a record of a run's log; a second time changes nothing.
func (k *Keeper) Applied(partition int, s *steps.State, r steps.Record, touched []int) {
	t := k.parts[partition]
	if r.Seq <= t.upto.Load() {
		return
	}
	list := changes(s, r, touched, t.known)
	if len(list) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.live {
		return // it is counted from the log
	}
	t.pending = append(t.pending, list...)
	if len(t.pending) >= fullAt {
		t.nudge()
	}
}

// programs are those whose tools were looked at. Programs of equal plans are one.
type programs map[*steps.Program]struct{}

// known reports whether a program is one of them, and makes it one.
func (m programs) known(p *steps.Program) bool {
	if _, is := m[p]; is {
		return true
	}
	if len(m) > 1000 {
		clear(m)
	}
	m[p] = struct{}{}
	return false
}

func (t *part) known(p *steps.Program) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.live && t.knows.known(p)
}

// Run counts until ctx ends, and then stores what is counted.
func (k *Keeper) Run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, t := range k.parts {
		wg.Go(func() { k.keep(ctx, t) })
	}
	wg.Wait()
}

func (k *Keeper) keep(ctx context.Context, t *part) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			k.forwardOnce(end, t)
			return
		case <-tick.C:
		case <-t.wake:
		}
		k.forwardOnce(ctx, t)
	}
}

// forwardOnce brings the book of a partition to where the dispatcher is.
func (k *Keeper) forwardOnce(ctx context.Context, t *part) {
	err := k.forward(ctx, t)
	switch {
	case err == nil:
		return
	case errors.Is(err, bus.ErrConflict):
		k.logger.Debug("another dispatcher counts the partition too, or has until now; beginning with what it has stored", "partition", t.p)
	case ctx.Err() == nil:
		k.logger.Debug("what came of calls is not stored; trying again, nothing is lost", "partition", t.p, "error", err)
	}
	t.mu.Lock()
	t.book, t.live, t.pending = nil, false, nil
	t.mu.Unlock()
	t.upto.Store(0)
}

func (k *Keeper) forward(ctx context.Context, t *part) error {
	t.mu.Lock()
	has, live, era := t.has, t.live, t.era
	t.mu.Unlock()
	if !has {
		t.book = nil
		return nil
	}
	bucket, err := openBucket(ctx, k.bus)
	if err != nil {
		return err
	}
	if !live {
		return k.catchUp(ctx, bucket, t, era)
	}
	ready, upto := t.ready()
	if upto <= t.book.Upto {
		return nil
	}
	t.book.count(ready)
	return k.store(ctx, bucket, t, upto)
}

// ready takes out of pending, in the order of the log, what lies before everything that is still in hand. What it returns is valid up
// to the next call. The dispatcher does not wait meanwhile.
func (t *part) ready() (list []Change, upto uint64) {
	t.mu.Lock()
	upto = t.delivered
	for seq := range t.inHand {
		if seq > t.book.Upto {
			upto = min(upto, seq-1)
		}
	}
	list, t.pending, t.spare = t.pending, t.spare[:0], nil
	t.mu.Unlock()
	slices.SortFunc(list, inLog)
	n, _ := slices.BinarySearchFunc(list, Change{Seq: upto + 1}, inLog)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.live {
		t.pending = append(t.pending, list[n:]...)
	}
	t.spare = list
	return slices.CompactFunc(list[:n], func(a, b Change) bool { return inLog(a, b) == 0 }), upto
}

// inLog orders changes as they stand in the log. Equal ones are one that was counted twice.
func inLog(a, b Change) int { return cmp.Or(cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.N, b.N)) }

// store stores the book, which is counted up to a sequence.
func (k *Keeper) store(ctx context.Context, bucket *bus.Bucket, t *part, upto uint64) (err error) {
	now := k.bus.Now()
	t.book.Upto, t.book.At = upto, now.UTC()
	if t.revision, err = write(ctx, bucket, t.p, t.book, t.revision, now); err != nil {
		return err
	}
	t.upto.Store(upto)
	if now.Sub(t.tidied) < tidyEvery {
		return nil
	}
	t.tidied = now
	return tidy(ctx, bucket, t.p, now)
}
