package sim_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"belay/internal/sim"
	"belay/internal/steps"
	"belay/internal/stepstest"
)

var (
	seeds = flag.Int("sim.seeds", 1500, "how many random worlds are played")
	skew  = flag.Duration("sim.skew", 2*time.Minute, "how far clocks are wrong at most")
	seed  = flag.Uint64("sim.seed", 0, "play this one alone, and print what happens")
)

// kept are seeds that have found something. They are played each time.
var kept = []uint64{}

// TestSeeds plays random plans in random worlds: tools that fail in every way, workers that die, are cut off and get messages
// twice, dispatchers that are killed, a queue that is lost, slow and reordered messages, people who decide anything that they
// may, or nothing, and somebody who cancels. Nothing may be lost, doubled or stuck. The whole number is
// `go test ./internal/sim -run Seeds -sim.seeds 100000`.
func TestSeeds(t *testing.T) {
	t.Parallel()
	if *seed > 0 {
		w := newRandom(*seed, sim.Whole)
		p := sim.Play(w.options())
		wrong, why := p.Wrong()
		t.Logf("%s\n%d: %s", w.story(p), wrong, why)
		return
	}
	all := slices.Clone(kept)
	for n := range *seeds {
		all = append(all, uint64(n)+1)
	}
	ends, late, proven := map[string]int{}, 0, 0
	var mu sync.Mutex
	each(all, func(n uint64) {
		w := newRandom(n, sim.Whole)
		p := sim.Play(w.options())
		wrong, why := p.Wrong()
		mu.Lock()
		defer mu.Unlock()
		ends[string(p.State.Status())]++
		late += len(p.Late)
		for _, e := range p.Effects {
			if a := w.prog.Tools[e.Tool].Approval; a != nil && a.Proof == steps.ProofPasskey {
				proven++
			}
		}
		if wrong != sim.Right && !t.Failed() {
			t.Errorf("seed %d: %s\n%s", n, why, w.story(p))
		}
	})
	t.Logf("%d worlds: %v; %d calls that may be repeated began when their attempt was over; %d effects with a passkey", len(all), ends, late, proven)
	if *seeds > 1000 && (ends["succeeded"] == 0 || ends["degraded"] == 0 || ends["failed"] == 0 || ends["cancelled"] == 0 || ends["aborted"] == 0 || proven == 0) {
		t.Errorf("the worlds are all alike: %v, %d effects with a passkey", ends, proven)
	}
}

// TestSeedsAreReplayable: a seed tells one story.
func TestSeedsAreReplayable(t *testing.T) {
	t.Parallel()
	for n := range uint64(200) {
		first, second := newRandom(n+1, sim.Whole), newRandom(n+1, sim.Whole)
		if a, b := first.story(sim.Play(first.options())), second.story(sim.Play(second.options())); a != b {
			t.Fatalf("seed %d tells\n%s\nand then\n%s", n+1, a, b)
		}
	}
}

// TestSeedsNotice: with a rule broken, some world shows it.
func TestSeedsNotice(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]sim.Mutant{
		"no claim": sim.NoClaim, "acknowledged first": sim.AckFirst, "no reconcile": sim.NoReconcile, "the log is not read": sim.NoLog,
		"no fence": sim.NoFence, "the log is not asked": sim.NoCompare, "calls begin late": sim.Unhurried, "nothing waits for a silent worker": sim.NoWait,
		"blind repeats": sim.BlindRepeat, "outcomes are not stored": sim.LostReport, "approvals are not checked": sim.NoGuard, "passkeys are not checked": sim.NoPasskey, "readable is taken for stored": sim.Readable,
		"nothing is undone": sim.NoUndo, "calls are begun anew that go on": sim.Forgetful,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n := range uint64(5000) {
				p := sim.Play(newRandom(n+1, broken).options())
				if wrong, why := p.Wrong(); wrong != sim.Right {
					t.Logf("seed %d: %s", n+1, why)
					return
				}
			}
			t.Error("5,000 worlds do not notice")
		})
	}
}

func each(all []uint64, f func(uint64)) {
	next := make(chan uint64)
	var busy sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		busy.Go(func() {
			for n := range next {
				f(n)
			}
		})
	}
	for _, n := range all {
		next <- n
	}
	close(next)
	busy.Wait()
}

// random is a plan and a world, made of a seed.
type random struct {
	*rand.Rand
	seed    uint64
	broken  sim.Mutant
	lines   []string // the plan, in the words of the core's stories
	prog    *steps.Program
	ackWait time.Duration
	keys    *rand.Rand     // draws which tools ask for passkeys, and what people's sign
	servers *rand.Rand     // draws what servers do beside what calls do
	tasks   map[string]int // calls that have become tasks and are not over, by attempt
	acted   map[string]int // effects by unit
	going   map[string]int // calls that go on and that nothing bounds, by unit
}

func newRandom(seed uint64, broken sim.Mutant) *random {
	w := &random{
		Rand: rand.New(rand.NewPCG(seed, 11)), servers: rand.New(rand.NewPCG(seed, 17)), keys: rand.New(rand.NewPCG(seed, 19)), seed: seed, broken: broken,
		acted: map[string]int{}, going: map[string]int{}, tasks: map[string]int{},
	}
	w.makePlan()
	return w
}

func (w *random) one(of ...string) string { return of[w.IntN(len(of))] }

// chance is true once in n times.
func (w *random) chance(n int) bool { return w.IntN(n) == 0 }

func (w *random) makePlan() {
	st := stepstest.NewStory(nil)
	tell := func(format string, args ...any) {
		line := fmt.Sprintf(format, args...)
		w.lines = append(w.lines, line)
		st.Command(line)
	}
	line := fmt.Sprintf("tool undo effects=%s rungs=%s max=2 timeout=%s", w.one("none", "idempotent", "unsafe"), w.one("a", "a,b", "a,human,b"), w.one("0s", "20s", "10m"))
	if w.chance(3) {
		line += " verify=output-is:[1]"
	}
	if w.chance(3) {
		line += fmt.Sprintf(" approval=always deadline=%s on_deadline=%s on_reject=%s", w.one("1m", "1h"), w.one("escalate", "fail", "fallback", "park"), w.one("skip", "fail", "fallback"))
	}
	tell("%s ask=%s on_ask=%s", line, w.one("1m", "1h"), w.one("escalate", "fail", "fallback", "park"))
	ofTools := rand.New(rand.NewPCG(w.seed, 13)) // of its own, so that a seed draws what it has always drawn beside it
	for _, effects := range []string{"none", "idempotent", "unsafe"} {
		line := fmt.Sprintf("tool %s effects=%s rungs=%s max=%s initial=%s timeout=%s", effects, effects, w.one("a", "a,b", "a,cached", "a,human,b", "a,b,cached"),
			w.one("1", "2", "3"), w.one("10ms", "1s"), w.one("0s", "20s", "1m", "10m"))
		if w.chance(3) {
			line += " verify=output-is:[1]"
		}
		if w.chance(3) {
			line += fmt.Sprintf(" approval=always approvers=%s deadline=%s on_deadline=%s on_reject=%s", w.one("1", "2"), w.one("1m", "1h"), w.one("escalate", "fail", "fallback", "park"), w.one("skip", "fail", "fallback"))
		}
		if ofTools.IntN(4) == 0 {
			line += " undo=undo undo_with=params"
		}
		tell("%s ask=%s on_ask=%s", line, w.one("1m", "1h"), w.one("escalate", "fail", "fallback", "park"))
	}
	tell("plan deadline=%s on_deadline=%s escalate_after=%s", w.one("", "30s", "5m"), w.one("escalate", "fail"), w.one("0", "0", "3"))
	for i := range 1 + w.IntN(5) {
		line := fmt.Sprintf("step s%d tool=%s on_failure=%s", i, w.one("none", "idempotent", "unsafe", "unsafe"), w.one("escalate", "skip", "fail"))
		if i > 0 && w.chance(2) {
			line += fmt.Sprintf(" needs=s%d", w.IntN(i))
		}
		if w.chance(4) {
			line += " for_each=json:[1,2,3] max_parallel=" + w.one("1", "2", "3")
		}
		if w.chance(3) {
			line += " compensate=undo"
		}
		tell("%s with=json:{\"n\":%d}", line, i)
	}
	w.prog = st.Plan.Program()
	for _, name := range slices.Sorted(maps.Keys(w.prog.Tools)) {
		t := w.prog.Tools[name]
		if t.Approval != nil && w.chance(2) {
			t.Approval.ValidFor = steps.Duration(20 * time.Second)
		}
		if t.Approval != nil && w.keys.IntN(3) == 0 {
			t.Approval.Proof = steps.ProofPasskey
		}
		for n := range t.Rungs {
			if w.chance(3) {
				t.Rungs[n].Timeout = steps.Duration(time.Minute) // longer than a silent worker keeps its message
			}
		}
	}
}

func (w *random) options() sim.Options {
	o := sim.Options{
		Program: w.prog, Input: json.RawMessage(`{}`), By: "sue", Broken: w.broken,
		World: w.served, People: w.people, Hop: w.hop, Looks: w.looks,
		Acted:         func(e sim.Effect) { w.acted[e.Step]++ },
		Ended:         w.ended,
		NeedsApproval: func(tool string, _ json.RawMessage, _ bool) bool { return w.prog.Tools[tool].Approval != nil },
		Crash:         func(int) bool { return w.chance(25) },
		Freeze:        w.freeze,
		Pause:         w.pause,
	}
	if w.chance(2) {
		o.Ahead = w.ahead(*skew)
	}
	w.ackWait = 30 * time.Second
	if w.chance(3) {
		w.ackWait = 6 * time.Second
	}
	o.AckWait = w.ackWait
	if w.chance(5) {
		o.Cancel = time.Duration(1+w.IntN(60_000)) * time.Millisecond
	}
	for w.chance(4) {
		o.QueueLost = append(o.QueueLost, time.Duration(1+w.IntN(60_000))*time.Millisecond)
	}
	for w.chance(5) {
		o.DiskFails = append(o.DiskFails, time.Duration(1000+w.IntN(60_000))*time.Millisecond)
	}
	if w.chance(6) {
		away := w.one("none/a", "idempotent/a", "unsafe/a", "unsafe/b", "undo/a")
		o.Serves = func(m steps.StepMessage) bool { return m.Tool+"/"+m.RungName != away }
	}
	o.Forge = func(string) bool { return w.chance(5) }
	if w.chance(5) {
		o.In = time.Duration(1+w.IntN(60)) * time.Second
	}
	return o
}

// freeze has one dispatcher in thirty publishes stand still, mostly for longer than it takes to replace it.
func (w *random) freeze(int) time.Duration {
	if !w.chance(30) {
		return 0
	}
	return time.Duration(1+w.IntN(90)) * time.Second
}

// pause has a worker stand still, for less than it may be silent.
func (w *random) pause() time.Duration {
	if !w.chance(15) {
		return 0
	}
	return time.Duration(w.IntN(int(w.ackWait)))
}

// ahead has each clock be wrong in a way of its own, and drift; never by more than most.
func (w *random) ahead(most time.Duration) func(string, time.Time) time.Duration {
	type clock struct{ from, to time.Duration } // at the start, and an hour later
	clocks := map[string]clock{}
	wrong := func() time.Duration { return time.Duration(w.Int64N(int64(2*most)+1)) - most }
	return func(who string, at time.Time) time.Duration {
		c, known := clocks[who]
		if !known {
			c = clock{wrong(), wrong()}
			clocks[who] = c
		}
		hours := min(at.Sub(sim.Start).Hours(), 1)
		return c.from + time.Duration(float64(c.to-c.from)*hours)
	}
}

func (w *random) hop() time.Duration {
	if w.chance(20) {
		return time.Duration(w.IntN(3000)) * time.Millisecond
	}
	return time.Duration(1+w.IntN(20)) * time.Millisecond
}

var classes = []steps.Class{steps.Timeout, steps.RateLimited, steps.Unavailable, steps.Connection, steps.InvalidOutput, steps.InvalidInput, steps.NotFound, steps.ToolError, steps.NeedsHuman}

// unbounded reports whether a call may go on for ever: nothing but the people who look can wait for its end.
func unbounded(c sim.Call) bool { return c.Timeout == 0 && c.Deadline.IsZero() }

func (w *random) ended(c sim.Call) {
	name := c.Step + c.Token()
	if w.tasks[name] > 0 {
		w.tasks[name]--
		w.going[c.Step]--
	}
	if unbounded(c) {
		w.going[c.Step]--
	}
}

// served says what a call does, and what its server makes of it: in two of five worlds some servers make tasks of calls, or ask
// a person before they do what they are called for.
func (w *random) served(c sim.Call) sim.Happens {
	h := w.world(c)
	kind := w.servers.IntN(12)
	if w.seed%5 > 1 || c.RungName == steps.VerifyRung || c.RungName == "cached" || h.Fault != nil {
		return h
	}
	switch {
	case kind < 3:
		if h.Task = true; !h.Acts && c.Effects != steps.EffectsNone { // it hung, and comes to nothing in the end
			h.Fault = &steps.Fault{Class: steps.ToolError, Acted: steps.ActedMaybe, Message: "it came to nothing"}
		}
		w.tasks[c.Step+c.Token()]++
		w.going[c.Step]++
	case kind == 3 && !c.Continues:
		h.Asks, h.Worker = true, sim.None
	}
	return h
}

// looks says what befalls a worker that looks after a task.
func (w *random) looks(steps.StepMessage) sim.Trouble {
	if w.servers.IntN(3) > 0 {
		return sim.None
	}
	return sim.Trouble(1 + w.servers.IntN(int(sim.AckLost)))
}

// world says what a call does.
func (w *random) world(c sim.Call) sim.Happens {
	if unbounded(c) {
		w.going[c.Step]++
	}
	h := sim.Happens{Took: time.Duration(1+w.IntN(2000)) * time.Millisecond, Output: json.RawMessage(`{"ok":true}`)}
	harmless := c.RungName == steps.VerifyRung || c.RungName == "cached" || c.Effects == steps.EffectsNone
	if c.RungName == steps.VerifyRung {
		h.Output = json.RawMessage(fmt.Sprintf("[%d]", min(1, w.acted[c.Step])))
	}
	h.Acts = !harmless
	switch w.IntN(5) {
	case 0:
		f := steps.Fault{Class: classes[w.IntN(len(classes))], Acted: steps.ActedNo, Message: "it failed"}
		if h.Acts = h.Acts && w.chance(2); h.Acts || w.chance(2) {
			f.Acted = steps.ActedMaybe
		}
		if w.chance(4) {
			f.RetryAfter = steps.Duration(time.Duration(w.IntN(3000)) * time.Millisecond)
		}
		h.Fault = &f
	case 1:
		if h.Worker = sim.Trouble(1 + w.IntN(int(sim.AckLost))); h.Worker == sim.CutOff { // and the call goes on
			h.Took, h.AtEnd = time.Duration(1+w.IntN(90_000))*time.Millisecond, w.chance(2)
		}
	case 2:
		h.Took = time.Duration(w.IntN(120)) * time.Second
		h.Acts = h.Acts && w.chance(2) || h.Acts && h.Took < 4*time.Second // what is cut off may have acted or not
		if !h.Acts && !harmless {
			h.Took = time.Hour
		}
	}
	return h
}

// people decide anything that they may, or nothing for a while.
func (w *random) people(*steps.State, int) []sim.Decision {
	var all []sim.Decision
	for _, by := range []string{"mia", "bo"} {
		all = append(all, sim.Decision{By: by, After: time.Duration(1+w.IntN(90)) * time.Second, Choose: w.choose, Blind: w.chance(3)})
	}
	return all
}

// choose: who is asked whether something has happened looks, or trusts the probe; and waits only where a call may go on for
// ever.
func (w *random) choose(s *steps.State, n int) sim.Decision {
	e := &s.Escalations[n]
	d := sim.Decision{Reason: "so", Answer: json.RawMessage(`{"ok":true}`)}
	allowed := slices.Clone(e.Allowed)
	if e.Unit != steps.RunUnit {
		unit := s.Units[e.Unit].ID
		if w.going[unit] > 0 {
			return d // later
		}
		trusts := strings.HasSuffix(e.Fault.Message, "the probe says that it has not happened so far") && w.chance(2) && !strings.Contains(e.Fault.Message, "may still be at work")
		if w.acted[unit] > 0 && s.Tool(e.Unit).Effects.Unsafe() && !trusts {
			allowed = slices.DeleteFunc(allowed, func(v steps.Verb) bool { return v == steps.VerbRetry || v == steps.VerbEdit || v == steps.VerbApprove })
		}
		d.Params = json.RawMessage(`{"n":99}`)
	}
	if len(allowed) == 0 {
		return d
	}
	d.Verb = allowed[w.IntN(len(allowed))]
	d.Proof = w.sign
	return d
}

// sign is what an approver's passkey makes of a challenge: mostly it signs it, sometimes somebody approves without one, or has another call's.
func (w *random) sign(challenge []byte) *steps.Assertion {
	switch w.keys.IntN(8) {
	case 0:
		return nil
	case 1:
		return &steps.Assertion{Signature: []byte("of another call")}
	}
	return &steps.Assertion{Signature: challenge}
}

func (w *random) story(p *sim.Played) string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d (-sim.seed %d):\n%s\n", w.seed, w.seed, strings.Join(w.lines, "\n"))
	for _, l := range p.Lines {
		fmt.Fprintf(&b, "  %12s  %-10s  %s\n", l.At.Sub(sim.Start), l.Who, l.Text)
	}
	return b.String()
}
