package limits

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"belay/internal/bus"
	"belay/internal/exactjson"
	"belay/internal/wire"
)

// A dispatcher writes what it has to say about a limit's slots by compare-and-set, one write at a time: what comes up meanwhile is in
// the next one. Whoever writes gives the free slots away, also to attempts of other dispatchers, which hear of it because they
// follow the bucket. So nobody asks again and again whether a slot is free.

// slotsPrefix begins the keys of records of slots.
const slotsPrefix = "slots."

// rooms are the limits on calls in hand that this dispatcher knows of. [Keeper].mu guards them.
type rooms struct {
	byKey map[string]*room
	uses  map[string][]Use // by run
	known bool             // the records are known
}

// room is one limit on calls in hand.
type room struct {
	key   string
	rec   Slots
	rev   uint64
	at    time.Time       // when the record was last written or heard
	lines map[int]*line   // by partition: all that wait here
	over  map[string]bool // attempts whose slots are to be given back
	busy  bool            // a write is on its way
	more  bool            // another one is to follow
	lost  bool            // the record is not there, or about to be forgotten: it is written as it was
}

// Use is a slot that an attempt has.
type Use struct{ Name, Attempt string }

// RunOf is the run of an attempt, as [steps.AttemptName] names it.
func RunOf(attempt string) string {
	run, _, _ := strings.Cut(attempt, "/")
	return run
}

func (k *Keeper) partition(attempt string) int {
	return wire.Partition(RunOf(attempt), k.bus.Partitions())
}

// room is the limit of a name. Hold the lock.
func (k *Keeper) room(name string) *room {
	key := keyOf(slotsPrefix, name)
	r := k.rooms.byKey[key]
	if r == nil {
		r = &room{key: key, rec: Slots{V: wire.Version, Name: name}, lines: map[int]*line{}, over: map[string]bool{}}
		k.rooms.byKey[key] = r
	}
	return r
}

// HasSlot reports whether an attempt has a slot of a limit.
func (k *Keeper) HasSlot(name, attempt string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r := k.rooms.byKey[keyOf(slotsPrefix, name)]; r == nil || r.over[attempt] {
		return false
	}
	return slices.Contains(k.rooms.uses[RunOf(attempt)], Use{name, attempt})
}

// InHand is how many calls have a slot, by the tool or the target whose limit it is.
func (k *Keeper) InHand() map[string]int {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := map[string]int{}
	for _, r := range k.rooms.byKey {
		_, name, _ := strings.Cut(r.rec.Name, "/")
		if strings.HasPrefix(r.rec.Name, "tool/") { // whatever its calls are counted by
			name, _, _ = strings.Cut(name, "/")
		}
		all[name] += len(r.rec.Calls)
	}
	return all
}

// UsesBy are the slots that attempts of a run have.
func (k *Keeper) UsesBy(run string) []Use {
	if !k.slotted.Load() {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.rooms.uses[run])
}

// RunsWithSlots are the runs of a partition whose attempts have slots.
func (k *Keeper) RunsWithSlots(partition int) (runs []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for run := range k.rooms.uses {
		if wire.Partition(run, k.bus.Partitions()) == partition {
			runs = append(runs, run)
		}
	}
	return runs
}

// WhenGiven has given called with each attempt that has a slot or gets one, and its partition. It must not block.
func (k *Keeper) WhenGiven(given func(partition int, t Use)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.given = given
	for _, all := range k.rooms.uses {
		for _, t := range all {
			given(k.partition(t.Attempt), t)
		}
	}
}

// Stand has an attempt wait for a slot of a limit; see [Keeper.WhenGiven].
func (k *Keeper) Stand(name, covers string, w Waiter) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r, p := k.room(name), k.partition(w.Attempt)
	if r.lines[p] == nil {
		r.lines[p] = newLine()
	}
	r.lines[p].stand(w)
	r.rec.Covers, r.rec.Most = covers, w.Most
	k.write(r)
}

// Leave has an attempt wait for a slot no more.
func (k *Keeper) Leave(name, attempt string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.room(name)
	k.leaves(r, attempt)
	k.write(r)
}

// Forget forgets all that wait in a partition, which another dispatcher has now, or which is read anew.
func (k *Keeper) Forget(partition int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range k.rooms.byKey {
		delete(r.lines, partition)
	}
}

// GiveBack gives the slot of an attempt that is over to others.
func (k *Keeper) GiveBack(t Use) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r := k.room(t.Name); !r.over[t.Attempt] {
		r.over[t.Attempt] = true
		k.leaves(r, t.Attempt)
		k.write(r)
	}
}

// write has written what is to be said about a limit. Hold the lock.
func (k *Keeper) write(r *room) {
	if r.busy {
		r.more = true
		return
	}
	r.busy = true
	go func() {
		for err := k.swap(r); err != nil && k.life.Err() == nil; err = k.swap(r) {
			k.logger.Debug("who has a slot of a limit is not stored yet", "limit", r.rec.Name, "error", err)
			bus.Sleep(k.life, pause)
		}
	}()
}

// swap writes it once, however often others are first.
func (k *Keeper) swap(r *room) error {
	ctx, cancel := context.WithTimeout(k.life, patience)
	defer cancel()
	bucket, err := k.bucket(ctx)
	for err == nil {
		next, t, rev, needed := k.said(r)
		if !needed {
			return nil
		}
		var body []byte
		if body, err = json.Marshal(next); err != nil {
			return err
		}
		var revision uint64
		if revision, err = bucket.Swap(ctx, r.key, body, rev); err == nil {
			k.wrote(r, next, t, revision)
			return nil
		}
		if errors.Is(err, bus.ErrConflict) {
			var it bus.Item
			if it, _, err = bucket.Get(ctx, r.key); err == nil {
				k.heard(it, r.key)
			}
		}
	}
	return err
}

// patience is how long a write may take before it is tried again.
const patience = 10 * time.Second

// said is what is to be written now; not needed where that is what is there.
func (k *Keeper) said(r *room) (next Slots, t turn, rev uint64, needed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r.more = false
	t = turn{over: maps.Clone(r.over), lines: map[int]queue{}}
	for p, line := range r.lines {
		t.lines[p] = queueOf(line, r.rec.Past)
	}
	next = r.rec.next(t, k.partition, k.bus.Now().UTC())
	if r.lost || r.rev == 0 || !next.same(&r.rec) {
		return next, t, r.rev, true
	}
	k.done(r, t)
	return next, t, r.rev, false
}

// done is after a write. Hold the lock.
func (k *Keeper) done(r *room, t turn) {
	for a := range t.over {
		delete(r.over, a)
	}
	for p, line := range r.lines {
		if line.Len() == 0 {
			delete(r.lines, p) // the others have heard of that
		}
	}
	if r.busy = false; r.more {
		k.write(r)
	}
}

func (k *Keeper) wrote(r *room, rec Slots, t turn, revision uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r.lost = false
	k.noteSlots(r, rec, revision)
	k.done(r, t)
}

// heard takes in a record as it is stored; without a value it is not there.
func (k *Keeper) heard(it bus.Item, key string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var rec Slots
	if it.Value == nil {
		if r := k.rooms.byKey[key]; r != nil {
			k.missing(r)
		}
		return
	}
	if exactjson.Unmarshal(it.Value, &rec) != nil || rec.V != wire.Version || keyOf(slotsPrefix, rec.Name) != key {
		if r := k.rooms.byKey[key]; r != nil { // nobody can read it: it is written as it is known here
			r.rev, r.lost = it.Revision, true
		}
		return
	}
	k.noteSlots(k.room(rec.Name), rec, it.Revision)
}

// missing is for a record that was removed behind Belay's back: it is stored again. Hold the lock.
func (k *Keeper) missing(r *room) {
	if r.rev = 0; len(r.rec.Calls) > 0 {
		r.lost = true
		k.write(r)
	}
}

// noteSlots takes in who has a slot, and says so to those that have one now. Hold the lock.
func (k *Keeper) noteSlots(r *room, rec Slots, revision uint64) {
	if revision <= r.rev {
		return
	}
	had := map[string]bool{}
	for _, x := range r.rec.Calls {
		had[x.Attempt] = true
	}
	for _, x := range rec.Calls {
		if had[x.Attempt] {
			delete(had, x.Attempt)
			continue
		}
		k.rooms.uses[RunOf(x.Attempt)] = append(k.rooms.uses[RunOf(x.Attempt)], Use{rec.Name, x.Attempt})
		k.leaves(r, x.Attempt)
		if k.given != nil {
			k.given(k.partition(x.Attempt), Use{rec.Name, x.Attempt})
		}
	}
	for attempt := range had {
		k.gone(Use{rec.Name, attempt})
	}
	k.slotted.Store(len(k.rooms.uses) > 0)
	r.rec, r.rev, r.at = rec, revision, k.bus.Now()
	for p, line := range r.lines {
		if rec.More[p] > 0 && line.Len() > 0 && !slices.ContainsFunc(rec.Waits, func(w Waiter) bool { return k.partition(w.Attempt) == p }) {
			k.write(r) // those behind them are the next ones
			return
		}
	}
}

// leaves removes an attempt from the line. Hold the lock.
func (k *Keeper) leaves(r *room, attempt string) {
	p := k.partition(attempt)
	if line, ok := r.lines[p]; ok {
		line.leave(attempt)
	}
}

// gone forgets a slot. Hold the lock.
func (k *Keeper) gone(t Use) {
	run := RunOf(t.Attempt)
	left := slices.DeleteFunc(k.rooms.uses[run], func(x Use) bool { return x == t })
	if k.rooms.uses[run] = left; len(left) == 0 {
		delete(k.rooms.uses, run)
	}
}

// followSlots follows the records of slots.
func (k *Keeper) followSlots(ctx context.Context) error {
	bucket, err := k.bucket(ctx)
	if err != nil {
		return err
	}
	k.mu.Lock()
	for _, r := range k.rooms.byKey {
		r.rev = 0 // a bucket that was made again counts anew
	}
	k.mu.Unlock()
	there := map[string]bool{}
	return bucket.WatchUnder(ctx, slotsPrefix, func(it bus.Item) {
		there[it.Key] = it.Value != nil
		k.heard(it, it.Key)
	}, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		for key, r := range k.rooms.byKey {
			if !there[key] {
				k.missing(r)
			}
		}
		if !k.rooms.known {
			k.rooms.known = true
			k.isReady()
		}
	})
}

// keep writes the records anew that the server would forget, and forgets those of which nothing is left.
func (k *Keeper) keep(ctx context.Context) {
	for ctx.Err() == nil {
		bus.Sleep(ctx, time.Minute)
		k.mu.Lock()
		now := k.bus.Now()
		for key, r := range k.rooms.byKey {
			switch {
			case r.busy:
			case len(r.rec.Calls)+len(r.rec.Waits)+len(r.lines)+len(r.over) == 0:
				delete(k.rooms.byKey, key)
			case now.Sub(r.at) > forgottenAfter/8:
				r.lost = true
				k.write(r)
			}
		}
		k.mu.Unlock()
	}
}
