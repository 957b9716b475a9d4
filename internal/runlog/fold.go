package runlog

import (
	"fmt"
	"strconv"
	"strings"

	"belay/internal/bus"
	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/wire"
)

// Fold is one run as its log says it is. The zero value is a run before its first entry.
type Fold struct {
	Run     string
	State   *steps.State // nil until Submitted is in
	Seq     uint64       // of the last entry seen
	Poison  *Poison      // set: the run is frozen at this entry; later entries are seen, but not taken in
	Letters []string     // ids of dead letters of this run that a person has decided
	Orphan  *Poison      // set: nothing was ever submitted under this id; this is the first of what is there
	Removed bool         // the run ended and is no longer kept; what comes now comes late
	Stale   bool         // a dead letter was decided after entries had been folded: fold anew from the beginning

	discarded map[uint64]bool // sequences that a person decided to skip
}

// Poison is an entry that cannot be taken in, and why.
type Poison struct {
	Entry bus.Entry
	Why   error
}

// Observe is told of every record that a fold takes in: the state after it and the units that it touched. The state
// goes on changing after the call; keep nothing of it.
type Observe = func(*steps.State, steps.Record, []int)

// Frozen is the run's frozen state as an error, nil when it is not frozen.
func (f *Fold) Frozen() error {
	p := f.Poison
	if p == nil {
		p = f.Orphan
	}
	if p == nil {
		return nil
	}
	return &Frozen{Letter: LetterID(f.Run, p.Entry.Seq), Poison: *p}
}

// Fold takes in all entries of a run's log, from the first one on. Observe may be nil.
func (l *Log) Fold(run string, entries []bus.Entry, observe Observe) *Fold {
	f := &Fold{Run: run}
	for _, e := range entries {
		l.readVerdict(f, e)
	}
	for _, e := range entries {
		rec, touched, ok := l.Take(f, e)
		if ok && observe != nil {
			observe(f.State, rec, touched)
		}
	}
	f.Stale = false // verdicts were read before anything was folded
	l.orphaned(f, entries)
	return f
}

// Take takes the next entry in and says what it touched. It is not ok when there is nothing to act on: the entry is
// one that the fold has seen, it was discarded, the run is or gets frozen, or a dead letter is decided (then f is Stale).
func (l *Log) Take(f *Fold, e bus.Entry) (rec steps.Record, touched []int, ok bool) {
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
	if err != nil {
		f.Poison = &Poison{Entry: e, Why: err}
		return rec, nil, false
	}
	if d, is := rec.Event.(steps.Decided); is && isLetterOf(f.Run, d.Escalation) {
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

// apply keeps a bug in the core, or in an expression, from taking down every other run with this one.
func (f *Fold) apply(rec steps.Record) (touched []int, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("folding %T at sequence %d panicked: %v", rec.Event, rec.Seq, p)
		}
	}()
	f.State, touched = steps.Apply(f.State, rec)
	return touched, nil
}

// Record reads one entry; the plan of a Submitted is compiled, once per content.
func (l *Log) Record(run string, e bus.Entry) (steps.Record, error) {
	p, _, kind, ok := l.names.ParseLog(e.Subject)
	if !ok {
		return steps.Record{}, fmt.Errorf("%w: %q is no subject of a run's log", wire.ErrPoison, e.Subject)
	}
	event, err := wire.DecodeEvent(kind, e.Data)
	if err != nil {
		return steps.Record{}, err
	}
	if c, is := event.(steps.Claimed); is && e.Subject != l.names.Claim(p, run, c.Attempt) {
		// Only the first claim on a subject can be stored: one that speaks of another attempt would get round that.
		return steps.Record{}, fmt.Errorf("%w: a claim of %s on the subject %s", wire.ErrPoison, steps.AttemptName(run, c.Attempt), e.Subject)
	}
	if o, is := event.(steps.Objected); is {
		if o.Asks, err = plan.CompilePolicy(o.Policy); err != nil {
			return steps.Record{}, fmt.Errorf("%w: the policy of worker %s: %w", wire.ErrPoison, o.Worker, err)
		}
		event = o
	}
	if s, is := event.(steps.Submitted); is {
		if s.Epoch > steps.Epoch || s.Epoch < 0 {
			return steps.Record{}, fmt.Errorf("%w: the run was submitted under epoch %d of the rules, and this program knows up to %d: upgrade it, then retry this dead letter", wire.ErrPoison, s.Epoch, steps.Epoch)
		}
		s.Program, err = l.programs.Program(s.Document)
		if err != nil {
			return steps.Record{}, fmt.Errorf("%w: its plan does not compile: %w", wire.ErrPoison, err)
		}
		s.Trace = first(e.Header[wire.HeaderTrace])
		event = s
	}
	return steps.Record{Seq: e.Seq, Time: e.Time, Run: run, Event: event}, nil
}

// readVerdict notes a person's decision on a dead letter of this run, and reports whether e is one.
func (l *Log) readVerdict(f *Fold, e bus.Entry) bool {
	_, _, kind, _ := l.names.ParseLog(e.Subject)
	if kind != wire.KindDecision {
		return false
	}
	event, err := wire.DecodeEvent(kind, e.Data)
	if err != nil {
		return false // poison itself; the fold meets it in its turn
	}
	d := event.(steps.Decided)
	seq, ok := letterSeq(f.Run, d.Escalation)
	if !ok {
		return false
	}
	f.Letters = append(f.Letters, d.Escalation)
	if d.Verb == steps.VerbSkip {
		if f.discarded == nil {
			f.discarded = make(map[uint64]bool)
		}
		f.discarded[seq] = true
	}
	return true
}

// letterMark stands between a run's id and a sequence in the id of a dead letter; an escalation of the core has digits only.
const letterMark = "-dl"

// LetterID names the dead letter about the entry with this sequence. It is made from the log alone, so that every
// dispatcher that meets the entry raises the same one.
func LetterID(run string, seq uint64) string { return run + letterMark + strconv.FormatUint(seq, 10) }

// LetterRun is the run of a dead letter's id; not ok when id is none.
func LetterRun(id string) (run string, ok bool) {
	i := strings.LastIndex(id, letterMark)
	if i <= 0 {
		return "", false
	}
	_, ok = letterSeq(id[:i], id)
	return id[:i], ok
}

func letterSeq(run, id string) (uint64, bool) {
	rest, ok := strings.CutPrefix(id, run+letterMark)
	if !ok {
		return 0, false
	}
	seq, err := strconv.ParseUint(rest, 10, 64)
	return seq, err == nil
}

func isLetterOf(run, id string) bool { _, ok := letterSeq(run, id); return ok }

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}
