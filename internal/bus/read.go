package bus

import (
	"context"
	"fmt"
	"time"
)

const (
	pageSize  = 512     // messages that one read asks for
	pageBytes = 8 << 20 // and bytes
	lagPause  = 10 * time.Millisecond
)

// ReadSubject reads all messages of a stream on a subject, wildcards allowed, after a sequence, in order.
func (b *Bus) ReadSubject(ctx context.Context, stream, subject string, after uint64) ([]Entry, error) {
	return b.readMany(ctx, stream, subject, after)
}

// ReadRange reads the messages of a stream on a subject, wildcards allowed, from one sequence to another, both included.
func (b *Bus) ReadRange(ctx context.Context, stream, subject string, from, to uint64) ([]Entry, error) {
	var all []Entry
	for from <= to {
		page, more, err := b.ReadPage(ctx, stream, subject, from)
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			if e.Seq > to {
				return all, nil
			}
			all = append(all, e)
		}
		if !more {
			break
		}
		from = page[len(page)-1].Seq + 1
	}
	return all, nil
}

// ReadPage reads the next messages of a stream on a subject, wildcards allowed, from a sequence on: as many as fit in one
// round trip. More says that there are more behind them.
func (b *Bus) ReadPage(ctx context.Context, stream, subject string, from uint64) (page []Entry, more bool, err error) {
	page, more, err = b.readPage(ctx, stream, subject, from, pageSize)
	if err != nil {
		return nil, false, fmt.Errorf("read %s from %s: %w", subject, stream, err)
	}
	return page, more && len(page) > 0, nil
}

// readMany reads the messages of a subject by batched direct gets, with one round trip for each page.
func (b *Bus) readMany(ctx context.Context, stream, subject string, after uint64) ([]Entry, error) {
	var all []Entry
	for {
		page, more, err := b.readPage(ctx, stream, subject, after+1, pageSize)
		if err != nil {
			return nil, fmt.Errorf("read %s from %s: %w", subject, stream, err)
		}
		all = append(all, page...)
		if !more || len(page) == 0 {
			return all, nil
		}
		after = page[len(page)-1].Seq
	}
}

// LastOf is the newest message of each of these subjects that has one, at most 512. Subjects take no wildcards.
func (b *Bus) LastOf(ctx context.Context, stream string, subjects []string) ([]Entry, error) {
	if len(subjects) == 0 {
		return nil, nil
	}
	page, err := b.get(ctx, stream, map[string]any{"multi_last": subjects, "batch": len(subjects)})
	if err != nil {
		return nil, fmt.Errorf("last of %d subjects in %s: %w", len(subjects), stream, err)
	}
	return page.entries, nil
}

func (b *Bus) readPage(ctx context.Context, stream, subject string, from uint64, most int) (page []Entry, more bool, err error) {
	got, err := b.get(ctx, stream, nextOn(subject, from, most))
	return got.entries, got.more(), err
}

// nextOn asks for the next messages on a subject, from a sequence on.
func nextOn(subject string, from uint64, most int) map[string]any {
	return map[string]any{"seq": from, "next_by_subj": subject, "batch": most, "max_bytes": pageBytes}
}
