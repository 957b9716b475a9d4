package runlog

import (
	"context"
	"fmt"
	"hash/fnv"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/wire"
)

// Stray is a message that belongs to no run: its subject names no run, it is in another partition than its run's, or it is
// about a run that nobody submitted. The server has confirmed it to its publisher, so people are asked about it, with one
// dead letter for all alike messages: those of one run, or on one subject that names none.
type Stray struct {
	ID     string    // of its dead letter
	Stream string    // that has it
	Filter string    // the subjects of alike messages
	First  bus.Entry // of these; empty if it is not in the stream any more
	Run    string    // the run that it names; empty if that is not an id
	Why    error     // an [ErrStray]
}

// Stray says why messages of a stream on a subject belong to no run; nil if they belong to one, or are gone.
func (l *Log) Stray(ctx context.Context, stream, subject string) (*Stray, error) {
	s := &Stray{Stream: stream, Filter: subject}
	var err error
	switch stream {
	case l.names.StepsStream():
		err = l.strayStep(ctx, s)
	case l.names.TimersStream():
		err = l.strayTimer(ctx, s)
	case l.names.EscalationsStream():
		if _, _, _, ok := l.names.ParseEscalation(subject); !ok {
			s.Why = fmt.Errorf("%w: subject %s names no escalation", ErrStray, subject)
		}
	case l.names.AuditStream():
		if subject != l.names.AuditRecord() && subject != l.names.AuditCheckpoint() {
			s.Why = fmt.Errorf("%w: subject %s does not belong to the audit trail", ErrStray, subject)
		}
	default:
		l.strayEvent(s)
	}
	if err != nil || s.Why == nil {
		return nil, err
	}
	first, ok, err := l.bus.First(ctx, stream, s.Filter)
	if err != nil || !ok {
		return nil, err
	}
	s.First, s.ID = first, steps.DeadLetterID(stream, first.Seq)
	if stream == l.names.TimersStream() {
		s.ID = steps.DeadLetterID(stream, timerMark(subject))
	}
	if stream == l.names.AuditStream() {
		if seen, err := l.seen(ctx, s.ID); err != nil || seen {
			return nil, err
		}
	}
	return s, nil
}

// timerMark stands for a subject in the id of a dead letter: due timers leave their stream, so a sequence would not identify
// the next one of the kind.
func timerMark(subject string) uint64 {
	h := fnv.New32a()
	h.Write([]byte(subject))
	return uint64(h.Sum32())
}

// strayEvent checks a subject of the log.
func (l *Log) strayEvent(s *Stray) {
	for p := range l.bus.Partitions() {
		if s.Stream != l.names.RunsStream(p) {
			continue
		}
		_, run, _, ok := l.names.ParseLog(s.Filter)
		switch own := wire.Partition(run, l.bus.Partitions()); {
		case s.Filter == l.names.Seal(p):
		case !ok:
			s.Why = fmt.Errorf("%w: subject %s names no run and kind of event", ErrStray, s.Filter)
		case !wire.ValidName(run):
			s.Filter, s.Why = l.names.LogOf(p, run), fmt.Errorf("%w: %q is not a run id: use 1 to 64 letters, digits, - and _", ErrStray, run)
		case own != p:
			s.Run, s.Filter = run, l.names.LogOf(p, run)
			s.Why = fmt.Errorf("%w: it was published on partition %d, and run %s is of partition %d: nothing reads it there; publish it on %s, or submit it with a client",
				ErrStray, p, run, own, l.names.LogOf(own, run))
		}
	}
}

func (l *Log) strayStep(ctx context.Context, s *Stray) error {
	_, _, run, _, ok := l.names.ParseStep(s.Filter)
	if !ok || !wire.ValidName(run) {
		s.Why = fmt.Errorf("%w: subject %s names no attempt", ErrStray, s.Filter)
		return nil
	}
	known, err := l.Known(ctx, run)
	if err == nil && !known {
		s.Run, s.Filter = run, l.names.StepsOf(run)
		s.Why = fmt.Errorf("%w: a step of run %s is queued, which nobody submitted", ErrStray, run)
	}
	return err
}

func (l *Log) strayTimer(ctx context.Context, s *Stray) error {
	p, run, ok := l.names.ParseTimer(s.Filter)
	if !ok || !wire.ValidName(run) || wire.Partition(run, l.bus.Partitions()) != p {
		s.Why = fmt.Errorf("%w: subject %s names no run's timer", ErrStray, s.Filter)
		return nil
	}
	known, err := l.Known(ctx, run)
	if err == nil && !known {
		s.Run = run
		s.Why = fmt.Errorf("%w: a timer of run %s, which nobody submitted", ErrStray, run)
	}
	return err
}

// Known reports whether a run was submitted; for a while also if it was removed.
func (l *Log) Known(ctx context.Context, run string) (bool, error) {
	p := wire.Partition(run, l.bus.Partitions())
	subjects, err := l.bus.Subjects(ctx, l.names.RunsStream(p), l.names.LogOf(p, run))
	if err != nil {
		return false, err
	}
	for _, s := range subjects {
		switch s {
		case l.names.Log(p, run, wire.KindPlan), l.names.Log(p, run, wire.KindResult):
			return true, nil
		case l.names.Log(p, run, wire.KindClock):
			last, _, err := l.bus.Last(ctx, l.names.RunsStream(p), s)
			if err != nil || IsRemovalMark(last) {
				return true, err
			}
		}
	}
	return false, nil
}

// orphaned notes that a log has entries but no submission. A submission that cannot be read does not count as missing: it
// freezes its run.
func (l *Log) orphaned(f *Fold, entries []bus.Entry) {
	if f.State != nil {
		return
	}
	var first *bus.Entry
	for i := range entries {
		e := &entries[i]
		if IsRemovalMark(*e) {
			f.Removed = true
		}
		_, _, kind, _ := l.names.ParseLog(e.Subject)
		if f.Poison != nil && f.Poison.Entry.Seq == e.Seq && kind == wire.KindPlan {
			return
		}
		if first == nil && !f.discarded[e.Seq] && !l.readVerdict(&Fold{Run: f.Run}, *e) {
			first = e
		}
	}
	f.Poison = nil
	if first != nil && !f.Removed {
		f.Orphan = &Poison{Entry: *first, Why: fmt.Errorf("%w: there are events of run %s, and nobody submitted it", ErrStray, f.Run)}
	}
}

// missing returns the error for a run without a log; it says if the run is in another partition, where nobody reads it.
func (l *Log) missing(ctx context.Context, run string) error {
	own := wire.Partition(run, l.bus.Partitions())
	for p := range l.bus.Partitions() {
		if p == own {
			continue
		}
		s, err := l.Stray(ctx, l.names.RunsStream(p), l.names.Log(p, run, wire.KindPlan))
		if err != nil {
			return fmt.Errorf("look for run %s: %w", run, err)
		}
		if s != nil {
			return fmt.Errorf("run %s: %w", run, &Frozen{DeadLetter: s.ID, Poison: Poison{Entry: s.First, Why: s.Why}})
		}
	}
	return fmt.Errorf("run %s: %w", run, ErrNoRun)
}
