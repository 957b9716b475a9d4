package dispatcher

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

	"belay/internal/bus/embedded"
	"belay/internal/cli"
	"belay/internal/dispatch"
	"belay/internal/engine"
	"belay/internal/executor"
	"belay/internal/executor/gofunc"
	"belay/internal/ladder"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/worker"
)

// benchFlags are the flags of `bench`.
type benchFlags struct {
	runs, steps, concurrency, payload, alone int
	parked                                   int
	workload, durability, profile            string
	partitions                               int
	inside                                   bool
}

// benchResult is what was measured. Latencies are those of whole runs, from submitting to the result in the log.
type benchResult struct {
	Workload    string  `json:"workload"`
	Runs        int     `json:"runs"`
	Steps       int     `json:"steps"`
	Concurrency int     `json:"concurrency"`
	Parked      int     `json:"parked"`
	Durability  string  `json:"durability"` // fsync or interval; "server": as the NATS server that was named is configured
	Inside      bool    `json:"inside"`
	Seconds     float64 `json:"seconds"`
	StepsPerSec float64 `json:"steps_per_second"`
	RunsPerSec  float64 `json:"runs_per_second"`
	P50         float64 `json:"p50_ms"`
	P99         float64 `json:"p99_ms"`
	AloneP50    float64 `json:"alone_p50_ms,omitzero"`
	CPUSeconds  float64 `json:"cpu_seconds"`
	PeakMiB     float64 `json:"peak_memory_mib"`
	Overhead    float64 `json:"overhead_us_per_run"` // what measuring itself costs
	Cores       int     `json:"cores"`
}

func (a *app) benchCommand() *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use: "bench", Short: "Measure throughput and latency, on an embedded server or on --server",
		Long: "Submits many runs of empty steps and measures them. The workloads are chain (runs of --steps steps in sequence), jobs (one step\n" +
			"per run), fail (each step fails once and is retried) and each (one step for each of --steps items). Each run is submitted\n" +
			"and waited for as by the Go client; with --inside its end is heard of in the dispatcher's memory. The last line of the\n" +
			"output is JSON.",
		Example: "  dispatcher bench\n  dispatcher bench --workload jobs --concurrency 10000 --runs 40000 --durability interval",
		Args:    cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return a.bench(c.Context(), f) },
	}
	fl := c.Flags()
	fl.IntVar(&f.runs, "runs", 2000, "how many runs to measure")
	fl.IntVar(&f.steps, "steps", 5, "steps per run")
	fl.IntVar(&f.concurrency, "concurrency", 64, "runs in flight at a time")
	fl.IntVar(&f.payload, "payload", 256, "bytes that each step passes to the next")
	fl.IntVar(&f.parked, "parked", 0, "runs that wait for a retry in the meantime")
	fl.IntVar(&f.alone, "alone", 50, "runs to measure one at a time afterwards")
	fl.StringVar(&f.workload, "workload", "chain", "`workload`: chain, jobs, fail or each")
	fl.BoolVar(&f.inside, "inside", false, "measure without the wait of a client; only with the embedded server")
	fl.IntVar(&f.partitions, "partitions", 0, "partitions of the runs' log (default: what suits the machine)")
	fl.StringVar(&f.profile, "cpuprofile", "", "write a CPU profile of the measured part to this `file`")
	fl.StringVar(&f.durability, "durability", embedded.Fsync, "`mode` of the embedded server: fsync or interval")
	return c
}

func (f *benchFlags) check() error {
	if f.workload == "jobs" {
		f.steps = 1
	}
	if !slices.Contains([]string{"chain", "jobs", "fail", "each"}, f.workload) {
		return cli.Usage("--workload %q: must be chain, jobs, fail or each", f.workload)
	}
	if f.parked < 0 || f.runs < 1 || f.steps < 1 || f.concurrency < 1 || f.payload < 0 || f.alone < 0 {
		return cli.Usage("--runs, --steps and --concurrency must be at least 1, the others at least 0")
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
	b := &bencher{Engine: e, doc: doc, tools: tools, watch: runlog.NewWatch(e.Runs)}
	defer b.watch.Close()
	if f.inside {
		if e.Server == nil {
			return cli.Usage("--inside: only with the embedded server, because other dispatchers may end the runs of another one")
		}
		b.inside = ends
	}
	if _, err := b.load(ctx, min(f.runs, 200), min(f.concurrency, 64), "w"); err != nil { // warms up pools and consumers
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
		Workload: f.workload, Runs: f.runs, Steps: f.steps, Concurrency: f.concurrency, Parked: f.parked, Durability: f.durability, Inside: f.inside,
		Seconds: time.Since(began).Seconds(), CPUSeconds: cpuTime() - cpu, Cores: runtime.GOMAXPROCS(0),
		P50: percentile(lat, 0.5), P99: percentile(lat, 0.99), PeakMiB: peakMiB(),
	}
	if b.Server == nil {
		r.Durability = "server"
	}
	r.Overhead = float64(overhead(f.concurrency).Nanoseconds()) / 1e3
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
	if !a.JSON() {
		fmt.Fprintf(a.Out, "%s: %d runs of %d steps, %d in flight, durability %s, %d cores\n", r.Workload, r.Runs, r.Steps, r.Concurrency, r.Durability, r.Cores)
		alone := ""
		if r.AloneP50 > 0 {
			alone = fmt.Sprintf("   alone p50 %.2f ms", r.AloneP50)
		}
		fmt.Fprintf(a.Out, "  %.0f steps/s   %.0f runs/s   p50 %.1f ms   p99 %.1f ms%s\n", r.StepsPerSec, r.RunsPerSec, r.P50, r.P99, alone)
		fmt.Fprintf(a.Out, "  %.1f s wall   %.1f s CPU   %.0f MiB peak   measuring itself costs %.1f us a run\n", r.Seconds, r.CPUSeconds, r.PeakMiB, r.Overhead)
	}
	return json.NewEncoder(a.Out).Encode(r)
}

// plan makes the workload's plan and tools file.
func (f benchFlags) plan() (*plan.Document, *plan.Tools, error) {
	tools, err := plan.ParseTools("bench-tools.yaml", []byte(`
tools:
  step:
    effects: none
    rungs:
      - {name: primary, go: {}, retry: {max_attempts: 3, initial: 1ms, factor: 1}}
  parked:
    effects: none
    timeout: 2000h
    rungs:
      - {name: primary, go: {}, retry: {initial: 720h, max: 720h}}
`))
	if err != nil {
		return nil, nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "name: bench-%s\ninput: {data: %q}\nsteps:\n", f.workload, strings.Repeat("x", f.payload))
	if f.workload == "each" {
		fmt.Fprintf(&b, "  - {id: s, for_each: \"${ 1..%d }\", tool: step, with: {data: \"${ input.data }\"}}\n", f.steps)
		f.steps = 0
	}
	for i := range f.steps {
		fmt.Fprintf(&b, "  - {id: s%d, tool: step, with: {data: \"${ input.data }\"}}\n", i)
	}
	doc, err := plan.ParsePlan("bench.yaml", []byte(b.String()), tools)
	return doc, tools, err
}

// handler is the empty step: it returns its parameters. In the fail workload every first try fails.
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
		Connect: a.Connection("bench"), Logger: a.Logger(slog.LevelWarn), Setup: true, Partitions: f.partitions, Dispatch: &dispatch.Options{Name: "bench", Observer: ends},
		Worker: &engine.WorkerOptions{
			Options: worker.Options{Name: "bench"}, Tools: tools,
			Box: ladder.Options{Handlers: map[ladder.Key]gofunc.Handler{{Tool: "step"}: f.handler(), {Tool: "parked"}: parkedHandler}},
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
	o.Embedded = &embedded.Options{StoreDir: dir, Durability: f.durability, Logger: o.Logger}
	e, err := engine.Start(ctx, o)
	return e, func() { _ = os.RemoveAll(dir) }, err
}

// startProfile writes a CPU profile to a file until stop is called; an empty name means no profile.
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
