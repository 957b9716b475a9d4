package limits_test

import (
	"testing"
	"time"

	"belay/internal/limits"
	"belay/internal/steps"
	"belay/internal/stepstest"
)

// TestHolding: what keeps a call out of the queue is said from the records alone, and where several limits may, it is one that does in any case.
func TestHolding(t *testing.T) {
	t.Parallel()
	const mine, host = "r/a/0-0-1", "pay.example"
	now := stepstest.Start
	slots := func(name string, inHand ...string) limits.Limit {
		l := limits.Limit{ID: limits.IDOfSlots(name), Why: steps.HoldConcurrency, Most: 1, InHand: len(inHand)}
		for _, a := range inHand {
			l.Calls = append(l.Calls, limits.Slot{Attempt: a})
		}
		return l
	}
	next := func(name string) limits.Limit {
		return limits.Limit{ID: limits.IDOfTimes(name), Why: steps.HoldRate, Next: now.Add(time.Second)}
	}
	wait := func(until, next time.Duration) limits.Limit {
		l := limits.Limit{ID: limits.IDOfWait(host), Why: steps.HoldRetryAfter, Until: now.Add(until)}
		if next > 0 {
			l.Next = now.Add(next)
		}
		return l
	}
	const tool, target = "tool/pay", "target/" + host
	for name, c := range map[string]struct {
		all    []limits.Limit
		why    steps.HoldWhy // empty: nothing
		covers string
	}{
		"nobody counts":                                  {},
		"limits of others":                               {all: []limits.Limit{slots("tool/other", "x"), next("target/other")}},
		"a free slot":                                    {all: []limits.Limit{slots(tool)}},
		"no free slot":                                   {[]limits.Limit{slots(tool, "x")}, steps.HoldConcurrency, "pay"},
		"its own slot":                                   {all: []limits.Limit{slots(tool, mine)}},
		"its own slot, and none of the target":           {[]limits.Limit{slots(tool, mine), slots(target, "x")}, steps.HoldConcurrency, host},
		"a time of the target":                           {[]limits.Limit{slots(tool, mine), slots(target, mine), next(target)}, steps.HoldRate, host},
		"a time, but no slot yet":                        {all: []limits.Limit{next(target)}},
		"the target has asked to wait":                   {[]limits.Limit{wait(time.Minute, time.Minute), slots(tool, "x")}, steps.HoldRetryAfter, host},
		"its ramp, and no free slot":                     {[]limits.Limit{wait(-time.Second, time.Second), slots(tool, "x")}, steps.HoldConcurrency, "pay"},
		"its ramp, with slots":                           {[]limits.Limit{wait(-time.Second, time.Second), slots(tool, mine), slots(target, mine)}, steps.HoldRetryAfter, host},
		"its ramp, with slots, and it has let all go on": {all: []limits.Limit{wait(-time.Second, 0), slots(tool, mine), slots(target, mine)}},
	} {
		st := stepstest.NewStory(t)
		st.Command("tool pay max=1")
		st.Command("step a tool=pay")
		st.Command("submit")
		s := st.State
		s.Run = "r"
		s.Tool(0).Limits = &steps.Limits{Concurrency: 1}
		s.Tool(0).Targets = map[string]steps.Limits{host: {Concurrency: 1, Rate: 1, Text: "1/s"}}
		h, ok := limits.Holding(c.all, s, 0, host, now)
		if ok != (c.why != "") || ok && (h.Why != c.why || h.Covers != c.covers || h.Reason == "") {
			t.Errorf("%s: %+v, %t; want %q of %q", name, h, ok, c.why, c.covers)
		}
	}
}
