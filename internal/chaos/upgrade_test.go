package chaos

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"belay/internal/dlq"
	"belay/internal/steps"
)

var nodeUpgrades = flag.Int("chaos.upgrades", 0, "how many of nine processes are replaced by those of another version")

// TestARollingUpgrade replaces three dispatchers and six workers by another version of the programs, one after the other, while runs
// are submitted. Nobody is asked anything because of it.
func TestARollingUpgrade(t *testing.T) {
	if testing.Short() || *nodeUpgrades == 0 {
		t.Skip("-chaos.upgrades 9 replaces nine processes")
	}
	c := &nodes{members: fleetOf(3, 6), always: true}
	f := c.prepare(t, build(t, ""))
	c.begin(t, f, newWorld(t))
	next := t.TempDir()
	if out, err := exec.Command("go", "build", "-ldflags", "-X "+module()+"/internal/cli.Version=99.0.0", "-o", next, module()+"/cmd/...").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	s := c.stream(t.Context(), "upgrade", fastRuns)
	f.mu.Lock()
	f.bin = next
	f.mu.Unlock()
	c.world.quiet()
	var after time.Duration
	for i, m := range c.members[:min(*nodeUpgrades, len(c.members))] {
		pause(t.Context(), time.Second)
		f.stop(m)
		f.await(t, m, " ready", 2)
		took := c.goneOn(t, s, fmt.Sprint("upgraded", i))
		after = max(after, took)
		t.Logf("%s: a run that was submitted afterwards ended after %s", m, short(took))
	}
	quiet := c.world.quiet()
	s.stop()
	c.account(t, s, "upgrade")
	slowest := time.Duration(0)
	for _, id := range s.ids {
		st, err := c.runs.Load(t.Context(), id)
		if err != nil || st.Status() != steps.RunSucceeded || len(st.Escalations) > 0 {
			t.Errorf("%s: %s, %d times at a person: %v", id, st.Status(), len(st.Escalations), err)
			continue
		}
		a := st.Units[len(st.Units)-1].Attempts
		slowest = max(slowest, a[len(a)-1].Ended.Sub(st.Units[0].Attempts[0].Queued))
	}
	t.Logf("%d processes: nothing was paid for at most %s; the slowest run took %s", len(c.members), short(quiet), short(slowest))
	c.versions(t, "99.0.0")
	if open, err := dlq.New(c.bus).List(t.Context()); err != nil || len(open) > 0 || c.answered > 0 {
		t.Errorf("%d questions are open, %d were answered: %v", len(open), c.answered, err)
	}
}

// versions checks that everything that runs is of this version.
func (c *nodes) versions(t *testing.T, want string) {
	t.Helper()
	dispatchers, err := c.bus.Dispatchers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	workers, err := c.bus.Workers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]int{}
	for _, d := range dispatchers {
		of[d.Version]++
	}
	for _, w := range workers {
		of[w.Version]++
	}
	if of[want] != len(c.members) {
		t.Errorf("%v, want all %d of %s", of, len(c.members), want)
	}
}

// await waits until a process has said something so many times, by all that it has said since it was first started.
func (f *fleet) await(t *testing.T, m member, words string, times int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		if text, err := os.ReadFile(f.log(m)); err == nil && strings.Count(string(text), words) >= times {
			return
		}
		if pause(ctx, 20*time.Millisecond); ctx.Err() != nil {
			t.Fatalf("%s has not said %q %d times\n%s", m, words, times, f.logs())
		}
	}
}
