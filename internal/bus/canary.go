package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// How often a [Canary] writes, and how long a write may take before the store counts as one that takes none. A write to the log
// leaves a sequence behind for ever, so one that nobody needs is rare; one that has failed is tried again at once.
const (
	canaryEvery  = time.Second
	canaryIdle   = 2 * time.Second // without a confirmed write of any kind
	canaryRare   = 5 * time.Second // the same, for a process that is one of many
	logEvery     = time.Minute     // without a confirmed write to a partition of the log
	canaryAnswer = 3 * time.Second
)

// CanaryOptions say what a [Canary] does.
type CanaryOptions struct {
	Kind string // of this process, the key that it writes to; one for all of the same kind
	Log  bool   // write to the partitions of the log too, which dispatchers may
	// Failed lists streams whose server says itself that it takes no writes to them, and since when; nil = it does not say.
	Failed func() (streams []string, since time.Time)
	Rare   bool                 // there are many processes of this kind
	Advice func(Trouble) string // what to do; nil = [Bus.Advice]
	Logger *slog.Logger         // logs when the store begins to take no writes, and when it takes them again; nil = nothing
}

// Trouble is that the store takes no writes.
type Trouble struct {
	Streams []string  // that are known to take none
	Since   time.Time // of the first write that was not confirmed
	Good    time.Time // when the last one to them was; zero = not known
	Full    bool      // the server says that there is no room
}

// Canary proves that the server stores what it is given: where nothing else was confirmed for a while, it writes something.
type Canary struct {
	bus *Bus
	o   CanaryOptions

	unseen time.Time // when the bucket was not there, or could not be seen; of the one goroutine that looks

	mu     sync.Mutex
	proven time.Time // the connection over which all that has to be proven was
	bad    error     // what was logged last
	began  time.Time // of that
	hurry  chan struct{}
}

// NewCanary makes a canary, which begins with [Canary.Run].
func NewCanary(b *Bus, o CanaryOptions) *Canary {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Advice == nil {
		o.Advice = b.Advice
	}
	return &Canary{bus: b, o: o, hurry: make(chan struct{}, 1)}
}

// Run writes until ctx ends.
func (c *Canary) Run(ctx context.Context) error {
	tick := time.NewTicker(canaryEvery)
	defer tick.Stop()
	for {
		if c.bus.Ready() == nil {
			c.look(ctx)
		}
		c.say(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-c.hurry:
		}
	}
}

// look writes where it has to be proven that something is stored, and waits a moment for the answers.
func (c *Canary) look(ctx context.Context) {
	conn := c.bus.ConnectedAt()
	due, err := c.due(ctx, conn)
	if err != nil {
		c.o.Logger.Debug("cannot look whether the store takes writes", "error", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, canaryAnswer)
	defer cancel()
	var all sync.WaitGroup
	good := make([]error, len(due))
	for i, d := range due {
		all.Go(func() { good[i] = c.write(ctx, d, conn) })
	}
	all.Wait()
	if errors.Join(good...) != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.proven = conn
}

// due lists what has to be written now: a stream, its subject, and whether what was written before is to be removed.
func (c *Canary) due(ctx context.Context, conn time.Time) (all []proofOf, err error) {
	state, last := map[string]Writes{}, time.Time{}
	for _, w := range c.bus.Writes() {
		if state[w.Stream] = w; w.Good.After(last) {
			last = w.Good
		}
	}
	stale := func(w Writes, after time.Duration) bool {
		return w.Good.Before(conn) || !w.Since.IsZero() || time.Since(w.Good) > after
	}
	idle := canaryIdle
	if c.o.Rare {
		idle = canaryRare
	}
	stream, subject := c.bus.names.Canary(c.o.Kind)
	if own := state[stream]; stale(own, idle) && (own.Good.Before(conn) || !own.Since.IsZero() || time.Since(last) > idle) {
		there, err := c.bucket(ctx)
		if err != nil {
			return nil, err
		}
		if there {
			all = append(all, proofOf{stream, c.bus.domained(subject), false})
		}
	}
	often := logEvery
	if c.all().Streams != nil {
		often = canaryEvery
	}
	for p := 0; c.o.Log && p < c.bus.Partitions(); p++ {
		if name := c.bus.names.RunsStream(p); stale(state[name], often) {
			all = append(all, proofOf{name, c.bus.names.Seal(p), true})
		}
	}
	return all, nil
}

// proofOf is a write that proves that a stream stores what it is given.
type proofOf struct {
	stream, subject string
	purge           bool
}

// bucket reports whether the bucket is there. Dispatchers make it.
func (c *Canary) bucket(ctx context.Context) (bool, error) {
	name, about := c.bus.names.CanaryBucket(), "Belay: written to see that the server stores what it is given"
	if !c.o.Log {
		if time.Since(c.unseen) < logEvery {
			return false, nil
		}
		b, err := c.bus.BucketIfThere(ctx, name)
		if b == nil {
			c.unseen = time.Now()
		}
		if err != nil && c.bus.Ready() == nil { // a worker whose rights are of an older version may not see it
			c.o.Logger.Debug("cannot look whether the store takes writes; that it is connected must do", "error", err)
			return false, nil
		}
		return b != nil, err
	}
	_, err := c.bus.Bucket(ctx, name, about)
	return err == nil, err
}

// write writes once, and removes what it has written before.
func (c *Canary) write(ctx context.Context, d proofOf, conn time.Time) error {
	sent := time.Now()
	_, err := c.bus.PublishWait(ctx, d.stream, Message{Subject: d.subject})
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) { // the answer may still come, and is noted then
			c.bus.wrote(d.stream, sent, conn, errTimeout)
		}
		return err
	}
	if d.purge {
		return c.bus.PurgeButLast(ctx, d.stream, d.subject)
	}
	return nil
}

// domained is a subject of a bucket for whoever publishes to it, in the domain of the connection.
func (b *Bus) domained(subject string) string {
	if domain := b.js.Options().Domain; domain != "" {
		return "$JS." + domain + ".API." + subject
	}
	return subject
}

// Ready is nil while the server stores what this process gives it: over the present connection a write was confirmed, and none
// has failed since.
func (c *Canary) Ready() error {
	if err := c.bus.Ready(); err != nil {
		return err
	}
	if err := c.Trouble(""); err != nil {
		return err
	}
	conn := c.bus.ConnectedAt()
	c.mu.Lock()
	proven := c.proven
	c.mu.Unlock()
	if !proven.Equal(conn) {
		select {
		case c.hurry <- struct{}{}:
		default:
		}
		return errors.New("no write has been confirmed yet since it connected")
	}
	return nil
}

// Trouble is an [ErrNoWrites] with what to do, about one stream or, without a name, all of them; nil while there is none.
func (c *Canary) Trouble(stream string) error {
	t := c.all()
	if len(t.Streams) == 0 || stream != "" && !slices.Contains(t.Streams, stream) {
		return nil
	}
	return fmt.Errorf("%w; %s", t.error(), c.o.Advice(t))
}

// all is the trouble with all streams, as this process has seen it and as the server says.
func (c *Canary) all() Trouble {
	writes := c.bus.Writes()
	t := troubleOf(writes)
	if c.o.Failed == nil {
		return t
	}
	failed, since := c.o.Failed()
	for _, stream := range failed {
		t.Full = false
		if slices.Contains(t.Streams, stream) {
			continue
		}
		t.Streams = append(t.Streams, stream)
		if t.Since.IsZero() || since.Before(t.Since) {
			t.Since = since
		}
		for _, w := range writes {
			if w.Stream == stream && w.Good.After(t.Good) {
				t.Good = w.Good
			}
		}
	}
	return t
}

// say logs when the trouble begins, and when it is over.
func (c *Canary) say(ctx context.Context) {
	now := c.Trouble("")
	c.mu.Lock()
	was, began := c.bad, c.began
	if now != nil && was == nil {
		c.began = time.Now()
	}
	c.bad = now
	c.mu.Unlock()
	switch {
	case now != nil && was == nil:
		c.o.Logger.ErrorContext(ctx, now.Error())
	case now == nil && was != nil && c.bus.Ready() == nil:
		c.o.Logger.InfoContext(ctx, "the store takes writes again", "after", time.Since(began).Round(time.Millisecond).Seconds())
	}
}

// AccountSpace is how much the streams of the account take, and how much they may; false where there is no limit, or it is not
// known. It asks the server.
func (b *Bus) AccountSpace() (used, limit int64, ok bool) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	a, err := b.js.AccountInfo(ctx)
	if err != nil || a.Limits.MaxStore <= 0 {
		return 0, 0, false
	}
	return int64(a.Store), a.Limits.MaxStore, true
}
