package steps_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"belay/internal/steps"
	"belay/internal/stepstest"
)

// hold lets something hold an attempt back that is wanted: a gate, or a limit.
func (g *player) hold() {
	m, ok := g.pick()
	if !ok {
		return
	}
	if rapid.Bool().Draw(g.T, "limit") {
		why := rapid.SampledFrom([]steps.HoldWhy{steps.HoldRate, steps.HoldConcurrency, steps.HoldRetryAfter, steps.HoldBreaker, steps.HoldRetries, "of_the_future"}).Draw(g.T, "why")
		h := steps.Hold{Why: why, Covers: "t", Reason: "so"}
		if why.ByBreaker() && g.State.Tool(g.State.Unit(m.Step)).Breaker != nil {
			g.say(steps.Held{Attempt: m.Attempt, Hold: h})
			return
		}
		g.limit(m, h)
		return
	}
	h := steps.Hold{Why: steps.HoldGate, Gate: rapid.SampledFrom([]string{"g1", "g2"}).Draw(g.T, "gate"), By: "mia", Reason: "so"}
	g.say(steps.Held{Attempt: m.Attempt, Hold: h})
}

// limit says that a limit holds an attempt back: nothing that the run wants changes by that, nor what is due, nor where it stands.
func (g *player) limit(m steps.StepMessage, h steps.Hold) {
	g.Add(steps.Fired{}) // what is due now is done before, so that only the hold can change something
	was, due, counts := stepstest.WantedText(steps.Wants(g.State, nil), g.State), steps.Wants(g.State, nil).Timer, g.State.HeldBack()
	status, clock := g.State.Status(), g.State.RunDue()
	g.say(steps.Held{Attempt: m.Attempt, Hold: h})
	w := steps.Wants(g.State, nil)
	if now := stepstest.WantedText(w, g.State); now != was || !w.Timer.Equal(due) || g.State.HeldBack() != counts || g.State.Status() != status || !g.State.RunDue().Equal(clock) {
		g.Fatalf("%s held %s back, and what is wanted became\n%s\nfrom\n%s", h.Why, m.Step, now, was)
	}
}

// release lets what is held back go on.
func (g *player) release() {
	for i := range g.State.Units {
		if h, _ := g.State.Units[i].HeldBack(); h != nil {
			g.say(steps.Released{Attempt: g.State.Attempt(i), Gate: h.Gate, By: "mia"})
			return
		}
	}
}

// checkHeldBack: they are counted, none of them is wanted, and their attempt is no failure.
func (g *player) checkHeldBack() {
	n, limited, wanted := 0, 0, steps.Wants(g.State, nil)
	for i := range g.State.Units {
		u := &g.State.Units[i]
		h, since := u.HeldBack()
		if h == nil {
			continue
		}
		is := func(m steps.StepMessage) bool { return m.Step == u.ID }
		if u.Limited() {
			if limited++; h.Why.ByPerson() || !slices.ContainsFunc(wanted.Steps, is) || u.Current().State != steps.AttemptQueued {
				g.Fatalf("a limit (%s) holds %s back, and it is %s", h.Why, u.ID, u.State())
			}
			if b := g.State.Tool(i).Breaker; b != nil && h.Why.ByBreaker() {
				if due := g.State.UnitDue(i); due.IsZero() || due.After(since.Add(time.Duration(b.MaxHold))) {
					g.Fatalf("%s is held by its breaker since %s, and until %s", u.ID, since, due)
				}
			}
			continue
		}
		n++
		if rec := u.Current(); u.State() != steps.StepHeld || since.IsZero() || rec.State != steps.AttemptWithdrawn || rec.Fault != nil {
			g.Fatalf("%s is held back since %s, and %s: %+v", u.ID, since, u.State(), rec)
		}
		if slices.ContainsFunc(wanted.Steps, is) || slices.ContainsFunc(wanted.Withdraw, is) {
			g.Fatalf("%s is held back, and wanted", u.ID)
		}
	}
	if n != g.State.HeldBack() || limited != g.State.Limited() {
		g.Fatalf("%d units are held back and %d by limits, and %d and %d counted", n, limited, g.State.HeldBack(), g.State.Limited())
	}
}

// TestABreakerUsesNothingUp: however often a breaker keeps a step from its first rung, before any of its tries there, the next rung
// has all of its own, and the cause of the fallback is the breaker; without a next rung the step has all its tries on the first one.
func TestABreakerUsesNothingUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tries := rapid.IntRange(1, 4).Draw(t, "tries")
		before := rapid.IntRange(0, tries-1).Draw(t, "before")
		rungs := rapid.SampledFrom([]string{"a", "a,b"}).Draw(t, "rungs")
		st := stepstest.NewStory(t)
		st.Command(fmt.Sprintf("tool t effects=%s max=%d initial=1ms cap=1ms timeout=1h rungs=%s breaker=30m", rapid.SampledFrom([]string{"none", "unsafe"}).Draw(t, "effects"), tries, rungs))
		st.Command("step s tool=t")
		st.Command("submit")
		u := &st.State.Units[0]
		fail := func() {
			st.Now = latest(st.Now.Add(time.Second), u.NotBefore())
			st.Add(steps.Started{Attempt: st.State.Attempt(0), Worker: "w"})
			st.Add(steps.Failed{Attempt: st.State.Attempt(0), Worker: "w", Fault: steps.Fault{Class: steps.Unavailable, Acted: steps.ActedNo, Message: "x"}})
		}
		for range before {
			fail()
		}
		for range rapid.IntRange(1, 3).Draw(t, "breaks") {
			a := st.State.Attempt(0)
			st.Add(steps.Held{Attempt: a, Hold: steps.Hold{Why: steps.HoldBreaker, Covers: "t/a", Reason: "open"}})
			for _, m := range steps.Wants(st.State, nil).Withdraw {
				st.Add(steps.Withdrawal(m))
			}
			if rungs == "a,b" {
				if u.Rung != 1 || u.Attempts[len(u.Attempts)-2].Fault.Reason != steps.BreakerOpen || u.Attempts[len(u.Attempts)-2].Fault.MayHaveActed() {
					t.Fatalf("the breaker is open, and the step stands on %+v", u.Attempts)
				}
				break
			}
			if !u.Broken() || st.State.Attempt(0) == a {
				t.Fatalf("the breaker is open, and the step has %+v", u.Attempts)
			}
			st.Now = st.Now.Add(time.Minute)
			st.Add(steps.Fired{})
			st.Add(steps.Released{Attempt: st.State.Attempt(0)})
		}
		want := tries - before
		if rungs == "a,b" {
			want = tries
		}
		for n := range want {
			if !u.State().InQueue() {
				t.Fatalf("%s after %d of %d tries", u.State(), n, want)
			}
			fail()
		}
		if u.State() != steps.StepEscalated {
			t.Fatalf("%s after all tries", u.State())
		}
	})
}

// TestAHoldUsesNothingUp: a step that is held back before each of its tries, as often as one likes, has all of them, and its
// whole budget. Without holds it goes the same way.
func TestAHoldUsesNothingUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		tries := rapid.IntRange(1, 4).Draw(t, "tries")
		effects := rapid.SampledFrom([]steps.Effects{steps.EffectsNone, steps.EffectsUnsafe}).Draw(t, "effects")
		budget := time.Duration(rapid.IntRange(60, 90).Draw(t, "budget")) * time.Second
		st := stepstest.NewStory(t)
		st.Command(fmt.Sprintf("tool t effects=%s max=%d initial=1ms cap=1ms timeout=%s rungs=a,b", effects, tries, budget))
		st.Command("step s tool=t")
		st.Command("submit")
		spent, failed := time.Duration(0), 0
		for u := &st.State.Units[0]; u.State().InQueue(); {
			for range rapid.IntRange(0, 2).Draw(t, "holds") {
				holdOnce(t, st)
			}
			took := time.Duration(rapid.IntRange(0, 5).Draw(t, "took")) * time.Second
			if left := u.Deadline.Sub(st.Now); left != budget-spent {
				t.Fatalf("%s of %s are left after %s", left, budget, spent)
			}
			st.Now, failed = st.Now.Add(took), failed+1
			st.Add(steps.Failed{Attempt: st.State.Attempt(0), Worker: "w", Fault: steps.Fault{Class: steps.Unavailable, Acted: steps.ActedNo, Message: "x"}})
			st.Now = latest(st.Now, u.NotBefore())
			spent = budget - u.Deadline.Sub(st.Now)
		}
		if failed != 2*tries {
			t.Fatalf("%d tries on two rungs, %d were allowed on each", failed, tries)
		}
	})
}

// holdOnce holds the unit's attempt back for ten hours; meanwhile the run waits, and nothing of it is due.
func holdOnce(t *rapid.T, st *stepstest.Story) {
	a := st.State.Attempt(0)
	st.Add(steps.Held{Attempt: a, Hold: steps.Hold{Why: steps.HoldGate, Gate: "g", By: "mia"}})
	for _, m := range steps.Wants(st.State, nil).Withdraw {
		st.Add(steps.Withdrawal(m))
	}
	if w := steps.Wants(st.State, nil); st.State.Status() != steps.RunWaiting || len(w.Steps) > 0 || !w.Timer.IsZero() {
		t.Fatalf("%s is held back, and the run is %s and wants %+v", a.Token(), st.State.Status(), w)
	}
	st.Now = st.Now.Add(10 * time.Hour)
	st.Add(steps.Fired{})
	st.Add(steps.Released{Attempt: a, Gate: "g", By: "mia"})
	if !st.State.Units[0].State().InQueue() {
		t.Fatalf("released, and %s", st.State.Units[0].State())
	}
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
