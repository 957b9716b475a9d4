package runlog

import (
	"fmt"
	"time"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/wire"
)

// Fold is one run, folded from its log. The zero value is a run before its first entry.
type Fold struct {
	Run         string       // its id
	State       *steps.State // nil before Submitted
	Seq         uint64       // of the last entry seen
	Poison      *Poison      // set: the run is frozen at this entry; later entries are read, but not folded
	DeadLetters []string     // ids of dead letters of this run that a person has decided
	Orphan      *Poison      // set: no run was ever submitted with this id; this is the first entry
	Removed     bool         // the run ended and was removed; entries that arrive now are ignored
	Stale       bool         // a dead letter was decided after entries had been folded: fold again from the beginning

	discarded map[uint64]bool // sequences that a person decided to skip
	conn      time.Time       // when the connection was made over which it was read; zero if that is not known
}

// Poison is an entry that cannot be read or folded, and why.
type Poison struct {
	Entry bus.Entry // as it is in the log
	Why   error     // what is wrong with it
}

// Observe is called for every record that is folded, with the state after it and the units that it touched. The state goes
// on changing after the call; keep nothing of it.
type Observe = func(*steps.State, steps.Record, []int)

// Frozen returns an error if the run is frozen.
func (f *Fold) Frozen() error {
	p := f.Poison
	if p == nil {
		p = f.Orphan
	}
	if p == nil {
		return nil
	}
	return &Frozen{DeadLetter: steps.DeadLetterID(f.Run, p.Entry.Seq), Poison: *p}
}

// Stray returns what an orphaned log has; nil if the run was submitted.
func (f *Fold) Stray() *Stray {
	if f.Orphan == nil {
		return nil
	}
	return &Stray{ID: steps.DeadLetterID(f.Run, f.Orphan.Entry.Seq), First: f.Orphan.Entry, Run: f.Run, Why: f.Orphan.Why}
}

// Fold folds all entries of a run's log, from the first one on. Observe may be nil.
func (l *Log) Fold(run string, entries []bus.Entry, observe Observe) *Fold {
	f := &Fold{Run: run}
	for _, e := range entries {
		l.readVerdict(f, e)
	}
	for _, e := range entries {
		rec, touched, ok := l.Apply(f, e)
		if ok && observe != nil {
			observe(f.State, rec, touched)
		}
	}
	f.Stale = false // verdicts were read before anything was folded
	l.orphaned(f, entries)
	return f
}

// Apply folds the next entry and returns what it touched. Ok is false if there is nothing to act on: the fold has the entry
// already, it was discarded, the run is or gets frozen, or a dead letter is decided (then f is Stale).
func (l *Log) Apply(f *Fold, e bus.Entry) (rec steps.Record, touched []int, ok bool) {
	if e.Seq <= f.Seq {
		return rec, nil, false
	}
	f.Seq = e.Seq
	if f.discarded[e.Seq] {
		return rec, nil, false
	}
	if f.Poison != nil {
		f.Stale = f.Stale || l.readVerdict(f, e)
		return rec, nil, false
	}
	rec, err := l.Record(f.Run, e)
	if err != nil && l.junk(f, e, &rec, err) {
		err = nil
	}
	if err != nil {
		f.Poison = &Poison{Entry: e, Why: err}
		return rec, nil, false
	}
	if _, _, is := verdictOf(f.Run, rec.Event); is {
		f.Stale = true
		return rec, nil, false
	}
	touched, err = f.apply(rec)
	if err != nil {
		f.Poison = &Poison{Entry: e, Why: err}
		return rec, nil, false
	}
	return rec, touched, f.State != nil
}

// apply turns a panic of the core, or of an expression, into an error, so that a bug does not take down every other run.
func (f *Fold) apply(rec steps.Record) (touched []int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("folding %T at sequence %d panicked: %v", rec.Event, rec.Seq, p)
		}
	}()
	f.State, touched = steps.Apply(f.State, rec)
	return touched, nil
}

// readVerdict notes the decision on a dead letter of this run, and reports whether e is one.
func (l *Log) readVerdict(f *Fold, e bus.Entry) bool {
	if _, _, kind, _ := l.names.ParseLog(e.Subject); kind != wire.KindDecision {
		return false
	}
	_, event, err := Parse(l.names, e)
	if err != nil {
		return false // it is poison itself, which the fold will find
	}
	seq, skip, ok := verdictOf(f.Run, event)
	if !ok {
		return false
	}
	f.DeadLetters = append(f.DeadLetters, steps.DeadLetterID(f.Run, seq))
	if skip {
		if f.discarded == nil {
			f.discarded = make(map[uint64]bool)
		}
		f.discarded[seq] = true
	}
	return true
}
