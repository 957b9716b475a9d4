package steps

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestInvariants plays random runs against the core: random plans, workers that succeed, fail, claim, die and report
// twice, timers, people who decide, cancel and decide again. After every event it holds that
//   - applying any record again, under its own number or as a new one, changes nothing;
//   - a live run has something wanted: a step, a withdrawal, a timer or an escalation;
//   - no attempt is wanted after its outcome, and none under two messages;
//   - differences published add up to all that is wanted;
//   - an unsafe tool that may have acted is not queued again in the same round;
//   - the ladder's limits hold;
//
// and at the end that the fold of the log is the same wherever it is cut.
func TestInvariants(t *testing.T) { rapid.Check(t, playRun) }

// FuzzInvariants is the same for the coverage-guided fuzzer.
func FuzzInvariants(f *testing.F) { f.Fuzz(rapid.MakeFuzz(playRun)) }

func playRun(t *rapid.T) {
	g := &player{T: t, world: newWorld(t), plan: drawPlan(t)}
	g.add(Submitted{Program: g.plan.program(), Input: json.RawMessage(`{}`)})
	g.check()
	for range rapid.IntRange(1, 60).Draw(t, "events") {
		g.move()
		g.check()
	}
	g.drain()
	g.checkCuts()
}

type player struct {
	*rapid.T
	*world
	plan *testPlan
	past []Event
}

func (g *player) Fatalf(format string, args ...any) { g.T.Fatalf(format, args...) }

func (g *player) say(e Event) {
	switch e := e.(type) {
	case Succeeded:
		g.noteEnd(e.Attempt)
	case Failed:
		g.noteEnd(e.Attempt)
	}
	g.past = append(g.past, e)
	g.add(e)
}

// noteEnd remembers that the outcome of a is in the log, if it is the current attempt's or an older one.
func (g *player) noteEnd(a Attempt) { g.ended[AttemptName("r", a)] = true }

// move does one thing that can happen.
func (g *player) move() {
	g.now = g.now.Add(time.Duration(rapid.IntRange(0, 4000).Draw(g.T, "ms")) * time.Millisecond)
	switch rapid.SampledFrom([]string{"work", "work", "work", "work", "clock", "decide", "repeat", "withdraw", "cancel", "unserved", "noise"}).Draw(g.T, "move") {
	case "work":
		g.work()
	case "clock":
		g.fire()
	case "decide":
		g.decide()
	case "repeat":
		if len(g.past) > 0 {
			g.repeat(rapid.SampledFrom(g.past).Draw(g.T, "past"))
		}
	case "withdraw":
		g.takeClaims()
	case "cancel":
		if rapid.IntRange(0, 9).Draw(g.T, "rare") == 0 {
			g.say(Cancelled{By: "ann"})
		}
	case "unserved":
		if m, ok := g.pick(); ok && rapid.IntRange(0, 3).Draw(g.T, "rare") == 0 {
			g.say(Unserved{m.Attempt})
		}
	case "noise":
		g.say(Failed{Attempt: Attempt{Step: "s0", Round: 7, Try: 1}, Fault: Fault{Class: Timeout}})
		g.say(Started{Attempt: Attempt{Step: "nobody~1", Try: 1}})
	}
}

// repeat says something again, later. An outcome of an old round, rung or try moves nothing.
func (g *player) repeat(e Event) {
	var a Attempt
	switch e := e.(type) {
	case Succeeded:
		a = e.Attempt
	case Failed:
		a = e.Attempt
	}
	i := g.state.Unit(a.Step)
	if i < 0 || g.state.Attempt(i) == a {
		g.add(e)
		return
	}
	before := g.have() + string(g.state.Units[i].State)
	if g.add(e); g.have()+string(g.state.Units[i].State) != before {
		g.Fatalf("late %+v moved something:\n%s", e, picture(g.state))
	}
}

func (g *player) pick() (StepMessage, bool) {
	var names []string
	for name := range g.queue {
		names = append(names, name)
	}
	if len(names) == 0 {
		return StepMessage{}, false
	}
	slices.Sort(names)
	return g.queue[rapid.SampledFrom(names).Draw(g.T, "attempt")], true
}

var allClasses = []Class{Timeout, RateLimited, Unavailable, Connection, Crashed, InvalidOutput, InvalidInput, NotFound, ToolError, NeedsHuman, Unknown}

// work lets a worker do something with a queued message.
func (g *player) work() {
	m, ok := g.pick()
	if !ok {
		return
	}
	worker := rapid.SampledFrom([]string{"w1", "w2"}).Draw(g.T, "worker")
	switch rapid.IntRange(0, 5).Draw(g.T, "does") {
	case 0:
		g.begin(m, worker)
	case 1, 2:
		g.begin(m, worker)
		g.say(Succeeded{Attempt: m.Attempt, Worker: worker, Output: json.RawMessage(`[1,2]`)})
	default:
		f := Fault{
			Class: rapid.SampledFrom(allClasses).Draw(g.T, "class"), Message: "x",
			Acted:      rapid.SampledFrom([]Acted{ActedNo, ActedMaybe}).Draw(g.T, "acted"),
			RetryAfter: Duration(rapid.IntRange(0, 2).Draw(g.T, "after")) * Duration(time.Second),
		}
		g.say(Failed{Attempt: m.Attempt, Worker: worker, Fault: f})
	}
}

func (g *player) begin(m StepMessage, worker string) {
	if m.Effects == EffectsUnsafe {
		g.say(Claimed{Attempt: m.Attempt, Worker: worker})
		return
	}
	g.say(Started{Attempt: m.Attempt, Worker: worker, Delivery: rapid.SampledFrom([]string{"", "d1"}).Draw(g.T, "delivery")})
}

func (g *player) fire() {
	if g.timer.IsZero() {
		return
	}
	if g.timer.After(g.now) {
		g.now = g.timer
	}
	g.timer = time.Time{}
	g.say(Fired{})
}

func (g *player) takeClaims() {
	for _, m := range Wants(g.state, nil).Withdraw {
		g.say(Claimed{Attempt: m.Attempt})
	}
}

func (g *player) decide() {
	for n := range g.state.Escalations {
		e := g.state.Escalations[n]
		if e.State != EscalationOpen {
			continue
		}
		verb := rapid.SampledFrom([]Verb{VerbRetry, VerbEdit, VerbAnswer, VerbSkip, VerbAbort, VerbApprove}).Draw(g.T, "verb")
		g.say(Decided{Escalation: e.ID, Verb: verb, By: "ann", Params: json.RawMessage(`{"p":2}`), Answer: json.RawMessage(`[9]`)})
		return
	}
}

func (g *player) check() {
	g.checkLive()
	g.checkLadders()
	if got, want := g.have(), wanted(Wants(g.state, nil), g.state); got != want {
		g.Fatalf("after %+v differences add up to\n%s\nbut wanted is\n%s", g.log[len(g.log)-1], got, want)
	}
	due := Wants(g.state, nil).Timer
	if !due.IsZero() && (g.timer.IsZero() || g.timer.After(due)) {
		g.Fatalf("after %+v the timer is at %v, but due at %v", g.log[len(g.log)-1], g.timer, due)
	}
	before := picture(g.state)
	for _, r := range g.log[max(0, len(g.log)-3):] {
		g.again(r, before)
	}
	last := g.log[len(g.log)-1]
	if !last.Time.Equal(g.now) {
		return // time has passed: saying it again now is another thing
	}
	if g.add(last.Event); picture(g.state) != before {
		g.Fatalf("%+v in the log twice changed\n%s\nto\n%s", last, before, picture(g.state))
	}
}

// checkLive: there is no fourth way to wait.
func (g *player) checkLive() {
	w := Wants(g.state, nil)
	if g.state.Closed() || w.Result != nil {
		return
	}
	if len(w.Steps)+len(w.Withdraw)+len(w.Escalations) == 0 && w.Timer.IsZero() {
		g.Fatalf("live, and nothing is wanted:\n%s", picture(g.state))
	}
	for _, n := range w.Escalations {
		i := g.state.Escalations[n].Unit
		if i != RunUnit && g.state.Units[i].State != StepEscalated && g.state.Units[i].State != StepUnknown {
			g.Fatalf("%s is asked about, but is %s", g.state.Units[i].ID, g.state.Units[i].State)
		}
	}
	if g.state.Status() == RunWaiting && len(w.Escalations) == 0 {
		g.Fatalf("waits for a person who is not asked")
	}
}

// again delivers r once more.
func (g *player) again(r Record, before string) {
	s, touched := Apply(g.state, r)
	if len(touched) != 0 || picture(s) != before {
		g.Fatalf("applying %+v again changed something", r)
	}
}

func (g *player) checkLadders() {
	for i := range g.state.Units {
		u, tool := &g.state.Units[i], g.state.Tool(i)
		failed := map[string]int{}
		for n, a := range u.Attempts {
			if a.Fault == nil || a.Fault.RetryAfter > 0 || a.State == AttemptWithdrawn {
				continue
			}
			key := fmt.Sprint(a.Round, a.Rung, a.Fault.Class)
			failed[key]++
			if limit := max(tool.Rungs[a.Rung].Retry.MaxAttempts, 1); failed[key] > limit {
				g.Fatalf("%s failed %d times as %s, the policy allows %d", u.ID, failed[key], key, limit)
			}
			last := n == len(u.Attempts)-1
			if tool.Effects == EffectsUnsafe && a.Fault.MayHaveActed() && !last && u.Attempts[n+1].Round == a.Round {
				g.Fatalf("%s may have acted in %+v and was queued again", u.ID, a)
			}
		}
	}
}

// drain lets workers succeed and people answer until the run ends: every run can reach its end from anywhere.
func (g *player) drain() {
	for range 2000 {
		w := Wants(g.state, nil)
		switch {
		case w.Result != nil:
			g.say(*w.Result)
			g.check()
			return
		case len(w.Withdraw) > 0:
			g.takeClaims()
		case len(w.Steps) > 0:
			g.say(Succeeded{Attempt: w.Steps[0].Attempt, Output: json.RawMessage(`[1]`)})
		case len(w.Escalations) > 0:
			e := g.state.Escalations[w.Escalations[0]]
			verb := e.Allowed[len(e.Allowed)-1]
			if e.Unit == RunUnit && e.Kind == KindDeadline {
				verb = VerbRetry
			}
			g.say(Decided{Escalation: e.ID, Verb: verb, By: "bo"})
		default:
			g.fire()
		}
		g.check()
	}
	g.Fatalf("the run does not end:\n%s", picture(g.state))
}

// checkCuts folds the log anew, and again with every record delivered twice.
func (g *player) checkCuts() {
	want := picture(g.state)
	if got := picture(g.refold()); got != want {
		g.Fatalf("folding anew gives\n%s\nnot\n%s", got, want)
	}
	var s *State
	for n, r := range g.log {
		s, _ = Apply(s, r)
		s, _ = Apply(s, g.log[max(0, n-1)])
		s, _ = Apply(s, r)
	}
	if picture(s) != want {
		g.Fatalf("folding with repeats gives another state")
	}
}

func drawPlan(t *rapid.T) *testPlan {
	p := &testPlan{when: map[string]string{}, with: map[string]string{}, forEach: map[string]string{}, undoWith: map[string]string{}}
	p.Plan.Name = "p"
	p.Plan.EscalateAfter = rapid.SampledFrom([]int{0, 0, 2, 4}).Draw(t, "escalate_after")
	p.Plan.Deadline = Duration(rapid.SampledFrom([]time.Duration{0, 5 * time.Second, time.Minute}).Draw(t, "deadline"))
	p.Plan.OnDeadline = rapid.SampledFrom([]OnDeadline{DeadlineEscalate, DeadlineFail}).Draw(t, "on_deadline")
	p.output = rapid.SampledFrom([]string{"", "json:1", "fail"}).Draw(t, "output")
	p.Tools = map[string]Tool{"undo": parseTool("undo", map[string]string{"max": "1"})}
	for _, e := range []Effects{EffectsNone, EffectsIdempotent, EffectsUnsafe} {
		tool := parseTool(string(e), map[string]string{"rungs": rapid.SampledFrom([]string{"a", "a,b", "a,b,c"}).Draw(t, "rungs"), "max": rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "max")})
		tool.Effects, tool.Timeout = e, Duration(rapid.SampledFrom([]time.Duration{0, 3 * time.Second, time.Minute}).Draw(t, "timeout"))
		p.Tools[string(e)] = tool
	}
	for i := range rapid.IntRange(1, 6).Draw(t, "steps") {
		p.Plan.Steps = append(p.Plan.Steps, drawStep(t, p, i))
	}
	return p
}

func drawStep(t *rapid.T, p *testPlan, i int) Step {
	id := fmt.Sprintf("s%d", i)
	st := Step{
		ID: id, Tool: string(rapid.SampledFrom([]Effects{EffectsNone, EffectsIdempotent, EffectsUnsafe}).Draw(t, "tool")),
		OnFailure:   rapid.SampledFrom([]OnFailure{OnFailureEscalate, OnFailureSkip, OnFailureFail}).Draw(t, "on_failure"),
		MaxParallel: rapid.IntRange(0, 2).Draw(t, "max_parallel"),
	}
	for j := range i {
		if rapid.Bool().Draw(t, "needs") {
			st.Needs = append(st.Needs, p.Plan.Steps[j].ID)
		}
	}
	if rapid.IntRange(0, 2).Draw(t, "compensated") == 0 {
		st.Compensate = &Compensate{Tool: "undo"}
	}
	p.when[id] = rapid.SampledFrom([]string{"", "", "json:true", "json:false", "fail"}).Draw(t, "when")
	p.with[id] = rapid.SampledFrom([]string{"", `json:{"a":1}`, "fail"}).Draw(t, "with")
	p.forEach[id] = rapid.SampledFrom([]string{"", "", "", "json:[1,2,3]", "json:[]", "fail"}).Draw(t, "for_each")
	return st
}
