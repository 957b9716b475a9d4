//go:build mutants

package chaos

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"belay/internal/crashpoint"
	"belay/internal/handoff"
	"belay/internal/runlog"
)

var hits = flag.Int("chaos.hits", 2, "how often each crash point is hit")

// TestCrashPoints ends processes at each of the named places, over and over, while runs go on: what was in between is in the
// log or comes again, and nothing unsafe is done twice. People's decisions are carried out by the dispatchers. The full figure is
// `go test -tags mutants ./internal/chaos -run CrashPoints -v -timeout 60m -chaos.hits 50`.
func TestCrashPoints(t *testing.T) {
	bin := build(t, "mutants")
	w := newWorld(t)
	log := filepath.Join(t.TempDir(), "crashes")
	aim := &aim{want: *hits, log: log, rnd: rand.New(rand.NewPCG(1, 2))}
	// Questions that expire set timers.
	tools := strings.Replace(w.tools("100ms"), `"params.n % 2 == 0"}`, `"params.n % 2 == 0", deadline: 1s, on_deadline: escalate}`, 1)
	f := startFleetThat(t, bin, tools, aim.environment)
	c := f.client(w)
	c.act = handoff.Remote{Bus: c.bus}.Act
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(*hits)*time.Minute+2*time.Minute)
	defer cancel()
	runs := 0
	go f.redraw(ctx, aim)
	for ; ctx.Err() == nil && !aim.done(); runs++ {
		c.submit(ctx, runs)
		c.migrate(ctx, runs)
		c.people(ctx)
		pause(ctx, 200*time.Millisecond)
	}
	aim.stop()
	settling, enough := context.WithTimeout(t.Context(), 4*time.Minute)
	defer enough()
	ended, states := c.settle(settling, runs)
	payments, twice := w.sum("/pay")
	t.Logf("%d of %d runs ended %v; %d payments; %d answers by people; not explained: %v\n%s", ended, runs, states, payments, c.answered, c.strange, aim)
	for _, key := range twice {
		run, _, _ := strings.Cut(key, "/")
		c.printLog(run)
	}
	if ended != runs || len(twice) > 0 || payments != runs {
		t.Errorf("%d of %d runs ended, %d payments, paid twice: %v", ended, runs, payments, twice)
	}
	for point, n := range aim.counts() {
		if n < *hits {
			t.Errorf("%s was hit %d times, want %d", point, n, *hits)
		}
	}
}

// migrate lets one of the newest runs go on as another one, under the plan that it has, if one of them stands still and its processes can
// be asked: then that one ends in its place.
func (c *client) migrate(ctx context.Context, newest int) {
	for n := newest; n >= max(0, newest-4); n-- {
		if _, err := c.runs.Migrate(ctx, runID(n), "", runlog.Migrating{Plan: c.doc}, runlog.Retried{By: "chaos"}); err == nil {
			return
		}
	}
}

// startFleetThat starts a fleet whose processes get more of an environment.
func startFleetThat(t *testing.T, bin, tools string, crash func(member) []string) *fleet {
	t.Helper()
	f := &fleet{bin: bin, crash: crash}
	return f.begin(t, tools)
}

// printLog prints the log of a run.
func (c *client) printLog(run string) {
	c.fleet.t.Helper()
	lines, err := c.runs.Lines(context.Background(), run, 0)
	if err != nil {
		c.fleet.t.Logf("%s: %v", run, err)
		return
	}
	for _, l := range lines {
		c.fleet.t.Logf("%s", l.JSON)
	}
}

// redraw ends the processes every so often, so that one that does not come by its point gets another one.
func (f *fleet) redraw(ctx context.Context, a *aim) {
	for n := 0; ctx.Err() == nil && !a.done(); n++ {
		pause(ctx, 3*time.Second)
		f.kill(f.members()[n%len(f.members())])
	}
}

// aim chooses at which point each process ends: of those of its role the one that was hit least.
type aim struct {
	want int
	log  string // a line for each hit

	mu      sync.Mutex
	rnd     *rand.Rand
	stopped bool
}

func (a *aim) environment(m member) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stopped {
		return nil
	}
	role := m.role
	if role == "server" { // it has a dispatcher in it, and NATS
		role = "dispatcher"
	}
	counts := a.counts()
	points := slices.Clone(crashpoint.Points[role])
	a.rnd.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
	slices.SortStableFunc(points, func(x, y string) int { return counts[x] - counts[y] })
	if counts[points[0]] >= a.want {
		return nil
	}
	return []string{fmt.Sprintf("BELAY_CRASH=%s:%d", points[0], 1+a.rnd.IntN(4)), "BELAY_CRASH_LOG=" + a.log}
}

func (a *aim) counts() map[string]int {
	counts := map[string]int{}
	for _, points := range crashpoint.Points {
		for _, p := range points {
			counts[p] = 0
		}
	}
	text, _ := os.ReadFile(a.log)
	for line := range strings.Lines(string(text)) {
		counts[strings.TrimSpace(line)]++
	}
	return counts
}

func (a *aim) done() bool {
	return !slices.ContainsFunc(slices.Collect(maps.Values(a.counts())), func(n int) bool { return n < a.want })
}

func (a *aim) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopped = true
}

func (a *aim) String() string {
	counts := a.counts()
	var b strings.Builder
	for _, p := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, "%28s %d\n", p, counts[p])
	}
	return b.String()
}
