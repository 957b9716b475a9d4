package runlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"belay/internal/bus"
	"belay/internal/dlq"
	"belay/internal/wire"
)

// isStray reports whether something of a run is there that never became one.
func (l *Log) isStray(ctx context.Context, run string) bool {
	f, err := l.Read(ctx, run, nil)
	return err == nil && f.State == nil && (f.Frozen() != nil || errors.Is(l.missing(ctx, run), ErrStray))
}

// FindStray finds what a dead letter is about that belongs to no run; nil when the letter is of a run.
func (l *Log) FindStray(ctx context.Context, letter string) (*Stray, error) {
	i := strings.LastIndex(letter, letterMark)
	if i <= 0 {
		return nil, nil
	}
	of := letter[:i]
	seq, ok := letterSeq(of, letter)
	if !ok {
		return nil, nil
	}
	for _, stream := range l.streams() {
		if stream == of {
			return l.strayAt(ctx, letter, stream, seq)
		}
	}
	f, err := l.Read(ctx, of, nil)
	if err != nil {
		return nil, err
	}
	switch {
	case f.Orphan != nil && f.Orphan.Entry.Seq == seq:
		p := wire.Partition(of, l.bus.Partitions())
		return &Stray{ID: letter, Stream: l.names.RunsStream(p), Filter: l.names.LogOf(p, of), First: f.Orphan.Entry, Run: of, Why: f.Orphan.Why}, nil
	case f.State == nil && f.Seq == 0:
		return &Stray{ID: letter, Run: of, Why: fmt.Errorf("%w: run %s is not kept", ErrStray, of)}, nil
	}
	return nil, nil
}

func (l *Log) strayAt(ctx context.Context, letter, stream string, seq uint64) (*Stray, error) {
	gone := &Stray{ID: letter, Stream: stream, Why: fmt.Errorf("%w: it is no longer there", ErrStray)}
	subject, err := l.subjectAt(ctx, stream, seq)
	if err != nil || subject == "" {
		return gone, err
	}
	s, err := l.Stray(ctx, stream, subject)
	if err != nil || s == nil || s.ID != letter {
		return gone, err
	}
	return s, nil
}

// subjectAt is the subject that a letter's number stands for; empty when nothing is there any more.
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

// streams are those in which strays are looked for.
func (l *Log) streams() []string {
	all := []string{l.names.StepsStream(), l.names.TimersStream(), l.names.EscalationsStream(), l.names.AuditStream()}
	for p := range l.bus.Partitions() {
		all = append(all, l.names.RunsStream(p))
	}
	return all
}

// Discard removes a stray for good, with all that is alike and was there by now.
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
	// Asked again: what was there before this answer is no run's, whatever comes now.
	if still, err := l.FindStray(ctx, s.ID); err != nil || still == nil || still.Filter != s.Filter {
		return err
	}
	return l.bus.PurgeTo(ctx, s.Stream, s.Filter, last.Seq)
}

// Nothing can be removed from the audit stream. That a person has seen what does not belong there is kept beside it.
const seenPrefix = "stray."

func (l *Log) notices(ctx context.Context) (*bus.Bucket, error) {
	return l.bus.Bucket(ctx, l.names.NoticesBucket(), "Belay: what people were told")
}

func (l *Log) seen(ctx context.Context, letter string) (bool, error) {
	bucket, err := l.notices(ctx)
	if err != nil {
		return false, err
	}
	_, ok, err := bucket.Get(ctx, seenPrefix+letter)
	return ok, err
}

func (l *Log) see(ctx context.Context, letter string) error {
	bucket, err := l.notices(ctx)
	if err != nil {
		return err
	}
	return bucket.Put(ctx, seenPrefix+letter, []byte("seen"), nil)
}

// FindLetter gives the whole id of the one open letter that ends in suffix, whatever run it belongs to; empty when there
// is none.
func (l *Log) FindLetter(ctx context.Context, suffix string) (string, error) {
	letters, err := dlq.New(l.bus).IDs(ctx)
	if err != nil {
		return "", err
	}
	found := ""
	for _, v := range letters {
		switch {
		case v.ID == suffix:
			return suffix, nil
		case !strings.HasSuffix(v.ID, suffix):
		case found != "":
			return "", fmt.Errorf("%w: %s and %s end in %q: give more of the id", ErrAmbiguous, found, v.ID, suffix)
		default:
			found = v.ID
		}
	}
	return found, nil
}
