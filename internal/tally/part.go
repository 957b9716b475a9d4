package tally

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"belay/internal/bus"
	"belay/internal/wire"
)

// part is the tally of a partition.
type part struct {
	p      int
	stream string

	mu    sync.Mutex
	notes []noted // received and not got yet, in any order, some twice

	// Of the one goroutine that looks.
	ctx     context.Context // of the look that is under way: pages are read from the bucket with it
	book    *book
	file    *file
	conn    time.Time      // the connection over which the end of the log was compared
	deaf    time.Time      // what was received before is not used: it may be of the connection before
	head    uint64         // the last sequence of the partition, when it was looked at last
	last    uint64         // the last sequence at the last look
	fewer   bool           // the last look found fewer entries than there must be
	leaving map[owner]bool // runs that are being removed
	swept   time.Time      // when their leaves were removed last
	unswept bool           // there may be such leaves
	scrub   scrub
}

// mostNotes bounds what is kept between two looks; what is beyond is read from the log.
const mostNotes = 200_000

func (t *part) note(n noted) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.notes) < mostNotes {
		t.notes = append(t.notes, n)
	}
}

// take returns what was received, in order, from one sequence to another.
func (t *part) take(from, to uint64) []noted {
	t.mu.Lock()
	all := t.notes
	t.notes = nil
	t.mu.Unlock()
	slices.SortStableFunc(all, func(a, b noted) int { return cmp.Compare(a.seq, b.seq) })
	var got, later []noted
	for _, n := range all {
		switch {
		case n.seq < from || n.at.Before(t.deaf):
		case n.seq > to:
			later = append(later, n)
		case len(got) == 0 || got[len(got)-1].seq < n.seq:
			got = append(got, n)
		}
	}
	t.mu.Lock()
	t.notes = append(later, t.notes...)
	t.mu.Unlock()
	return got
}

// whole is when the last scrub of the partition began; zero where none has ended.
func (t *part) whole() time.Time {
	if t.book == nil {
		return time.Time{}
	}
	return t.book.Whole
}

func (t *part) close() {
	t.book = nil
	_ = t.file.close() // what it has is stored, or read from the log again
	t.file = nil
}

// load opens the book of a partition: the longer one of those outside and inside the store.
func (k *Keeper) load(ctx context.Context, t *part) error {
	if k.dir != "" && t.file == nil {
		f, err := openFile(k.dir, t.stream)
		if err != nil {
			k.logger.Warn("the tally of the log is kept inside the store only", "error", err)
		}
		t.file = f
	}
	h, ok := t.file.head()
	inside, there, err := k.shelf.head(ctx, t.p)
	if err != nil {
		return err
	}
	died := k.lossy && h.Boot != "" && h.Boot != k.boot
	if there && (!ok || inside.UpTo > h.UpTo) {
		// Another process has kept it since, and has noted removals that this file knows nothing of.
		h, ok = inside, true
		if err := t.file.empty(); err != nil {
			return err
		}
	}
	if !ok || h.Stream != t.stream {
		info, err := k.bus.About(ctx, t.stream)
		if err != nil {
			return err
		}
		h = head{V: version, Stream: t.stream, Created: info.Created}
	}
	t.book = newBook(h, func(number uint64) (*leaves, error) {
		if l := t.file.page(number); l != nil {
			return l, nil
		}
		return k.shelf.page(t.ctx, t.p, number)
	})
	t.ctx = ctx
	t.conn, t.leaving, t.unswept = time.Time{}, map[owner]bool{}, true
	if died {
		if err := k.unsynced(ctx, t); err != nil {
			return err
		}
	}
	if err := k.keptNow(t); err != nil {
		return err
	}
	return k.loadLeaving(ctx, t)
}

// loadLeaving finds the runs whose removal has begun.
func (k *Keeper) loadLeaving(ctx context.Context, t *part) error {
	marks, _, err := k.bus.ReadMarked(ctx, t.stream, k.names.LogKind(t.p, wire.KindClock), wire.HeaderRemoved, 0)
	if err != nil {
		return err
	}
	for _, e := range marks {
		t.leaving[ownerOf(runOf(k.names, e.Subject))] = true
	}
	return k.hearLeaving(ctx, t)
}

// hearLeaving takes in which removals people have announced.
func (k *Keeper) hearLeaving(ctx context.Context, t *part) error {
	left, err := k.shelf.left(ctx, t.p)
	for o := range left {
		if !t.leaving[o] {
			t.leaving[o], t.unswept = true, true
		}
	}
	return err
}

// lookAt looks at one partition.
func (k *Keeper) lookAt(ctx context.Context, t *part, put bool) error {
	t.ctx = ctx
	if t.book == nil {
		if err := k.load(ctx, t); err != nil {
			t.close()
			return err
		}
	}
	info, err := k.bus.About(ctx, t.stream)
	if err != nil {
		return err
	}
	if err := k.compareEnd(ctx, t, info); err != nil {
		return err
	}
	proven, err := k.prove(ctx, t, info)
	if err != nil {
		return err
	}
	before := t.book.UpTo
	if err := k.extend(ctx, t, proven); err != nil {
		return err
	}
	put = put || t.book.UpTo == before // nothing comes: what is there need not wait
	if err := k.sweep(t, false); err != nil {
		return err
	}
	if err := k.compareCount(ctx, t, info); err != nil {
		return err
	}
	if err := k.goOnScrubbing(ctx, t); err != nil {
		return err
	}
	return k.save(ctx, t, put)
}

// prove is up to where the log is known to be stored over this connection. Where nobody writes, a seal is written for that.
func (k *Keeper) prove(ctx context.Context, t *part, info bus.StreamInfo) (bus.Proof, error) {
	proof := k.bus.Stored(t.stream)
	quiet := t.last == info.LastSeq
	t.last = info.LastSeq
	if proof.Seq >= info.LastSeq || !quiet || t.book.UpTo >= info.LastSeq {
		return proof, nil
	}
	seq, err := k.seal(ctx, t)
	if err != nil {
		return proof, err
	}
	t.last = seq
	return k.bus.Stored(t.stream), nil
}

// seal writes an entry that says nothing, and removes the one before.
func (k *Keeper) seal(ctx context.Context, t *part) (uint64, error) {
	seq, err := k.bus.PublishWait(ctx, t.stream, bus.Message{Subject: k.names.Seal(t.p)})
	if err != nil {
		return 0, err
	}
	return seq, k.bus.PurgeButLast(ctx, t.stream, k.names.Seal(t.p))
}

var errMoved = errors.New("the connection was lost meanwhile")

// extend notes what has come and is proven stored.
func (k *Keeper) extend(ctx context.Context, t *part, proof bus.Proof) error {
	from := t.book.UpTo + 1
	if proof.Seq < from {
		return nil
	}
	proof.Seq = min(proof.Seq, from+mostAtOnce-1)
	got, err := k.gather(ctx, t, from, proof.Seq)
	if err != nil {
		return err
	}
	if !k.bus.ConnectedAt().Equal(proof.Conn) {
		return errMoved
	}
	var ids []string
	for _, n := range got {
		if n.run != "" {
			ids = append(ids, n.run)
			delete(t.leaving, n.leaf.owner()) // it has come back under its id
		}
		if n.removed {
			t.leaving[n.leaf.owner()], t.unswept = true, true
		}
		if t.leaving[n.leaf.owner()] || n.leaf.owner() == ownerOf(k.names.Seal(t.p)) {
			n.leaf = leaf{}
		}
		if err := t.book.add(n.seq, n.leaf); err != nil {
			return err
		}
	}
	if t.book.UpTo < proof.Seq { // nothing is there any more
		if err := t.book.add(proof.Seq, leaf{}); err != nil {
			return err
		}
	}
	return t.file.name(ids)
}

// mostAtOnce is how many sequences are noted at one look: a log that was there before its tally is noted little by little.
const mostAtOnce = 100_000

// gather puts together what was received and, where something is missing, what stands in the log.
func (k *Keeper) gather(ctx context.Context, t *part, from, to uint64) (all []noted, err error) {
	next := from
	fill := func(before uint64) error {
		if next >= before {
			return nil
		}
		return k.entries(ctx, t, next, before-1, func(e bus.Entry) error {
			all = append(all, k.noteOf(e))
			return nil
		})
	}
	for _, n := range t.take(from, to) {
		if err := fill(n.seq); err != nil {
			return nil, err
		}
		all, next = append(all, n), n.seq+1
	}
	return all, fill(to + 1)
}

// entries calls f with the entries from one sequence to another, in order. What the server cannot read it leaves out; a
// consumer would wait for it.
func (k *Keeper) entries(ctx context.Context, t *part, from, to uint64, f func(bus.Entry) error) error {
	for from <= to {
		list, next, err := k.page(ctx, t, from, to)
		if err != nil {
			return err
		}
		for _, e := range list {
			if e.Seq > to {
				return nil
			}
			if err := f(e); err != nil {
				return err
			}
		}
		from = next
	}
	return nil
}

// page reads the next entries, and says with which sequence to go on. A page with an entry that is so damaged that nobody
// understands the answer is read one by one.
func (k *Keeper) page(ctx context.Context, t *part, from, to uint64) (list []bus.Entry, next uint64, err error) {
	list, more, err := k.bus.ReadPage(ctx, t.stream, ">", from) // of all subjects: then the server need not count what is left
	switch {
	case err == nil && more:
		return list, list[len(list)-1].Seq + 1, nil
	case err == nil || ctx.Err() != nil || errors.Is(err, bus.ErrUnreachable):
		return list, to + 1, err
	}
	for last := min(to, from+oneByOne-1); from <= last; from++ {
		e, there, err := k.bus.At(ctx, t.stream, from)
		if ctx.Err() != nil || errors.Is(err, bus.ErrUnreachable) {
			return nil, from, err
		}
		if err == nil && there {
			list = append(list, e)
		}
	}
	return list, from, nil
}

const oneByOne = 2048

// sweepEvery is how often the leaves of removed runs are removed: all pages are read for that.
const sweepEvery = time.Minute

// sweep removes the leaves of runs that are being removed.
func (k *Keeper) sweep(t *part, now bool) error {
	if !t.unswept || len(t.leaving) > 0 && time.Since(t.swept) < sweepEvery && !now {
		return nil
	}
	for seq := uint64(1); seq <= t.book.UpTo && len(t.leaving) > 0; seq++ {
		l, err := t.book.at(seq)
		if err != nil {
			return err
		}
		if l != (leaf{}) && t.leaving[l.owner()] {
			if err := t.book.set(seq, leaf{}); err != nil {
				return err
			}
		}
	}
	t.swept, t.unswept = time.Now(), false
	return nil
}

// save stores what was noted: outside the store at once, and inside it the full pages and, where put says so, the last one.
func (k *Keeper) save(ctx context.Context, t *part, put bool) error {
	b := t.book
	if len(b.dirty) > 0 {
		changed := map[uint64]*leaves{}
		for number := range b.dirty {
			changed[number] = b.pages[number]
		}
		if err := t.file.save(b.head, changed); err != nil {
			return err
		}
		clear(b.dirty)
	}
	if len(b.unput) == 0 || !put {
		return nil
	}
	for number := range b.unput {
		if err := k.shelf.put(ctx, pageKey(t.p, number), b.pages[number].encode()); err != nil {
			return err
		}
		delete(b.unput, number)
	}
	return k.shelf.putJSON(ctx, headKey(t.p), b.head)
}
