package breaker

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/text"
)

// Keeper is a dispatcher's own view of the breakers. It is safe for concurrent use.
type Keeper struct {
	bus    *bus.Bus
	name   string // of this dispatcher among those that count
	logger *slog.Logger

	ready   chan struct{} // closed once the records are known
	once    sync.Once
	changed chan struct{} // has a value after a change, and whenever more calls may go

	following *bus.Following

	mu      sync.Mutex
	targets map[Target]*target
	trips   int // grows whenever a breaker opens
}

// target is what is known of a target.
type target struct {
	Target
	set  steps.Breaker // of the call that came last
	rec  *Record       // nil while it is closed
	rev  uint64        // of rec; 0 = there is none
	seen uint64        // of what was heard of it last
	busy bool          // a change of it is being stored
	at   time.Time     // of the last change: what others have counted before says nothing

	calls     Window // outcomes; odd are the failures
	sent      Window // calls let go; odd are the retries
	fault     string // of the last failure
	others    map[string]Count
	published bool // what was counted here stands in the bucket

	granted map[string]grant // units that may go: what was held back is let go before it is queued
	starved bool             // retries wait until others are longer ago
}

// grant is the word that a call of a unit may go.
type grant struct {
	at   time.Time
	sent bool // it was queued
}

// NewKeeper makes a Keeper; nothing is known before [Keeper.Run]. No other dispatcher may have the name.
func NewKeeper(b *bus.Bus, name string, logger *slog.Logger) *Keeper {
	return &Keeper{
		bus: b, name: name, logger: logger, ready: make(chan struct{}), changed: make(chan struct{}, 1), targets: map[Target]*target{},
		following: bus.NewFollowing(logger, "cannot hear of breakers; those that are known stay as they are"),
	}
}

// Ready is closed once it is known which breakers are open.
func (k *Keeper) Ready() <-chan struct{} { return k.ready }

// Changed has a value after a change, and whenever more calls may go than before.
func (k *Keeper) Changed() <-chan struct{} { return k.changed }

func (k *Keeper) tell() {
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// Trips grows whenever a breaker opens: what is in the queue is to be looked at then.
func (k *Keeper) Trips() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.trips
}

// Records are the breakers that are not closed, by name.
func (k *Keeper) Records() []Record {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []Record
	for _, g := range k.targets {
		if g.rec != nil {
			list = append(list, *g.rec)
		}
	}
	return sorted(list)
}

// of is what is known of a target, with what the call that asks goes by. Hold the lock.
func (k *Keeper) of(t Target, set *steps.Breaker) *target {
	g := k.targets[t]
	if g == nil {
		g = &target{Target: t, others: map[string]Count{}, granted: map[string]grant{}}
		k.targets[t] = g
	}
	if set != nil {
		g.set = *set
	}
	return g
}

func (g *target) window() time.Duration { return time.Duration(g.set.Window) }

// Call is what is asked about.
type Call struct {
	Target
	Set     *steps.Breaker
	Unit    string        // `<run>/<step>`
	Retry   bool          // its unit has called the target before in this round
	Timeout time.Duration // of the call; 0 = none
}

// Verdict is what becomes of a call.
type Verdict uint8

const (
	Go   Verdict = iota // now
	Turn                // when its turn comes, by the pace of the ramp; [Keeper.Let] says that it has
	Wait                // it is asked for whether it may be the probe; [Keeper.Changed] follows
	Stop                // it does not; [Keeper.Hold] says why
)

// Judge says whether a call may be queued, and counts it then.
func (k *Keeper) Judge(c Call) (Verdict, steps.Hold) {
	now := k.bus.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	g := k.of(c.Target, c.Set)
	v := k.judge(g, &c, now)
	if v == Go && !g.granted[c.Unit].sent { // else it is asked about once more, because something else held it back
		g.granted[c.Unit] = grant{now, true}
		g.sent.Add(now, g.window(), c.Retry)
	}
	return v, g.hold()
}

// Release says whether a call that is held back may go on: it is queued after that, and judged then.
func (k *Keeper) Release(c Call) Verdict {
	now := k.bus.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	g := k.of(c.Target, c.Set)
	v := k.judge(g, &c, now)
	if v == Go {
		g.granted[c.Unit] = grant{at: now}
	}
	return v
}

// Let notes that the turn of a call has come in the ramp that began at a time; false: that ramp has ended, and the call is judged anew.
func (k *Keeper) Let(c Call, from time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	began, is := k.ramp(c.Target)
	if is = is && began.Equal(from); is {
		k.targets[c.Target].granted[c.Unit] = grant{at: k.bus.Now()}
	}
	return is
}

// Ramp is when the ramp of a target that is back began; false: there is none, or it is over.
func (k *Keeper) Ramp(t Target) (from time.Time, is bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.ramp(t)
}

func (k *Keeper) ramp(t Target) (from time.Time, is bool) {
	g := k.targets[t]
	if g == nil || g.rec == nil || g.rec.State != Ramp || g.rec.Over(k.bus.Now()) {
		return time.Time{}, false
	}
	return g.rec.From, true
}

func (k *Keeper) judge(g *target, c *Call, now time.Time) Verdict {
	r := g.rec
	_, granted := g.granted[c.Unit]
	switch {
	case granted && (r == nil || r.State == Ramp):
		return Go
	case r == nil || r.Over(now):
		all, retries := g.sent.Sum(now, g.window())
		if c.Retry && !mayRetry(&g.set, all, retries+g.reserved()) {
			g.starved = true
			return Stop
		}
		return Go
	case r.State == HalfOpen && r.Probe == c.Unit:
		return Go
	case r.State == Ramp:
		return Turn
	case r.MayProbe(now) && !g.busy:
		next := r.Probing(c.Unit, c.Timeout, now)
		k.store(g, &next)
		return Wait
	}
	return Stop
}

// reserved is how many calls were told that they may go and were not queued yet.
func (g *target) reserved() int {
	if g.rec != nil {
		return 0
	}
	n := 0
	for _, a := range g.granted {
		if !a.sent {
			n++
		}
	}
	return n
}

// hold says why a call does not go.
func (g *target) hold() steps.Hold {
	if g.rec == nil {
		return steps.Hold{Why: steps.HoldRetries, Covers: g.String(), Reason: retriesText(&g.set)}
	}
	return steps.Hold{Why: steps.HoldBreaker, Covers: g.String(), Reason: g.rec.Why()}
}

// Blocked reports whether a call that was let go is to be held back after all, since the breaker has opened.
func (k *Keeper) Blocked(c Call) (steps.Hold, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	g := k.targets[c.Target]
	if g == nil || g.rec == nil || g.rec.State == Ramp || g.rec.Probe == c.Unit {
		return steps.Hold{}, false
	}
	return g.hold(), true
}

// Count takes in what became of a call; fault is empty where it was answered.
func (k *Keeper) Count(c Call, o Outcome, fault string) {
	now := k.bus.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	g := k.of(c.Target, c.Set)
	r, fault := g.rec, text.Cut(fault, longestFault)
	delete(g.granted, c.Unit)
	switch {
	case r != nil && r.State == HalfOpen && r.Probe == c.Unit:
		next := r.Settled(o, fault, now)
		k.store(g, &next)
	case o == Silent, r != nil && r.State != Ramp: // one that was let go before
	default:
		if g.calls.Add(now, g.window(), o == Failed); o == Failed {
			g.fault = fault
			k.trip(g, now)
		}
	}
}

// longestFault is how many characters of a fault a breaker keeps.
const longestFault = 200

// trip opens a breaker if enough calls have failed, here and as others say. Hold the lock.
func (k *Keeper) trip(g *target, now time.Time) {
	if g.busy || g.rec != nil && g.rec.State != Ramp {
		return
	}
	all, failed := g.calls.Sum(now, g.window())
	for _, c := range g.others {
		if now.Sub(c.At) < countsFor && c.At.After(g.at) {
			all, failed = all+c.Calls, failed+c.Failed
		}
	}
	if g.set.Min == 0 || !trips(&g.set, all, failed) {
		return
	}
	next := Trip(g.Target, g.set, all, failed, g.fault, now)
	if g.rec != nil { // it came back for a moment
		next.Since, next.Probes = g.rec.Since, g.rec.Probes
	}
	k.store(g, &next)
}

// Run follows the breakers, and tells the other dispatchers what was counted here, until ctx ends. While nothing is heard of them,
// those that are known stay as they are.
func (k *Keeper) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { k.tick(ctx) })
	k.following.Run(ctx, k.listen)
	wg.Wait()
}

const (
	tickEvery = 250 * time.Millisecond // how often more calls may go
	keptIdle  = time.Minute            // how long a grant is remembered
)

// tick does what time does.
func (k *Keeper) tick(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		bus.Sleep(ctx, tickEvery)
		if k.passTime(k.bus.Now()) {
			k.tell()
		}
		if n%int(time.Second/tickEvery) == 0 {
			k.report(ctx)
		}
	}
}

// passTime reports whether more calls may go than before.
func (k *Keeper) passTime(now time.Time) (more bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for t, g := range k.targets {
		maps.DeleteFunc(g.granted, func(_ string, a grant) bool { return now.Sub(a.at) > keptIdle })
		switch r := g.rec; {
		case r != nil && r.Over(now) && !g.busy:
			k.store(g, nil)
		case r != nil:
			more = more || r.MayProbe(now)
		case g.starved:
			more, g.starved = true, false
		default:
			if k.idle(g, now) {
				delete(k.targets, t)
			}
		}
	}
	return more
}

// idle reports whether nothing is known of a closed breaker that counts any more.
func (k *Keeper) idle(g *target, now time.Time) bool {
	calls, _ := g.calls.Sum(now, g.window())
	sent, _ := g.sent.Sum(now, g.window())
	return calls+sent+len(g.granted) == 0 && !g.busy && !g.published && g.rev == 0
}

func sorted(list []Record) []Record {
	slices.SortFunc(list, func(a, b Record) int {
		switch x, y := a.String(), b.String(); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	return list
}
