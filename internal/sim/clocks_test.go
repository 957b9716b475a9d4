package sim_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"belay/internal/sim"
	"belay/internal/steps"
	"belay/internal/stepstest"
)

// skewed is a world in which clocks differ by a number of seconds.
type skewed struct {
	plan    []string
	timeout time.Duration // of the rungs
	ahead   func(who string, by time.Duration) time.Duration
	world   func(acted int, c sim.Call) sim.Happens // acted: effects so far
	own     int                                     // the smallest difference in seconds that is noticed where workers go by their own clocks
}

var skews = map[string]skewed{
	// The worker is cut off, and the call has its effect right before its time is up; a probe that looks too early finds
	// nothing, and a person believes it.
	"a probe that looks early": {
		plan:    []string{`tool pay effects=unsafe timeout=10m verify=output-is:[1]`},
		timeout: time.Minute,
		ahead:   othersAhead,
		world:   cutOff,
		own:     6,
	},
	"a worker that knows too late that the budget is used up": {
		plan:    []string{`tool pay effects=unsafe timeout=40s verify=output-is:[1]`},
		timeout: time.Hour,
		ahead:   firstBehind,
		world:   cutOff,
		own:     6,
	},
	"a budget that is used up before it begins": {
		plan:    []string{`tool pay effects=unsafe timeout=20s`},
		timeout: time.Minute,
		ahead:   func(_ string, by time.Duration) time.Duration { return by },
		world:   fine,
		own:     19, // the call takes a second
	},
	"an approval whose time is over before it is used": {
		plan:    []string{`tool pay effects=unsafe timeout=10m approval=always`},
		timeout: time.Minute,
		ahead:   workersAhead,
		world:   fine,
		own:     13, // signed 13 s early and used 13 s late: more than the 20 s that it holds, and 5
	},
	"an approval from the future": {
		plan:    []string{`tool pay effects=unsafe timeout=10m approval=always`},
		timeout: time.Minute,
		ahead:   func(who string, by time.Duration) time.Duration { return -workersAhead(who, by) },
		world:   fine,
		own:     3,
	},
}

func othersAhead(who string, by time.Duration) time.Duration {
	if who == "w1" {
		return 0
	}
	return by
}

func firstBehind(who string, by time.Duration) time.Duration {
	if who == "w1" {
		return -by
	}
	return 0
}

// workersAhead has workers be ahead, and dispatchers, which sign approvals, be behind.
func workersAhead(who string, by time.Duration) time.Duration {
	if who[0] == 'w' {
		return by
	}
	return -by
}

func fine(int, sim.Call) sim.Happens {
	return sim.Happens{Took: time.Second, Acts: true, Output: json.RawMessage(`{}`)}
}

func cutOff(acted int, c sim.Call) sim.Happens {
	switch {
	case c.RungName == steps.VerifyRung:
		return sim.Happens{Took: time.Millisecond, Output: json.RawMessage(fmt.Sprintf("[%d]", acted))}
	case c.Round == 0:
		return sim.Happens{Took: 2 * time.Hour, Acts: true, AtEnd: true, Worker: sim.CutOff}
	}
	return fine(acted, c)
}

// TestClocksThatDiffer: at any difference up to two minutes nothing is doubled, and the run ends without another question
// than when clocks agree. Workers and signers that take their own clocks for the server's are noticed.
func TestClocksThatDiffer(t *testing.T) {
	t.Parallel()
	for name, c := range skews {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for s := range 121 {
				if why := c.wrong(time.Duration(s)*time.Second, sim.Whole); why != "" {
					t.Errorf("clocks differ by %d s: %s", s, why)
				}
			}
			for s := range 121 {
				if why := c.wrong(time.Duration(s)*time.Second, sim.OwnClock); why != "" {
					if s != c.own {
						t.Errorf("noticed from %d s on, not from %d s: %s", s, c.own, why)
					}
					return
				}
			}
			t.Error("nothing notices that workers go by their own clocks")
		})
	}
}

// wrong says what is not as when clocks agree.
func (c *skewed) wrong(by time.Duration, broken sim.Mutant) string {
	p := c.play(by, broken)
	if w, why := p.Wrong(); w != sim.Right {
		return why
	}
	usual := c.play(0, sim.Whole)
	if p.State.Status() != usual.State.Status() || len(p.Asked) != len(usual.Asked) {
		return fmt.Sprintf("the run %s, and people are asked %d times", p.State.Status(), len(p.Asked))
	}
	return ""
}

func (c *skewed) play(by time.Duration, broken sim.Mutant) *sim.Played {
	st := stepstest.NewStory(nil)
	for _, line := range append(c.plan, "step a tool=pay") {
		st.Command(line)
	}
	prog := st.Plan.Program()
	pay := prog.Tools["pay"]
	pay.Rungs[0].Timeout = steps.Duration(c.timeout)
	if pay.Approval != nil {
		pay.Approval.ValidFor = steps.Duration(20 * time.Second)
	}
	acted := 0
	return sim.Play(sim.Options{
		Program: prog, Input: json.RawMessage(`{}`), By: "sue", Broken: broken,
		World:         func(call sim.Call) sim.Happens { return c.world(acted, call) },
		Acted:         func(sim.Effect) { acted++ },
		Ahead:         func(who string, _ time.Time) time.Duration { return c.ahead(who, by) },
		NeedsApproval: func(string, json.RawMessage, bool) bool { return pay.Approval != nil },
		People: func(s *steps.State, n int) []sim.Decision {
			verb := steps.VerbRetry
			switch {
			case n > 5:
				verb = steps.VerbAbort
			case s.Escalations[n].Kind == steps.KindApproval:
				verb = steps.VerbApprove
			}
			return []sim.Decision{{By: "mia", Verb: verb, Reason: "so", After: 30 * time.Second}}
		},
	})
}

// TestASilentWorkersCallGoesOn up to its timeout: a probe that does not wait for that finds nothing, and a person who believes
// it has the call made twice.
func TestASilentWorkersCallGoesOn(t *testing.T) {
	t.Parallel()
	c := skews["a probe that looks early"]
	if w, why := c.play(0, sim.Whole).Wrong(); w != sim.Right {
		t.Error(why)
	}
	if w, why := c.play(0, sim.NoWait).Wrong(); w != sim.Twice {
		t.Errorf("nothing waits for a silent worker, and that is not noticed: %v %s", w, why)
	}
}
