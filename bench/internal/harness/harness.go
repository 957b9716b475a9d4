// Package harness drives every peer through the same phases and prints the
// one JSON line of the benchmark contract (see README.md).
package harness

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Modes of the contract.
const (
	ModeChain = "chain" // linear workflow of S steps
	ModeJobs  = "jobs"  // N independent single-step jobs, all enqueued at once
	ModeFail  = "fail"  // like chain, but every step fails once before it succeeds
)

// ErrFailOnce is what Step returns for the first attempt of a step in ModeFail.
var ErrFailOnce = errors.New("peerbench: first attempt fails")

// Driver is one peer.
type Driver interface {
	// Submit starts the runs with these ids. It returns when they are durably
	// accepted (or, where the peer's API cannot separate the two, earlier).
	// Every run must be reported with Bench.Done once its completion is durable.
	Submit(ctx context.Context, ids []int) error
	// Durable says how durability is configured.
	Durable() string
	Close()
}

// Warmer is for drivers that want to know when warm-up and the unloaded phase
// are over, as with a database that should know its tables by then.
type Warmer interface {
	Warmed(ctx context.Context) error
}

// Bench is what a driver sees of the harness.
type Bench struct {
	Peer        string
	Runs        int
	Steps       int
	Concurrency int
	Mode        string
	Extra       map[string]any // more fields for the JSON line
	ServerPIDs  []int          // processes whose CPU and memory count with ours

	noteMu sync.Mutex

	submitters int // jobs mode: goroutines that enqueue
	batch      int // jobs mode: ids per Submit

	lanes    []lane
	executed atomic.Int64 // successful step executions
	failed   atomic.Int64 // failed attempts (ModeFail)
	stale    atomic.Int64 // Done calls for a run that was done already
	bad      atomic.Int64 // steps that got a wrong payload
	doneN    atomic.Int64
	phase    atomic.Pointer[phase]
}

type lane struct {
	start time.Time
	end   atomic.Int64 // ns since start, 0 while running
	fail  []atomic.Bool
	ch    chan struct{}
}

type phase struct {
	first, n int
	left     atomic.Int64
	done     chan struct{}
}

// Note puts a field into the JSON line, from any goroutine.
func (b *Bench) Note(key string, value any) {
	b.noteMu.Lock()
	b.Extra[key] = value
	b.noteMu.Unlock()
}

// TotalRuns is the number of ids: runs of all phases together.
func (b *Bench) TotalRuns() int { return len(b.lanes) }

// JobsEnqueue sets how jobs mode enqueues: that many goroutines, that many ids
// in one call of Submit.
func (b *Bench) JobsEnqueue(submitters, batch int) {
	b.submitters, b.batch = submitters, batch
}

// Step is the no-op step: it checks its input and returns its output, which
// must be the input of the next one.
func (b *Bench) Step(payload string) (string, error) {
	id, step, err := Decode(payload)
	if err != nil || id < 0 || id >= len(b.lanes) || step >= b.Steps {
		b.bad.Add(1)
		return "", fmt.Errorf("peerbench: bad step input: %w", err)
	}
	if b.Mode == ModeFail && !b.lanes[id].fail[step].Swap(true) {
		b.failed.Add(1)
		return "", ErrFailOnce
	}
	b.executed.Add(1)
	return encode(id, step+1), nil
}

// Flooding is true while jobs mode has all its jobs enqueued at once. A peer
// whose only way to learn of a stored completion is one more query a job may
// then call Done when the job's function returns, in the peer's favour.
func (b *Bench) Flooding() bool { return b.phase.Load() != nil }

// Last reports whether this output is the output of the last step.
func (b *Bench) Last(payload string) bool {
	_, step, err := Decode(payload)
	return err == nil && step >= b.Steps
}

// Done reports that the run is complete, with the output of its last step.
func (b *Bench) Done(payload string) {
	id, step, err := Decode(payload)
	if err != nil || step != b.Steps || id < 0 || id >= len(b.lanes) {
		b.bad.Add(1)
		return
	}
	l := &b.lanes[id]
	if !l.end.CompareAndSwap(0, max(1, int64(time.Since(l.start)))) {
		b.stale.Add(1)
		return
	}
	close(l.ch)
	if p := b.phase.Load(); p != nil && id >= p.first && id < p.first+p.n {
		if p.left.Add(-1) == 0 {
			close(p.done)
		}
	}
}

// DoneID reports that the run is complete, where only its id is at hand.
func (b *Bench) DoneID(id int) { b.Done(encode(id, b.Steps)) }

// Main runs a peer: it parses the contract's flags, opens the driver and
// drives it. Every path ends within -timeout.
func Main(peer string, open func(ctx context.Context, b *Bench) (Driver, error)) {
	b := &Bench{Peer: peer, Extra: map[string]any{}}
	single := flag.Int("single-runs", 200, "runs of the unloaded latency phase, one at a time")
	warm := flag.Int("warmup", -1, "runs before anything is measured (default runs/10, 20 to 500)")
	timeout := flag.Duration("timeout", 3*time.Minute, "everything ends within this")
	label := flag.String("label", "", "peer name to print")
	flag.IntVar(&b.Runs, "runs", 1000, "workflow runs of the loaded phase")
	flag.IntVar(&b.Steps, "steps", 5, "steps of a run")
	flag.IntVar(&b.Concurrency, "concurrency", 64, "runs in flight, and worker slots")
	flag.StringVar(&b.Mode, "mode", ModeChain, "chain, jobs or fail")
	flag.Parse()
	if *label != "" {
		b.Peer = *label
	}
	if *warm < 0 {
		*warm = min(500, max(20, b.Runs/10))
	}
	switch b.Mode {
	case ModeChain, ModeFail:
	case ModeJobs:
		b.Steps = 1
	default:
		// A peer can have modes of its own; it checks them in open.
	}
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	// Whatever hangs: end, and take the servers along.
	die := func() {
		cleanup()
		os.Exit(1)
	}
	time.AfterFunc(*timeout+20*time.Second, die)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	go func() { <-stop; die() }()
	code := 0
	if err := run(ctx, b, open, *single, *warm); err != nil {
		out, _ := json.Marshal(map[string]any{"peer": b.Peer, "mode": b.Mode, "error": err.Error()})
		fmt.Println(string(out))
		code = 1
	}
	cleanup()
	os.Exit(code)
}

var (
	atExitMu sync.Mutex
	atExit   []func()
)

// AtExit registers a cleanup that runs, last first, however the peer ends.
func AtExit(f func()) {
	atExitMu.Lock()
	atExit = append(atExit, f)
	atExitMu.Unlock()
}

func cleanup() {
	atExitMu.Lock()
	defer atExitMu.Unlock()
	for i := len(atExit) - 1; i >= 0; i-- {
		atExit[i]()
	}
	atExit = nil
}

func run(ctx context.Context, b *Bench, open func(context.Context, *Bench) (Driver, error), single, warm int) error {
	total := warm + single + b.Runs
	b.lanes = make([]lane, total)
	for i := range b.lanes {
		b.lanes[i].ch = make(chan struct{})
		if b.Mode == ModeFail {
			b.lanes[i].fail = make([]atomic.Bool, b.Steps)
		}
	}
	b.submitters, b.batch = b.Concurrency, 1
	d, err := open(ctx, b)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	if d == nil { // the peer ran a mode of its own and printed its line
		return nil
	}

	// Warm-up: fill pools, caches and JIT-like state of the peer.
	if err := b.closedLoop(ctx, d, 0, warm); err != nil {
		return fmt.Errorf("warm-up: %w", err)
	}
	// Unloaded latency.
	lat := make([]time.Duration, 0, single)
	for id := warm; id < warm+single; id++ {
		if err := b.one(ctx, d, id); err != nil {
			return fmt.Errorf("single run: %w", err)
		}
		lat = append(lat, b.latency(id))
	}
	sortDurations(lat)
	r := Result{Peer: b.Peer, Mode: b.Mode, Runs: b.Runs, Steps: b.Steps, Concurrency: b.Concurrency,
		SingleRuns: single, P50Single: ms(pct(lat, 50)), P99Single: ms(pct(lat, 99)), Durable: d.Durable()}

	if w, ok := d.(Warmer); ok {
		if err := w.Warmed(ctx); err != nil {
			return err
		}
	}

	// Loaded.
	exec0, fail0 := b.executed.Load(), b.failed.Load()
	mon := startMonitor(b.ServerPIDs)
	t0 := time.Now()
	first := warm + single
	if b.Mode == ModeJobs {
		err = b.flood(ctx, d, first, b.Runs)
	} else {
		err = b.closedLoop(ctx, d, first, b.Runs)
	}
	wall := time.Since(t0)
	usage := mon.stop()
	if err != nil {
		return fmt.Errorf("loaded: %w", err)
	}
	if n := b.bad.Load(); n > 0 {
		return fmt.Errorf("%d steps or completions had a wrong payload", n)
	}
	lat = lat[:0]
	for id := first; id < first+b.Runs; id++ {
		lat = append(lat, b.latency(id))
	}
	sortDurations(lat)
	steps := float64(b.Runs) * float64(b.Steps)
	r.WallSeconds = round(wall.Seconds(), 4)
	r.StepsPerSec = round(steps/wall.Seconds(), 1)
	r.RunsPerSec = round(float64(b.Runs)/wall.Seconds(), 1)
	r.P50, r.P99 = ms(pct(lat, 50)), ms(pct(lat, 99))
	r.CPUServer = round(usage.serverCPU.Seconds(), 3)
	r.CPUSeconds = round((usage.selfCPU + usage.serverCPU).Seconds(), 3)
	r.CPUPerStep = round(1e6*(usage.selfCPU+usage.serverCPU).Seconds()/steps, 1)
	r.RSSServer = round(usage.serverRSS/(1<<20), 1)
	r.MaxRSS = round((usage.selfRSS+usage.serverRSS)/(1<<20), 1)
	r.Executed = b.executed.Load() - exec0
	r.Failed = b.failed.Load() - fail0
	r.Repeated = r.Executed - int64(steps)
	if r.Executed < int64(steps) {
		return fmt.Errorf("only %d of %d steps were executed", r.Executed, int64(steps))
	}
	d.Close()
	return b.print(r)
}
