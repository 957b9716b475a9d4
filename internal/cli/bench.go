package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
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
	"belay/internal/worker"
)

// benchFlags say what is measured.
type benchFlags struct {
	runs, steps, concurrency, payload, alone int
	parked                                   int
	workload, durability, profile            string
	partitions                               int
}

// benchResult is what was measured. Latencies are of whole runs, from the call that submits to the result in the log.
type benchResult struct {
	Workload    string  `json:"workload"`
	Runs        int     `json:"runs"`
	Steps       int     `json:"steps"`
	Concurrency int     `json:"concurrency"`
	Parked      int     `json:"parked"`
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
	fl.IntVar(&f.parked, "parked", 0, "runs that wait for a retry meanwhile")
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
	if f.parked < 0 || f.runs < 1 || f.steps < 1 || f.concurrency < 1 || f.payload < 0 || f.alone < 0 {
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
	ends := &results{waiting: map[string]chan struct{}{}}
	e, remove, err := a.benchEngine(ctx, f, tools, ends)
	if err != nil {
		return err
	}
	defer remove()
	defer e.Stop()
	b := &bencher{Engine: e, doc: doc, tools: tools, results: ends}
	following, stop := context.WithCancel(ctx)
	defer stop()
	if err := b.listen(following); err != nil {
		return err
	}
	if _, err := b.load(ctx, min(f.runs, 200), min(f.concurrency, 64), "w"); err != nil { // pools and consumers warm up
		return err
	}
	if err := b.park(ctx, f); err != nil {
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
		Workload: f.workload, Runs: f.runs, Steps: f.steps, Concurrency: f.concurrency, Parked: f.parked, Durability: f.durability,
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
  parked:
    effects: none
    timeout: 24h
    rungs:
      - {name: primary, go: {}, retry: {retry_after_max: 24h}}
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

func (a *app) benchEngine(ctx context.Context, f benchFlags, tools *plan.Tools, ends *results) (*engine.Engine, func(), error) {
	o := engine.Options{
		Connect: a.connection("bench"), Log: a.logger(slog.LevelWarn), Setup: true, Partitions: f.partitions, Dispatch: &dispatch.Options{Name: "bench", Observer: ends},
		Worker: &engine.WorkerOptions{
			Options: worker.Options{Name: "bench"}, Tools: tools,
			Box: toolbox.Options{Handlers: map[toolbox.Key]gofunc.Handler{{Tool: "step"}: f.handler(), {Tool: "parked"}: parkedHandler}},
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
