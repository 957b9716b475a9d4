package runlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"belay/internal/bus"
	"belay/internal/wire"
)

// Errors of [Log.Archived].
var (
	ErrNotEnded = errors.New("it has not ended, or its end is not stored")
	ErrGrown    = errors.New("its log is not the one that was archived")
)

// Archived checks that an ended run's whole log has the digest that an archive says ([ArchiveRun.SHA256]), and returns its entries.
// Without the run it is an [ErrNoRun].
func (l *Log) Archived(ctx context.Context, run, digest string) ([]bus.Entry, error) {
	entries, err := l.bus.ReadLog(ctx, run, 0)
	if err != nil {
		return nil, fmt.Errorf("read the log of run %s: %w", run, err)
	}
	f := l.Fold(run, entries, nil)
	switch {
	case f.State == nil && f.Poison == nil:
		return nil, fmt.Errorf("%w: %s", ErrNoRun, run)
	case f.Poison != nil || !f.State.Closed():
		return nil, ErrNotEnded
	}
	a := newArchive(io.Discard)
	if is, err := a.entries(entries); err != nil || is != digest {
		return nil, errors.Join(ErrGrown, err)
	}
	return entries, nil
}

// Remove removes what the log has of an ended run up to a sequence, and leaves a mark. The mark comes first, so that a tally of the
// log knows why something is missing. Then the submission goes, and the result, which is the mark of an ended run, goes last: an
// interrupted removal never looks like a run that is still open, and whoever removes it again goes on with it. What has come behind
// the sequence stays until the mark goes too.
func (l *Log) Remove(ctx context.Context, run string, upTo uint64) error {
	p := wire.Partition(run, l.bus.Partitions())
	stream := l.names.RunsStream(p)
	subjects, err := l.bus.Subjects(ctx, stream, l.names.LogOf(p, run))
	if err != nil {
		return err
	}
	m, _, err := l.RemovalMark(run)
	if err != nil {
		return err
	}
	if _, err := l.bus.PublishWait(ctx, stream, m); err != nil {
		return err
	}
	for _, s := range removalOrder(subjects) {
		if err := l.bus.PurgeTo(ctx, stream, s, upTo); err != nil {
			return err
		}
	}
	return nil
}

// removalOrder puts the submission first and the result last.
func removalOrder(subjects []string) []string {
	var first, middle, last []string
	for _, s := range subjects {
		switch {
		case strings.HasSuffix(s, "."+wire.KindPlan):
			first = append(first, s)
		case strings.HasSuffix(s, "."+wire.KindResult):
			last = append(last, s)
		default:
			middle = append(middle, s)
		}
	}
	return append(append(first, middle...), last...)
}
