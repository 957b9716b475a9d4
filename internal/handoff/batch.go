package handoff

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"belay/internal/bus"
)

// Batch is a redrive that a dispatcher carries out for somebody, and how far it is.
type Batch struct {
	ID        string          `json:"id"`
	Verb      Action          `json:"verb"`
	Reason    string          `json:"reason,omitempty"`
	By        string          `json:"by"`
	Via       string          `json:"via"`
	State     BatchState      `json:"state"`
	Note      string          `json:"note,omitempty"`       // the worst that happened, if anything did
	Summary   string          `json:"summary"`              // how it went, or goes, in one sentence
	StoppedBy string          `json:"stopped_by,omitempty"` // who wants it to end
	Started   time.Time       `json:"started"`
	Ended     time.Time       `json:"ended,omitzero"`
	Items     []RedriveResult `json:"items"` // the list that was shown, in its order
}

// BatchState is how a batch stands.
type BatchState string

// The states; all but the first are final.
const (
	BatchRunning     BatchState = "running"
	BatchDone        BatchState = "done"
	BatchCameBack    BatchState = "came_back"   // runs stopped again or failed of it; the rest was left as it was
	BatchRefused     BatchState = "refused"     // who began it may not decide so any more; the rest was left as it was
	BatchStopped     BatchState = "stopped"     // by a person
	BatchInterrupted BatchState = "interrupted" // the dispatcher ended; what it had decided stays decided
)

// Batches carries redrives out, whoever watches them. What has been decided stands in the logs of the runs; how far a
// batch is also stands in a bucket, so that every dispatcher shows it and can stop it. It is safe for concurrent use.
type Batches struct {
	bus  *bus.Bus
	desk *Desk

	mu   sync.Mutex
	life context.Context // of what is under way; nil before Run and after its end
	all  sync.WaitGroup
	here map[string]*batch
}

// Rate, patience and bounds of a batch.
const (
	BatchMost     = 1000                   // items
	batchInterval = 100 * time.Millisecond // between two decisions
	batchPatience = 30 * time.Second       // how long a wave waits for what becomes of its items
	batchSave     = 300 * time.Millisecond // how far a bucket may be behind
	batchBeat     = 5 * time.Second        // a sign of life, and a look whether somebody stopped it
	batchGone     = time.Minute            // without a sign of life
)

// ErrNoBatch says that there is none of this id, or none any more.
var ErrNoBatch = errors.New("no such redrive")

// NewBatches carries out redrives at a desk.
func NewBatches(b *bus.Bus, desk *Desk) *Batches {
	return &Batches{bus: b, desk: desk, here: map[string]*batch{}}
}

// Run lets batches start until ctx ends; then those that are under way end as interrupted.
func (b *Batches) Run(ctx context.Context) error {
	b.mu.Lock()
	b.life = ctx
	b.mu.Unlock()
	<-ctx.Done()
	b.mu.Lock()
	b.life = nil
	b.mu.Unlock()
	b.all.Wait()
	return nil
}

func (b *Batches) bucket(ctx context.Context) (*bus.Bucket, error) {
	return OpenBatches(ctx, b.bus)
}

// OpenBatches opens the bucket of batches, whose keys are their ids.
func OpenBatches(ctx context.Context, b *bus.Bus) (*bus.Bucket, error) {
	return b.Bucket(ctx, b.Names().RedrivesBucket(), "Belay: what people decide for many at once", bus.KeepFor(keepSettled))
}

// Start begins to decide the items of a list, which is what somebody was shown. It returns once the batch is written
// down. Errors are those of [CheckRedrive], [ErrForbidden] and [ErrInvalid].
func (b *Batches) Start(ctx context.Context, who Person, list []Chosen, a Act) (Batch, error) {
	if err := CheckRedrive(a); err != nil {
		return Batch{}, err
	}
	if err := who.may(a.Verb); err != nil {
		return Batch{}, err
	}
	if len(list) == 0 || len(list) > BatchMost {
		return Batch{}, fmt.Errorf("%w: %d items; from 1 to %d can be decided together", ErrInvalid, len(list), BatchMost)
	}
	if !b.alive() {
		return Batch{}, errEnding
	}
	list = distinct(list)
	run := &batch{of: b, list: list, act: a, who: who, wake: make(chan struct{}, 1), Batch: Batch{
		ID: uuid.NewString(), Verb: a.Verb, Reason: a.Reason, By: who.Name, Via: who.Via, State: BatchRunning, Started: b.desk.Now().UTC(),
	}}
	for _, c := range list {
		run.Items = append(run.Items, RedriveResult{ID: c.ID, Result: RedriveWaiting})
	}
	bucket, err := b.bucket(ctx)
	if err != nil {
		return Batch{}, err
	}
	run.bucket = bucket
	if err := run.save(ctx); err != nil {
		return Batch{}, err
	}
	started := run.shown()
	return started, b.begin(run)
}

var errEnding = errors.New("this dispatcher is starting or stopping; nothing was decided: try again")

func (b *Batches) alive() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.life != nil
}

func (b *Batches) begin(run *batch) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.life == nil {
		return errEnding
	}
	b.here[run.ID] = run
	ctx, cancel := context.WithCancelCause(b.life)
	run.cancel = cancel
	b.all.Go(func() {
		run.run(ctx)
		cancel(nil)
		b.mu.Lock()
		delete(b.here, run.ID)
		b.mu.Unlock()
	})
	return nil
}

// Get is how far a batch is.
func (b *Batches) Get(ctx context.Context, id string) (Batch, error) {
	b.mu.Lock()
	run := b.here[id]
	b.mu.Unlock()
	if run != nil {
		return run.shown(), nil
	}
	s, at, _, err := b.stored(ctx, id)
	if err == nil && s.State == BatchRunning && b.desk.Now().Sub(at) > batchGone {
		s.State, s.Ended, s.Note = BatchInterrupted, at, "the dispatcher that did it ended without a word"
	}
	return s, err
}

func (b *Batches) stored(ctx context.Context, id string) (s Batch, at time.Time, revision uint64, err error) {
	if uuid.Validate(id) != nil {
		return s, at, 0, fmt.Errorf("%w: %q", ErrNoBatch, id)
	}
	bucket, err := b.bucket(ctx)
	if err != nil {
		return s, at, 0, err
	}
	it, ok, err := bucket.Get(ctx, id)
	if err == nil && !ok {
		err = fmt.Errorf("%w: %s; how it went is kept for %d days", ErrNoBatch, id, int(keepSettled.Hours()/24))
	}
	if err != nil {
		return s, at, 0, err
	}
	if err := json.Unmarshal(it.Value, &s); err != nil {
		return s, at, 0, fmt.Errorf("redrive %s: %w", id, err)
	}
	s.Summary = Summary(s.Verb, s.Items) // an older program wrote none
	return s, it.Time, it.Revision, nil
}

// Stop ends a batch after the decision that is on its way; one that has ended stays as it is. Who may decide so may stop
// it too.
func (b *Batches) Stop(ctx context.Context, who Person, id string) (Batch, error) {
	for {
		s, _, revision, err := b.stored(ctx, id)
		if err != nil {
			return s, err
		}
		if err := who.may(s.Verb); err != nil {
			return s, err
		}
		if s.State != BatchRunning || s.StoppedBy != "" {
			return b.Get(ctx, id)
		}
		s.StoppedBy = who.Name
		bucket, err := b.bucket(ctx)
		if err != nil {
			return s, err
		}
		body, err := json.Marshal(s)
		if err != nil {
			return s, err
		}
		if _, err = bucket.Swap(ctx, id, body, revision); err == nil {
			b.nudge(id)
			return s, nil
		}
		if !errors.Is(err, bus.ErrConflict) {
			return s, err
		}
	}
}

// nudge lets a batch of this process look at once.
func (b *Batches) nudge(id string) {
	b.mu.Lock()
	run := b.here[id]
	b.mu.Unlock()
	if run != nil {
		run.touch()
	}
}

// batch is one that is under way here.
type batch struct {
	of     *Batches
	list   []Chosen
	act    Act
	who    Person
	bucket *bus.Bucket
	cancel context.CancelCauseFunc
	wake   chan struct{} // something is to be saved, or looked for

	mu sync.Mutex // guards what follows
	Batch
	revision uint64
}

var errStopped = errors.New("a person stopped it")

func (r *batch) run(ctx context.Context) {
	done := make(chan struct{})
	var saving sync.WaitGroup
	saving.Go(func() { r.keep(ctx, done) })
	d := Redrive{Desk: r.of.desk, Runs: r.of.desk.Runs, Interval: batchInterval, Patience: batchPatience}
	err := d.Run(ctx, r.who, r.list, r.act, r.tell)
	close(done)
	saving.Wait()
	r.end(err)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), batchBeat)
	defer cancel()
	_ = r.save(last) // whoever looks finds an old sign of life then
}

// tell notes what became of an item.
func (r *batch) tell(res RedriveResult) {
	r.mu.Lock()
	n := slices.IndexFunc(r.Items, func(i RedriveResult) bool { return i.ID == res.ID })
	r.Items[n] = res
	r.mu.Unlock()
	r.touch()
}

func (r *batch) touch() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// keep saves what is told, not more often than anybody looks, and gives signs of life.
func (r *batch) keep(ctx context.Context, done chan struct{}) {
	for {
		beat := time.NewTimer(batchBeat)
		select {
		case <-done:
			beat.Stop()
			return
		case <-beat.C:
		case <-r.wake:
			beat.Stop()
		}
		_ = r.save(ctx) // the next one has it too
		select {
		case <-done:
			return
		case <-time.After(batchSave):
		}
	}
}

// save writes down how far it is. Who else writes wants it to stop.
func (r *batch) save(ctx context.Context) error {
	for {
		s := r.shown()
		body, err := json.Marshal(s)
		if err != nil {
			return fmt.Errorf("write down redrive %s: %w", s.ID, err)
		}
		r.mu.Lock()
		at := r.revision
		r.mu.Unlock()
		rev, err := r.bucket.Swap(ctx, s.ID, body, at)
		if errors.Is(err, bus.ErrConflict) || errors.Is(err, bus.ErrUncertain) {
			if err := r.look(ctx); err != nil {
				return err
			}
			continue
		}
		if err == nil {
			r.mu.Lock()
			r.revision = rev
			r.mu.Unlock()
		}
		return err
	}
}

// look reads what stands there.
func (r *batch) look(ctx context.Context) error {
	s, _, revision, err := r.of.stored(ctx, r.ID)
	if err != nil && !errors.Is(err, ErrNoBatch) {
		return err
	}
	r.mu.Lock()
	r.revision, r.StoppedBy = revision, s.StoppedBy
	r.mu.Unlock()
	if s.StoppedBy != "" && r.cancel != nil {
		r.cancel(errStopped)
	}
	return nil
}

func (r *batch) shown() Batch {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.Batch
	s.Items = slices.Clone(s.Items)
	s.Summary = Summary(s.Verb, s.Items)
	return s
}

func (r *batch) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Ended, r.State = r.of.desk.Now().UTC(), BatchDone
	switch {
	case errors.Is(err, ErrForbidden):
		r.State = BatchRefused
	case errors.Is(err, errStopped):
		r.State = BatchStopped
		return // who did it is said by StoppedBy
	case errors.Is(err, context.Canceled):
		r.State = BatchInterrupted
	case errors.Is(err, ErrCameBack):
		r.State = BatchCameBack
	}
	if err != nil {
		r.Note = err.Error()
	}
}

// Counts is how many items have each result.
func (s *Batch) Counts() map[string]int {
	n := map[string]int{}
	for _, i := range s.Items {
		n[i.Result]++
	}
	return n
}
