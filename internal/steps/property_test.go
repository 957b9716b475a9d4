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
//   - whatever a worker may still begin is not over ([world.checkLoose]);
//
// and at the end that the fold of the log is the same wherever it is cut.
func TestInvariants(t *testing.T) { rapid.Check(t, playRun) }

// FuzzInvariants is the same for the coverage-guided fuzzer.
func FuzzInvariants(f *testing.F) { f.Fuzz(rapid.MakeFuzz(playRun)) }

func playRun(t *rapid.T) {
	g := &player{T: t, world: newWorld(t), plan: drawPlan(t)}
	g.add(Submitted{Epoch: Epoch, Program: g.plan.program(), Input: json.RawMessage(`{}`), By: "sue"})
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
	switch rapid.SampledFrom([]string{"work", "work", "work", "work", "clock", "decide", "repeat", "withdraw", "cancel", "object", "unserved", "noise"}).Draw(g.T, "move") {
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
	case "object":
		if m, ok := g.pick(); ok && rapid.IntRange(0, 3).Draw(g.T, "rare") == 0 {
			g.object(m)
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
	if m.Claimed() {
		g.say(Claimed{Attempt: m.Attempt, Worker: worker})
		return
	}
	g.say(Started{Attempt: m.Attempt, Worker: worker, Delivery: rapid.SampledFrom([]string{"", "d1"}).Draw(g.T, "delivery")})
}

// object lets a worker hand a message back whose tools file is another one.
func (g *player) object(m StepMessage) {
	tool := parseTool(m.Tool, drawTool(g.T))
	tool.Effects = rapid.SampledFrom([]Effects{EffectsNone, EffectsIdempotent, EffectsUnsafe}).Draw(g.T, "effects")
	g.ended[AttemptName(m.Run, m.Attempt)] = true
	g.add(objection(m.Attempt, rapid.SampledFrom([]string{"w1", "w2"}).Draw(g.T, "worker"), tool))
	i := g.state.Unit(m.Step)
	if slices.Contains(m.Policies.Heard, tool.Policy().Digest()) {
		return
	}
	if u := &g.state.Units[i]; g.state.Tool(i).Effects.Unsafe() && u.State.InQueue() && !g.state.probing(i) {
		for n := range u.Attempts {
			if rec := &u.Attempts[n]; rec.Round == u.Round && rec.Fault != nil && rec.Fault.MayHaveActed() && rec.State == AttemptFailed {
				g.Fatalf("%s is unsafe now, may have acted in %+v, and was queued again", m.Tool, *rec)
			}
		}
	}
	if got := g.state.Tool(i); got.Effects != saferEffects(tool.Effects, got.Effects) && len(g.state.heard[m.Tool].digests) < maxPolicies {
		g.Fatalf("%s says that %s is %s, but the run goes by %s", "a worker", m.Tool, tool.Effects, got.Effects)
	}
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
		g.say(withdrawal(m))
	}
}

func (g *player) decide() {
	for n := range g.state.Escalations {
		e := g.state.Escalations[n]
		if e.State != EscalationOpen {
			continue
		}
		verb := rapid.SampledFrom([]Verb{VerbRetry, VerbEdit, VerbAnswer, VerbSkip, VerbAbort, VerbApprove, VerbApprove, VerbReject, VerbVerify}).Draw(g.T, "verb")
		g.say(g.decision(n, verb, rapid.SampledFrom([]string{"ann", "bo", "sue"}).Draw(g.T, "by")))
		return
	}
}

// decision is a person's; sometimes a grant is forged for something else than what is asked.
func (g *player) decision(n int, v Verb, by string) Decided {
	d := Decided{Escalation: g.state.Escalations[n].ID, Verb: v, By: by, Reason: "so", Params: json.RawMessage(`{"p":2}`), Answer: json.RawMessage(`[9]`)}
	if den, _ := Reopens(g.state, n, d); den != nil && rapid.Bool().Draw(g.T, "reopens") {
		d.Reopens = den.Escalation
	}
	grant, ok, err := GrantFor(g.state, n, d)
	if !ok || err != nil || rapid.IntRange(0, 3).Draw(g.T, "ungranted") == 0 {
		return d
	}
	switch rapid.IntRange(0, 9).Draw(g.T, "forged") {
	case 0:
		grant.Digest = "x"
	case 1:
		grant.Round++
	case 2:
		grant.By = "eve"
	case 3:
		grant.Run = "q"
	}
	d.Grant = &grant
	return d
}

// checkApproved: nothing that needs approval is in the queue without as many as it needs, for exactly these parameters.
func (g *player) checkApproved() {
	for _, m := range Wants(g.state, nil).Steps {
		t := g.state.Tool(g.state.Unit(m.Step))
		if len(m.Policies.Heard) < g.state.policiesOf(g.state.Unit(m.Step)) {
			continue // it was queued before the rule was heard of; the worker that brought it up hands it back
		}
		if t.Approval == nil || t.Approval.When == "json:false" || m.RungName == VerifyRung || t.Rung(m.Rung).Harmless() {
			continue
		}
		digest, err := t.CallDigest(m.Params)
		who := map[string]bool{}
		for _, grant := range m.Grants {
			if grant.Digest == digest && grant.Run == m.Run && grant.Step == m.Step && grant.Round == m.Round && (!t.Approval.NotSubmitter || grant.By != g.state.By) {
				who[grant.By] = true
			}
		}
		if err != nil || len(who) < t.Approval.Approvers {
			g.Fatalf("%s is queued, approved by %v: %v", m.Step, who, err)
		}
	}
}

// checkAdvice: whatever may be decided is offered, with what it does.
func (g *player) checkAdvice() {
	for n := range g.state.Escalations {
		for _, o := range MakeDossier(g.state, n).Offers {
			if o.Effect == "" {
				g.Fatalf("%s may be decided by %s, but nothing says what that does", g.state.Escalations[n].ID, o.Verb)
			}
		}
	}
}

func (g *player) check() {
	g.checkAdvice()
	g.checkLive()
	g.checkApproved()
	g.checkLadders()
	if got, want := g.have(), wanted(Wants(g.state, nil), g.state); got != want {
		g.Fatalf("after %+v differences add up to\n%s\nbut wanted is\n%s", g.log[len(g.log)-1], got, want)
	}
	g.checkWanted()
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

// checkWanted: a worker that asks whether an attempt is wanted is told what the dispatcher goes by.
func (g *player) checkWanted() {
	all := Wants(g.state, nil)
	for _, m := range all.Steps {
		if got := Wanted(g.state, m); got != WantsThis {
			g.Fatalf("%s is queued, and a worker is told %d", m.Step, got)
		}
		m.Params = json.RawMessage(`{"forged":1}`)
		if got := Wanted(g.state, m); got != NeverDid {
			g.Fatalf("%s with other parameters: a worker is told %d", m.Step, got)
		}
	}
	for _, m := range append(all.Withdraw, all.Gone...) {
		if got := Wanted(g.state, m); got != WantsNot {
			g.Fatalf("%s is to be taken back, and a worker is told %d", m.Step, got)
		}
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
		if i != RunUnit && g.state.Units[i].State != StepEscalated && g.state.Units[i].State != StepUnknown && g.state.Units[i].State != StepHeld {
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
			if a.Fault == nil || a.Fault.RetryAfter > 0 || a.State == AttemptWithdrawn || a.Rung == len(tool.Rungs) {
				continue
			}
			key := fmt.Sprint(a.Round, a.Rung, a.Fault.Class)
			failed[key]++
			if limit := max(tool.Rung(a.Rung).Retry.MaxAttempts, 1); failed[key] > limit {
				g.Fatalf("%s failed %d times as %s, the policy allows %d", u.ID, failed[key], key, limit)
			}
			last := n == len(u.Attempts)-1
			probe := a.Rung == len(tool.Rungs) || !last && u.Attempts[n+1].Rung == len(tool.Rungs)
			if g.state.pinned(i).Effects == EffectsUnsafe && a.Fault.MayHaveActed() && !probe && !last && u.Attempts[n+1].Round == a.Round {
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
			if e.Kind == KindApproval {
				g.approveAll(w.Escalations[0])
				break
			}
			g.say(Decided{Escalation: e.ID, Verb: verb, By: "bo"})
		default:
			g.fire()
		}
		g.check()
	}
	g.Fatalf("the run does not end:\n%s", picture(g.state))
}

func (g *player) approveAll(n int) {
	for _, by := range []string{"mia", "bo"} {
		d := Decided{Escalation: g.state.Escalations[n].ID, Verb: VerbApprove, By: by}
		if grant, ok, _ := GrantFor(g.state, n, d); ok {
			d.Grant = &grant
		}
		g.say(d)
	}
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
		tool := parseTool(string(e), drawTool(t))
		tool.Effects, tool.Timeout = e, Duration(rapid.SampledFrom([]time.Duration{0, 3 * time.Second, time.Minute}).Draw(t, "timeout"))
		p.Tools[string(e)] = tool
	}
	for i := range rapid.IntRange(1, 6).Draw(t, "steps") {
		p.Plan.Steps = append(p.Plan.Steps, drawStep(t, p, i))
	}
	return p
}

func drawTool(t *rapid.T) map[string]string {
	one := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
	return map[string]string{
		"rungs": one("rungs", "a", "a,b", "a,b,c", "a,cached", "a,human", "human,b"), "max": one("max", "1", "2", "3"),
		"approval": one("approval", "", "", "always", "json:true", "json:false", "fail"), "approvers": one("approvers", "1", "2"), "others": one("others", "", "yes"),
		"deadline": one("deadline", "", "2s"), "on_deadline": one("on_deadline", "escalate", "fail", "fallback", "park"),
		"on_reject": one("on_reject", "", "skip", "fail", "fallback"), "ask": one("ask", "", "2s"), "on_ask": one("on_ask", "escalate", "fail", "fallback", "park"),
		"verify": one("verify", "", "", "output-is:[1]", "fail"),
	}
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
