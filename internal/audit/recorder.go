package audit

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"time"

	"belay/internal/bus"
	"belay/internal/exactjson"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/wire"
)

// Recorder records every decision, cancel and retry in the logs of runs, and signs checkpoints. It reads the logs, so a
// crash between a decision and its record loses nothing: the next recorder begins where the last one stopped. Only one
// dispatcher at a time records.
type Recorder struct {
	Bus  *bus.Bus                           // holds the cursors, and the lease by which one dispatcher records
	Runs *runlog.Log                        // where acts are read
	Log  *Log                               // where records are written
	Key  func() (ed25519.PrivateKey, error) // that signs checkpoints
	File string                             // to which checkpoints are appended, outside the store; empty = none
	// Store says what the log of runs is known to hold, a line for each partition: checkpoints cover it, so that whoever has one can
	// find that the log went back. Nil = nothing.
	Store func(context.Context) ([]string, error)
	// Fork says whether somebody has found that the trail is another one than what was signed and nobody has accepted that, and
	// when that was accepted last; Forked reports that it is, of a checkpoint that was signed at a time. Nil = nobody is told.
	Fork   func() (open bool, accepted time.Time)
	Forked func(ctx context.Context, fault string, signed time.Time) error
	Keys   func(context.Context) ([]ed25519.PublicKey, error) // that other dispatchers sign with; nil = their checkpoints are not kept
	// Unrevoked are those of them that nobody has revoked, and Witnesses gives the checkpoints that others keep: one that such a key has signed
	// counts like those in File. Nil = nobody is asked.
	Unrevoked func(context.Context) ([]ed25519.PublicKey, error)
	Witnesses func(context.Context) ([]Testimony, error)
	Places    []*Place     // that get checkpoints too
	Logger    *slog.Logger // logs sweeps that failed; they are repeated

	mu          sync.Mutex // one sweep at a time
	bucket      *bus.Bucket
	signs       checkpoints
	kept        int64     // how many records the checkpoints in File cover; unknown before the first sweep
	doubt       time.Time // when the checkpoint was signed that did not fit the last time; all is read once more, because a replica may have been behind
	shown       shown
	accepted    time.Time // when it was accepted last that the trail is another one
	announced   string    // the checkpoint that workers were told of last; and what they were told was accepted
	announcedAt time.Time
	wake        chan struct{}
	looked      map[string]uint64 // by cursor: up to which sequence everything is recorded
	conn        time.Time         // when the connection was made over which that was found
}

// NewRecorder makes a recorder of what people do in these runs. Set Key and Say.
func NewRecorder(b *bus.Bus, runs *runlog.Log, log *Log) *Recorder {
	return &Recorder{Bus: b, Runs: runs, Log: log, wake: make(chan struct{}, 1), looked: map[string]uint64{}}
}

// Keys of the bucket, and the times of the loop.
const (
	leaseKey  = "audit.lease"
	cursor    = "audit.cursor."
	actCursor = "audit.acts."
	term      = 15 * time.Second
	settle    = 100 * time.Millisecond
	recent    = 1000  // newest records that are searched for one that may be there already
	behind    = 10000 // sequences by which a stored cursor stays behind, where nothing was recorded
)

// Run records until ctx ends.
func (r *Recorder) Run(ctx context.Context) error {
	if err := r.open(ctx); err != nil {
		return err
	}
	deaf, err := r.Bus.Hear(r.Bus.Names().Acts(), func(string, []byte) { r.Nudge() })
	if err != nil {
		return err
	}
	defer deaf()
	lease := bus.NewLease(r.bucket, leaseKey, term)
	for p := range r.Bus.Partitions() {
		go r.follow(ctx, p)
	}
	for was := false; ; {
		mine, err := lease.Renew(ctx)
		switch {
		case err != nil:
		case mine && !was: // somebody else may have kept the trail until now
			r.anew()
			fallthrough
		case mine:
			err = r.Sweep(ctx)
		default:
			err = r.Watch(ctx)
		}
		was = mine
		if err != nil && ctx.Err() == nil {
			r.Logger.Warn("cannot record decisions in the audit trail; trying again, nothing is lost", "error", err)
		}
		if !r.rest(ctx) {
			break
		}
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	lease.Resign(end)
	return nil
}

// anew has the trail read from the beginning.
func (r *Recorder) anew() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.signs.anew()
}

// Nudge makes the recorder look soon, because something was done.
func (r *Recorder) Nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// follow wakes the recorder when a decision is stored. Of what is done to runs as a whole it hears on a subject of its own:
// the logs have that among all submissions.
func (r *Recorder) follow(ctx context.Context, p int) {
	if err := r.Bus.FollowKind(ctx, p, wire.KindDecision, r.Nudge, func(bus.Entry) { r.Nudge() }); err != nil && ctx.Err() == nil {
		r.Logger.Debug("cannot follow decisions; polling for them", "error", err)
	}
}

func (r *Recorder) rest(ctx context.Context) bool {
	t := time.NewTimer(term / 3)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	case <-r.wake:
	}
	t.Reset(settle)
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (r *Recorder) open(ctx context.Context) (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bucket == nil {
		r.signs.log = r.Log
		r.bucket, err = r.Bus.Bucket(ctx, r.Bus.Names().NoticesBucket(), "Belay: what people were told")
	}
	return err
}

// Sweep records what is new, and signs a checkpoint.
func (r *Recorder) Sweep(ctx context.Context) error {
	if err := r.open(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if conn := r.Bus.ConnectedAt(); !conn.Equal(r.conn) {
		clear(r.looked)
		r.conn = conn
	}
	var read []*position
	for p := range r.Bus.Partitions() {
		at, err := r.partition(ctx, p)
		if err != nil {
			return err
		}
		read = append(read, at...)
	}
	key, err := r.Key()
	if err != nil {
		return err
	}
	kept, err := r.covered()
	if err != nil {
		return err
	}
	if fits, err := r.fits(ctx); err != nil || !fits {
		return err
	}
	text, err := r.signs.make(ctx, key, r.Bus.Now(), kept, r.Store)
	if err != nil {
		return err
	}
	if err := r.keep(text); err != nil {
		return err
	}
	if err := r.announce(ctx, text); err != nil {
		return err
	}
	// The checkpoint is stored, and therefore also the records before it: these entries need not be read again.
	for _, at := range read {
		if err := r.note(ctx, at); err != nil {
			return err
		}
	}
	return nil
}

// covered is how many records the checkpoints outside the store cover. A process that ended between the two may have
// stored a checkpoint and not kept it there.
func (r *Recorder) covered() (int64, error) {
	if r.File == "" {
		return math.MaxInt64, nil // nothing is missing there
	}
	if r.kept > 0 {
		return r.kept, nil
	}
	all, err := keptIfThere(r.File)
	if err != nil {
		return 0, fmt.Errorf("checkpoints outside the store: %w", err)
	}
	for _, text := range all {
		r.kept = max(r.kept, sizeOf(Origin(r.Bus.Names().Prefix), text))
	}
	return r.kept, nil
}

// keep appends a checkpoint to those outside the store.
func (r *Recorder) keep(text string) error {
	if text == "" || r.File == "" {
		return nil
	}
	if err := Keep(r.File, text); err != nil {
		return err
	}
	r.kept = sizeOf(Origin(r.Bus.Names().Prefix), text)
	return nil
}

// position is up to which sequence one kind of entry is recorded. A server whose disk fails may lose the end of a log that
// was read, and give its sequences to other entries: so how far was looked counts for one connection, and what is stored is
// the last entry that was recorded, or stays well behind.
type position struct {
	key      string
	looked   uint64 // the last sequence that was looked at
	keep     uint64 // what is stored in the bucket, for the next recorder; 0 = what is there
	revision uint64 // of the value in the bucket
}

// note stores where a read ended, so that the next one begins there.
func (r *Recorder) note(ctx context.Context, to *position) error {
	r.looked[to.key] = to.looked
	if to.keep == 0 {
		return nil
	}
	if _, err := r.bucket.Swap(ctx, to.key, strconv.AppendUint(nil, to.keep, 10), to.revision); err != nil {
		return fmt.Errorf("cursor of the audit trail: %w", err)
	}
	return nil
}

// partition records what people did in one partition since the last sweep: decisions, and acts on whole runs, which are
// distinguished from other submissions by their headers.
func (r *Recorder) partition(ctx context.Context, p int) ([]*position, error) {
	names := r.Bus.Names()
	stream := names.RunsStream(p)
	decided, err := r.since(ctx, cursor+strconv.Itoa(p), func(after uint64) ([]bus.Entry, uint64, error) {
		return r.decisions(ctx, p, after)
	})
	if err != nil {
		return nil, err
	}
	acted, err := r.since(ctx, actCursor+strconv.Itoa(p), func(after uint64) ([]bus.Entry, uint64, error) {
		return r.Bus.ReadMarked(ctx, stream, names.LogKind(p, wire.KindPlan), wire.HeaderAct, after)
	})
	return []*position{decided, acted}, err
}

// decisions reads the decisions of a partition after a sequence, and says how far it has looked. Where nobody decides
// anything it looks further all the same, or each sweep would look at everything again.
func (r *Recorder) decisions(ctx context.Context, p int, after uint64) (entries []bus.Entry, last uint64, err error) {
	stream, subject := r.Bus.Names().RunsStream(p), r.Bus.Names().LogKind(p, wire.KindDecision)
	head, err := r.Bus.LastSeq(ctx, p)
	if err != nil || head <= after {
		return nil, after, err
	}
	// The leader knows; a replica may be behind.
	if _, ok, err := r.Bus.Next(ctx, stream, subject, after+1); err != nil || !ok {
		return nil, head, err
	}
	entries, err = r.Bus.ReadSubject(ctx, stream, subject, after)
	if err != nil || len(entries) == 0 {
		return nil, after, err
	}
	return entries, entries[len(entries)-1].Seq, nil
}

// since reads on from where the last read ended, records what it returns, and says where this one ended.
func (r *Recorder) since(ctx context.Context, key string, read func(after uint64) (entries []bus.Entry, last uint64, err error)) (*position, error) {
	at, _, err := r.bucket.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	stored, _ := strconv.ParseUint(string(at.Value), 10, 64)
	entries, last, err := read(max(stored, r.looked[key]))
	if err != nil {
		return nil, err
	}
	if err := r.append(ctx, entries); err != nil {
		return nil, err
	}
	to := &position{key: key, looked: last, revision: at.Revision}
	switch {
	case len(entries) > 0:
		to.keep = entries[len(entries)-1].Seq
	case last >= stored+2*behind:
		to.keep = last - behind
	}
	return to, nil
}

// append records entries of runs' logs, each once.
func (r *Recorder) append(ctx context.Context, entries []bus.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	known, err := r.recorded(ctx)
	if err != nil {
		return err
	}
	for _, e := range entries {
		rec, event := r.record(e)
		if known[rec.ID] {
			continue
		}
		if err := r.complete(ctx, &rec, event); err != nil {
			return err
		}
		if err := r.Log.Append(ctx, rec); err != nil {
			return err
		}
	}
	return nil
}

// recorded returns the ids of the newest records: a recorder that ended after a record, but before storing its cursor, left
// some there.
func (r *Recorder) recorded(ctx context.Context) (map[string]bool, error) {
	mark, err := r.Bus.Mark(ctx, r.Bus.Names().AuditStream())
	if err != nil {
		return nil, err
	}
	from := uint64(0)
	if mark.Last > recent {
		from = mark.Last - recent
	}
	entries, err := r.Bus.ReadSubject(ctx, r.Bus.Names().AuditStream(), r.Bus.Names().AuditRecord(), from)
	if err != nil {
		return nil, err
	}
	known := make(map[string]bool, len(entries))
	for _, e := range entries {
		var rec Record
		if exactjson.Unmarshal(e.Data, &rec) == nil {
			known[rec.ID] = true
		}
	}
	return known, nil
}

// record makes the record of an entry of a run's log, as far as the entry says what is in it. An entry that cannot be read is
// recorded as unreadable, and has no event.
func (r *Recorder) record(e bus.Entry) (Record, steps.Event) {
	_, run, kind, _ := r.Bus.Names().ParseLog(e.Subject)
	// The id is made from the subject alone, so that an unreadable entry has one too.
	rec := Record{ID: kind + "/" + run + "/" + strconv.FormatUint(e.Seq, 10), At: e.Time.UTC(), Run: run, Seq: e.Seq, Action: "unreadable " + kind}
	_, ev, err := runlog.Parse(r.Bus.Names(), e)
	if err != nil {
		return rec, nil
	}
	switch d := ev.(type) {
	case steps.Decided:
		rec.decision(d)
	case steps.Cancelled:
		rec.Who, rec.Via, rec.Action, rec.On, rec.Reason = d.By, d.Via, "cancel run", run, d.Reason
	case steps.Migrated:
		rec.Who, rec.Via, rec.Token, rec.Action, rec.On, rec.Reason = d.By, d.Via, d.Next.Token, "migrate run", run+" as "+d.To, d.Reason
	case steps.Steered:
		rec.Who, rec.Via, rec.Action, rec.On, rec.Reason = d.By, d.Via, "write to agent", d.Step, d.Text
		if d.TakeBack > 0 {
			rec.Action, rec.On = "take back turns of agent", d.Step+" from turn "+strconv.Itoa(d.TakeBack)
		}
	case steps.Submitted:
		rec.Who, rec.Via, rec.Token, rec.Action, rec.On, rec.Reason = d.By, d.Via, d.Token, "retry run", d.RetryOf, d.Reason
		switch {
		case d.Replay != nil:
			rec.Action, rec.On = "replay run", d.Replay.Run
		case d.RetryOf == "":
			rec.Action, rec.On = "submit run", run
		}
	}
	return rec, ev
}

func (rec *Record) decision(d steps.Decided) {
	rec.Who, rec.Via, rec.Action, rec.On, rec.Reason, rec.Over = d.By, d.Via, string(d.Verb), d.Escalation, d.Reason, d.Over
	rec.Patch, rec.After = bounded(d.Patch), d.Params
	if len(d.Answer) > 0 {
		rec.After = d.Answer
	}
	if d.Grant != nil {
		rec.Digest, rec.Grant = d.Grant.Digest, d.Grant.Nonce
	}
}

// complete adds what only the run's state tells: whether the act counted, what it did, and what was there before. The fold
// ends with the event, so that later ones do not affect the record. An error means that the log cannot be read now: a record
// is never changed, so it is not made without this either.
func (r *Recorder) complete(ctx context.Context, rec *Record, ev steps.Event) error {
	d, decided := ev.(steps.Decided)
	if ev == nil || steps.IsDeadLetter(d.Escalation) {
		return nil // it is about an entry that the fold ignores
	}
	s, err := r.Runs.At(ctx, rec.Run, rec.Seq)
	if errors.Is(err, runlog.ErrFrozen) || err == nil && s == nil {
		return nil
	}
	if err != nil {
		return err
	}
	w := view.Tell(s, view.Act{Event: ev, Seq: rec.Seq})
	rec.Counts, rec.Effect, rec.Reopens, rec.Scope = new(w.Counts()), w.Text, d.Reopens, string(d.Scope)
	n := s.FindEscalation(d.Escalation)
	if !decided || n < 0 {
		return nil
	}
	dossier := view.DossierOf(s, n)
	rec.Summary = dossier.Summary
	if f := dossier.Failing; f != nil && d.Verb != steps.VerbEdit {
		rec.Before = f.Params
	}
	return nil
}
