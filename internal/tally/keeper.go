package tally

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"belay/internal/bus"
	"belay/internal/wire"
)

// How often the log is looked at, and how often all of it is read again.
const (
	lookEvery  = time.Second
	putEvery   = 5 * time.Second // how often pages that are not full are put into the bucket
	ScrubEvery = time.Hour
	term       = 15 * time.Second
)

// Keeper keeps the tally of all partitions, in one process at a time, and knows in all of them what was found.
type Keeper struct {
	bus        *bus.Bus
	names      wire.Names
	dir        string
	logger     *slog.Logger
	shelf      shelf
	parts      []*part
	scrub      time.Duration
	lossy      bool
	boot       string
	replicated bool // several servers have the log, and the one that answers may be behind
	beside     bool // another process is, or was, beside a server that loses its last second

	patience time.Duration // besideWait

	answered uint64 // revision of the last request for a look, see trust

	looking sync.Mutex // who has it looks at the log, or accepts all that a look has found
	writing sync.Mutex // who has it changes what was found

	mu      sync.Mutex
	found   damages
	whole   time.Time // when the last scrub of all partitions ended
	safe    time.Time // the connection over which the log was looked at last
	trouble error     // why it cannot be looked at now; nil = it can
	looked  chan struct{}
}

// Options say how a [Keeper] works.
type Options struct {
	Dir    string        // folder outside the store; empty = the tally is kept inside it only
	Logger *slog.Logger  // logs what is found; nil = nothing
	Scrub  time.Duration // how often everything is read again; default ScrubEvery
	Lossy  bool          // the server beside this process confirms what is not on disk yet
	Boot   string        // id of the machine's present start; default the kernel's
}

// New makes a keeper on a bus that is set up or open.
func New(b *bus.Bus, o Options) *Keeper {
	k := &Keeper{bus: b, names: b.Names(), dir: o.Dir, logger: o.Logger, shelf: shelf{b}, scrub: o.Scrub, lossy: o.Lossy, boot: o.Boot, patience: besideWait, replicated: b.Replicas() > 1, looked: make(chan struct{}, 1)}
	if k.logger == nil {
		k.logger = slog.New(slog.DiscardHandler)
	}
	if k.boot == "" {
		k.boot = bootID()
	}
	if k.scrub == 0 {
		k.scrub = ScrubEvery
	}
	for p := range b.Partitions() {
		k.parts = append(k.parts, &part{p: p, stream: k.names.RunsStream(p)})
		b.Stored(k.names.RunsStream(p)) // from now on it is noted
	}
	return k
}

// Note notes an entry that the dispatcher has received. It never blocks.
func (k *Keeper) Note(partition int, e bus.Entry) {
	if partition < len(k.parts) {
		k.parts[partition].note(k.noteOf(e))
	}
}

// noted is an entry as it is noted.
type noted struct {
	seq     uint64
	leaf    leaf
	at      time.Time // when it was received
	removed bool      // it says that its run is being removed
	run     string    // the id of a run that begins with it; empty = none does
}

func (k *Keeper) noteOf(e bus.Entry) noted {
	n := noted{seq: e.Seq, leaf: leafOf(k.names, e), at: time.Now(), removed: len(e.Header[wire.HeaderRemoved]) > 0}
	if _, run, kind, ok := k.names.ParseLog(e.Subject); ok && kind == wire.KindPlan && e.IsFirst() {
		n.run = run
	}
	return n
}

// Run keeps the tally until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	bucket, err := k.open(ctx)
	if err != nil {
		return err
	}
	lease := bus.NewLease(bucket, leaseKey, term)
	defer k.leave(ctx, lease)
	var renewed, put time.Time
	mine := false
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if time.Since(renewed) > term/3 {
			if mine, err = k.renew(ctx, bucket, lease); err == nil {
				renewed = time.Now()
			}
		}
		switch {
		case err != nil:
		case mine:
			if err = k.keep(ctx, time.Since(put) > putEvery); err == nil && time.Since(put) > putEvery {
				put = time.Now()
			}
		default:
			k.forget()
			err = k.trust(ctx)
		}
		if ctx.Err() != nil { // a look that was cut short says nothing
			return nil
		}
		if err != nil {
			k.logger.Warn("cannot look whether the log is whole; calls that must not happen twice wait for that", "error", err)
		}
		k.note(err)
		err = nil
		k.nudge()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// renew reports whether this process keeps the tally from now on.
func (k *Keeper) renew(ctx context.Context, bucket *bus.Bucket, lease *bus.Lease) (bool, error) {
	may, err := k.mayKeep(ctx, bucket)
	if err != nil || !may {
		lease.Resign(ctx)
		return false, err
	}
	return lease.Renew(ctx)
}

// open opens the bucket, in which another process may have put what it found.
func (k *Keeper) open(ctx context.Context) (*bus.Bucket, error) {
	kept, err := readDamages(k.dir)
	if err != nil {
		k.logger.Warn("what was found about the log before cannot be read from the file", "error", err)
	}
	k.mu.Lock()
	k.found = kept
	k.mu.Unlock()
	return k.shelf.bucket(ctx)
}

// leave ends the keeping: what was noted is stored, and another process may go on.
func (k *Keeper) leave(ctx context.Context, lease *bus.Lease) {
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if mine, err := lease.Renew(end); err == nil && mine { // a command may end before the first look
		if err := k.lastLook(end); err != nil {
			k.logger.Debug("the tally of the log was not stored at the end; what is missing is read from the log at the next start", "error", err)
		}
	}
	k.forget()
	lease.Resign(end)
}

// lastLook stores what there is at the end, without reading everything.
func (k *Keeper) lastLook(ctx context.Context) error {
	var errs []error
	for _, t := range k.parts {
		t.scrub = scrub{began: time.Now()}
		errs = append(errs, k.lookAt(ctx, t, true))
		if t.book != nil {
			t.book.Boot = ""
			errs = append(errs, k.sweep(t, true), k.save(ctx, t, true), t.file.save(t.book.head, nil))
		}
	}
	return errors.Join(errs...)
}

// forget drops the books, because another process keeps them.
func (k *Keeper) forget() {
	for _, t := range k.parts {
		t.close()
	}
}

// look looks at all partitions. Put says that pages that are not full go into the bucket too.
func (k *Keeper) look(ctx context.Context, put bool) error {
	if err := k.learn(ctx); err != nil {
		return err
	}
	var errs []error
	for _, t := range k.parts {
		if err := k.lookAt(ctx, t, put); err != nil {
			errs = append(errs, fmt.Errorf("partition %d: %w", t.p, err))
		}
	}
	return errors.Join(errs...)
}

// learn takes over what other processes found, or accepted.
func (k *Keeper) learn(ctx context.Context) error {
	there, _, err := k.shelf.damages(ctx)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, d := range there.open() {
		if !slices.ContainsFunc(k.found, func(o Damage) bool { return o.ID == d.ID }) {
			k.logger.Error(d.Text(), "found", d.ID, "since", d.Since)
		}
	}
	k.found = k.found.with(there)
	return nil
}

// Safe reports whether the log has been looked at over the present connection. What was found then, [Keeper.Doubts] says.
func (k *Keeper) Safe() bool {
	conn := k.bus.ConnectedAt()
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.safe.Equal(conn)
}

// Looked has a value whenever the log was looked at, or what was found was accepted.
func (k *Keeper) Looked() <-chan struct{} { return k.looked }

func (k *Keeper) nudge() {
	select {
	case k.looked <- struct{}{}:
	default:
	}
}

// Found lists what was found and not accepted yet.
func (k *Keeper) Found() []Damage {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.found.open()
}

// Whole is when the last scrub of all partitions ended; zero where none has.
func (k *Keeper) Whole() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.whole
}

// note notes why the log cannot be looked at; nil: it was.
func (k *Keeper) note(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.trouble = err
}

// Err is nil while the log is what it was, as far as anybody could look.
func (k *Keeper) Err() error {
	open := k.Found()
	if len(open) == 0 {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.trouble
	}
	more := ""
	if len(open) > 1 {
		more = fmt.Sprintf(" (and %d more)", len(open)-1)
	}
	return fmt.Errorf("%w: %s%s; look with `dispatcher store check`, and say with `dispatcher store accept` that work may go on", ErrDamaged, open[0].Text(), more)
}

// ErrDamaged says that the log is not what it was.
var ErrDamaged = errors.New("the log was damaged behind Belay's back")

// report stores what was found, before the tally forgets what was there.
func (k *Keeper) report(ctx context.Context, found ...Damage) error {
	for _, d := range found {
		k.logger.Error(d.Text(), "found", d.ID, "since", d.Since)
	}
	return k.change(ctx, func(all damages) damages { return all.with(found) })
}

// Accept notes that a person has looked at what was found, and what they say of it. A look that is under way ends first: what it
// finds belongs together. It returns what the verdict is about.
func (k *Keeper) Accept(ctx context.Context, v Verdict) (accepted []Damage, err error) {
	if err := v.Check(); err != nil {
		return nil, err
	}
	k.looking.Lock()
	defer k.looking.Unlock()
	now := k.bus.Now()
	err = k.change(ctx, func(all damages) damages {
		accepted = nil
		for i := range all {
			if all[i].accept(v, now) {
				accepted = append(accepted, all[i])
			}
		}
		return all
	})
	k.nudge()
	return accepted, err
}

// change changes what was found: here, in the bucket and in the file. Another process may be first in the bucket.
func (k *Keeper) change(ctx context.Context, f func(damages) damages) error {
	k.writing.Lock()
	defer k.writing.Unlock()
	outside, err := readDamages(k.dir)
	if err != nil {
		return err
	}
	for {
		there, revision, err := k.shelf.damages(ctx)
		if err != nil {
			return err
		}
		k.mu.Lock()
		all := f(k.found.with(there).with(outside))
		k.mu.Unlock()
		err = k.shelf.swapDamages(ctx, all, revision)
		if errors.Is(err, bus.ErrConflict) {
			continue
		}
		k.mu.Lock()
		k.found = all
		k.mu.Unlock()
		return errors.Join(err, writeDamages(k.dir, all))
	}
}
