package remote

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"belay/internal/executor"
)

const (
	beatEvery    = 5 * time.Second // unless the tools file says otherwise
	beatsMissed  = 3               // after which a program counts as crashed
	busyPause    = time.Second     // for which a message is handed back if all programs are busy
	keepEnded    = 10 * time.Minute
	maxEnded     = 10_000 // leases that are remembered after their end
	maxWaiting   = 1024   // polls at once
	stoppedGrace = 500 * time.Millisecond
)

var (
	errDraining = errors.New("this worker is stopping and gives out no more work")
	errFull     = errors.New("too many polls wait here already")
)

// Hub gives attempts of remote rungs to the programs that poll for them. Make one with [NewHub].
type Hub struct {
	logger   *slog.Logger
	draining chan struct{} // closed when no more work is given out
	drain    sync.Once
	expects  chan struct{} // closed once it has all rungs that it was told to expect; nil = it has
	complete sync.Once

	mu      sync.Mutex
	rungs   []*rung // sorted by name
	waiting int     // polls
	leases  map[leaseID]*lease
	ended   []*lease // of leases, the oldest first
}

// NewHub makes a hub without rungs.
func NewHub(logger *slog.Logger) *Hub {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Hub{logger: logger, draining: make(chan struct{}), leases: map[leaseID]*lease{}}
}

// Executor makes the executor of one rung, and lets programs poll for it from now on.
func (h *Hub) Executor(tool, name string, spec executor.Remote) executor.Polled {
	r := &rung{hub: h, tool: tool, rung: name, spec: spec, beat: cmp.Or(spec.BeatEvery, beatEvery)}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rungs = append(h.rungs, r)
	slices.SortFunc(h.rungs, func(a, b *rung) int { return strings.Compare(a.name(), b.name()) })
	return r
}

// Expect says that rungs are still to come: polls wait until [Hub.Complete]. Call it before
// the hub is served.
func (h *Hub) Expect() { h.expects = make(chan struct{}) }

// Complete says that no more rungs come.
func (h *Hub) Complete() {
	if h.expects != nil {
		h.complete.Do(func() { close(h.expects) })
	}
}

// whole waits until no more rungs come, and reports false if that takes longer than patience.
func (h *Hub) whole(ctx context.Context, patience time.Duration) bool {
	if h.expects == nil {
		return true
	}
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-h.expects:
		return true
	case <-h.draining:
	case <-timeout.C:
	case <-ctx.Done():
	}
	return false
}

// Serves lists the rungs that programs can poll for, sorted: tool/rung.
func (h *Hub) Serves() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]string, len(h.rungs))
	for i, r := range h.rungs {
		all[i] = r.name()
	}
	return all
}

// Stop gives out no more work. Programs finish what they are executing.
func (h *Hub) Stop() { h.drain.Do(func() { close(h.draining) }) }

// find returns the rungs that a program polls for: a tool's name means all its remote rungs. Unknown is the first name that
// matches none.
func (h *Hub) find(names []string) (found []*rung, unknown string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range names {
		known := false
		for _, r := range h.rungs {
			if name != r.tool && name != r.name() {
				continue
			}
			known = true
			if !slices.Contains(found, r) {
				found = append(found, r)
			}
		}
		if !known {
			return nil, name
		}
	}
	return found, ""
}

// rung is the executor of one rung.
type rung struct {
	hub        *Hub
	tool, rung string
	spec       executor.Remote
	beat       time.Duration

	// Under the hub's lock.
	waiting   []*poll   // waiting programs, the longest first
	leases    int       // attempts of it that programs are executing
	busy      int       // programs that would serve it, but are executing something else
	paused    bool      // a message was handed back just now because all programs were busy
	set       func(int) // called with the demand; nil while nothing listens
	announced int       // the last demand it was called with
}

func (r *rung) name() string { return r.tool + "/" + r.rung }

// demand is how many messages to pull from the queue: one for each poll. If none is waiting because all programs are busy
// with other rungs, it is one, because the rung is served, only not at the moment.
func (r *rung) demand() int {
	if n := len(r.waiting); n > 0 {
		return n
	}
	if r.leases == 0 && r.busy > 0 && !r.paused {
		return 1
	}
	return 0
}

// changed announces the demand if it has changed. The lock is held.
func (r *rung) changed() {
	if n := r.demand(); r.set != nil && n != r.announced {
		r.announced = n
		r.set(n)
	}
}

// Demand implements [executor.Polled].
func (r *rung) Demand(set func(n int)) (stop func()) {
	r.hub.mu.Lock()
	defer r.hub.mu.Unlock()
	r.set, r.announced = set, 0
	r.changed()
	return func() {
		r.hub.mu.Lock()
		r.set = nil
		r.hub.mu.Unlock()
		r.hub.Stop()
	}
}

// Attended implements [executor.Polled].
func (r *rung) Attended() bool {
	r.hub.mu.Lock()
	defer r.hub.mu.Unlock()
	return len(r.waiting) > 0 || r.leases > 0 || r.busy > 0
}

// Reserve implements [executor.Polled].
func (r *rung) Reserve() (executor.Seat, time.Duration) {
	r.hub.mu.Lock()
	defer r.hub.mu.Unlock()
	if p := r.next(); p != nil {
		return &seat{rung: r, poll: p}, 0
	}
	if r.leases > 0 || r.busy == 0 {
		return nil, 0
	}
	r.paused = true
	r.changed()
	time.AfterFunc(busyPause, r.unpause)
	return nil, busyPause
}

func (r *rung) unpause() {
	r.hub.mu.Lock()
	defer r.hub.mu.Unlock()
	r.paused = false
	r.changed()
}

// next removes the poll that has waited longest from all its queues, and returns it. The lock is held.
func (r *rung) next() *poll {
	if len(r.waiting) == 0 {
		return nil
	}
	p := r.waiting[0]
	p.leaveQueues()
	return p
}

// Execute gives the attempt to a program that is waiting now.
func (r *rung) Execute(ctx context.Context, req executor.Request) (executor.Result, error) {
	s := &seat{rung: r}
	defer s.Leave(true)
	return s.Execute(ctx, req)
}

// Prompt implements [executor.Prompt]: it does not wait for a program that does not stop.
func (r *rung) Prompt() {}
