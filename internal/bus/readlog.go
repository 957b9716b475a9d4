package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"belay/internal/wire"
)

// A run's log is read subject by subject. The server finds the messages of one subject by an index, whatever else is in
// the stream. For a wildcard it looks at every message from the run's first one to the end of the stream, and it lets
// nobody write meanwhile: with a million runs kept that takes seconds, for each read. It gives the last message of each
// subject of a run at once, though. Most subjects have only one; the others are read by their names.

// ReadLog reads all entries of a run's log after a sequence, in order, including every one that was acknowledged before the
// call. What it should find beside outcomes may be said: a kind of entry that is there costs no round trip more then, and one
// that is not costs a request.
func (b *Bus) ReadLog(ctx context.Context, run string, after uint64, likely ...string) ([]Entry, error) {
	p := wire.Partition(run, b.Partitions())
	stream, all := b.names.RunsStream(p), b.names.LogOf(p, run)
	var least uint64 // the last entry at the time of the call
	if b.replicated() {
		// A replica that is behind may answer a direct get; the leader knows.
		last, ok, err := b.Last(ctx, stream, all)
		if err != nil || !ok || last.Seq <= after {
			return nil, err
		}
		least = last.Seq
	}
	r := logRead{bus: b, stream: stream, all: all, likely: []string{b.names.Log(p, run, wire.KindOutcome)}, after: after}
	for _, kind := range likely {
		r.likely = append(r.likely, b.names.Log(p, run, kind))
	}
	entries, err := r.upTo(ctx, least)
	if errors.Is(err, errTooMany) {
		entries, err = r.scan(ctx, least)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s from %s: %w", all, stream, err)
	}
	return entries, nil
}

// logRead is one reading of a run's log.
type logRead struct {
	bus    *Bus
	stream string
	all    string   // matches all subjects of the run
	likely []string // subjects that are asked for before it is known whether they have any entries
	after  uint64
}

// upTo reads until it has the entry least. A replica that is behind may have answered.
func (r logRead) upTo(ctx context.Context, least uint64) ([]Entry, error) {
	for giveUp := time.Now().Add(r.bus.timeout); ; {
		entries, whole, err := r.once(ctx)
		if err != nil || whole && reaches(entries, least) {
			return entries, err
		}
		if err := behind(ctx, giveUp); err != nil {
			return nil, err
		}
	}
}

// scan is for a run with more subjects than the server gives the last messages of.
func (r logRead) scan(ctx context.Context, least uint64) ([]Entry, error) {
	for giveUp := time.Now().Add(r.bus.timeout); ; {
		entries, err := r.bus.readMany(ctx, r.stream, r.all, r.after)
		if err != nil || reaches(entries, least) {
			return entries, err
		}
		if err := behind(ctx, giveUp); err != nil {
			return nil, err
		}
	}
}

// ReadToEnd calls read until it has what is the last message of a stream on a subject, wildcards allowed, at the time of the call; it
// returns how far it has read. A replica that is behind may answer a read; the leader knows.
func (b *Bus) ReadToEnd(ctx context.Context, stream, subject string, read func() (seq uint64, err error)) error {
	var least uint64
	if b.replicated() {
		last, ok, err := b.Last(ctx, stream, subject)
		if err != nil {
			return err
		}
		if ok {
			least = last.Seq
		}
	}
	for giveUp := time.Now().Add(b.timeout); ; {
		seq, err := read()
		if err != nil || seq >= least {
			return err
		}
		if err := behind(ctx, giveUp); err != nil {
			return err
		}
	}
}

func reaches(entries []Entry, least uint64) bool {
	return least == 0 || len(entries) > 0 && entries[len(entries)-1].Seq >= least
}

// behind waits a moment for a replica that is behind, and not for ever.
func behind(ctx context.Context, giveUp time.Time) error {
	if time.Now().After(giveUp) {
		return fmt.Errorf("the replicas are behind: %w", context.DeadlineExceeded)
	}
	select {
	case <-time.After(lagPause):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the replicas are behind: %w", context.Cause(ctx))
	}
}

// once reads the entries up to one moment of the stream. Whole is false if the answers are of different moments and do not
// fit together.
func (r logRead) once(ctx context.Context) (entries []Entry, whole bool, err error) {
	last, err := r.bus.startGet(r.stream, map[string]any{"multi_last": []string{r.all}, "seq": r.after + 1})
	if err != nil {
		return nil, false, err
	}
	defer last.giveUp()
	asked := map[string]*directGet{}
	for _, subject := range r.likely {
		if asked[subject], err = r.bus.startGet(r.stream, nextOn(subject, r.after+1, pageSize)); err != nil {
			return nil, false, err
		}
		defer asked[subject].giveUp()
	}
	ends, err := last.wait(ctx)
	switch {
	case err != nil:
		return nil, false, err
	case ends.pending > 0:
		return nil, false, errTooMany
	}
	for _, e := range ends.entries {
		if e.IsFirst() { // and the last: it is the only one
			entries = append(entries, e)
			continue
		}
		some, err := r.subject(ctx, e.Subject, asked[e.Subject])
		if err != nil {
			return nil, false, err
		}
		if !reaches(some, e.Seq) {
			return nil, false, nil
		}
		entries = append(entries, some...)
	}
	return sortedTo(entries, ends.upTo), true, nil
}

// sortedTo puts entries into the order of the log, without those behind a moment of it.
func sortedTo(entries []Entry, upTo uint64) []Entry {
	slices.SortFunc(entries, func(a, b Entry) int { return cmp.Compare(a.Seq, b.Seq) })
	if later := slices.IndexFunc(entries, func(e Entry) bool { return e.Seq > upTo }); later >= 0 {
		return entries[:later]
	}
	return entries
}

// subject reads all entries on a subject, the first page of which may have been asked for already.
func (r logRead) subject(ctx context.Context, subject string, asked *directGet) ([]Entry, error) {
	if asked == nil {
		return r.bus.readMany(ctx, r.stream, subject, r.after)
	}
	first, err := asked.wait(ctx)
	if err != nil || !first.more() {
		return first.entries, err
	}
	rest, err := r.bus.readMany(ctx, r.stream, subject, first.entries[len(first.entries)-1].Seq)
	return append(first.entries, rest...), err
}
