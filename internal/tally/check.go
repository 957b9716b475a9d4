package tally

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"belay/internal/bus"
	"belay/internal/wire"
)

// endPages is how much of a log's end is compared after a start and after each reconnect.
const endPages = 2

// compareEnd looks whether the stream is the one that was noted, and goes on where it did.
func (k *Keeper) compareEnd(ctx context.Context, t *part, info bus.StreamInfo) error {
	b := t.book
	other := !info.Created.Equal(b.Created)
	if err := k.proveEnd(ctx, t, &info); err != nil && !other {
		return err
	}
	t.head = info.LastSeq
	if info.LastSeq < b.UpTo {
		kind := Rolled
		if other {
			kind = Replaced
		}
		if err := k.lost(ctx, t, kind, info.LastSeq+1, b.UpTo); err != nil {
			return err
		}
		if err := b.cut(info.LastSeq); err != nil {
			return err
		}
	}
	if other {
		return k.compareOther(ctx, t, info)
	}
	conn := k.bus.ConnectedAt()
	if t.conn.Equal(conn) {
		return nil
	}
	if !t.conn.IsZero() { // what was received until now may be of the connection before, and the server another one
		t.deaf = time.Now().Add(10 * time.Second)
	}
	from := uint64(1)
	if b.UpTo > endPages*page {
		from = b.UpTo - endPages*page
	}
	if err := k.check(ctx, t, from, b.UpTo); err != nil {
		return err
	}
	t.conn = conn
	return nil
}

// proveEnd makes sure where a replicated log ends before anything is said of it. A server that has just begun to lead, or has not heard yet
// that another one does, may be behind what was confirmed; but whatever has confirmed a write has all that was confirmed before.
func (k *Keeper) proveEnd(ctx context.Context, t *part, info *bus.StreamInfo) error {
	if !k.replicated || info.LastSeq >= t.book.UpTo {
		return nil
	}
	seq, err := k.seal(ctx, t)
	if err != nil {
		return err
	}
	if seq > t.book.UpTo { // it is there, or was written over: then its entries are others
		info.LastSeq, t.conn = seq, time.Time{}
	}
	return nil
}

// compareOther looks what a stream has that is not the one that was noted: it may be a copy. Then all of it is noted anew.
func (k *Keeper) compareOther(ctx context.Context, t *part, info bus.StreamInfo) error {
	if err := k.check(ctx, t, 1, t.book.UpTo); err != nil {
		return err
	}
	t.book.Created = info.Created
	return t.book.cut(0)
}

// lost reports that all entries from one sequence to another are not there any more.
func (k *Keeper) lost(ctx context.Context, t *part, kind Kind, from, to uint64) error {
	if err := k.hearLeaving(ctx, t); err != nil {
		return err
	}
	f := finding{kind: kind, from: from, owners: map[owner]bool{}}
	for seq := from; seq <= to; seq++ {
		l, err := t.book.at(seq)
		if err != nil {
			return err
		}
		if l != (leaf{}) && !t.leaving[l.owner()] {
			f.add(seq, l)
		}
	}
	if f.entries == 0 {
		return nil
	}
	f.from = from
	return k.tell(ctx, t, &f)
}

// compareCount looks whether as many entries are there as must be. Which ones are missing a check of everything finds out.
func (k *Keeper) compareCount(ctx context.Context, t *part, info bus.StreamInfo) error {
	fewer := info.LastSeq == t.book.UpTo && info.Messages < t.book.Live && !t.unswept
	if !fewer || !t.fewer { // twice, because it may have changed while it was looked at
		t.fewer = fewer
		return nil
	}
	t.fewer = false
	if err := k.check(ctx, t, 1, t.book.UpTo); err != nil {
		return err
	}
	return t.book.recount() // where nothing is missing, the count was wrong
}

// finding is what a check has found of one kind.
type finding struct {
	kind     Kind
	from, to uint64
	entries  int
	owners   map[owner]bool
	fix      map[uint64]leaf // what the tally says from then on
}

func newFinding(k Kind) finding {
	return finding{kind: k, owners: map[owner]bool{}, fix: map[uint64]leaf{}}
}

func (f *finding) add(seq uint64, l leaf) {
	if f.entries == 0 {
		f.from = seq
	}
	f.to = seq
	f.entries++
	f.owners[l.owner()] = true
}

// check compares the entries from one sequence to another with the tally.
func (k *Keeper) check(ctx context.Context, t *part, from, to uint64) error {
	if to < from {
		return nil
	}
	c := k.comparison(t, from)
	if err := k.entries(ctx, t, from, to, func(e bus.Entry) error { return c.entry(ctx, e) }); err != nil {
		return err
	}
	if err := c.gap(ctx, to+1); err != nil {
		return err
	}
	return c.tell(ctx)
}

// comparison compares entries with the tally, in order.
type comparison struct {
	*Keeper
	t       *part
	next    uint64
	sound   uint64 // the last sequence whose entry is what it was
	missing finding
	changed finding
}

func (k *Keeper) comparison(t *part, from uint64) *comparison {
	return &comparison{Keeper: k, t: t, next: from, sound: from - 1, missing: newFinding(Missing), changed: newFinding(Changed)}
}

// entry compares an entry that is there.
func (c *comparison) entry(ctx context.Context, e bus.Entry) error {
	if err := c.gap(ctx, e.Seq); err != nil {
		return err
	}
	c.next = e.Seq + 1
	was, err := c.t.book.at(e.Seq)
	if err != nil {
		return err
	}
	switch now := leafOf(c.names, e); {
	case was == (leaf{}) || c.t.leaving[was.owner()]:
	case now == was:
		c.sound = e.Seq
	default:
		c.change(e.Seq, was, now)
	}
	return nil
}

func (c *comparison) change(seq uint64, was, now leaf) {
	c.changed.add(seq, was)
	c.changed.owners[now.owner()] = true
	c.changed.fix[seq] = now
}

// gap looks at the sequences that have no entry. A replica that is behind may not have one yet, and the leader is asked.
func (c *comparison) gap(ctx context.Context, before uint64) error {
	for ; c.next < before; c.next++ {
		was, err := c.t.book.at(c.next)
		if err != nil {
			return err
		}
		if was == (leaf{}) || c.t.leaving[was.owner()] {
			continue
		}
		if c.missing.entries == 0 {
			if err := c.hearLeaving(ctx, c.t); err != nil {
				return err
			}
			if c.t.leaving[was.owner()] {
				continue
			}
		}
		if c.bus.Replicas() > 1 && c.missing.entries < 100 {
			if _, there, err := c.bus.At(ctx, c.t.stream, c.next); err == nil && there {
				continue
			}
		}
		c.missing.add(c.next, was)
		c.missing.fix[c.next] = leaf{}
	}
	return nil
}

// tell reports what was found.
func (c *comparison) tell(ctx context.Context) error {
	found, err := c.findings()
	if err != nil {
		return err
	}
	for _, f := range found {
		if err := c.Keeper.tell(ctx, c.t, f); err != nil {
			return err
		}
	}
	return nil
}

// findings are what was found, by kind. Where the log has ended before the tally did and was written on since, others have the
// sequences of what is lost: no entry at the end of the tally is what it was.
func (c *comparison) findings() (found []*finding, err error) {
	lost := newFinding(Rolled)
	if c.next > c.t.book.UpTo && c.changed.entries > 0 && c.changed.to > c.sound {
		if lost, err = c.overwritten(); err != nil {
			return nil, err
		}
	}
	for _, f := range []*finding{&lost, &c.missing, &c.changed} {
		if f.entries > 0 {
			found = append(found, f)
		}
	}
	return found, nil
}

// overwritten takes what stands behind the last sound entry out of the other findings.
func (c *comparison) overwritten() (lost finding, err error) {
	lost = newFinding(Rolled)
	missing, changed := c.missing.fix, c.changed.fix
	c.missing, c.changed = newFinding(Missing), newFinding(Changed)
	for _, seq := range slices.Sorted(maps.Keys(missing)) {
		changed[seq] = leaf{}
	}
	for _, seq := range slices.Sorted(maps.Keys(changed)) {
		was, err := c.t.book.at(seq)
		if err != nil {
			return lost, err
		}
		now := changed[seq]
		switch {
		case seq > c.sound:
			lost.add(seq, was)
			lost.fix[seq] = now
		case now == leaf{}:
			c.missing.add(seq, was)
			c.missing.fix[seq] = now
		default:
			c.change(seq, was, now)
		}
	}
	return lost, nil
}

// mostNamed is how many runs a damage names.
const mostNamed = 1000

// tell reports a finding, and notes that it is known.
func (k *Keeper) tell(ctx context.Context, t *part, f *finding) error {
	runs, err := k.whose(ctx, t, f.owners)
	if err != nil {
		k.logger.Warn("the runs that are affected cannot all be named", "error", err)
	}
	d := Damage{
		ID: uuid.NewString(), Kind: f.kind, Partition: t.p, From: f.from, To: f.to, Entries: f.entries,
		Runs: runs[:min(len(runs), mostNamed)], Since: t.book.Whole, Found: k.bus.Now(), Head: t.head,
	}
	d.Any = f.kind == Rolled || f.kind == Replaced
	d.Unnamed = len(f.owners) - len(d.Runs)
	if err := k.report(ctx, d); err != nil {
		return err
	}
	for seq, l := range f.fix {
		if err := t.book.set(seq, l); err != nil {
			return err
		}
	}
	return nil
}

// whose finds the ids of runs: those that were noted, and those that the log still has.
func (k *Keeper) whose(ctx context.Context, t *part, owners map[owner]bool) ([]string, error) {
	ids, err := t.file.whose(owners)
	if len(ids) == len(owners) {
		return ids, err
	}
	subjects, more := k.bus.Subjects(ctx, t.stream, k.names.LogKind(t.p, wire.KindPlan))
	for _, s := range subjects {
		if run := runOf(k.names, s); owners[ownerOf(run)] {
			ids = append(ids, run)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), errors.Join(err, more)
}

// scrub is a reading of everything, a part at each look.
type scrub struct {
	began time.Time
	next  uint64 // 0: none is under way
}

// goOnScrubbing reads so much of a partition that all of it is read in the time of a scrub.
func (k *Keeper) goOnScrubbing(ctx context.Context, t *part) error {
	s := &t.scrub
	if s.next == 0 {
		if !s.began.IsZero() && time.Since(s.began) < k.scrub {
			return nil
		}
		if err := k.shelf.forgetLeft(ctx, t.p, k.bus.Now().Add(-leavingKept)); err != nil {
			return err
		}
		s.began, s.next = time.Now(), 1
	}
	share := uint64(float64(t.book.UpTo)*float64(lookEvery)/float64(k.scrub/2)) + page
	to := min(s.next+share-1, t.book.UpTo)
	if err := k.check(ctx, t, s.next, to); err != nil {
		return err
	}
	if s.next = to + 1; s.next <= t.book.UpTo {
		return nil
	}
	s.next, t.book.Whole = 0, s.began.UTC()
	k.scrubbed()
	return nil
}

// scrubbed notes when all partitions have been read.
func (k *Keeper) scrubbed() {
	oldest := time.Now()
	for _, t := range k.parts {
		if w := t.whole(); w.Before(oldest) {
			oldest = w
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.whole = oldest
}
