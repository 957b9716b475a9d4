package schedules

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"belay/internal/bus"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// Keeper fires the schedules. Every dispatcher has one: who is first with a compare-and-set decides a firing, and whoever finds it
// decided submits its run, under the same id. It is safe for concurrent use.
type Keeper struct {
	// Prove signs that the token of whoever has added a schedule was shown. Default: nothing is signed.
	Prove func(run string, s *steps.Submitted) error

	book   *Book
	log    *runlog.Log
	logger *slog.Logger

	mu      sync.Mutex
	known   map[string]revision // by their names
	changed chan struct{}       // has a value after a change
	anew    chan struct{}       // has a value when the bucket was made again
}

// revision is a schedule as it was stored.
type revision struct {
	entry
	number uint64
	times  *times
	next   time.Time // the first firing that is not decided; zero = there is none
}

// reckon finds out when the schedule fires next.
func (r *revision) reckon() {
	if r.times == nil {
		r.times, _ = parse(r.Cron, r.TZ)
	}
	if r.times != nil {
		r.next = r.times.next(r.Upto)
	}
}

// NewKeeper makes a Keeper; it fires nothing before [Keeper.Run].
func NewKeeper(b *bus.Bus, log *runlog.Log, logger *slog.Logger) *Keeper {
	return &Keeper{book: Of(b), log: log, logger: logger, known: map[string]revision{}, changed: make(chan struct{}, 1), anew: make(chan struct{}, 1)}
}

const (
	// looks is how often it is looked whether something is due. That asks the server for nothing while nothing is.
	looks = time.Second
	// pause is how long to wait before a bucket that does not answer is asked again.
	pause = 500 * time.Millisecond
)

// Run fires until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	ready := make(chan struct{})
	wg.Go(func() { k.follow(ctx, ready) })
	select {
	case <-ready:
	case <-ctx.Done():
		return
	}
	tick := time.NewTicker(looks)
	defer tick.Stop()
	for troubled := false; ctx.Err() == nil; {
		err := k.look(ctx)
		if err != nil && ctx.Err() == nil && !troubled {
			k.logger.Warn("a schedule cannot be fired now; trying again", "error", err)
		}
		troubled = err != nil
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-k.changed:
		}
	}
}

// Anew lets the Keeper follow a bucket that was made again.
func (k *Keeper) Anew() { signal(k.anew) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// follow follows the schedules until ctx ends; ready is closed once they are known.
func (k *Keeper) follow(ctx context.Context, ready chan struct{}) {
	var once sync.Once
	for troubled := false; ctx.Err() == nil; {
		err := k.followOnce(ctx, func() { once.Do(func() { close(ready) }) })
		if err != nil && ctx.Err() == nil && !troubled {
			k.logger.Warn("cannot hear of schedules; those that are known are fired as before", "error", err)
		}
		troubled = err != nil
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
}

// followOnce follows the bucket until that is made again. One that is has none of the schedules: those that are known are stored in it
// again. What people have removed has left a mark.
func (k *Keeper) followOnce(ctx context.Context, ready func()) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-ctx.Done():
		case <-k.anew:
			stop()
		}
	}()
	bucket, err := k.book.bucket(ctx)
	if err != nil {
		return err
	}
	heard, all := map[string]bool{}, false
	return bucket.Watch(ctx, func(it bus.Item) {
		heard[it.Key] = true
		k.note(it, !all)
	}, func() {
		all = true
		k.restore(ctx, bucket, heard)
		ready()
	})
}

// note takes in what is stored. First says that it is what is there at the beginning, whatever was known before.
func (k *Keeper) note(it bus.Item, first bool) {
	e, ok := read(it)
	k.mu.Lock()
	defer k.mu.Unlock()
	was, there := k.known[it.Key]
	switch {
	case there && !first && it.Revision < was.number: // this process has stored a newer one
	case ok:
		r := revision{entry: e, number: it.Revision}
		if there && was.Cron == e.Cron && was.TZ == e.TZ {
			r.times = was.times
		}
		r.reckon()
		k.known[it.Key] = r
		signal(k.changed)
	default:
		delete(k.known, it.Key)
	}
}

func (k *Keeper) restore(ctx context.Context, bucket *bus.Bucket, heard map[string]bool) {
	for _, r := range k.list() {
		if heard[r.Name] {
			continue
		}
		k.mu.Lock()
		r.number = 0
		k.known[r.Name] = r // whoever stores it, that is newer
		k.mu.Unlock()
		k.logger.Error("a schedule was removed behind Belay's back; it is stored again", "schedule", r.Name)
		if _, err := put(ctx, bucket, &r.entry, 0); err != nil && !errors.Is(err, bus.ErrConflict) {
			k.logger.Error("the schedule could not be stored again; add it once more", "schedule", r.Name, "error", err)
		}
	}
}

// list are the schedules that are known, by their names.
func (k *Keeper) list() (all []revision) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(k.known)) {
		all = append(all, k.known[name])
	}
	return all
}

// Known are the schedules as they are known here, with their next firings.
func (k *Keeper) Known() (all []Schedule) {
	for _, r := range k.list() {
		s := r.Schedule
		if s.Paused == nil && !r.next.IsZero() {
			s.Next = &r.next
		}
		all = append(all, s)
	}
	return all
}
