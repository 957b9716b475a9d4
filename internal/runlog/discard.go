package runlog

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/wire"
)

// isStray reports whether there are messages of a run that was never submitted.
func (l *Log) isStray(ctx context.Context, run string) bool {
	f, err := l.Read(ctx, run, nil)
	return err == nil && f.State == nil && (f.Frozen() != nil || errors.Is(l.missing(ctx, run), ErrStray))
}

// FindStray finds the stray that a dead letter is about; nil if it is about an entry of a run.
func (l *Log) FindStray(ctx context.Context, id string) (*Stray, error) {
	of, seq, ok := steps.ParseDeadLetterID(id)
	if !ok {
		return nil, nil
	}
	for _, stream := range l.streams() {
		if stream == of {
			return l.strayAt(ctx, id, stream, seq)
		}
	}
	f, err := l.Read(ctx, of, nil)
	if err != nil {
		return nil, err
	}
	switch {
	case f.Orphan != nil && f.Orphan.Entry.Seq == seq:
		p := wire.Partition(of, l.bus.Partitions())
		return &Stray{ID: id, Stream: l.names.RunsStream(p), Filter: l.names.LogOf(p, of), First: f.Orphan.Entry, Run: of, Why: f.Orphan.Why}, nil
	case f.State == nil && f.Seq == 0:
		return &Stray{ID: id, Run: of, Why: fmt.Errorf("%w: run %s is not kept", ErrStray, of)}, nil
	}
	return nil, nil
}

func (l *Log) strayAt(ctx context.Context, id, stream string, seq uint64) (*Stray, error) {
	gone := &Stray{ID: id, Stream: stream, Why: fmt.Errorf("%w: it is no longer there", ErrStray)}
	subject, err := l.subjectAt(ctx, stream, seq)
	if err != nil || subject == "" {
		return gone, err
	}
	s, err := l.Stray(ctx, stream, subject)
	if err != nil || s == nil || s.ID != id {
		return gone, err
	}
	return s, nil
}

// subjectAt returns the subject for the number in the id of a dead letter; empty if there is nothing any more.
func (l *Log) subjectAt(ctx context.Context, stream string, number uint64) (string, error) {
	if stream != l.names.TimersStream() {
		e, _, err := l.bus.At(ctx, stream, number)
		return e.Subject, err
	}
	subjects, err := l.bus.Subjects(ctx, stream, l.names.TimersSubjects())
	i := slices.IndexFunc(subjects, func(s string) bool { return timerMark(s) == number })
	if err != nil || i < 0 {
		return "", err
	}
	return subjects[i], nil
}

// streams returns the streams in which strays are searched.
func (l *Log) streams() []string {
	all := []string{l.names.StepsStream(), l.names.TimersStream(), l.names.EscalationsStream(), l.names.AuditStream()}
	for p := range l.bus.Partitions() {
		all = append(all, l.names.RunsStream(p))
	}
	return all
}

// Discard removes a stray for good, with everything like it that is there by now.
func (l *Log) Discard(ctx context.Context, s *Stray) error {
	if s.Filter == "" {
		return nil // it is gone
	}
	if s.Stream == l.names.AuditStream() {
		return l.see(ctx, s.ID)
	}
	last, ok, err := l.bus.Last(ctx, s.Stream, s.Filter)
	if err != nil || !ok {
		return err
	}
	// Looked up once more: what was there before this answer belongs to no run, whatever is published now.
	if still, err := l.FindStray(ctx, s.ID); err != nil || still == nil || still.Filter != s.Filter {
		return err
	}
	for p := range l.bus.Partitions() {
		if s.Stream != l.names.RunsStream(p) {
			continue
		}
		if err := l.leave(ctx, p, s.Filter); err != nil {
			return err
		}
	}
	return l.bus.PurgeTo(ctx, s.Stream, s.Filter, last.Seq)
}

// leave announces that something is about to be removed from a partition, where somebody keeps a tally of it.
func (l *Log) leave(ctx context.Context, partition int, subject string) error {
	if l.Leaving == nil {
		return nil
	}
	return l.Leaving(ctx, partition, subject)
}

// Nothing can be removed from the audit stream, so a bucket notes which strays in it a person has seen.
const seenPrefix = "stray."

func (l *Log) notices(ctx context.Context) (*bus.Bucket, error) {
	return l.bus.Bucket(ctx, l.names.NoticesBucket(), "Belay: what people were told")
}

func (l *Log) seen(ctx context.Context, id string) (bool, error) {
	bucket, err := l.notices(ctx)
	if err != nil {
		return false, err
	}
	_, ok, err := bucket.Get(ctx, seenPrefix+id)
	return ok, err
}

func (l *Log) see(ctx context.Context, id string) error {
	bucket, err := l.notices(ctx)
	if err != nil {
		return err
	}
	return bucket.Put(ctx, seenPrefix+id, []byte("seen"), nil)
}
