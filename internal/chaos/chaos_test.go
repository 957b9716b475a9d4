// Package chaos kills the real programs at random while they work, and counts in the outside world what they have
// done. It also shows that it would notice: with -tags mutants it runs programs that are broken on purpose.
package chaos

import (
	"context"
	"flag"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

var (
	seed  = flag.Uint64("chaos.seed", 0, "seed of the kills; 0 = by the clock")
	times = flag.Int("chaos.times", 1, "how many times as many runs and kills: 10 kills 750 processes")
)

// scenario is how much happens.
type scenario struct {
	runs, kills int
	pause       time.Duration // the longest one between two kills
	limit       time.Duration // for all runs to end after the last kill
}

func full(t *testing.T) scenario {
	if testing.Short() {
		return scenario{runs: 15, kills: 25, pause: 500 * time.Millisecond, limit: 2 * time.Minute}
	}
	return scenario{runs: 40 * *times, kills: 75 * *times, pause: 800 * time.Millisecond, limit: 3 * time.Minute}
}

// result is what the world has seen.
type result struct {
	ended    int
	payments int
	twice    []string
}

// TestChaos: three dispatchers, three workers and the server are killed again and again while runs are submitted. Every
// run ends, no step is lost, and nothing unsafe is done twice under one key unless a person said that it had not
// happened.
func TestChaos(t *testing.T) {
	t.Parallel()
	sc := full(t)
	r := play(t, build(t, ""), "", sc)
	if r.ended != sc.runs {
		t.Errorf("%d of %d runs ended", r.ended, sc.runs)
	}
	if len(r.twice) > 0 {
		t.Errorf("paid twice: %v", r.twice)
	}
	if r.payments < sc.runs {
		t.Errorf("%d payments for %d runs: a step was lost", r.payments, sc.runs)
	}
}

func play(t *testing.T, bin, mutant string, sc scenario) result {
	t.Helper()
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	rnd := rand.New(rand.NewPCG(s, s))
	began := time.Now()
	w := newWorld(t)
	f := startFleet(t, bin, mutant, w.tools("100ms"))
	c := f.client(w)
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := range sc.runs {
			c.submit(t.Context(), n)
			pause(t.Context(), time.Duration(sc.kills)*sc.pause/2/time.Duration(sc.runs))
		}
	})
	f.torment(t.Context(), rnd, sc)
	wg.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), sc.limit)
	defer cancel()
	ended, states := c.settle(ctx, sc.runs)
	payments, twice := w.sum("/pay")
	t.Logf("seed %d: %d of %d runs ended %v; kills %v; %d payments; %d answers by people; %s; not explained by chaos: %v",
		s, ended, sc.runs, states, f.kills, payments, c.answered, time.Since(began).Round(time.Second), c.strange)
	return result{ended, payments, twice}
}

// torment kills and freezes processes until it has killed enough.
func (f *fleet) torment(ctx context.Context, rnd *rand.Rand, sc scenario) {
	all := f.members()
	for killed := 0; killed < sc.kills && ctx.Err() == nil; {
		pause(ctx, time.Duration(rnd.Int64N(int64(sc.pause))))
		m := all[rnd.IntN(len(all))]
		switch {
		case m.role == "worker" && rnd.IntN(8) == 0:
			f.freeze(m, 5*time.Second)
		default:
			f.kill(m)
			killed++
		}
	}
}
