//go:build linux

package chaos

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"belay/internal/runlog"
)

// How often the power fails in the tests of this file.
var (
	powerCuts    = flag.Int("chaos.power", 1, "power failures of the machine with the store, which syncs; the figure in docs/reliability.md is of 50")
	unsyncedCuts = flag.Int("chaos.unsynced", 0, "the same, with --durability interval")
)

const perCut = 40 // runs that are submitted before the power fails

// powered is a fleet whose server has its store on a file system that can lose its power: what was not synced is gone. Dispatchers
// and workers are on other machines.
type powered struct {
	*load
	*volume
	boot string // file that says which start of the machine this is, as /proc does
}

// newStart is another start of the machine.
func (p *powered) newStart() error { return os.WriteFile(p.boot, []byte(uuid.NewString()+"\n"), 0o600) }

func newPowered(t *testing.T, durability string) *powered {
	t.Helper()
	w := newWorld(t)
	p := &powered{}
	f := &fleet{bin: build(t, ""), alone: durability == "interval", serverArgs: []string{"--durability", durability}, workerArgs: []string{"--concurrency", "64"}}
	f.wrap = func(m member) []string {
		if m.role != "server" {
			return nil
		}
		return []string{"unshare", "--mount", "sh", "-c", `mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"`, p.boot}
	}
	f.prepare = func() {
		p.boot = filepath.Join(f.dir, "boot_id")
		if err := p.newStart(); err != nil {
			t.Fatal(err)
		}
		p.volume = newVolume(t, filepath.Join(f.dir, "store"))
	}
	f.begin(t, w.diskTools())
	c := f.client(w)
	c.doc = diskDocument(t, f)
	p.load = &load{client: c}
	return p
}

// cut lets the power fail while runs are submitted and executed, and gives it back. It counts the entries of the log that are gone.
func (p *powered) cut(t *testing.T) (lost int) {
	t.Helper()
	submitted := p.burst(t.Context(), perCut)
	pause(t.Context(), time.Duration(rand.Int64N(int64(time.Second))))
	before := p.end(t)
	if err := p.off(p.fleet.pid(member{"server", 0})); err != nil {
		t.Fatal(err)
	}
	p.fleet.mu.Lock()
	p.fleet.onEnd = func(m member) {
		if m.role == "server" {
			if err := errors.Join(p.again(), p.newStart()); err != nil {
				t.Error(err)
			}
		}
	}
	p.fleet.mu.Unlock()
	p.fleet.kill(member{"server", 0})
	p.fleet.mu.Lock()
	p.fleet.onEnd = nil
	p.fleet.mu.Unlock()
	p.fleet.connect()
	after := p.end(t)
	submitted.Wait()
	return max(0, int(before)-int(after))
}

// TestPowerFails: the machine with the server loses its power again and again, and with it all that was not synced. Every run that
// was accepted ends, and nothing is charged twice.
func TestPowerFails(t *testing.T) {
	n := *powerCuts
	p := newPowered(t, "fsync")
	lost := 0
	for range n {
		p.awake(t)
		lost += p.cut(t)
		p.people(t.Context())
	}
	p.awake(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	missing := p.lost(ctx)
	charges, twice := p.world.sum("/pay")
	t.Logf("%d power failures: %d entries lost that could be read; %d runs accepted, %d not, %d lost; %d charges, %d doubled; %d answers by people",
		n, lost, len(p.accepted), p.refused, len(missing), charges, len(twice), p.answered)
	if len(missing) > 0 || len(twice) > 0 || charges < 2*len(p.accepted) {
		t.Errorf("lost: %v; charged twice: %v\n%s", missing, twice, p.logsOf(t, append(missing, twice...)))
	}
}

// TestPowerFailsUnsynced: the same with a server that syncs once a second, and a dispatcher beside it. What it had confirmed is lost,
// which shows that the test would notice. Nothing that must not happen twice is called before somebody says what becomes of it;
// nothing is charged twice then either.
func TestPowerFailsUnsynced(t *testing.T) {
	if *unsyncedCuts == 0 {
		t.Skip("it takes its time: -chaos.unsynced 10")
	}
	p := newPowered(t, "interval")
	var runs, lost int
	for range *unsyncedCuts {
		p.awake(t)
		lost += p.cut(t)
		p.acceptDamage(t)
		runs += p.goneSince(t)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	stuck := p.lost(ctx)
	charges, twice := p.world.sum("/pay")
	t.Logf("%d power failures without syncs: at least %d entries and %d of %d runs lost; %d charges, %d doubled; %d answers by people",
		*unsyncedCuts, lost, runs, len(p.accepted)+runs, charges, len(twice), p.answered)
	if len(stuck) > 0 || len(twice) > 0 {
		t.Errorf("do not end: %v; charged twice: %v\n%s", stuck, twice, p.logsOf(t, append(stuck, twice...)))
	}
	if lost == 0 && *unsyncedCuts > 5 {
		t.Error("nothing was lost: the test shows nothing")
	}
}

// logsOf is the logs of the first runs that are named, by their ids or by a key of theirs.
func (p *powered) logsOf(t *testing.T, names []string) string {
	t.Helper()
	var text strings.Builder
	for _, name := range names[:min(len(names), 5)] {
		id, _, _ := strings.Cut(name, "/")
		fmt.Fprintf(&text, "== %s\n", id)
		if err := p.runs.Export(context.WithoutCancel(t.Context()), id, &text); err != nil {
			fmt.Fprintln(&text, err)
		}
	}
	return text.String()
}

// end is the last sequence of the log.
func (p *powered) end(t *testing.T) uint64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		info, err := p.bus.About(ctx, p.bus.Names().RunsStream(0))
		if err == nil {
			return info.LastSeq
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// acceptDamage says that work may go on, once it was found that the log may have lost something.
func (p *powered) acceptDamage(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		cmd := exec.CommandContext(ctx, filepath.Join(p.fleet.bin, "dispatcher"), "store", "accept", "--server", p.fleet.url, "--reason", "the power failed")
		cmd.Env = append(environment(), "XDG_STATE_HOME="+p.fleet.dir, "XDG_CONFIG_HOME="+p.fleet.dir)
		out, err := cmd.CombinedOutput()
		if err == nil && strings.Contains(string(out), "this machine went down") { // the audit trail may have been accepted before
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("the damage is not found: %v %s\n%s", err, out, p.fleet.logs())
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// goneSince forgets the runs that were accepted and that the log does not know any more, and counts them. What workers have reported of
// such a run after that belongs to no run, and people are asked about it.
func (p *powered) goneSince(t *testing.T) (gone int) {
	t.Helper()
	p.accepted = slices.DeleteFunc(p.accepted, func(id string) bool {
		_, err := p.runs.Load(t.Context(), id)
		is := errors.Is(err, runlog.ErrNoRun) || errors.Is(err, runlog.ErrStray)
		if is {
			gone++
		}
		return is
	})
	return gone
}
