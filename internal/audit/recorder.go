package audit

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"belay/internal/bus"
	"belay/internal/lease"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/wire"
)

// Recorder records every decision, cancel and retry that stands in the log of a run, and signs checkpoints.
// It goes by the log, so a crash between a decision and its record loses nothing: whoever comes next begins where the
// last one stopped. Of several dispatchers one records.
type Recorder struct {
	Bus  *bus.Bus
	Runs *runlog.Log
	Log  *Log
	Key  func() (ed25519.PrivateKey, error) // that signs checkpoints
	File string                             // where checkpoints are kept outside the store; empty = nowhere
	Say  *slog.Logger

	mu     sync.Mutex // one sweep at a time
	bucket *bus.Bucket
	signs  checkpoints
	wake   chan struct{}
	looked map[string]uint64 // by cursor: up to where nothing is left to record
}

// NewRecorder makes a recorder of what people do in these runs. Key and Say are to be set.
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
	recent    = 1000  // records in which one is looked for that may be there already
	often     = 10000 // sequences after which it is written down that nothing was found
)

// Run records until ctx ends.
func (r *Recorder) Run(ctx context.Context) error {
	if err := r.open(ctx); err != nil {
		return err
	}
	hold := lease.New(r.bucket, leaseKey, term)
	for p := range r.Bus.Partitions() {
		go r.follow(ctx, p)
	}
	for {
		mine, err := hold.Hold(ctx)
		if err == nil && mine {
			err = r.Sweep(ctx)
		}
		if err != nil && ctx.Err() == nil {
			r.Say.Warn("decisions are not recorded in the audit trail now; trying again, nothing is lost", "error", err)
		}
		if !r.rest(ctx) {
			break
		}
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	hold.Resign(end)
	return nil
}

// Nudge lets the recorder look soon: something was done that is to be recorded.
func (r *Recorder) Nudge() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// follow wakes the recorder when a decision comes.
func (r *Recorder) follow(ctx context.Context, p int) {
	if err := r.Bus.FollowKind(ctx, p, wire.KindDecision, r.Nudge, func(bus.Entry) { r.Nudge() }); err != nil && ctx.Err() == nil {
		r.Say.Debug("decisions are looked for from time to time only", "error", err)
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

// Sweep records what has come, and signs.
func (r *Recorder) Sweep(ctx context.Context) error {
	if err := r.open(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
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
	text, err := r.signs.make(ctx, key, time.Now())
	if err != nil {
		return err
	}
	// The checkpoint was confirmed, and so what was found in the trail before it is stored: now it need not be read again.
	for _, at := range read {
		if err := r.note(ctx, at); err != nil {
			return err
		}
	}
	if text == "" || r.File == "" {
		return nil
	}
	return Keep(r.File, text)
}

// position is up to where one kind of entry is recorded.
type position struct {
	key      string
	last     uint64 // the last sequence that was looked at
	revision uint64 // of what the bucket says
	worth    bool   // writing down: something was recorded, or much was looked at
}

// note writes down where a read ended, so that the next one begins there.
func (r *Recorder) note(ctx context.Context, to *position) error {
	r.looked[to.key] = to.last
	if !to.worth {
		return nil
	}
	if _, err := r.bucket.Swap(ctx, to.key, strconv.AppendUint(nil, to.last, 10), to.revision); err != nil {
		return fmt.Errorf("where the audit trail stands: %w", err)
	}
	return nil
}

// partition records what people did in one partition and is not recorded yet: decisions, and what they did to runs as a
// whole, which their headers tell from plans.
func (r *Recorder) partition(ctx context.Context, p int) ([]*position, error) {
	names := r.Bus.Names()
	stream := names.RunsStream(p)
	decided, err := r.since(ctx, cursor+strconv.Itoa(p), func(after uint64) ([]bus.Entry, uint64, error) {
		entries, err := r.Bus.ReadSubject(ctx, stream, names.LogKind(p, wire.KindDecision), after)
		if err != nil || len(entries) == 0 {
			return nil, after, err
		}
		return entries, entries[len(entries)-1].Seq, nil
	})
	if err != nil {
		return nil, err
	}
	acted, err := r.since(ctx, actCursor+strconv.Itoa(p), func(after uint64) ([]bus.Entry, uint64, error) {
		return r.Bus.ReadMarked(ctx, stream, names.LogKind(p, wire.KindPlan), wire.HeaderAct, after)
	})
	return []*position{decided, acted}, err
}

// since records what a read gives that begins where the last one ended, and says where this one did.
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
	return &position{key: key, last: last, revision: at.Revision, worth: len(entries) > 0 || last >= stored+often}, nil
}

// append records entries of runs' logs, each of them once.
func (r *Recorder) append(ctx context.Context, entries []bus.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	known, err := r.recorded(ctx)
	if err != nil {
		return err
	}
	for _, e := range entries {
		rec := r.record(ctx, e)
		if known[rec.ID] {
			continue
		}
		if err := r.Log.Append(ctx, rec); err != nil {
			return err
		}
	}
	return nil
}

// recorded are the newest records: a recorder that ended between a record and its cursor has left some of them there.
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
		if json.Unmarshal(e.Data, &rec) == nil {
			known[rec.ID] = true
		}
	}
	return known, nil
}

// record makes the record of what somebody did, as it stands in a run's log. What cannot be read is recorded as just that.
func (r *Recorder) record(ctx context.Context, e bus.Entry) Record {
	_, run, kind, _ := r.Bus.Names().ParseLog(e.Subject)
	rec := Record{ID: kind + "/" + run + "/" + strconv.FormatUint(e.Seq, 10), At: e.Time.UTC(), Run: run, Seq: e.Seq, Action: "unreadable " + kind}
	ev, err := wire.DecodeEvent(kind, e.Data)
	if err != nil {
		return rec
	}
	switch d := ev.(type) {
	case steps.Decided:
		rec.decision(d)
	case steps.Cancelled:
		rec.Who, rec.Via, rec.Action, rec.On, rec.Reason = d.By, d.Via, "cancel run", run, d.Reason
	case steps.Submitted:
		rec.Who, rec.Via, rec.Action, rec.On, rec.Reason = d.By, d.Via, "retry run", d.RetryOf, d.Reason
	}
	r.complete(ctx, &rec, ev)
	return rec
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

// complete adds what only the run's fold tells: whether it counted, what came of it, and what was there before it. The
// fold ends with the event, so that what came later does not colour the record.
func (r *Recorder) complete(ctx context.Context, rec *Record, ev steps.Event) {
	d, decided := ev.(steps.Decided)
	if _, letter := runlog.LetterRun(d.Escalation); letter {
		return // it is about an entry that no fold takes in
	}
	s, err := r.Runs.At(ctx, rec.Run, rec.Seq)
	if err != nil || s == nil {
		return
	}
	w := steps.Tell(s, steps.Deed{Event: ev, Seq: rec.Seq})
	rec.Counts, rec.Effect, rec.Reopens = new(w.Counts()), w.Text, d.Reopens
	n := s.FindEscalation(d.Escalation)
	if !decided || n < 0 {
		return
	}
	dossier := steps.MakeDossier(s, n)
	rec.Summary = dossier.Summary
	if f := dossier.Failing; f != nil && d.Verb != steps.VerbEdit {
		rec.Before = f.Params
	}
}
