package wire

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"belay/internal/steps"
)

var (
	anyName    = rapid.StringMatching(`[A-Za-z0-9_-]{1,64}`)
	anyTool    = rapid.StringMatching(`[A-Za-z0-9_-]{1,20}(\.[A-Za-z0-9_-]{1,20}){0,2}`)
	anyUnit    = rapid.StringMatching(`[A-Za-z0-9_-]{1,64}(~[0-9]{1,4})?(~undo)?`)
	anyPrefix  = rapid.StringMatching(`[a-z]{1,8}(\.[a-z]{1,8})?`)
	anyAttempt = rapid.Custom(func(t *rapid.T) steps.Attempt {
		small := rapid.IntRange(0, 1000)
		return steps.Attempt{
			Step: anyUnit.Draw(t, "step"), Round: small.Draw(t, "round"), Rung: small.Draw(t, "rung"), Try: small.Draw(t, "try") + 1,
		}
	})
)

func TestEveryNameComesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := Names{Prefix: anyPrefix.Draw(t, "prefix")}
		tool, rung, run, a := anyTool.Draw(t, "tool"), anyName.Draw(t, "rung"), anyName.Draw(t, "run"), anyAttempt.Draw(t, "attempt")
		p := rapid.IntRange(0, 99).Draw(t, "partition")
		if gotTool, gotRung, gotRun, gotA, ok := n.ParseStep(n.Step(tool, rung, run, a)); !ok || gotTool != tool || gotRung != rung || gotRun != run || gotA != a {
			t.Fatalf("step %s: %s %s %s %v %v", n.Step(tool, rung, run, a), gotTool, gotRung, gotRun, gotA, ok)
		}
		if gotTool, gotRung, ok := n.ParseStepFilter(n.StepFilter(tool, rung)); !ok || gotTool != tool || gotRung != rung {
			t.Fatalf("filter %s: %s %s %v", n.StepFilter(tool, rung), gotTool, gotRung, ok)
		}
		for _, verb := range []string{n.TimerSet(p, run), n.TimerDue(p, run)} {
			if gotP, gotRun, ok := n.ParseTimer(verb); !ok || gotP != p || gotRun != run {
				t.Fatalf("timer %s: %d %s %v", verb, gotP, gotRun, ok)
			}
		}
		for _, kind := range []string{KindPlan, KindOutcome, KindClaim, KindDecision, KindClock, KindResult} {
			if gotP, gotRun, gotKind, ok := n.ParseLog(n.Log(p, run, kind)); !ok || gotP != p || gotRun != run || gotKind != kind {
				t.Fatalf("log %s: %d %s %s %v", n.Log(p, run, kind), gotP, gotRun, gotKind, ok)
			}
		}
		if gotP, gotRun, kind, ok := n.ParseLog(n.Claim(p, run, a)); !ok || gotP != p || gotRun != run || kind != KindClaim {
			t.Fatalf("claim %s: %d %s %s %v", n.Claim(p, run, a), gotP, gotRun, kind, ok)
		}
		if gotP, gotRun, kind, ok := n.ParseLog(n.Outcome(p, run, tool)); !ok || gotP != p || gotRun != run || kind != KindOutcome {
			t.Fatalf("outcome %s: %d %s %s %v", n.Outcome(p, run, tool), gotP, gotRun, kind, ok)
		}
		if gotP, gotRun, kind, ok := n.ParseLog(n.ToolClaim(p, run, tool, a)); !ok || gotP != p || gotRun != run || kind != KindClaim {
			t.Fatalf("claim %s: %d %s %s %v", n.ToolClaim(p, run, tool, a), gotP, gotRun, kind, ok)
		}
		for subject, want := range map[string]string{n.Outcome(p, run, tool): tool, n.Log(p, run, KindOutcome): "", n.ToolClaim(p, run, tool, a): tool, n.Claim(p, run, a): ""} {
			if got, ok := n.LogTool(subject); !ok || got != want {
				t.Fatalf("%s is of %q %v", subject, got, ok)
			}
			if _, ok := n.LogTool(subject + "."); ok {
				t.Fatalf("%s. is one", subject)
			}
		}
		for _, subject := range []string{n.Outcome(p, run, tool) + ".x", n.ToolClaim(p, run, tool, a) + ".x", n.Log(p, run, KindPlan)} {
			if got, ok := n.LogTool(subject); ok || got != "" {
				t.Fatalf("%s is of %q", subject, got)
			}
		}
		if gotRun, gotA, ok := n.ParseStop(n.Stop(run, a)); !ok || gotRun != run || gotA != a {
			t.Fatalf("stop %s: %s %v %v", n.Stop(run, a), gotRun, gotA, ok)
		}
		if kind, gotTool, id, ok := n.ParseEscalation(n.Escalation(steps.KindApproval, tool, run+"-1")); !ok || kind != steps.KindApproval || gotTool != tool || id != run+"-1" {
			t.Fatalf("escalation: %s %s %s %v", kind, gotTool, id, ok)
		}
	})
}

// Two different things never share a name: a claim or a queue entry taken for another's would be lost work.
func TestNamesAreDistinct(t *testing.T) {
	t.Parallel()
	words := []string{"a", "-", "a-a", "a-", "-a", "a_a", "0", "0-0-1"}
	tools := append([]string{"a.a", "a.a-a", "a-a.a"}, words...)
	owners := map[string]string{}
	own := func(name string, parts ...any) {
		owner := fmt.Sprintf("%q", parts)
		if other, taken := owners[name]; taken && other != owner {
			t.Errorf("%s and %s are both %s", owner, other, name)
		}
		owners[name] = owner
	}
	for _, run := range words {
		for _, step := range append([]string{"a~0", "a~1~undo"}, words...) {
			for _, a := range []steps.Attempt{{Step: step, Try: 1}, {Step: step, Round: 1, Try: 11}, {Step: step, Round: 11, Try: 1}, {Step: step, Rung: 1, Try: 1}} {
				own(Default.Claim(0, run, a), "claim", run, a)
				own(Default.Stop(run, a), "stop", run, a)
				for _, tool := range tools {
					own(Default.ToolClaim(0, run, tool, a), "claim", tool, run, a)
					own(Default.Step(tool, "a", run, a), "step", tool, "a", run, a)
					own(Default.Step(tool, "a-a", run, a), "step", tool, "a-a", run, a)
				}
			}
		}
		for _, tool := range tools {
			own(Default.StepFilter(tool, run), "filter", tool, run)
			own(Default.Escalation(steps.KindApproval, tool, run), "approval", tool, run)
			own(Default.Escalation(steps.KindFailure, tool, run), "failure", tool, run)
		}
		own(Default.TimerSet(0, run), "set", run)
		own(Default.TimerDue(0, run), "due", run)
	}
}

func TestForeignSubjectsAreNotParsed(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", ".", "belay", "belay.", "belay.runs", "belay.runs.0", "belay.runs.0.r", "belay.runs.x.r.plan", "belayed.runs.0.r.plan", "belay.steps.t",
		"belay.steps.t.r.run.step", "belay.steps.t.r.run.step.0-0-1.more", "belay.steps.t.r.run.step.x", "belay.timers.set.0", "belay.timers.set.x.r",
		"belay.timers.set.0.r.more", "belay.escalations.approval.t", "belay.stop.r.s", "belay.stop.r.s.1-2",
	} {
		_, _, _, log := Default.ParseLog(s)
		_, _, _, _, step := Default.ParseStep(s)
		_, _, filter := Default.ParseStepFilter(s)
		_, _, timer := Default.ParseTimer(s)
		_, _, _, esc := Default.ParseEscalation(s)
		_, _, stop := Default.ParseStop(s)
		if log || step || filter || timer || esc || stop {
			t.Errorf("%q was taken for one of ours: %v %v %v %v %v %v", s, log, step, filter, timer, esc, stop)
		}
	}
}

func TestValidNames(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"a": true, "A-z_09": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "a.b": false, "a b": false, "*": false, ">": false, "ä": false, "a\n": false, "a~b": false, "\x00": false,
	} {
		if ValidName(s) != want {
			t.Errorf("ValidName(%q) is not %v", s, want)
		}
		if want && !ValidTool(s) {
			t.Errorf("ValidTool(%q) is false", s)
		}
	}
	for s, want := range map[string]bool{
		"a.b": true, "a.b.c": true, "": false, ".": false, "a.": false, ".a": false, "a..b": false, "a~b": false, "a.*": false, strings.Repeat("x.", 32) + "x": false,
	} {
		if ValidTool(s) != want {
			t.Errorf("ValidTool(%q) is not %v", s, want)
		}
	}
}

func TestPartitionsAreEvenAndStable(t *testing.T) {
	t.Parallel()
	for run, want := range map[string]int{"r": 1, "run": 2, "0192f3aa-0000-7000-8000-000000000001": 0} {
		if got := Partition(run, 4); got != want {
			t.Errorf("%s is in partition %d, stored logs have it in %d", run, got, want)
		}
	}
	const count, runs = 4, 40_000
	var n [count]int
	random := rand.New(rand.NewPCG(1, 2))
	for range runs {
		id := make([]byte, 12)
		for i := range id {
			id[i] = "0123456789abcdef"[random.IntN(16)]
		}
		n[Partition("0192f3aa-"+string(id), count)]++
	}
	for p, got := range n {
		if got < runs/count*8/10 || got > runs/count*12/10 {
			t.Errorf("partition %d has %d of %d", p, got, runs)
		}
	}
}

func TestStepConsumersAreDistinct(t *testing.T) {
	t.Parallel()
	if a, b := Default.StepConsumer("a-b", "c"), Default.StepConsumer("a", "b-c"); a == b {
		t.Fatalf("a-b/c and a/b-c share the consumer %s", a)
	}
}
