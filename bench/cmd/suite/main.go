// Command suite runs all peers interleaved (A B C, A B C, ...), takes the
// median of each number over the rounds, and prints Markdown tables.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"peerbench/internal/harness"
	"peerbench/internal/servers"
)

// entry is one row of the tables. The numbers of runs differ so that every
// loaded phase lasts a few seconds; rates do not depend on them otherwise.
type entry struct {
	name string
	bin  string
	args []string
	runs map[string]int // by mode; a mode that is not there is not run
	nats string         // an external executable: the sync mode of its server
}

const (
	chain = harness.ModeChain
	jobs  = harness.ModeJobs
	fail  = harness.ModeFail
)

func peers() []entry {
	return []entry{
		{name: "floor-nats", bin: "floor-nats", runs: map[string]int{chain: 30000, jobs: 200000, fail: 20000, "publish": 500000, "consume": 200000}},
		{name: "floor-nats + state event", bin: "floor-nats", args: []string{"-events"}, runs: map[string]int{chain: 25000, fail: 15000}},
		{name: "floor-nats, the step is the event (limits, expected sequence)", bin: "floor-nats", args: []string{"-advance", "-retention", "limits"}, runs: map[string]int{chain: 25000, fail: 15000, "consume": 200000}},
		{name: "floor-nats + state event in an atomic batch a step", bin: "floor-nats", args: []string{"-events", "-publish", "batch"}, runs: map[string]int{chain: 300}},
		{name: "floor-nats fsync", bin: "floor-nats", args: []string{"-sync", "always"}, runs: map[string]int{chain: 1500, jobs: 8000, fail: 1000, "publish": 10000, "consume": 10000}},
		{name: "floor-nats fsync + state event", bin: "floor-nats", args: []string{"-sync", "always", "-events"}, runs: map[string]int{chain: 1500, fail: 1000}},
		{name: "floor-nats fsync, the step is the event (limits), 8 partitions", bin: "floor-nats", args: []string{"-sync", "always", "-advance", "-retention", "limits", "-streams", "8"}, runs: map[string]int{chain: 3000, fail: 2000, "consume": 10000}},
		{name: "floor-nats fsync + state event, group batches (limits)", bin: "floor-nats", args: []string{"-sync", "always", "-events", "-publish", "group", "-retention", "limits"}, runs: map[string]int{chain: 4000, fail: 2000}},
		{name: "belay embedded, fsync", bin: "belaypeer", args: []string{"-deploy", "embedded"}, runs: map[string]int{chain: 2500, jobs: 6000, fail: 1500}},
		{name: "belay split, fsync", bin: "belaypeer", args: []string{"-deploy", "split", "-sync", "always"}, runs: map[string]int{chain: 2000, jobs: 5000, fail: 1000}},
		{name: "belay split", bin: "belaypeer", args: []string{"-deploy", "split", "-sync", "interval"}, runs: map[string]int{chain: 3000, jobs: 6000, fail: 2000}},
		{name: "belay embedded, fsync, SubmitMany", bin: "belaypeer", args: []string{"-deploy", "embedded", "-batch", "1000"}, runs: map[string]int{jobs: 30000}},
		{name: "belay split, fsync, SubmitMany", bin: "belaypeer", args: []string{"-deploy", "split", "-sync", "always", "-batch", "1000"}, runs: map[string]int{jobs: 30000}},
		{name: "belay split, SubmitMany", bin: "belaypeer", args: []string{"-deploy", "split", "-sync", "interval", "-batch", "1000"}, runs: map[string]int{jobs: 30000}},
		{name: "watermill-jetstream", bin: "watermill", runs: map[string]int{chain: 15000, jobs: 60000, fail: 8000}},
		{name: "watermill-jetstream fsync", bin: "watermill", args: []string{"-sync", "always"}, runs: map[string]int{chain: 800}},
		{name: "asynq everysec", bin: "asynq", args: []string{"-appendfsync", "everysec"}, runs: map[string]int{chain: 6000, jobs: 30000, fail: 4000}},
		{name: "asynq fsync", bin: "asynq", args: []string{"-appendfsync", "always"}, runs: map[string]int{chain: 1500, jobs: 6000, fail: 1000}},
		{name: "river", bin: "river", runs: map[string]int{chain: 1500, jobs: 30000, fail: 600}},
		{name: "dbos", bin: "dbos", runs: map[string]int{chain: 2500, fail: 2000}},
		{name: "dbos queue", bin: "dbos", args: []string{"-queue"}, runs: map[string]int{chain: 1500, jobs: 4000}},
		{name: "go-workflows redis everysec", bin: "goworkflows", args: []string{"-backend", "redis"}, runs: map[string]int{chain: 2000, jobs: 4000, fail: 800}},
		{name: "go-workflows redis fsync", bin: "goworkflows", args: []string{"-backend", "redis", "-appendfsync", "always"}, runs: map[string]int{chain: 800, jobs: 2000}},
		{name: "go-workflows sqlite", bin: "goworkflows", args: []string{"-backend", "sqlite"}, runs: map[string]int{chain: 200, jobs: 600, fail: 100}},
		{name: "temporal sqlite", bin: "temporal", args: []string{"-backend", "sqlite"}, runs: map[string]int{chain: 150, jobs: 500, fail: 100}},
		{name: "temporal sqlite, local activities", bin: "temporal", args: []string{"-backend", "sqlite", "-local"}, runs: map[string]int{chain: 400}},
		{name: "temporal postgres", bin: "temporal", args: []string{"-backend", "postgres"}, runs: map[string]int{chain: 150, jobs: 500, fail: 100}},
	}
}

// design are variants of the floor: what each thing that a workflow engine may
// want of JetStream costs.
func design() []entry {
	v := func(n int, name string, args ...string) entry {
		return entry{name: name, bin: "floor-nats", args: args, runs: map[string]int{chain: n}}
	}
	return []entry{
		v(25000, "floor-nats"),
		v(25000, "consumer prefetch 1", "-prefetch", "1"),
		v(25000, "consumer prefetch 16", "-prefetch", "16"),
		v(25000, "double acks", "-ack-sync"),
		v(25000, "2 connections", "-conns", "2"),
		v(25000, "2 partitions (streams)", "-streams", "2"),
		v(25000, "limits retention", "-retention", "limits"),
		v(25000, "async persist mode", "-persist", "async"),
		v(25000, "Nats-Msg-Id, 2 min window", "-msg-id"),
		v(25000, "Nats-Msg-Id, 5 s window", "-msg-id", "-dedup", "5s"),
		v(20000, "state event, one subject", "-events"),
		v(20000, "state event, subject per run", "-events", "-run-subjects"),
		v(20000, "state event, subject per run, expected sequence, then the step", "-events", "-expect"),
		v(20000, "the step is the event: subject per run, expected sequence, work queue", "-advance"),
		v(20000, "the step is the event: subject per run, expected sequence, limits", "-advance", "-retention", "limits"),
		v(300, "state event + step in one atomic batch", "-events", "-publish", "batch"),
		v(10000, "state event + step, group batches", "-events", "-publish", "group"),
		v(1000, "fsync", "-sync", "always"),
		v(1000, "fsync, limits", "-sync", "always", "-retention", "limits"),
		v(1000, "fsync, the step is the event, limits", "-sync", "always", "-advance", "-retention", "limits"),
		v(2000, "fsync, the step is the event, limits, 4 partitions", "-sync", "always", "-advance", "-retention", "limits", "-streams", "4"),
		v(2000, "fsync, the step is the event, limits, 8 partitions", "-sync", "always", "-advance", "-retention", "limits", "-streams", "8"),
		v(3000, "fsync, limits, group batches (no event)", "-sync", "always", "-publish", "group", "-retention", "limits"),
		v(3000, "fsync, state event, limits, group batches", "-sync", "always", "-events", "-publish", "group", "-retention", "limits"),
	}
}

type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

var (
	binDir      = flag.String("bin", "", "folder of the built binaries (default: this one's)")
	outDir      = flag.String("out", "", "folder for results.jsonl and tables.md (default: a new one in the temporary directory)")
	set         = flag.String("set", "peers", "peers, or design: variants of the floor")
	rounds      = flag.Int("rounds", 3, "rounds; the tables hold medians")
	steps       = flag.Int("steps", 5, "steps of a run")
	concurrency = flag.Int("concurrency", 64, "runs in flight, and worker slots")
	single      = flag.Int("single-runs", 200, "runs of the unloaded latency phase")
	modes       = flag.String("modes", "chain,jobs,fail,publish,consume", "modes to run")
	only        = flag.String("only", "", "of the built-in peers only those whose name contains one of these words (comma-separated)")
	scale       = flag.Float64("scale", 1, "multiply the number of runs")
	runs        = flag.Int("runs", 0, "the same number of runs for every peer (default: per peer, so that each takes seconds)")
	maxLoad     = flag.Float64("wait-load", 0, "first wait until the 1-minute load is below this")
	maxWait     = flag.Duration("wait", 10*time.Minute, "wait for the load at most this long")
	limit       = flag.Duration("timeout", 3*time.Minute, "limit for one peer's run")
	extra       list
	extraFsync  list
	extraRuns   = flag.Int("peer-runs", 20000, "runs of the executables of -peer (a tenth of it with fsync)")
)

func main() {
	flag.Var(&extra, "peer", "NAME=COMMAND: an executable that keeps the contract, against a fresh nats-server (repeatable)")
	flag.Var(&extraFsync, "peer-fsync", "NAME=COMMAND: the same, its server with sync_interval always (repeatable)")
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "suite:", err)
		os.Exit(1)
	}
}

type cell struct {
	entry, mode string
}

func run() error {
	if *binDir == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		*binDir = filepath.Dir(self)
	}
	if *outDir == "" {
		dir, err := os.MkdirTemp("", "peerbench-results-")
		if err != nil {
			return err
		}
		*outDir = dir
	} else if err := os.MkdirAll(*outDir, 0o755); err != nil {
		return err
	}
	all := peers()
	if *set == "design" {
		all = design()
	}
	if *only != "" {
		all = slices.DeleteFunc(all, func(e entry) bool {
			return !slices.ContainsFunc(strings.Split(*only, ","), func(w string) bool { return strings.Contains(e.name, w) })
		})
	}
	for _, e := range extra {
		all = append(all, external(e, "interval", *extraRuns))
	}
	for _, e := range extraFsync {
		all = append(all, external(e, "always", max(100, *extraRuns/10)))
	}
	raw, err := os.OpenFile(filepath.Join(*outDir, "results.jsonl"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer raw.Close()
	waitLoad()
	before := load()
	fmt.Fprintln(os.Stderr, environment(), "; load before:", before)
	results := map[cell][]map[string]any{}
	for r := 1; r <= *rounds; r++ {
		for _, mode := range strings.Split(*modes, ",") {
			for _, e := range all {
				n, ok := e.runs[mode]
				if !ok {
					continue
				}
				n = max(20, int(float64(n)**scale))
				if *runs > 0 {
					n = *runs
				}
				res := one(e, mode, n)
				res["round"], res["label"] = r, e.name
				line, _ := json.Marshal(res)
				raw.Write(append(line, '\n'))
				fmt.Fprintf(os.Stderr, "round %d %-7s %-60s %s\n", r, mode, e.name, brief(res))
				results[cell{e.name, mode}] = append(results[cell{e.name, mode}], res)
				time.Sleep(time.Second)
			}
		}
	}
	env := environment() + "; load before " + before + ", after " + load()
	md := env + "\n\n" + tables(all, results)
	if err := os.WriteFile(filepath.Join(*outDir, "tables.md"), []byte(md), 0o644); err != nil {
		return err
	}
	fmt.Println(md)
	fmt.Fprintln(os.Stderr, "raw results in", *outDir)
	return nil
}

func external(spec, sync string, n int) entry {
	name, cmd, ok := strings.Cut(spec, "=")
	if !ok {
		fmt.Fprintln(os.Stderr, "suite: -peer wants NAME=COMMAND")
		os.Exit(2)
	}
	f := strings.Fields(cmd)
	return entry{name: name, bin: f[0], args: f[1:], nats: sync, runs: map[string]int{chain: n, jobs: 4 * n, fail: n / 2}}
}

// one runs one peer once, and sees what else the machine did meanwhile.
func one(e entry, mode string, n int) map[string]any {
	bad := func(err error) map[string]any { return map[string]any{"error": err.Error(), "mode": mode} }
	ctx, cancel := context.WithTimeout(context.Background(), *limit+30*time.Second)
	defer cancel()
	bin := e.bin
	env := os.Environ()
	if e.nats == "" {
		bin = filepath.Join(*binDir, e.bin)
	} else {
		srv, err := servers.NATS(e.nats)
		if err != nil {
			return bad(err)
		}
		defer os.RemoveAll(srv.Dir)
		defer srv.Stop()
		env = append(env, "PEERBENCH_NATS_URL="+srv.URL, fmt.Sprintf("PEERBENCH_SERVER_PIDS=%d", srv.PID))
	}
	args := append(slices.Clone(e.args), "-mode", mode, "-runs", strconv.Itoa(n), "-steps", strconv.Itoa(*steps),
		"-concurrency", strconv.Itoa(*concurrency), "-single-runs", strconv.Itoa(singleRuns(mode)),
		"-timeout", limit.String())
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Env = env
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	busy0, t0 := busy(), time.Now()
	err := cmd.Run()
	wall := time.Since(t0)
	res := map[string]any{}
	for sc := bufio.NewScanner(&out); sc.Scan(); {
		if bytes.HasPrefix(sc.Bytes(), []byte("{")) {
			json.Unmarshal(sc.Bytes(), &res)
		}
	}
	if len(res) == 0 {
		res = bad(fmt.Errorf("no result: %v: %s", err, errs.String()))
	}
	own := time.Duration(0)
	if ps := cmd.ProcessState; ps != nil {
		own = ps.UserTime() + ps.SystemTime()
	}
	if e.nats == "" { // an external server's time is not among our child's
		foreign := max(0, (busy()-busy0-own).Seconds()) / (wall.Seconds() * float64(runtime.NumCPU()))
		res["foreign_cpu"] = float64(int(1000*foreign)) / 1000
	}
	return res
}

func singleRuns(mode string) int {
	if mode == fail {
		return max(20, *single/10) // a retry's wait can be long
	}
	return *single
}

// busy is the CPU time that all processes of the machine have used.
func busy() time.Duration {
	rawStat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(rawStat), "\n")
	f := strings.Fields(line)
	var ticks int64
	for _, i := range []int{1, 2, 3, 6, 7} { // user nice system irq softirq
		if i < len(f) {
			n, _ := strconv.ParseInt(f[i], 10, 64)
			ticks += n
		}
	}
	return time.Duration(ticks) * (time.Second / 100)
}

// environment names what the numbers depend on: the processor, and how long
// the disk under the temporary directory takes to make 4 KiB durable.
func environment() string {
	model := "unknown processor"
	if rawCPU, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(rawCPU)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				model = strings.TrimSpace(v)
				break
			}
		}
	}
	return fmt.Sprintf("%d × %s, %s, fsync of an appended 4 KiB: %s", runtime.NumCPU(), model, runtime.Version(), fsyncTime())
}

func fsyncTime() string {
	f, err := os.CreateTemp("", "peerbench-fsync-")
	if err != nil {
		return err.Error()
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var d []float64
	for range 300 {
		t0 := time.Now()
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			return err.Error()
		}
		if err := f.Sync(); err != nil {
			return err.Error()
		}
		d = append(d, time.Since(t0).Seconds()*1e6)
	}
	sort.Float64s(d)
	return fmt.Sprintf("p50 %.0f µs, p99 %.0f µs", d[len(d)/2], d[len(d)*99/100])
}

func load() string {
	rawLoad, _ := os.ReadFile("/proc/loadavg")
	return strings.TrimSpace(string(rawLoad))
}

func waitLoad() {
	if *maxLoad <= 0 {
		return
	}
	for deadline := time.Now().Add(*maxWait); time.Now().Before(deadline); time.Sleep(5 * time.Second) {
		f := strings.Fields(load())
		if len(f) > 0 {
			if l, err := strconv.ParseFloat(f[0], 64); err == nil && l < *maxLoad {
				return
			}
		}
	}
}

func brief(r map[string]any) string {
	if e, ok := r["error"]; ok {
		s := fmt.Sprint(e)
		return "ERROR " + s[:min(len(s), 300)]
	}
	if m, ok := r["messages_per_sec"]; ok {
		return fmt.Sprintf("%.0f msg/s foreign=%v", m, r["foreign_cpu"])
	}
	return fmt.Sprintf("%.0f steps/s p50=%v single=%v cpu=%vus wall=%vs foreign=%v", r["steps_per_sec"], r["p50_ms"], r["p50_single_ms"], r["cpu_us_per_step"], r["wall_seconds"], r["foreign_cpu"])
}

func median(rs []map[string]any, key string) (med, lo, hi float64, ok bool) {
	var v []float64
	for _, r := range rs {
		if f, is := r[key].(float64); is {
			v = append(v, f)
		}
	}
	if len(v) == 0 {
		return 0, 0, 0, false
	}
	sort.Float64s(v)
	med = v[len(v)/2]
	if len(v)%2 == 0 {
		med = (v[len(v)/2-1] + v[len(v)/2]) / 2
	}
	return med, v[0], v[len(v)-1], true
}

func num(f float64) string {
	switch {
	case f >= 100:
		return strconv.FormatFloat(f, 'f', 0, 64)
	case f >= 10:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 2, 64)
}

func tables(all []entry, results map[cell][]map[string]any) string {
	var w strings.Builder
	title := map[string]string{
		chain: fmt.Sprintf("chain: %d steps a run, %d runs in flight", *steps, *concurrency),
		jobs:  "jobs: independent single-step jobs, all enqueued at once",
		fail:  fmt.Sprintf("fail: as chain, every step fails once (%d steps, %d in flight)", *steps, *concurrency),
	}
	for _, mode := range strings.Split(*modes, ",") {
		rows := 0
		var t strings.Builder
		pure := mode == "publish" || mode == "consume"
		if pure {
			t.WriteString("| peer | messages/s | min–max |\n|---|--:|--:|\n")
		} else {
			t.WriteString("| peer | steps/s | min–max | runs/s | p50 ms | p99 ms | p50 single ms | CPU µs/step | RSS MB | of floor |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
		}
		floor, _, _, _ := median(results[cell{"floor-nats", mode}], "steps_per_sec")
		for _, e := range all {
			rs := results[cell{e.name, mode}]
			if len(rs) == 0 {
				continue
			}
			rows++
			key := "steps_per_sec"
			if pure {
				key = "messages_per_sec"
			}
			m, lo, hi, ok := median(rs, key)
			if !ok {
				fmt.Fprintf(&t, "| %s | failed: %s |\n", e.name, strings.ReplaceAll(brief(rs[0]), "|", "/"))
				continue
			}
			if pure {
				fmt.Fprintf(&t, "| %s | %s | %s–%s |\n", e.name, num(m), num(lo), num(hi))
				continue
			}
			g := func(k string) string {
				f, _, _, ok := median(rs, k)
				if !ok {
					return "–"
				}
				return num(f)
			}
			share := "–"
			if floor > 0 {
				share = fmt.Sprintf("%.1f %%", 100*m/floor)
			}
			fmt.Fprintf(&t, "| %s | %s | %s–%s | %s | %s | %s | %s | %s | %s | %s |\n", e.name, num(m), num(lo), num(hi),
				g("runs_per_sec"), g("p50_ms"), g("p99_ms"), g("p50_single_ms"), g("cpu_us_per_step"), g("max_rss_mb"), share)
		}
		if rows > 0 {
			head := title[mode]
			if head == "" {
				head = "pure " + mode + " rate of raw JetStream"
			}
			fmt.Fprintf(&w, "### %s\n\n%s\n", head, t.String())
		}
	}
	return w.String()
}
