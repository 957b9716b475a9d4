package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"belay/internal/bus"
	"belay/internal/dispatch"
	"belay/internal/engine"
	"belay/internal/executor"
	"belay/internal/executor/gofunc"
	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/toolbox"
	"belay/internal/wire"
	"belay/internal/worker"
)

// benchFlags say what is measured.
type benchFlags struct {
	runs, steps, concurrency, payload, alone int
	workload, durability, profile            string
	partitions                               int
}

// benchResult is what was measured. Latencies are of whole runs, from the call that submits to the result in the log.
type benchResult struct {
	Workload    string  `json:"workload"`
	Runs        int     `json:"runs"`
	Steps       int     `json:"steps"`
	Concurrency int     `json:"concurrency"`
	Durability  string  `json:"durability"`
	Seconds     float64 `json:"seconds"`
	StepsPerSec float64 `json:"steps_per_second"`
	RunsPerSec  float64 `json:"runs_per_second"`
	P50         float64 `json:"p50_ms"`
	P99         float64 `json:"p99_ms"`
	AloneP50    float64 `json:"alone_p50_ms"`
	CPUSeconds  float64 `json:"cpu_seconds"`
	PeakMiB     float64 `json:"peak_memory_mib"`
	Cores       int     `json:"cores"`
}

func (a *app) benchCommand() *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use: "bench", Short: "Measure steps per second and latency, on an embedded server or on --server",
		Long: "Workloads: chain (runs of --steps steps, one after the other), jobs (one step a run), fail (every step fails once and is retried).\n" +
			"Ends with one JSON line.",
		Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return a.bench(c.Context(), f) },
	}
	fl := c.Flags()
	fl.IntVar(&f.runs, "runs", 2000, "runs in all")
	fl.IntVar(&f.steps, "steps", 5, "steps a run")
	fl.IntVar(&f.concurrency, "concurrency", 64, "runs in flight")
	fl.IntVar(&f.payload, "payload", 256, "bytes that each step passes on")
	fl.IntVar(&f.alone, "alone", 50, "runs measured one at a time afterwards")
	fl.StringVar(&f.workload, "workload", "chain", "chain, jobs or fail")
	fl.IntVar(&f.partitions, "partitions", 0, "of the log (default: what suits the machine)")
	fl.StringVar(&f.profile, "cpuprofile", "", "write a CPU profile of the measured part to this file")
	fl.StringVar(&f.durability, "durability", bus.DurabilityFsync, "fsync or interval; of the embedded server")
	return c
}

func (f *benchFlags) check() error {
	if f.workload == "jobs" {
		f.steps = 1
	}
	if !slices.Contains([]string{"chain", "jobs", "fail"}, f.workload) {
		return usage("--workload %q: it is chain, jobs or fail", f.workload)
	}
	if f.runs < 1 || f.steps < 1 || f.concurrency < 1 || f.payload < 0 || f.alone < 0 {
		return usage("--runs, --steps and --concurrency are at least 1")
	}
	return nil
}

func (a *app) bench(ctx context.Context, f benchFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	doc, tools, err := f.plan()
	if err != nil {
		return err
	}
	e, remove, err := a.benchEngine(ctx, f, tools)
	if err != nil {
		return err
	}
	defer remove()
	defer e.Stop()
	b := &bencher{Engine: e, doc: doc, waiting: map[string]chan struct{}{}}
	following, stop := context.WithCancel(ctx)
	defer stop()
	if err := b.listen(following); err != nil {
		return err
	}
	if _, err := b.load(ctx, min(f.runs, 200), min(f.concurrency, 64), "w"); err != nil { // pools and consumers warm up
		return err
	}
	stopProfile, err := startProfile(f.profile)
	if err != nil {
		return err
	}
	cpu, began := cpuTime(), time.Now()
	lat, err := b.load(ctx, f.runs, f.concurrency, "b")
	stopProfile()
	if err != nil {
		return err
	}
	r := benchResult{
		Workload: f.workload, Runs: f.runs, Steps: f.steps, Concurrency: f.concurrency, Durability: f.durability,
		Seconds: time.Since(began).Seconds(), CPUSeconds: cpuTime() - cpu, Cores: runtime.GOMAXPROCS(0),
		P50: percentile(lat, 0.5), P99: percentile(lat, 0.99), PeakMiB: peakMiB(),
	}
	r.RunsPerSec = float64(f.runs) / r.Seconds
	r.StepsPerSec = r.RunsPerSec * float64(f.steps)
	if f.alone > 0 {
		if lat, err = b.load(ctx, f.alone, 1, "a"); err != nil {
			return err
		}
		r.AloneP50 = percentile(lat, 0.5)
	}
	return a.printBench(r)
}

func (a *app) printBench(r benchResult) error {
	if !a.json() {
		fmt.Fprintf(a.Out, "%s: %d runs of %d steps, %d in flight, durability %s, %d cores\n", r.Workload, r.Runs, r.Steps, r.Concurrency, r.Durability, r.Cores)
		fmt.Fprintf(a.Out, "  %.0f steps/s   %.0f runs/s   p50 %.1f ms   p99 %.1f ms   alone p50 %.2f ms\n", r.StepsPerSec, r.RunsPerSec, r.P50, r.P99, r.AloneP50)
		fmt.Fprintf(a.Out, "  %.1f s wall   %.1f s CPU   %.0f MiB peak\n", r.Seconds, r.CPUSeconds, r.PeakMiB)
	}
	return json.NewEncoder(a.Out).Encode(r)
}

// plan makes the workload's documents.
func (f benchFlags) plan() (*plan.Document, *plan.Tools, error) {
	tools, err := plan.ParseTools("bench-tools.yaml", []byte(`
tools:
  step:
    effects: none
    rungs:
      - {name: primary, go: {}, retry: {max_attempts: 3, initial: 1ms, factor: 1}}
`))
	if err != nil {
		return nil, nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "name: bench-%s\ninput: {data: %q}\nsteps:\n", f.workload, strings.Repeat("x", f.payload))
	for i := range f.steps {
		fmt.Fprintf(&b, "  - {id: s%d, tool: step, with: {data: \"${ input.data }\"}}\n", i)
	}
	doc, err := plan.ParsePlan("bench.yaml", []byte(b.String()), tools)
	return doc, tools, err
}

// handler is the empty step: it gives its parameters back. Under the fail workload every first try fails.
func (f benchFlags) handler() gofunc.Handler {
	fail := f.workload == "fail"
	return func(_ context.Context, r executor.Request) (json.RawMessage, error) {
		if fail && r.Try == 1 {
			return nil, steps.Fault{Class: steps.Unavailable, Acted: steps.ActedNo, Message: "fails once"}
		}
		return r.Params, nil
	}
}

func (a *app) benchEngine(ctx context.Context, f benchFlags, tools *plan.Tools) (*engine.Engine, func(), error) {
	o := engine.Options{
		Connect: a.connection("bench"), Log: a.logger(slog.LevelWarn), Setup: true, Partitions: f.partitions, Dispatch: &dispatch.Options{Name: "bench"},
		Worker: &engine.WorkerOptions{
			Options: worker.Options{Name: "bench"}, Tools: tools,
			Box: toolbox.Options{Handlers: map[toolbox.Key]gofunc.Handler{{Tool: "step"}: f.handler()}},
		},
	}
	if o.Connect.Server != "" || o.Connect.Context != "" {
		e, err := engine.Start(ctx, o)
		return e, func() {}, err
	}
	dir, err := os.MkdirTemp("", "belay-bench-")
	if err != nil {
		return nil, nil, fmt.Errorf("bench: %w", err)
	}
	o.Embedded = &bus.ServerOptions{StoreDir: dir, Durability: f.durability, Log: o.Log}
	e, err := engine.Start(ctx, o)
	return e, func() { _ = os.RemoveAll(dir) }, err
}

// bencher submits runs and waits for their results.
type bencher struct {
	*engine.Engine
	doc     *plan.Document
	mu      sync.Mutex
	waiting map[string]chan struct{}
}

// listen hears of every result that is stored.
func (b *bencher) listen(ctx context.Context) error {
	ready := make(chan error, b.Bus.Partitions())
	for p := range b.Bus.Partitions() {
		go func() {
			err := b.Bus.FollowKind(ctx, p, wire.KindResult, func() { ready <- nil }, b.result)
			if err != nil {
				ready <- err
			}
		}()
	}
	for range b.Bus.Partitions() {
		if err := <-ready; err != nil {
			return err
		}
	}
	return nil
}

func (b *bencher) result(e bus.Entry) {
	_, run, _, ok := b.Bus.Names().ParseLog(e.Subject)
	if !ok {
		return
	}
	b.mu.Lock()
	c := b.waiting[run]
	delete(b.waiting, run)
	b.mu.Unlock()
	if c != nil {
		close(c)
	}
}

// load makes n runs, so many in flight, and returns how long each took.
func (b *bencher) load(ctx context.Context, n, inFlight int, name string) ([]time.Duration, error) {
	name = fmt.Sprintf("%s%x", name, time.Now().UnixNano())
	took, errs := make([]time.Duration, n), make([]error, inFlight)
	var next atomic.Int64
	var wg sync.WaitGroup
	for w := range inFlight {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && errs[w] == nil; i = int(next.Add(1)) - 1 {
				took[i], errs[w] = b.one(ctx, fmt.Sprintf("%s-%d", name, i))
			}
		})
	}
	wg.Wait()
	slices.Sort(took)
	return took, errors.Join(errs...)
}

func (b *bencher) one(ctx context.Context, id string) (time.Duration, error) {
	done := make(chan struct{})
	b.mu.Lock()
	b.waiting[id] = done
	b.mu.Unlock()
	began := time.Now()
	if _, err := b.Runs.Submit(ctx, id, steps.Submitted{Document: b.doc.JSON, Input: b.doc.Definition.Plan.Input}); err != nil {
		return 0, err
	}
	select {
	case <-done:
		return time.Since(began), nil
	case <-ctx.Done():
		return 0, fmt.Errorf("run %s: %w", id, context.Cause(ctx))
	}
}

// startProfile writes a CPU profile to a file until stop is called; an empty name means none.
func startProfile(file string) (stop func(), err error) {
	if file == "" {
		return func() {}, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
	}, nil
}

func percentile(sorted []time.Duration, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	i := min(int(q*float64(len(sorted))), len(sorted)-1)
	return float64(sorted[i].Microseconds()) / 1000
}

func cpuTime() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

// peakMiB is the largest resident size of this process so far.
func peakMiB() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return float64(u.Maxrss) / 1024
}
