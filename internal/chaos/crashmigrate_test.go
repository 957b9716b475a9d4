//go:build mutants

package chaos

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"belay/internal/crashpoint"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// TestCrashPointsOfAMigration ends each dispatcher between the writes that let a run go on as another one: before the other one is submitted, and
// before the end of the first one is stored. Whoever comes after goes on: there is exactly one other run, and nothing is done twice.
func TestCrashPointsOfAMigration(t *testing.T) {
	bin := build(t, "mutants")
	w := newWorld(t)
	d := &doom{log: filepath.Join(t.TempDir(), "crashes")}
	f := startFleetThat(t, bin, w.tools("100ms"), d.environment)
	c := f.client(w)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	var want []string
	for n, point := range []string{crashpoint.BeforeGoingOn, crashpoint.BeforeResult} {
		run := runID(2 * n) // stands still: it waits for an approval
		d.aim(point)
		for _, m := range f.members()[:3] { // they pass the point at most once each
			f.kill(m)
		}
		c.submit(ctx, 2*n)
		s := c.migrated(ctx, run)
		for ctx.Err() == nil && !s.Closed() {
			pause(ctx, 100*time.Millisecond)
			if now, err := c.runs.Load(ctx, run); err == nil {
				s = now
			}
		}
		if hits := d.hits(point); !s.Closed() || hits == 0 {
			t.Fatalf("%s: %s has ended %t, the point was hit %d times", point, run, s.Closed(), hits)
		}
		t.Logf("%s was hit %d times", point, d.hits(point))
		if to := s.MigratedBy().To; to != run+"-m1" {
			t.Errorf("it goes on as %s", to)
		}
		want = append(want, run, run+"-m1")
	}
	d.aim("")
	ended, states := c.settle(ctx, 2)
	all := c.all(ctx)
	payments, twice := w.sum("/pay")
	if ended != 2 || !slices.Equal(all, want) || payments != 2 || len(twice) > 0 {
		t.Errorf("there are %v, want %v; %d have succeeded: %v; %d payments, twice: %v", all, want, ended, states, payments, twice)
	}
}

// all are the ids of all runs.
func (c *client) all(ctx context.Context) (ids []string) {
	page, err := c.runs.List(ctx, runlog.Filter{})
	for ; err != nil && ctx.Err() == nil; page, err = c.runs.List(ctx, runlog.Filter{}) {
		pause(ctx, 100*time.Millisecond) // a process ends just then
	}
	for _, r := range page.Items {
		ids = append(ids, r.ID)
	}
	slices.Sort(ids)
	return ids
}

// migrated lets a run go on as another one, and returns the run once its log says so.
func (c *client) migrated(ctx context.Context, run string) *steps.State {
	for {
		_, err := c.runs.Migrate(ctx, run, "", runlog.Migrating{Plan: c.doc}, runlog.Retried{By: "chaos"})
		s, loaded := c.runs.Load(ctx, run)
		if loaded == nil && s.MigratedBy() != nil {
			return s
		}
		if ctx.Err() != nil {
			c.fleet.t.Fatalf("%s is not migrated: %v, %v", run, err, loaded)
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// doom ends each process once at a point.
type doom struct {
	log string

	mu      sync.Mutex
	point   string
	started map[member]bool // since the point was chosen
}

func (d *doom) aim(point string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.point, d.started = point, map[member]bool{}
}

func (d *doom) environment(m member) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.point == "" || m.role == "worker" || d.started[m] {
		return nil
	}
	d.started[m] = true
	return []string{"BELAY_CRASH=" + d.point + ":1", "BELAY_CRASH_LOG=" + d.log}
}

func (d *doom) hits(point string) int {
	text, _ := os.ReadFile(d.log)
	return strings.Count(string(text), point+"\n")
}
