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
	"belay/internal/exactjson"
	"belay/internal/people"
	"belay/internal/steps"
)

// Redrive is a redrive that a dispatcher carries out, and how far it is.
type Redrive struct {
	ID        string          `json:"id"`
	Verb      people.Action   `json:"verb"`
	Reason    string          `json:"reason,omitempty"`
	By        string          `json:"by"`
	Via       string          `json:"via"`
	State     RedriveState    `json:"state"`
	Note      string          `json:"note,omitempty"`       // the worst problem so far; empty if there is none
	Summary   string          `json:"summary"`              // how it goes or went, in one sentence
	StoppedBy string          `json:"stopped_by,omitempty"` // who stopped it; empty if nobody did
	Started   time.Time       `json:"started"`
	Ended     time.Time       `json:"ended,omitzero"`
	Items     []RedriveResult `json:"items"` // the list that was shown, in the same order

	Of    string  `json:"of,omitempty"`    // runs: they are cancelled or retried; empty: escalations are decided
	Where string  `json:"where,omitempty"` // the query that found the runs
	Rate  float64 `json:"rate,omitempty"`  // runs in a second, at most
}

// RedriveState is where a redrive stands.
type RedriveState string

// The states; all but the first are final.
const (
	RedriveRunning     RedriveState = "running"
	RedriveDone        RedriveState = "done"
	RedriveCameBack    RedriveState = "came_back"   // runs stopped or failed once more; the rest was left as it was
	RedriveRefused     RedriveState = "refused"     // whoever began it lost the right to; the rest was left as it was
	RedriveStopped     RedriveState = "stopped"     // by a person
	RedriveInterrupted RedriveState = "interrupted" // the dispatcher ended; what it had decided stays decided
)

// Redrives carries out redrives, whether somebody watches them or not. The decisions are in the logs of the runs; how
// far a redrive is stands in a bucket too, so that every dispatcher can show and stop it. It is safe for concurrent
// use.
type Redrives struct {
	// Prove signs that the token of whoever retries a run was shown; nil = nothing is signed.
	Prove func(run string, e *steps.Submitted) error
	// Record puts into the audit trail that somebody has ordered something to be done to many runs, before it is begun; nil = nobody does.
	Record func(ctx context.Context, who people.Actor, s Redrive) error

	bus  *bus.Bus
	desk *Desk

	mu   sync.Mutex
	life context.Context // of running redrives; nil before Run and after it
	all  sync.WaitGroup
	here map[string]*redriving
}

// Rate, patience and bounds of a redrive.
const (
	MaxRedrive      = 1000                   // items
	redriveInterval = 100 * time.Millisecond // between two decisions
	redrivePatience = 30 * time.Second       // how long a wave waits for the fate of its items
	redriveSave     = 300 * time.Millisecond // how far the bucket may be behind
	redriveBeat     = 5 * time.Second        // between signs of life, and between looks whether somebody stopped it
	redriveGone     = time.Minute            // after so long without a sign of life it was interrupted
)

// ErrNoRedrive says that there is no redrive with this id, or no longer.
var ErrNoRedrive = errors.New("no such redrive")

// NewRedrives carries out redrives at a desk.
func NewRedrives(b *bus.Bus, desk *Desk) *Redrives {
	return &Redrives{bus: b, desk: desk, here: map[string]*redriving{}}
}

// Run lets redrives start until ctx ends; those that are still running then end as interrupted.
func (b *Redrives) Run(ctx context.Context) error {
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

func (b *Redrives) bucket(ctx context.Context) (*bus.Bucket, error) {
	return OpenRedrives(ctx, b.bus)
}

// OpenRedrives opens the bucket of redrives, whose keys are their ids.
func OpenRedrives(ctx context.Context, b *bus.Bus) (*bus.Bucket, error) {
	return b.Bucket(ctx, b.Names().RedrivesBucket(), "Belay: what people decide for many at once", bus.KeepFor(keepSettled))
}

// Start begins to decide the items of a list that somebody was shown. It returns once the redrive is stored. Its errors
// are those of [CheckRedrive], [people.ErrForbidden] and [ErrInvalid].
func (b *Redrives) Start(ctx context.Context, who people.Actor, list []Chosen, a people.Act) (Redrive, error) {
	if err := CheckRedrive(a); err != nil {
		return Redrive{}, err
	}
	if err := who.May(a.Verb); err != nil {
		return Redrive{}, err
	}
	if len(list) == 0 || len(list) > MaxRedrive {
		return Redrive{}, fmt.Errorf("%w: %d items; a redrive takes from 1 to %d", ErrInvalid, len(list), MaxRedrive)
	}
	if !b.alive() {
		return Redrive{}, errEnding
	}
	list = distinct(list)
	if err := b.desk.admitsAll(ctx, who, list); err != nil {
		return Redrive{}, err
	}
	run := &redriving{of: b, list: list, act: a, who: who, wake: make(chan struct{}, 1), Redrive: Redrive{
		ID: uuid.NewString(), Verb: a.Verb, Reason: a.Reason, By: who.Name, Via: who.Via, State: RedriveRunning, Started: b.desk.Now().UTC(),
	}}
	run.await(list)
	return b.startOne(ctx, run)
}

// await lists what waits for its turn.
func (r *redriving) await(list []Chosen) {
	for _, c := range list {
		r.Items = append(r.Items, RedriveResult{ID: c.ID, Result: ItemWaiting, Was: string(c.State)})
	}
}

// startOne stores a redrive and begins it.
func (b *Redrives) startOne(ctx context.Context, run *redriving) (Redrive, error) {
	bucket, err := b.bucket(ctx)
	if err != nil {
		return Redrive{}, err
	}
	run.bucket = bucket
	if err := run.save(ctx); err != nil {
		return Redrive{}, err
	}
	started := run.shown()
	return started, b.begin(run)
}

var errEnding = errors.New("this dispatcher is starting or stopping, so nothing was decided; try again")

func (b *Redrives) alive() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.life != nil
}

func (b *Redrives) begin(run *redriving) error {
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

// Get returns how far a redrive is.
func (b *Redrives) Get(ctx context.Context, id string) (Redrive, error) {
	b.mu.Lock()
	run := b.here[id]
	b.mu.Unlock()
	if run != nil {
		return run.shown(), nil
	}
	s, at, _, err := b.stored(ctx, id)
	if err == nil && s.State == RedriveRunning && b.desk.Now().Sub(at) > redriveGone {
		s.State, s.Ended, s.Note = RedriveInterrupted, at, "what carried it out has ended before all was done"
	}
	return s, err
}

func (b *Redrives) stored(ctx context.Context, id string) (s Redrive, at time.Time, revision uint64, err error) {
	if uuid.Validate(id) != nil {
		return s, at, 0, fmt.Errorf("%w: %q", ErrNoRedrive, id)
	}
	bucket, err := b.bucket(ctx)
	if err != nil {
		return s, at, 0, err
	}
	it, ok, err := bucket.Get(ctx, id)
	if err == nil && !ok {
		err = fmt.Errorf("%w: %s; how it went is kept for %d days", ErrNoRedrive, id, int(keepSettled.Hours()/24))
	}
	if err != nil {
		return s, at, 0, err
	}
	if err := exactjson.Unmarshal(it.Value, &s); err != nil {
		return s, at, 0, fmt.Errorf("redrive %s: %w", id, err)
	}
	s.Summary = Summary(s.Verb, s.Items) // an older program wrote none
	return s, it.Time, it.Revision, nil
}

// Stop ends a redrive after the decision that is on its way; a redrive that has ended stays as it is. It takes the same
// role as the decisions.
func (b *Redrives) Stop(ctx context.Context, who people.Actor, id string) (Redrive, error) {
	for {
		s, _, revision, err := b.stored(ctx, id)
		if err != nil {
			return s, err
		}
		if err := s.may(who); err != nil {
			return s, err
		}
		if s.State != RedriveRunning || s.StoppedBy != "" {
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

// nudge lets a redrive of this process see at once that it was stopped.
func (b *Redrives) nudge(id string) {
	b.mu.Lock()
	run := b.here[id]
	b.mu.Unlock()
	if run != nil {
		run.touch()
	}
}

// redriving is a redrive that this process carries out.
type redriving struct {
	of      *Redrives
	list    []Chosen
	act     people.Act
	who     people.Actor
	allowed Allowed // of runs
	bucket  *bus.Bucket
	cancel  context.CancelCauseFunc
	wake    chan struct{} // there is something to save or to look for

	mu sync.Mutex // guards what follows
	Redrive
	revision uint64
}

var errStopped = errors.New("a person stopped it")

func (r *redriving) run(ctx context.Context) {
	done := make(chan struct{})
	var saving sync.WaitGroup
	saving.Go(func() { r.keep(ctx, done) })
	err := r.carryOut(ctx)
	close(done)
	saving.Wait()
	r.end(err)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), redriveBeat)
	defer cancel()
	_ = r.save(last) // if this fails, it counts as interrupted after redriveGone
}

func (r *redriving) carryOut(ctx context.Context) error {
	if r.Of != OfRuns {
		d := Waves{Desk: r.of.desk, Runs: r.of.desk.Runs, Interval: redriveInterval, Patience: redrivePatience}
		return d.Run(ctx, r.who, r.list, r.act, r.tell)
	}
	var todo []RedriveResult
	for _, it := range r.shown().Items {
		if it.Result == ItemWaiting {
			todo = append(todo, it)
		}
	}
	m := r.of.Alike()
	m.Allowed = r.allowed
	return m.Do(ctx, r.who, RunOrder{Verb: r.Verb, Reason: r.Reason, Where: r.Where, Rate: r.Rate}, todo, r.tell)
}

// tell notes what became of an item.
func (r *redriving) tell(res RedriveResult) {
	r.mu.Lock()
	n := slices.IndexFunc(r.Items, func(i RedriveResult) bool { return i.ID == res.ID })
	r.Items[n] = res
	r.mu.Unlock()
	r.touch()
}

func (r *redriving) touch() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// keep saves what was told, not more often than people look, and gives signs of life.
func (r *redriving) keep(ctx context.Context, done chan struct{}) {
	for {
		beat := time.NewTimer(redriveBeat)
		select {
		case <-done:
			beat.Stop()
			return
		case <-beat.C:
		case <-r.wake:
			beat.Stop()
		}
		_ = r.save(ctx) // the next save has it too
		select {
		case <-done:
			return
		case <-time.After(redriveSave):
		}
	}
}

// save stores how far it is. If somebody else has written in between, they want it to stop.
func (r *redriving) save(ctx context.Context) error {
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

// look reads what is stored.
func (r *redriving) look(ctx context.Context) error {
	s, _, revision, err := r.of.stored(ctx, r.ID)
	if err != nil && !errors.Is(err, ErrNoRedrive) {
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

func (r *redriving) shown() Redrive {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.Redrive
	s.Items = slices.Clone(s.Items)
	s.Summary = Summary(s.Verb, s.Items)
	return s
}

func (r *redriving) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Ended, r.State = r.of.desk.Now().UTC(), RedriveDone
	switch {
	case errors.Is(err, people.ErrForbidden):
		r.State = RedriveRefused
	case errors.Is(err, errStopped):
		r.State = RedriveStopped
		return // StoppedBy says who did it
	case errors.Is(err, context.Canceled):
		r.State = RedriveInterrupted
	case errors.Is(err, ErrCameBack):
		r.State = RedriveCameBack
	}
	if err != nil {
		r.Note = err.Error()
	}
}

// Counts returns how many items have each result.
func (s *Redrive) Counts() map[string]int {
	n := map[string]int{}
	for _, i := range s.Items {
		n[i.Result]++
	}
	return n
}
