package score

import (
	"context"
	"fmt"
	"slices"
	"time"

	"belay/internal/bus"
	"belay/internal/steps"
)

// stretch is how many entries of the log are counted before that is stored.
const stretch = 20_000

// catchUp counts from the log what lies between the book and the log's end, and then lets the dispatcher count. What is stored from
// then on is delivered from then on; so from the moment at which changes are kept, the log is read once more to its end.
func (k *Keeper) catchUp(ctx context.Context, bucket *bus.Bucket, t *part, era int) (err error) {
	if t.book, t.revision, err = readBook(ctx, bucket, t.p); err != nil {
		return err
	}
	last, err := k.bus.LastSeq(ctx, t.p)
	if err != nil {
		return err
	}
	if t.book.Upto > last {
		k.logger.Warn("the log ends before what was counted of it; it is counted on from its end", "partition", t.p, "counted", t.book.Upto, "log", last)
		t.book.Upto = last
	}
	if err := k.readOn(ctx, bucket, t); err != nil {
		return err
	}
	t.mu.Lock()
	same := t.era == era
	if same {
		t.live, t.pending = true, nil
		clear(t.knows)
	}
	t.mu.Unlock()
	if !same {
		return nil // the next one begins anew
	}
	return k.readOn(ctx, bucket, t)
}

// readOn counts to the end of the log.
func (k *Keeper) readOn(ctx context.Context, bucket *bus.Bucket, t *part) error {
	for more := true; more; {
		runs, upto := map[string]struct{}{}, t.book.Upto
		for read := 0; more && read < stretch; {
			page, rest, err := k.bus.ReadPage(ctx, k.bus.Names().RunsStream(t.p), k.bus.Names().RunsSubjects(t.p), upto+1)
			if err != nil {
				return fmt.Errorf("count the log of partition %d: %w", t.p, err)
			}
			for _, e := range page {
				if _, id, _, ok := k.bus.Names().ParseLog(e.Subject); ok {
					runs[id] = struct{}{}
				}
				upto = e.Seq
			}
			read, more = read+len(page), rest
		}
		if upto == t.book.Upto {
			return nil
		}
		if err := k.countRuns(ctx, t, runs, upto); err != nil {
			return err
		}
		if err := k.store(ctx, bucket, t, upto); err != nil {
			return err
		}
	}
	return nil
}

// countRuns counts what these runs have in the log between the book and a sequence.
func (k *Keeper) countRuns(ctx context.Context, t *part, runs map[string]struct{}, upto uint64) error {
	var all []Change
	knows, after := programs{}, t.book.Upto
	oldest := k.bus.Now().Add(-keep - 24*time.Hour)
	for id := range runs {
		_, err := k.runs.Read(ctx, id, func(s *steps.State, r steps.Record, touched []int) {
			if r.Seq > after && r.Seq <= upto && s.Now.After(oldest) {
				all = append(all, changes(s, r, touched, knows.known)...)
			}
		})
		if err != nil {
			return err
		}
	}
	slices.SortFunc(all, inLog)
	t.book.count(all)
	return nil
}
