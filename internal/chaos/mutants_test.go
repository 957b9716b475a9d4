//go:build mutants

package chaos

import (
	"context"
	"testing"
	"time"
)

// TestMutantsAreCaught runs the chaos scenario with programs that are broken on purpose: a test that cannot fail proves
// nothing.
func TestMutantsAreCaught(t *testing.T) {
	bin := build(t, "mutants")
	sc := scenario{runs: 40, kills: 60, pause: 600 * time.Millisecond, limit: 40 * time.Second}
	// The reconciler makes up for an early ack: it finds the step that is wanted and not queued. So that publishing before
	// the ack is all there is, it is taken away too.
	for _, mutant := range []string{"no-claim", "ack-first,no-reconcile"} {
		t.Run(mutant, func(t *testing.T) {
			r := play(t, bin, mutant, sc)
			if r.ended == sc.runs && len(r.twice) == 0 {
				t.Errorf("the mutant %s was not caught", mutant)
			}
		})
	}
}

// TestPurgedQueue purges the step queue every 100 ms; steps that wait for their next try are in it for seconds. The reconciler puts back what is wanted; without it runs hang.
func TestPurgedQueue(t *testing.T) {
	bin := build(t, "mutants")
	const runs = 10
	if ended := playPurged(t, bin, "", runs, 2*time.Minute); ended != runs {
		t.Errorf("%d of %d runs ended although the reconciler was there", ended, runs)
	}
	if ended := playPurged(t, bin, "no-reconcile", runs, 40*time.Second); ended == runs {
		t.Error("without the reconciler all runs ended: the purges take nothing away")
	}
}

func playPurged(t *testing.T, bin, mutant string, runs int, limit time.Duration) int {
	w := newWorld(t)
	// Waits of more than a second are spent in the queue, where a purge finds them.
	f := startFleet(t, bin, mutant, w.tools("4s"))
	c := f.client(w)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for n := range runs {
		c.submit(ctx, n)
	}
	go func() {
		for ctx.Err() == nil {
			_ = c.bus.Purge(ctx, c.bus.Names().StepsStream(), c.bus.Names().StepsSubjects())
			pause(ctx, 100*time.Millisecond)
		}
	}()
	ended, states := c.settle(ctx, runs)
	t.Logf("mutant %q: %d of %d runs ended %v", mutant, ended, runs, states)
	return ended
}
