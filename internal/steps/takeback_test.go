package steps_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"belay/internal/steps"
	"belay/internal/stepstest"
)

// steer writes to a unit, mostly to an agent at work, and may take back what it did.
func (g *player) steer() {
	to := rapid.SampledFrom(g.State.Units).Draw(g.T, "steered").ID
	for i := range g.State.Units {
		if g.State.MayNotSteer(i) == "" && rapid.IntRange(0, 3).Draw(g.T, "agent") > 0 {
			to = g.State.Units[i].ID
		}
	}
	back := rapid.SampledFrom([]int{0, 1, 1, 2, 3}).Draw(g.T, "take back")
	g.say(steps.Steered{ID: fmt.Sprint(rapid.IntRange(0, 9).Draw(g.T, "message")), Step: to, Text: "go on", By: "ann", TakeBack: back})
}

// checkTakenBack: an agent whose turns were taken back goes on, or waits visibly; and what was done in them is not made again
// while its result is still to be had.
func (g *player) checkTakenBack() {
	s := g.State
	for i := range s.Units {
		w, ok := s.AgentWork(i)
		if !ok || s.Ending() != "" || s.Status().Ended() {
			continue
		}
		if s.Units[i].Phase() == steps.PhaseLooping && !g.atWork(w) {
			g.Fatalf("%s is at work, and nothing of it is:\n%s", s.Units[i].ID, stepstest.Picture(s))
		}
		g.checkKept(w)
	}
}

// atWork reports whether a turn of an agent, a call or a summary is not over.
func (g *player) atWork(w steps.AgentWork) bool {
	for _, t := range w.Turns {
		if !g.State.Units[t.Unit].Over() {
			return true
		}
		for _, p := range t.Calls {
			if p.Unit >= 0 && !g.State.Units[p.Unit].Over() {
				return true
			}
		}
	}
	return slices.ContainsFunc(w.Summaries, func(m steps.AgentSummary) bool { return !g.State.Units[m.Unit].Over() })
}

// checkKept: a call shows the result of one that was done in a turn taken back, which no other turn that counts shows, and has
// no attempts. And no unsafe call is made in a turn that counts while one like it, done in a turn taken back before, has not
// given its result.
func (g *player) checkKept(w steps.AgentWork) {
	s, shownBy := g.State, map[int]string{}
	undone := map[string]int{} // by what is called: done in turns taken back
	for _, t := range w.Turns {
		for _, p := range t.Calls {
			if p.Unit < 0 {
				continue
			}
			u := &s.Units[p.Unit]
			what := fmt.Sprint(p.Name, string(p.Arguments))
			of := u.ResultOf()
			switch {
			case of >= 0 && (len(u.Attempts) > 0 || s.Units[of].ResultOf() >= 0 || s.Units[of].State() != steps.StepSucceeded || string(u.Output) != string(s.Units[of].Output)):
				g.Fatalf("%s shows the result of %s, and was made itself:\n%s", u.ID, s.Units[of].ID, stepstest.Picture(s))
			case of >= 0 && t.Back == nil && shownBy[of] != "":
				g.Fatalf("%s and %s both show the result of %s", u.ID, shownBy[of], s.Units[of].ID)
			case of >= 0 && t.Back == nil:
				shownBy[of] = u.ID
				undone[what]--
			case t.Back != nil && of < 0 && u.State() == steps.StepSucceeded && !u.Edited() && g.pays(p.Unit):
				undone[what]++
			}
		}
	}
	g.checkNotAgain(w, undone)
}

// pays reports whether a call that has succeeded was really made by a tool that must not be repeated.
func (g *player) pays(i int) bool {
	u, t := &g.State.Units[i], g.State.Tool(i)
	return submitted(g.State, i).Effects.Unsafe() && (u.AnswerBy != "" || !t.Rung(u.Rung).Harmless())
}

// checkNotAgain: left says how many calls, done in turns taken back, have not given their result to a turn that counts; the
// last turn has begun after all of them were done.
func (g *player) checkNotAgain(w steps.AgentWork, left map[string]int) {
	t := w.Turns[len(w.Turns)-1]
	for _, p := range t.Calls {
		what := fmt.Sprint(p.Name, string(p.Arguments))
		if t.Back == nil && p.Unit >= 0 && len(g.State.Units[p.Unit].Attempts) > 0 && left[what] > 0 {
			g.Fatalf("%s is made, although %s was done and taken back:\n%s", g.State.Units[p.Unit].ID, what, stepstest.Picture(g.State))
		}
	}
}

// TestWhatTheModelHearsOfATurnTakenBack: who took it back, why, what stays done, and nothing else of it.
func TestWhatTheModelHearsOfATurnTakenBack(t *testing.T) {
	t.Parallel()
	const plan = "tool model\ntool pay effects=unsafe max=1\ntool wire effects=unsafe max=1\ntool look\nstep a tool=model agent=pay,wire,look turns=9 keep_turns=1\nsubmit\n"
	const one = "says a~t1 0-0-1 10 first look:{}\nok a~t1.1 0-0-1 1\n"
	const two = "says a~t2 0-0-1 10 second pay:{\"n\":1} wire:{} look:{}\nclaimed a~t2.1 0-0-1 w\nok a~t2.1 0-0-1 \"paid\"\nclaimed a~t2.2 0-0-1 w\nfail a~t2.2 0-0-1 timeout maybe\nok a~t2.3 0-0-1 1\n"
	st := played(t, plan+one+two+"take-back a m1 2 ask first\ndecide r-2 skip\n")
	c := conversationOf(t, st, "a~t3")
	var said []string
	for _, m := range c.Messages {
		said = append(said, m.Role+" "+m.Text)
	}
	got := strings.Join(said, "\n")
	want := "user do_it\nassistant first\ntool 1\nuser ann has taken back what you said after turn 1; it is not shown to you any more. These calls were made in it, and stay made: " +
		"pay {\"n\":1}. If you propose one of them again, you get the result that it had, once for each, and it is not made again. " +
		"These calls gave no result, and may have happened all the same: wire {}.\nA message from ann: ask first"
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	st.Command("says a~t3 0-0-1 10 x pay:{\"n\":1}")
	c = conversationOf(t, st, "a~t4")
	if last := c.Messages[len(c.Messages)-1].Text; last != `{"made_before":"in a turn that was taken back; it was not made again","output":"paid"}` {
		t.Error(last)
	}
	if first := c.Messages[0].Text; !strings.Contains(first, "(Your first 1 turn are left out here; in them you have called look 1 times.)") {
		t.Error(first)
	}
	st = played(t, plan+one+"take-back a m1 1\nwithdrawn a~t2 0-0-1")
	c = conversationOf(t, st, "a~t3")
	if got := c.Messages[len(c.Messages)-1].Text; len(c.Messages) != 2 || got != "ann has taken back all that you had said; it is not shown to you any more. No call was made in it that has changed anything." {
		t.Errorf("%d messages: %s", len(c.Messages), got)
	}
}

// TestTakenBackAtRandom plays agents that get far, and whose turns are taken back again and again: what [TestInvariants] asks
// holds for them, and its runs seldom get there.
func TestTakenBackAtRandom(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := &player{T: t, World: stepstest.NewWorld(t), plan: stepstest.NewPlan()}
		g.Apply = steps.Apply
		g.plan.Plan.Name, g.plan.Tools = "p", map[string]steps.Tool{"undo": stepstest.ParseTool("undo", map[string]string{"max": "1"})}
		for _, e := range []steps.Effects{steps.EffectsNone, steps.EffectsIdempotent, steps.EffectsUnsafe} {
			tool := stepstest.ParseTool(string(e), map[string]string{"max": rapid.SampledFrom([]string{"1", "3"}).Draw(t, "max"), "verify": rapid.SampledFrom([]string{"", "output-is:[1]"}).Draw(t, "verify")})
			tool.Effects, tool.Undo = e, &steps.Compensate{Tool: "undo"}
			g.plan.Tools[string(e)] = tool
		}
		agent := drawAgent(t)
		agent.Prompt, agent.Limits = []byte(`"json:\"go\""`), steps.AgentLimits{Turns: 20, Calls: 60, Repeats: 20, Refusals: 20}
		g.plan.Plan.Steps = []steps.Step{{ID: "s0", Tool: "none", Agent: agent, OnFailure: steps.OnFailureEscalate}}
		g.Add(steps.Submitted{Epoch: steps.Epoch, Program: g.plan.Program(), Input: []byte(`{}`), By: "sue"})
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			g.goFar()
			g.check()
		}
		g.drain()
		g.checkCuts()
	})
}

// goFar does one thing that can happen, mostly something that succeeds.
func (g *player) goFar() {
	switch rapid.IntRange(0, 12).Draw(g.T, "move") {
	case 0, 1:
		g.steer()
	case 2, 3:
		g.takeClaims()
	case 4:
		g.decide()
	case 5:
		g.work()
	case 6:
		g.fire()
	default:
		if m, ok := g.pick(); ok {
			g.begin(m, "w1")
			g.say(steps.Succeeded{Attempt: m.Attempt, Worker: "w1", Output: g.output(m), Usage: &steps.Usage{Input: 5, Output: 5}})
		}
	}
}
