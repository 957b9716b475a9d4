package steps_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/stepstest"
)

// TestInvariants plays random runs against the core: random plans, workers that succeed, fail, claim, die and report
// twice, timers, people who decide, cancel and decide again. After every event it holds that
//   - applying any record again, under its own number or as a new one, changes nothing;
//   - a live run has something wanted: a step, a withdrawal, a timer or an escalation, or something that is held back;
//   - no attempt is wanted after its outcome, and none under two messages;
//   - differences published add up to all that is wanted;
//   - an unsafe tool that may have acted is not queued again in the same round, unless it goes on with what it has left;
//   - what is lost while something stands to go on with goes on, and is not begun anew;
//   - what was done in a turn taken back is not made again before each such call has given its result once more;
//   - an agent at work has a turn or a call at work, or its last one asked about;
//   - the ladder's limits hold;
//   - an agent's summaries are as few as they are to be, and nobody is asked because one has failed;
//   - nothing that needs approval is wanted without it, nor without a passkey where the tool asks for one;
//   - whatever a worker may still begin is not over (see stepstest.World);
//
// and at the end that the fold of the log is the same wherever it is cut.
func TestInvariants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, playRun)
}

// FuzzInvariants is the same for the coverage-guided fuzzer.
func FuzzInvariants(f *testing.F) { f.Fuzz(rapid.MakeFuzz(playRun)) }

func playRun(t *rapid.T) {
	play(t, rapid.SampledFrom([]int{steps.Epoch, steps.Epoch, 2}).Draw(t, "epoch"), steps.Apply)
}

// play plays one run under the rules of an epoch, folded by apply.
func play(t *rapid.T, epoch int, apply func(*steps.State, steps.Record) (*steps.State, []int)) *player {
	g := begin(t, epoch, apply)
	for range rapid.IntRange(1, 60).Draw(t, "events") {
		g.move()
		g.check()
	}
	g.drain()
	g.checkCuts()
	return g
}

// begin submits a run.
func begin(t *rapid.T, epoch int, apply func(*steps.State, steps.Record) (*steps.State, []int)) *player {
	g := &player{T: t, World: stepstest.NewWorld(t), plan: drawPlan(t)}
	g.Apply = apply
	first := steps.Submitted{Epoch: epoch, Program: g.plan.Program(), Input: json.RawMessage(`{}`), By: "sue"}
	if rapid.IntRange(0, 4).Draw(t, "goes on") == 0 {
		done := rapid.SampledFrom([]steps.StepState{steps.StepSucceeded, steps.StepSkipped}).Draw(t, "carried")
		first.Carried = []steps.Carried{{Step: "s0", State: done, Output: json.RawMessage(`[0]`)}}
	}
	if rapid.IntRange(0, 4).Draw(t, "later") == 0 {
		first.In = steps.Duration(time.Duration(rapid.IntRange(1, 20).Draw(t, "in")) * time.Second)
	}
	g.Add(first)
	g.check()
	return g
}

type player struct {
	*rapid.T
	*stepstest.World
	plan *stepstest.Plan
	past []steps.Event

	takenOver []steps.Carried // by a replay
	before    *steps.State    // the run that goes on as this one
}

func (g *player) Fatalf(format string, args ...any) { g.T.Fatalf(format, args...) }

func (g *player) say(e steps.Event) {
	switch e := e.(type) {
	case steps.Succeeded:
		g.noteEnd(e.Attempt)
	case steps.Failed:
		if !g.overruled(e) {
			g.noteEnd(e.Attempt)
		}
	}
	g.past = append(g.past, e)
	g.Add(e)
}

// overruled reports whether a worker says that nothing happened in an attempt that another one has claimed and executes:
// that is no outcome of it.
func (g *player) overruled(e steps.Failed) bool {
	i := g.State.Unit(e.Step)
	if g.State.Epoch() < 5 || i < 0 || g.State.Attempt(i) != e.Attempt || e.Fault.MayHaveActed() {
		return false
	}
	rec := g.State.Units[i].Current()
	claimed := slices.ContainsFunc(g.past, func(past steps.Event) bool {
		c, is := past.(steps.Claimed)
		return is && c.Attempt == e.Attempt && c.Worker == rec.Worker
	})
	return claimed && rec.State == steps.AttemptRunning && rec.Worker != e.Worker
}

// noteEnd remembers that the outcome of a is in the log, if it is the current attempt's or an older one.
func (g *player) noteEnd(a steps.Attempt) { g.Ended[steps.AttemptName(g.Run, a)] = true }

// move does one thing that can happen.
func (g *player) move() {
	g.Now = g.Now.Add(time.Duration(rapid.IntRange(0, 4000).Draw(g.T, "ms")) * time.Millisecond)
	switch rapid.SampledFrom([]string{"work", "work", "work", "work", "clock", "decide", "repeat", "withdraw", "cancel", "object", "unserved", "abandon", "outlive", "late", "steer", "damage", "hold", "hold", "release", "noise"}).Draw(g.T, "move") {
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
			g.say(steps.Cancelled{By: "ann"})
		}
	case "object":
		if m, ok := g.pick(); ok && rapid.IntRange(0, 3).Draw(g.T, "rare") == 0 {
			g.object(m)
		}
	case "unserved":
		if m, ok := g.pick(); ok && rapid.IntRange(0, 3).Draw(g.T, "rare") == 0 {
			g.say(steps.Unserved{m.Attempt})
		}
	case "abandon":
		if m, ok := g.pick(); ok {
			g.abandon(m)
		}
	case "outlive":
		if m, ok := g.pick(); ok {
			g.outlive(m)
		}
	case "late":
		g.late()
	case "steer":
		g.steer()
	case "damage":
		if rapid.IntRange(0, 3).Draw(g.T, "rare") == 0 {
			g.say(steps.Damaged{Damage: fmt.Sprint("d", len(g.past)), What: "the log has lost its end", Hole: rapid.IntRange(0, 2).Draw(g.T, "hole") == 0})
		}
	case "hold":
		g.hold()
	case "release":
		g.release()
	case "noise":
		g.say(steps.Failed{Attempt: steps.Attempt{Step: "s0", Round: 7, Try: 1}, Fault: steps.Fault{Class: steps.Timeout}})
		g.say(steps.Started{Attempt: steps.Attempt{Step: "nobody~1", Try: 1}})
	}
}

// abandon lets the worker of a message die, and nobody serve its rung: what was begun ends, and nothing else does.
func (g *player) abandon(m steps.StepMessage) {
	forged := m
	forged.Params = json.RawMessage(`{"forged":1}`)
	if e := steps.Abandoned(g.State, forged); e != nil {
		g.Fatalf("a message that the run never wanted says %+v", e)
	}
	e := steps.Abandoned(g.State, m)
	i := g.State.Unit(m.Step)
	begun := g.State.Units[i].State() == steps.StepRunning && !g.State.Units[i].Recalled() && !g.State.Stopping(i)
	if (e != nil) != begun {
		g.Fatalf("begun %v, and abandoned it says %+v\n%s", begun, e, stepstest.Picture(g.State))
	}
	if e == nil {
		return
	}
	if g.say(e); g.State.Units[i].State() == steps.StepRunning && g.State.Attempt(i) == m.Attempt {
		g.Fatalf("it goes on after %+v\n%s", e, stepstest.Picture(g.State))
	}
}

// outlive lets the worker of a message be gone for sure: what it had claimed ends, is never made again by itself if it must not, and
// nothing else happens.
func (g *player) outlive(m steps.StepMessage) {
	if e := steps.Outlived(g.State, m, func(string) bool { return false }); e != nil {
		g.Fatalf("its worker may live, and it says %+v", e)
	}
	e := steps.Outlived(g.State, m, func(worker string) bool { return worker != "" })
	i := g.State.Unit(m.Step)
	claimed := m.Claimed() && g.State.Units[i].State() == steps.StepRunning && !g.State.Units[i].Recalled() && !g.State.Stopping(i)
	if (e != nil) != claimed {
		g.Fatalf("claimed %v, and outlived it says %+v\n%s", claimed, e, stepstest.Picture(g.State))
	}
	if e == nil {
		return
	}
	if unknown := e.(steps.Failed).Fault.Class == steps.Unknown; m.Effects.Unsafe() && !unknown {
		g.Fatalf("it may have happened, and it says %+v", e)
	}
	if g.say(e); g.State.Units[i].State() == steps.StepRunning && g.State.Attempt(i) == m.Attempt {
		g.Fatalf("it goes on after %+v\n%s", e, stepstest.Picture(g.State))
	}
}

// late lets the worker that holds the claim of an attempt whose outcome is unknown say what became of it, at any time.
func (g *player) late() {
	if g.State.Epoch() < 4 {
		return // before, such a word could come too late, or send the step to an attempt that it had made before
	}
	for i := range g.State.Units {
		for _, rec := range g.State.Units[i].Attempts {
			if rec.State != steps.AttemptUnknown || rec.Worker == "" || rapid.IntRange(0, 2).Draw(g.T, "which") > 0 {
				continue
			}
			a := steps.Attempt{Step: g.State.Units[i].ID, Round: rec.Round, Rung: rec.Rung, Try: rec.Try}
			if rapid.Bool().Draw(g.T, "happened") {
				g.say(steps.Succeeded{Attempt: a, Worker: rec.Worker, Output: json.RawMessage(`[3]`)})
				return
			}
			g.say(steps.Failed{Attempt: a, Worker: rec.Worker, Fault: steps.Fault{Class: steps.Unavailable, Acted: steps.ActedNo, Message: "refused"}})
			return
		}
	}
}

// repeat says something again, later. An outcome of an old round, rung or try moves nothing.
func (g *player) repeat(e steps.Event) {
	var a steps.Attempt
	switch e := e.(type) {
	case steps.Succeeded:
		a = e.Attempt
	case steps.Failed:
		a = e.Attempt
	}
	i := g.State.Unit(a.Step)
	if i < 0 || g.State.Attempt(i) == a {
		g.Add(e)
		return
	}
	before := g.Have() + string(g.State.Units[i].State())
	if g.Add(e); g.Have()+string(g.State.Units[i].State()) != before {
		g.Fatalf("late %+v moved something:\n%s", e, stepstest.Picture(g.State))
	}
}

func (g *player) pick() (steps.StepMessage, bool) {
	var names []string
	for name := range g.Queue {
		names = append(names, name)
	}
	if len(names) == 0 {
		return steps.StepMessage{}, false
	}
	slices.Sort(names)
	return g.Queue[rapid.SampledFrom(names).Draw(g.T, "attempt")], true
}

// inHand is a message that is being taken back, of which a worker has not heard so.
func (g *player) inHand() (steps.StepMessage, bool) {
	list := steps.Wants(g.State, nil).Withdraw
	if len(list) == 0 {
		return steps.StepMessage{}, false
	}
	return rapid.SampledFrom(list).Draw(g.T, "withdrawn"), true
}

var allClasses = []steps.Class{steps.Timeout, steps.RateLimited, steps.Unavailable, steps.Connection, steps.Crashed, steps.InvalidOutput, steps.InvalidInput, steps.NotFound, steps.ToolError, steps.NeedsHuman, steps.Unknown}

// work lets a worker do something with a queued message.
func (g *player) work() {
	m, ok := g.pick()
	if rapid.IntRange(0, 4).Draw(g.T, "in hand") == 0 {
		m, ok = g.inHand()
	}
	if !ok {
		return
	}
	worker := rapid.SampledFrom([]string{"w1", "w2"}).Draw(g.T, "worker")
	switch rapid.IntRange(0, 8).Draw(g.T, "does") {
	case 0:
		g.begin(m, worker)
	case 8:
		g.spoil(m, worker)
	case 6:
		g.begin(m, worker)
		g.say(steps.Resumable{Attempt: m.Attempt, Worker: worker, Resume: steps.Resume{Value: json.RawMessage(`1`), About: "a task", Harmless: rapid.IntRange(0, 4).Draw(g.T, "looks") > 0}})
	case 7:
		g.leave(m, worker)
	case 1, 2:
		g.begin(m, worker)
		g.say(steps.Succeeded{Attempt: m.Attempt, Worker: worker, Output: g.output(m), Usage: &steps.Usage{Input: 5, Output: 5}})
	default:
		f := steps.Fault{
			Class: rapid.SampledFrom(allClasses).Draw(g.T, "class"), Message: "x",
			Acted:      rapid.SampledFrom([]steps.Acted{steps.ActedNo, steps.ActedMaybe}).Draw(g.T, "acted"),
			RetryAfter: steps.Duration(rapid.IntRange(0, 2).Draw(g.T, "after")) * steps.Duration(time.Second),
		}
		g.say(steps.Failed{Attempt: m.Attempt, Worker: worker, Fault: f})
	}
}

// spoil lets a worker write what nobody can read, before it begins or after.
func (g *player) spoil(m steps.StepMessage, worker string) {
	j := steps.Junk{Attempt: m.Attempt, Why: "x"}
	switch rapid.IntRange(0, 3).Draw(g.T, "spoils") {
	case 0:
		g.begin(m, worker)
	case 1:
		j.Claim = m.Claimed()
	case 2:
		j.Policy = true
	}
	g.say(j)
}

// output is what an attempt gives: of a model's turn mostly calls, which fit or do not.
func (g *player) output(m steps.StepMessage) json.RawMessage {
	if i := g.State.Unit(m.Step); !g.State.Units[i].IsTurn() {
		return json.RawMessage(`[1,2]`)
	}
	one := rapid.SampledFrom([]string{`{"name":"none","arguments":{"a":1}}`, `{"name":"unsafe","arguments":{"a":1}}`, `{"name":"unsafe","arguments":{"b":1}}`,
		`{"name":"idempotent","arguments":{"bad":1}}`, `{"name":"made_up"}`, `{"name":"none","unreadable":"x"}`, `{"name":"none","arguments":[1]}`})
	calls := ""
	for n := range rapid.IntRange(0, 3).Draw(g.T, "calls") {
		if n > 0 {
			calls += ","
		}
		calls += one.Draw(g.T, "call")
	}
	return json.RawMessage(`{"text":"x","calls":[` + calls + `]}`)
}

func (g *player) begin(m steps.StepMessage, worker string) {
	if m.Claimed() {
		g.say(steps.Claimed{Attempt: m.Attempt, Worker: worker})
		return
	}
	g.say(steps.Started{Attempt: m.Attempt, Worker: worker, Delivery: rapid.SampledFrom([]string{"", "d1"}).Draw(g.T, "delivery")})
}

// object lets a worker hand a message back whose tools file is another one.
func (g *player) object(m steps.StepMessage) {
	tool := stepstest.ParseTool(m.Tool, drawTool(g.T))
	tool.Effects = rapid.SampledFrom([]steps.Effects{steps.EffectsNone, steps.EffectsIdempotent, steps.EffectsUnsafe}).Draw(g.T, "effects")
	g.Ended[steps.AttemptName(m.Run, m.Attempt)] = true
	g.Add(stepstest.Objection(m.Attempt, rapid.SampledFrom([]string{"w1", "w2"}).Draw(g.T, "worker"), tool))
	i := g.State.Unit(m.Step)
	if slices.Contains(m.Policies.Heard, tool.Policy().Digest()) {
		return
	}
	if u := &g.State.Units[i]; g.State.Tool(i).Effects.Unsafe() && u.State().InQueue() && !g.State.Probing(i) {
		for n := range u.Attempts {
			if rec := &u.Attempts[n]; rec.Round == u.Round && rec.Fault != nil && rec.Fault.MayHaveActed() && rec.State == steps.AttemptFailed && rec.Rung < len(g.State.Tool(i).Rungs) && u.Current().Continues == nil {
				g.Fatalf("%s is unsafe now, may have acted in %+v, and was queued again", m.Tool, *rec)
			}
		}
	}
	if got := g.State.Tool(i); got.Effects != steps.SaferEffects(tool.Effects, got.Effects) && policies(g.State, m.Tool) < steps.MaxPolicies {
		g.Fatalf("%s says that %s is %s, but the run goes by %s", "a worker", m.Tool, tool.Effects, got.Effects)
	}
}

func (g *player) fire() {
	if g.Timer.IsZero() {
		return
	}
	if g.Timer.After(g.Now) {
		g.Now = g.Timer
	}
	g.Timer = time.Time{}
	g.say(steps.Fired{})
}

func (g *player) takeClaims() {
	for _, m := range steps.Wants(g.State, nil).Withdraw {
		g.say(steps.Withdrawal(m))
	}
}

func (g *player) decide() {
	for n := range g.State.Escalations {
		e := g.State.Escalations[n]
		if e.State != steps.EscalationOpen {
			continue
		}
		verb := rapid.SampledFrom([]steps.Verb{steps.VerbRetry, steps.VerbEdit, steps.VerbAnswer, steps.VerbSkip, steps.VerbAbort, steps.VerbApprove, steps.VerbApprove, steps.VerbReject, steps.VerbVerify, steps.VerbExtend, steps.VerbFinish}).Draw(g.T, "verb")
		g.say(g.decision(n, verb, rapid.SampledFrom([]string{"ann", "bo", "sue"}).Draw(g.T, "by")))
		return
	}
}

// decision is a person's; sometimes a grant is forged for something else than what is asked.
func (g *player) decision(n int, v steps.Verb, by string) steps.Decided {
	d := steps.Decided{Escalation: g.State.Escalations[n].ID, Verb: v, By: by, Reason: "so", Scope: rapid.SampledFrom([]steps.DenialScope{"", "", steps.ScopeTool, steps.ScopeTarget}).Draw(g.T, "scope"), Params: json.RawMessage(`{"p":2}`), Answer: json.RawMessage(`[9]`)}
	if den, _ := steps.Reopens(g.State, n, d); den != nil && rapid.Bool().Draw(g.T, "reopens") {
		d.Reopens = den.Escalation
	}
	grant, ok, err := steps.GrantFor(g.State, n, d)
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
	if rapid.IntRange(0, 3).Draw(g.T, "passkey") > 0 {
		grant.Passkey = &steps.Assertion{Credential: by}
	}
	d.Grant = &grant
	return d
}

// policies is how many policies of a tool the run has heard of, the submitted one included.
func policies(s *steps.State, tool string) int {
	n := 1
	for _, d := range s.Differences() {
		if d.Tool == tool {
			n++
		}
	}
	return n
}

// submitted is the tool of unit i as it was submitted.
func submitted(s *steps.State, i int) *steps.Tool {
	n := &s.Program.Nodes[s.Units[i].Node]
	if s.Units[i].IsCall() || s.Units[i].IsUndo() {
		t := s.Program.Tools[s.Tool(i).Name]
		return &t
	}
	return n.Tool
}

// neverAsks reports whether an approval rule, or each of several that were joined, surely asks for nothing.
func neverAsks(when string, untrusted bool) bool {
	return !slices.ContainsFunc(strings.Split(when, " || "), func(one string) bool {
		one = strings.Trim(one, "()")
		return one != "json:false" && (one != "untrusted" || untrusted)
	})
}

// checkStrangers: what strangers may have written is untrusted, and so is what is made from it.
func (g *player) checkStrangers() {
	for i := range g.State.Units {
		u := &g.State.Units[i]
		if g.State.Tool(i).Trust == steps.Untrusted && u.State() == steps.StepSucceeded && u.AnswerBy == "" && !g.State.Untrusted(u.ID) {
			g.Fatalf("%s is trusted", u.ID)
		}
		if slices.ContainsFunc(g.State.Differences(), func(d steps.PolicyDifference) bool { return slices.Contains(d.Changes, "trust") }) {
			continue // what had begun before a worker said so is as it was
		}
		if u.Params == nil || u.ID != g.State.Program.Plan.Steps[u.Node].ID {
			continue
		}
		for _, need := range g.State.Program.Plan.Steps[u.Node].Needs {
			if g.State.Untrusted(need) && !g.State.Untrusted(u.ID) {
				g.Fatalf("%s is trusted, and made from %s", u.ID, need)
			}
		}
	}
}

// checkApproved: nothing that needs approval is in the queue without as many as it needs, for exactly these parameters, and each with a passkey
// where the tool asks for one.
func (g *player) checkApproved() {
	for _, m := range steps.Wants(g.State, nil).Steps {
		t := g.State.Tool(g.State.Unit(m.Step))
		if len(m.Policies.Heard) < policies(g.State, m.Tool) {
			continue // it was queued before the rule was heard of; the worker that brought it up hands it back
		}
		if t.Approval == nil || neverAsks(t.Approval.When, g.State.Untrusted(m.Step)) || m.RungName == steps.VerifyRung || t.Rung(m.Rung).Harmless() {
			continue
		}
		digest, err := t.CallDigest(m.Params)
		who := map[string]bool{}
		for _, grant := range m.Grants {
			if grant.CallKey != "" && grant.CallKey != m.Key {
				g.Fatalf("%s is called under the key %s, and its approval is for %s", m.Step, m.Key, grant.CallKey)
			}
			if t.Approval.Proof == steps.ProofPasskey && (grant.Passkey == nil || g.decidedAs(grant) != steps.VerbApprove) {
				g.Fatalf("%s is queued, approved by %s without a passkey", m.Step, grant.By)
			}
			if grant.Digest == digest && grant.Run == m.Run && grant.Step == m.Step && grant.Round == m.Round && (!t.Approval.NotSubmitter || grant.By != g.State.By) {
				who[grant.By] = true
			}
		}
		if err != nil || len(who) < t.Approval.Approvers {
			g.Fatalf("%s is queued, approved by %v: %v", m.Step, who, err)
		}
	}
}

// decidedAs is what the decision was that an approval came with.
func (g *player) decidedAs(grant steps.Grant) steps.Verb {
	for _, r := range g.Records {
		if d, is := r.Event.(steps.Decided); is && d.Grant != nil && d.Escalation == grant.Escalation && d.By == grant.By && d.Grant.Digest == grant.Digest {
			return d.Verb
		}
	}
	return ""
}

// checkAdvice: whatever may be decided is offered, with what it does.
func (g *player) checkAdvice() {
	for n := range g.State.Escalations {
		for _, o := range view.DossierOf(g.State, n).Offers {
			if o.Effect == "" {
				g.Fatalf("%s may be decided by %s, but nothing says what that does", g.State.Escalations[n].ID, o.Verb)
			}
		}
	}
}

func (g *player) check() {
	g.checkAdvice()
	g.checkLive()
	g.checkApproved()
	g.checkStrangers()
	g.checkLadders()
	g.checkSummaries()
	g.checkTakenBack()
	g.checkHeldBack()
	g.checkTakenOver()
	g.checkMigrated()
	if got, want := g.Have(), stepstest.WantedText(steps.Wants(g.State, nil), g.State); got != want {
		g.Fatalf("after %+v differences add up to\n%s\nbut wanted is\n%s", g.Records[len(g.Records)-1], got, want)
	}
	g.checkWanted()
	due := steps.Wants(g.State, nil).Timer
	if !due.IsZero() && (g.Timer.IsZero() || g.Timer.After(due)) {
		g.Fatalf("after %+v the timer is at %v, but due at %v", g.Records[len(g.Records)-1], g.Timer, due)
	}
	before := stepstest.Picture(g.State)
	for _, r := range g.Records[max(0, len(g.Records)-3):] {
		g.again(r, before)
	}
	last := g.Records[len(g.Records)-1]
	if !last.Time.Equal(g.Now) {
		return // time has passed: saying it again now is another thing
	}
	if g.Add(last.Event); stepstest.Picture(g.State) != before {
		g.Fatalf("%+v in the log twice changed\n%s\nto\n%s", last, before, stepstest.Picture(g.State))
	}
}

// checkWanted: a worker that asks whether an attempt is wanted is told what the dispatcher goes by.
func (g *player) checkWanted() {
	all := steps.Wants(g.State, nil)
	for _, m := range all.Steps {
		if got := steps.Wanted(g.State, m); got != steps.WantsThis {
			g.Fatalf("%s is queued, and a worker is told %d", m.Step, got)
		}
		m.Params = json.RawMessage(`{"forged":1}`)
		if got := steps.Wanted(g.State, m); got != steps.NeverDid {
			g.Fatalf("%s with other parameters: a worker is told %d", m.Step, got)
		}
	}
	for _, m := range append(all.Withdraw, all.Gone...) {
		if got := steps.Wanted(g.State, m); got != steps.WantsNot {
			g.Fatalf("%s is to be taken back, and a worker is told %d", m.Step, got)
		}
	}
}

// checkLive: there is no fourth way to wait.
func (g *player) checkLive() {
	w := steps.Wants(g.State, nil)
	if g.State.Closed() || w.Result != nil {
		return
	}
	if len(w.Steps)+len(w.Withdraw)+len(w.Escalations)+g.State.HeldBack() == 0 && w.Timer.IsZero() {
		g.Fatalf("live, and nothing is wanted:\n%s", stepstest.Picture(g.State))
	}
	for _, n := range w.Escalations {
		i := g.State.Escalations[n].Unit
		if i != steps.RunUnit && g.State.Units[i].State() != steps.StepEscalated && g.State.Units[i].State() != steps.StepUnknown && g.State.Units[i].State() != steps.StepHeld {
			g.Fatalf("%s is asked about, but is %s", g.State.Units[i].ID, g.State.Units[i].State())
		}
	}
	if g.State.Status() == steps.RunWaiting && len(w.Escalations)+g.State.HeldBack() == 0 {
		g.Fatalf("waits for a person who is not asked")
	}
}

// again delivers r once more.
func (g *player) again(r steps.Record, before string) {
	s, touched := steps.Apply(g.State, r)
	if len(touched) != 0 || stepstest.Picture(s) != before {
		g.Fatalf("applying %+v again changed something", r)
	}
}

// checkSummaries: one for each keep_turns turns, after which its model is shown less than twice as many in full.
func (g *player) checkSummaries() {
	for i := range g.State.Units {
		w, ok := g.State.AgentWork(i)
		if !ok || g.State.Program.Nodes[g.State.Units[i].Node].Agent.Summary == nil {
			continue
		}
		keep, made, broken := g.State.Program.Nodes[g.State.Units[i].Node].Agent.KeepTurns, 0, 0
		for _, m := range w.Summaries {
			if m.Made == made { // the one before it was broken off at a limit
				broken++
			}
			if made = m.Made; m.Upto > m.Made-keep || m.From > m.Upto {
				g.Fatalf("a summary of turns %d to %d after %d, of which %d stay", m.From, m.Upto, m.Made, keep)
			}
		}
		if n := len(w.Summaries) - broken; n > len(w.Turns)/keep {
			g.Fatalf("%d summaries for %d turns", n, len(w.Turns))
		}
		g.checkShown(i, w, keep)
	}
}

func (g *player) checkShown(i int, w steps.AgentWork, keep int) {
	for n, turn := range w.Turns {
		c, ok := g.State.Conversation(steps.Attempt{Step: g.State.Units[turn.Unit].ID})
		if !ok {
			g.Fatalf("nothing is asked in turn %d", n+1)
		}
		full := 0
		for _, m := range c.Messages {
			if m.Role == "assistant" {
				full++
			}
		}
		if full >= 2*keep && !(w.Last && n == len(w.Turns)-1) {
			g.Fatalf("%d turns are shown in full in turn %d of %s:\n%s", full, n+1, g.State.Units[i].ID, stepstest.Picture(g.State))
		}
	}
	for n := range g.State.Escalations {
		e := &g.State.Escalations[n]
		if e.Unit == steps.RunUnit || !g.State.Units[e.Unit].IsSummary() || e.Kind == steps.KindQuestion || e.Kind == steps.KindUnknown {
			continue
		}
		if e.Fault.Class != steps.PolicyDenied {
			g.Fatalf("people are asked about %s: %s", g.State.Units[e.Unit].ID, e.Fault.Error())
		}
	}
}

func (g *player) checkLadders() {
	for i := range g.State.Units {
		u, tool := &g.State.Units[i], g.State.Tool(i)
		failed := map[string]int{}
		for n, a := range u.Attempts {
			g.checkBegunAnew(u, n)
			if a.Fault == nil || a.Fault.RetryAfter > 0 || a.State == steps.AttemptWithdrawn || a.Rung == len(tool.Rungs) {
				continue
			}
			if next := n + 1; next < len(u.Attempts) && u.Attempts[next].Continues != nil && u.Attempts[next].Round == a.Round {
				g.checkOnward(u, n)
				continue
			}
			key := fmt.Sprint(a.Round, a.Rung, a.Fault.Class)
			failed[key]++
			if limit := max(tool.Rung(a.Rung).Retry.MaxAttempts, 1); failed[key] > limit {
				g.Fatalf("%s failed %d times as %s, the policy allows %d", u.ID, failed[key], key, limit)
			}
			last := n == len(u.Attempts)-1
			probe := a.Rung == len(tool.Rungs) || !last && u.Attempts[n+1].Rung == len(tool.Rungs)
			if submitted(g.State, i).Effects == steps.EffectsUnsafe && a.Fault.MayHaveActed() && !probe && !last && u.Attempts[n+1].Round == a.Round {
				g.Fatalf("%s may have acted in %+v and was queued again", u.ID, a)
			}
		}
	}
}

// drain lets workers succeed and people answer until the run ends: every run can reach its end from anywhere.
func (g *player) drain() {
	for range 2000 {
		w := steps.Wants(g.State, nil)
		switch {
		case w.Result != nil:
			g.say(*w.Result)
			g.check()
			g.checkUndone()
			return
		case len(w.Withdraw) > 0:
			g.takeClaims()
		case len(w.Steps) > 0:
			g.say(steps.Succeeded{Attempt: w.Steps[0].Attempt, Output: g.output(w.Steps[0])})
		case len(w.Escalations) > 0:
			e := g.State.Escalations[w.Escalations[0]]
			verb := e.Allowed[len(e.Allowed)-1]
			if e.Unit == steps.RunUnit && e.Kind == steps.KindDeadline {
				verb = steps.VerbRetry
			}
			if slices.Contains(e.Allowed, steps.VerbApprove) {
				g.approveAll(w.Escalations[0])
				break
			}
			g.say(steps.Decided{Escalation: e.ID, Verb: verb, By: "bo"})
		case g.State.HeldBack() > 0:
			g.release()
		default:
			g.fire()
		}
		g.check()
	}
	g.Fatalf("the run does not end:\n%s", stepstest.Picture(g.State))
}

// checkUndone: what was done is undone in a run that ended otherwise than planned, where the plan or a tool says how, unless a
// person has ended the compensations.
func (g *player) checkUndone() {
	s := g.State
	if as, _, _ := s.EndingSince(); as == "" || s.Epoch() < 7 {
		return
	}
	left := slices.ContainsFunc(s.Escalations, func(e steps.Escalation) bool {
		return e.Unit != steps.RunUnit && s.Units[e.Unit].IsUndo() && e.Decision != nil && e.Decision.Verb == steps.VerbAbort
	})
	for i := range s.Units {
		u := &s.Units[i]
		want := u.State() == steps.StepSucceeded && g.isUndone(i) && (s.Migrates != nil || s.TakenOverFrom(i) == "")
		if has := s.Unit(u.ID+"~undo") >= 0; has && !want || !has && want && !left {
			g.Fatalf("%s is undone: %v\n%s", u.ID, has, stepstest.Picture(s))
		}
	}
}

// isUndone reports whether a unit that has succeeded is to be undone, by what plan and tools say.
func (g *player) isUndone(i int) bool {
	s, u := g.State, &g.State.Units[i]
	st := s.Program.Nodes[u.Node].Step
	byTool := g.plan.Tools[s.Tool(i).Name].Undo != nil && !st.Stays
	switch {
	case u.IsUndo(), u.IsTurn(), u.IsSummary(), u.FannedOut() && !u.Loops(), u.ResultOf() >= 0:
		return false
	case u.IsCall():
		return byTool && (st.Compensate == nil || s.Units[u.Agent()].State() != steps.StepSucceeded)
	}
	return st.Compensate != nil || st.Agent == nil && byTool
}

// approveAll has all approve who are needed. Where a passkey is asked for they try without one first, which does nothing.
func (g *player) approveAll(n int) {
	unit := g.State.Escalations[n].Unit
	if g.State.Tool(unit).Approval.Proof == steps.ProofPasskey {
		g.approveBy(n, nil)
		if e := &g.State.Escalations[n]; e.State == steps.EscalationDecided || len(e.Approvals) > 0 && e.Approvals[0].Grant.Passkey == nil {
			g.Fatalf("%s is approved without a passkey", g.State.Units[unit].ID)
		}
	}
	g.approveBy(n, &steps.Assertion{Credential: "k"})
}

func (g *player) approveBy(n int, passkey *steps.Assertion) {
	for _, by := range []string{"mia", "bo"} {
		d := steps.Decided{Escalation: g.State.Escalations[n].ID, Verb: steps.VerbApprove, By: by}
		if grant, ok, _ := steps.GrantFor(g.State, n, d); ok {
			grant.Passkey = passkey
			d.Grant = &grant
		}
		g.say(d)
	}
}

// checkCuts folds the log anew, and again with every record delivered twice.
func (g *player) checkCuts() {
	want := stepstest.Picture(g.State)
	if got := stepstest.Picture(g.Refold()); got != want {
		g.Fatalf("folding anew gives\n%s\nnot\n%s", got, want)
	}
	var s *steps.State
	for n, r := range g.Records {
		s, _ = steps.Apply(s, r)
		s, _ = steps.Apply(s, g.Records[max(0, n-1)])
		s, _ = steps.Apply(s, r)
	}
	if stepstest.Picture(s) != want {
		g.Fatalf("folding with repeats gives another state")
	}
}

func drawPlan(t *rapid.T) *stepstest.Plan {
	p := &stepstest.Plan{When: map[string]string{}, With: map[string]string{}, ForEach: map[string]string{}, UndoWith: map[string]string{}}
	p.Plan.Name = "p"
	p.Plan.EscalateAfter = rapid.SampledFrom([]int{0, 0, 2, 4}).Draw(t, "escalate_after")
	p.Plan.Deadline = steps.Duration(rapid.SampledFrom([]time.Duration{0, 5 * time.Second, time.Minute}).Draw(t, "deadline"))
	p.Plan.OnDeadline = rapid.SampledFrom([]steps.OnDeadline{steps.DeadlineEscalate, steps.DeadlineFail}).Draw(t, "on_deadline")
	p.ToolUndo = map[string]string{}
	p.Output = rapid.SampledFrom([]string{"", "json:1", "fail"}).Draw(t, "output")
	p.Tools = map[string]steps.Tool{"undo": stepstest.ParseTool("undo", map[string]string{"max": "1"})}
	for _, e := range []steps.Effects{steps.EffectsNone, steps.EffectsIdempotent, steps.EffectsUnsafe} {
		tool := stepstest.ParseTool(string(e), drawTool(t))
		tool.Effects, tool.Timeout = e, steps.Duration(rapid.SampledFrom([]time.Duration{0, 3 * time.Second, time.Minute}).Draw(t, "timeout"))
		if rapid.Bool().Draw(t, "breaker") {
			tool.Breaker = &steps.Breaker{MaxHold: steps.Duration(rapid.SampledFrom([]time.Duration{time.Second, 20 * time.Second}).Draw(t, "max_hold"))}
		}
		if rapid.Bool().Draw(t, "undone") {
			tool.Undo = &steps.Compensate{Tool: "undo"}
			p.ToolUndo[string(e)] = rapid.SampledFrom([]string{"", "params", "output", "fail"}).Draw(t, "undone with")
		}
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
		"price": one("price", "", "", "10000"), "trust": one("trust", "", "", "untrusted"), "approval": one("approval", "", "", "always", "json:true", "json:false", "untrusted", "fail"), "approvers": one("approvers", "1", "2"), "others": one("others", "", "yes"), "proof": one("proof", "", "passkey"),
		"deadline": one("deadline", "", "2s"), "on_deadline": one("on_deadline", "escalate", "fail", "fallback", "park"),
		"on_reject": one("on_reject", "", "skip", "fail", "fallback"), "ask": one("ask", "", "2s"), "on_ask": one("on_ask", "escalate", "fail", "fallback", "park"),
		"verify": one("verify", "", "", "output-is:[1]", "fail"),
	}
}

func drawStep(t *rapid.T, p *stepstest.Plan, i int) steps.Step {
	id := fmt.Sprintf("s%d", i)
	st := steps.Step{
		ID: id, Tool: string(rapid.SampledFrom([]steps.Effects{steps.EffectsNone, steps.EffectsIdempotent, steps.EffectsUnsafe}).Draw(t, "tool")),
		OnFailure:   rapid.SampledFrom([]steps.OnFailure{steps.OnFailureEscalate, steps.OnFailureSkip, steps.OnFailureFail}).Draw(t, "on_failure"),
		MaxParallel: rapid.IntRange(0, 2).Draw(t, "max_parallel"),
	}
	for j := range i {
		if rapid.Bool().Draw(t, "needs") {
			st.Needs = append(st.Needs, p.Plan.Steps[j].ID)
		}
	}
	if rapid.IntRange(0, 2).Draw(t, "compensated") == 0 {
		st.Compensate = &steps.Compensate{Tool: "undo"}
	} else {
		st.Stays = rapid.IntRange(0, 4).Draw(t, "stays") == 0
	}
	p.When[id] = rapid.SampledFrom([]string{"", "", "json:true", "json:false", "fail"}).Draw(t, "when")
	p.With[id] = rapid.SampledFrom([]string{"", `json:{"a":1}`, "fail"}).Draw(t, "with")
	p.ForEach[id] = rapid.SampledFrom([]string{"", "", "", "json:[1,2,3]", "json:[]", "fail"}).Draw(t, "for_each")
	if p.ForEach[id] == "" && rapid.IntRange(0, 3).Draw(t, "agent") == 0 {
		st.Agent = drawAgent(t)
	}
	return st
}

func drawAgent(t *rapid.T) *steps.Agent {
	few := func(name string) int { return rapid.IntRange(1, 3).Draw(t, name) }
	var summary *steps.Summary
	if rapid.Bool().Draw(t, "summary") {
		tool := rapid.SampledFrom([]string{"none", "idempotent", "unsafe"}).Draw(t, "summary's model")
		summary = &steps.Summary{Model: tool, MaxOutputTokens: 10}
	}
	return &steps.Agent{
		KeepTurns: 1, KeepOutput: rapid.IntRange(0, 3).Draw(t, "keep_output"), Summary: summary,
		Prompt: json.RawMessage(strconv.Quote(rapid.SampledFrom([]string{`json:"go"`, `json:"go"`, "fail", "json:1"}).Draw(t, "prompt"))), Tools: []string{"none", "idempotent", "unsafe"},
		OnLimit: rapid.SampledFrom([]steps.OnLimit{steps.LimitEscalate, steps.LimitFinish, steps.LimitFail}).Draw(t, "on_limit"), MaxOutputTokens: 10,
		Limits: steps.AgentLimits{
			Turns: rapid.IntRange(1, 6).Draw(t, "turns"), Calls: rapid.IntRange(1, 9).Draw(t, "calls"), Repeats: few("repeats"), Refusals: few("refusals"),
			Tokens: rapid.SampledFrom([]int64{0, 0, 20, 60}).Draw(t, "tokens"),
			USD:    steps.Dollars(float64(rapid.IntRange(0, 2).Draw(t, "usd")) * 15),
			Time:   steps.Duration(rapid.IntRange(0, 2).Draw(t, "time")) * steps.Duration(10*time.Second),
		},
	}
}
