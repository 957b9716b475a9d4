//go:build linux

package chaos

import (
	"encoding/json"
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"belay/internal/runlog"
	"belay/internal/steps"
)

var clusterCuts = flag.Int("chaos.blackouts", 0, "how often all servers of a cluster lose power at once; the figure in docs/reliability.md is of 10, with a control that must lose")

// disks are those of the servers.
type disks [nodeCount]*volume

// mountDisks gives each server's store a file system of its own.
func mountDisks(t *testing.T, f *fleet) (d disks) {
	t.Helper()
	for n := range nodeCount {
		d[n] = newVolume(t, filepath.Join(f.dir, nodeName(n)))
	}
	return d
}

// cutPower takes the power from all servers at once, and gives it back.
func (d disks) cutPower(t *testing.T, f *fleet) {
	t.Helper()
	f.hook(func(m member) {
		if m.role == asNode {
			if err := d[m.n].again(); err != nil {
				t.Error(err)
			}
		}
	})
	defer f.hook(nil)
	for n := range nodeCount {
		if err := d[n].off(f.pid(member{asNode, n})); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for n := range nodeCount {
		all.Go(func() { f.kill(member{asNode, n}) })
	}
	all.Wait()
}

// TestAClusterLosesPower: all three servers lose power at once, again and again, while runs are submitted, each of which pays twice with
// a tool that must not be repeated. As a control, servers that sync every two minutes, which is NATS's default, lose runs that were
// accepted.
func TestAClusterLosesPower(t *testing.T) {
	if testing.Short() || *clusterCuts == 0 {
		t.Skip("-chaos.blackouts 10 cuts the power")
	}
	bin := build(t, "")
	t.Run("synced", func(t *testing.T) {
		c := &nodes{members: fleetOf(2, 3), always: true}
		f := c.prepare(t, bin)
		d := mountDisks(t, f)
		c.begin(t, f, newWorld(t))
		s := c.stream(t.Context(), "power", everyRun)
		var after time.Duration
		for i := range *clusterCuts {
			pause(t.Context(), time.Second)
			d.cutPower(t, f)
			took := c.goneOn(t, s, fmt.Sprint("powered", i))
			after = max(after, took)
			t.Logf("power cut %d: a run that was submitted afterwards ended after %s", i+1, short(took))
		}
		s.stop()
		t.Logf("%d power cuts: a run that was submitted afterwards ended after at most %s", *clusterCuts, short(after))
		c.account(t, s, "power cuts")
	})
	if *clusterCuts > 1 {
		t.Run("control", func(t *testing.T) { unsynced(t, bin) })
	}
}

// unsynced is the control: the same, with servers that do not sync before they confirm.
func unsynced(t *testing.T, bin string) {
	c := &nodes{members: fleetOf(1, 1)}
	f := c.prepare(t, bin)
	d := mountDisks(t, f)
	c.begin(t, f, newWorld(t))
	accepted := 0
	for n := range 50 {
		if _, err := c.runs.Submit(t.Context(), runID(1000+n), steps.Submitted{Document: c.doc.JSON, Input: json.RawMessage(`{"n":1}`)}); err == nil {
			accepted++
		}
	}
	d.cutPower(t, f)
	kept := map[string]bool{}
	for limit := time.Now().Add(30 * time.Second); time.Now().Before(limit) && len(kept) < accepted; pause(t.Context(), 200*time.Millisecond) {
		page, err := c.runs.List(t.Context(), runlog.Filter{})
		if err != nil {
			continue
		}
		for _, r := range page.Items {
			if strings.HasPrefix(r.ID, "run10") {
				kept[r.ID] = true
			}
		}
	}
	t.Logf("without sync: %d of %d runs that were accepted are lost", accepted-len(kept), accepted)
	if accepted == 0 || len(kept) == accepted {
		t.Errorf("%d accepted, none lost: this test would not notice", accepted)
	}
}
