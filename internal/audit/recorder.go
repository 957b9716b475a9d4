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

// Recorder records every decision that stands in the log of a run, by whatever way it came there, and signs checkpoints.
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
}

// Keys of the bucket, and the times of the loop.
const (
	leaseKey = "audit.lease"
	cursor   = "audit.cursor."
	term     = 15 * time.Second
	settle   = 100 * time.Millisecond
	recent   = 1000 // records in which one is looked for that may be there already
)

// Run records until ctx ends.
func (r *Recorder) Run(ctx context.Context) error {
	if err := r.open(ctx); err != nil {
		return err
	}
	r.wake = make(chan struct{}, 1)
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

// follow wakes the recorder when a decision comes.
func (r *Recorder) follow(ctx context.Context, p int) {
	nudge := func() {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
	if err := r.Bus.FollowKind(ctx, p, wire.KindDecision, nudge, func(bus.Entry) { nudge() }); err != nil && ctx.Err() == nil {
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
	for p := range r.Bus.Partitions() {
		if err := r.partition(ctx, p); err != nil {
			return err
		}
	}
	key, err := r.Key()
	if err != nil {
		return err
	}
	text, err := r.signs.make(ctx, key, time.Now())
	if err != nil || text == "" || r.File == "" {
		return err
	}
	return Keep(r.File, text)
}

// partition records the decisions of one partition that are not recorded yet.
func (r *Recorder) partition(ctx context.Context, p int) error {
	key := cursor + strconv.Itoa(p)
	at, _, err := r.bucket.Get(ctx, key)
	if err != nil {
		return err
	}
	after, _ := strconv.ParseUint(string(at.Value), 10, 64)
	names := r.Bus.Names()
	entries, err := r.Bus.ReadSubject(ctx, names.RunsStream(p), names.LogKind(p, wire.KindDecision), after)
	if err != nil || len(entries) == 0 {
		return err
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
	last := strconv.FormatUint(entries[len(entries)-1].Seq, 10)
	if _, err := r.bucket.Swap(ctx, key, []byte(last), at.Revision); err != nil {
		return fmt.Errorf("where the audit trail stands: %w", err)
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

// record makes the record of a decision in a run's log. One that cannot be read is recorded as just that.
func (r *Recorder) record(ctx context.Context, e bus.Entry) Record {
	_, run, kind, _ := r.Bus.Names().ParseLog(e.Subject)
	rec := Record{ID: "decision/" + run + "/" + strconv.FormatUint(e.Seq, 10), At: e.Time.UTC(), Run: run, Seq: e.Seq, Action: "unreadable decision"}
	ev, err := wire.DecodeEvent(kind, e.Data)
	d, ok := ev.(steps.Decided)
	if err != nil || !ok {
		return rec
	}
	rec.Who, rec.Via, rec.Action, rec.On, rec.Reason = d.By, d.Via, string(d.Verb), d.Escalation, d.Reason
	rec.Patch, rec.After = bounded(d.Patch), d.Params
	if len(d.Answer) > 0 {
		rec.After = d.Answer
	}
	if d.Grant != nil {
		rec.Digest, rec.Grant = d.Grant.Digest, d.Grant.Nonce
	}
	r.complete(ctx, &rec, d)
	return rec
}

// complete adds what only the run's fold tells: whether the decision counted, and what was there before it.
func (r *Recorder) complete(ctx context.Context, rec *Record, d steps.Decided) {
	s, err := r.Runs.Load(ctx, rec.Run)
	if err != nil || s == nil {
		return
	}
	n := s.FindEscalation(d.Escalation)
	if n < 0 {
		rec.Counts = new(false)
		return
	}
	e := &s.Escalations[n]
	counts := e.Decision != nil && e.Decision.By == d.By && e.Decision.Verb == d.Verb && e.Decision.Reason == d.Reason
	for _, a := range e.Approvals {
		counts = counts || d.Grant != nil && a.Grant.Nonce == d.Grant.Nonce
	}
	rec.Counts = &counts
	dossier := steps.MakeDossier(s, n)
	rec.Summary = dossier.Summary
	if f := dossier.Failing; f != nil && d.Verb != steps.VerbEdit {
		rec.Before = f.Params
	}
}
