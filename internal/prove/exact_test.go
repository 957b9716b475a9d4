package prove

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"belay/internal/steps"
	"belay/internal/wire"
)

// nextRungs are classes that go to the next rung without a retry.
var nextRungs = []steps.Class{steps.ToolError, steps.InvalidInput, steps.NotFound, steps.Conflict, steps.Forbidden, steps.Unauthorized}

// greedy spends on each rung whatever the policy grants: all tries of each class, then all waits that may be named, the
// shortest ones, and only then goes on. Attempts take no time. It loses two workers where that is possible.
func greedy(report *checker) func(*hostile, steps.StepMessage, int) act {
	return func(h *hostile, m steps.StepMessage, delivery int) act {
		i := h.state.Unit(m.Step)
		k := report.rungOf(h.state, i, m)
		lost := "lost " + m.Step
		if !m.Claimed() && h.used[lost] < lostBefore && report.crashes(m.Tool) == 0 {
			h.used[lost]++
			return act{lose: true}
		}
		if f := spend(h, report, m, k); f != nil {
			return act{fault: f}
		}
		tool := h.state.Tool(i)
		last := m.Rung >= len(tool.Rungs) || report.escalateAfter(m) == 1 ||
			!slices.ContainsFunc(tool.Rungs[m.Rung+1:], func(r steps.Rung) bool { return r.Human == nil })
		if last {
			if tool.Verify != nil && m.RungName != steps.VerifyRung {
				return act{fault: &steps.Fault{Class: steps.Unknown}} // and its probe comes
			}
			if m.Tool == "fails" {
				return act{fault: &steps.Fault{Class: steps.ToolError, Acted: steps.ActedNo}} // and the run with it: what is done is undone
			}
			return act{says: report.talk(h, m)}
		}
		return act{fault: &steps.Fault{Class: nextRungs[m.Rung%len(nextRungs)], Acted: steps.ActedNo}}
	}
}

// spend is the next fault after which the rung is tried once more; nil when all are spent.
func spend(h *hostile, c *checker, m steps.StepMessage, k *rung) *steps.Fault {
	limit := c.escalateAfter(m)
	free := func(class steps.Class) bool {
		return limit == 0 || m.RungName == steps.VerifyRung || h.used["of "+m.Tool+string(class)] < limit-1
	}
	at := fmt.Sprint(m.Step, m.Rung)
	take := func(key string, class steps.Class, f steps.Fault) *steps.Fault {
		h.used[at+key]++
		if m.RungName != steps.VerifyRung && !steps.IsSummary(m.Step) {
			h.used["of "+m.Tool+string(class)]++
		}
		f.Class, f.Acted = class, steps.ActedNo
		return &f
	}
	classes := slices.DeleteFunc(classesOf(k.Executor), func(c steps.Class) bool { return c == steps.Crashed })
	for _, class := range classes {
		if h.used[at+string(class)] < k.plain[class] && free(class) {
			return take(string(class), class, steps.Fault{})
		}
	}
	for _, class := range k.names {
		if h.used[at+"named"] < k.named && free(class) {
			return take("named", class, steps.Fault{RetryAfter: 1})
		}
	}
	if h.used[at+"crashed"] < k.plain[steps.Crashed] && free(steps.Crashed) {
		return take("crashed", steps.Crashed, steps.Fault{})
	}
	return nil
}

// escalateAfter is how many faults of a class ask people; 0 = none, as of summaries.
func (c *checker) escalateAfter(m steps.StepMessage) int {
	if steps.IsSummary(m.Step) {
		return 0
	}
	return c.plan.EscalateAfter
}

// crashes is how many crashes of one call are retried: those of programs that poll, and where `on` says so. Once three
// executions of a step are lost, what waits is reported as crashed without being executed.
func (c *checker) crashes(tool string) (n int) {
	for _, k := range newCall(c.tool(tool), 0).rungs() {
		n += k.plain[steps.Crashed]
	}
	return n
}

func (c *checker) rungOf(s *steps.State, i int, m steps.StepMessage) *rung {
	t := c.tool(m.Tool)
	if m.RungName == steps.VerifyRung {
		return newRung(t, t.Probe, &t.Tool.Verify.Rung)
	}
	return newRung(t, &t.Rungs[m.Rung], &t.Tool.Rungs[m.Rung])
}

// TestWorstCaseIsExact: hostile workers never make the core do more than was computed, and greedy ones make it do exactly
// that: attempts in all and on each dependency, executions, and time within what jitter leaves open.
func TestWorstCaseIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		tools, text := drawn(r)
		doc, parsed := parse(r, tools, text)
		c := newChecker(doc, parsed)
		w := c.worst()
		failed := func(h *hostile, format string, args ...any) {
			r.Fatalf("%s\n%s\n%s\n%s", fmt.Sprintf(format, args...), tools, text, h.story())
		}
		h := play(t, "r", randomly(r, c))
		h.wide = rapid.Bool().Draw(r, "wide")
		c.neverMore(h.until(doc), w, failed)
		h = play(t, "r", slowly(c))
		c.neverMore(h.until(doc), w, failed)
		h = play(t, "r", greedy(c))
		h.instant, h.wide = true, true
		c.neverMore(h.until(doc), w, failed)
		c.reaches(h, w, failed)
	})
}

// neverMore compares what has happened with what may.
func (c *checker) neverMore(h *hostile, w Worst, failed func(*hostile, string, ...any)) {
	if got := sum(h.attempts()); got > w.Attempts.Fixed {
		failed(h, "%d attempts, at most %d were computed", got, w.Attempts.Fixed)
	}
	for _, d := range w.Dependencies {
		if got := h.onDependency(c, d.Name, h.calls); got > d.Calls.Fixed {
			failed(h, "%d calls to %s, at most %d were computed", got, d.Name, d.Calls.Fixed)
		}
	}
	for _, a := range w.Agents {
		if got := h.spent(a.Step); a.USD > 0 && got > a.MostUSD {
			failed(h, "%s has spent %s, at most %s were computed", a.Step, got, a.MostUSD)
		}
	}
	undo := time.Duration(0)
	if h.undone() > 0 {
		undo = w.Undo.Fixed
	}
	if h.wide && len(w.Agents) > 0 {
		return
	}
	if most := w.Work.Fixed + undo; h.worked() > most && !w.Work.Endless {
		failed(h, "%s of work, at most %s were computed", h.worked(), most)
	}
}

func (h *hostile) onDependency(c *checker, name string, counts map[string]int) (n int) {
	for _, t := range c.usedTools() {
		for _, k := range newCall(t, 0).rungs() {
			if k.depends == name {
				n += counts[k.where]
			}
		}
	}
	return n
}

// spent is what the turns and summaries of an agent have cost, where nobody knows by what was reserved for them.
func (h *hostile) spent(agent string) (sum steps.Money) {
	for i := range h.state.Units {
		if u := &h.state.Units[i]; (u.IsTurn() || u.IsSummary()) && strings.HasPrefix(u.ID, agent+"~") {
			for n := range u.Attempts {
				sum += u.Attempts[n].Cost
			}
		}
	}
	return sum
}

// undone is how many calls have been undone.
func (h *hostile) undone() (n int) {
	for i := range h.state.Units {
		if h.state.Units[i].IsUndo() {
			n++
		}
	}
	return n
}

// reaches: what was computed does happen. Of the compensations those that there were: a run whose last step succeeds undoes
// nothing, nor is undone what a person has skipped.
func (c *checker) reaches(h *hostile, w Worst, failed func(*hostile, string, ...any)) {
	if c.plan.Deadline > 0 {
		return // what comes after it is not tried
	}
	most, crashes := 0, 0
	for _, s := range w.Steps {
		if !s.Undo {
			most += s.Attempts.Fixed
		}
	}
	tight := func(k *call) bool { return k.tool.Timeout > 0 && k.tool.Timeout < steps.Duration(time.Hour) }
	for i := range c.nodes {
		for _, k := range c.nodes[i].calls() {
			crashes = max(crashes, c.crashes(k.tool.Name))
		}
	}
	if crashes >= steps.CrashBudget || slices.ContainsFunc(c.nodes, func(n node) bool {
		return slices.ContainsFunc(n.calls(), tight) || n.agent != nil && (n.agent.time > 0 || n.Agent.Limits.USD > 0)
	}) {
		return // an upper bound: what waits is reported as crashed then; tight budgets have a test of their own
	}
	if c.plan.EscalateAfter > 1 && (len(w.Agents) > 0 || c.plan.Steps[0].Tool == c.plan.Steps[1].Tool || c.nodes[1].n.most > 1 || len(c.nodes[0].call.rungs()) > 1 || len(c.nodes[1].call.rungs()) > 1) {
		return // what shares the count of escalate_after: an upper bound, and the report says so
	}
	if n := h.undone(); n > 0 {
		most += n * c.nodes[0].undo[0].of[0].attempts(all)
		crashes = max(crashes, c.crashes("undo"))
	}
	if crashes >= steps.CrashBudget || c.plan.EscalateAfter > 1 && h.undone() > 1 {
		return // as above, of the compensations
	}
	if got := sum(h.attempts()); got < most {
		failed(h, "only %d attempts, %d were computed", got, most)
	}
	repeated := 0
	if c.crashes("undo") == 0 {
		repeated = h.undone() * c.nodes[0].undo[0].of[0].repeated(all)
	}
	for i := range c.nodes {
		n := &c.nodes[i]
		for _, p := range n.parts() {
			k := p.dearest()
			if k == nil {
				continue
			}
			if k.tool.Approval != nil && slices.ContainsFunc(k.rungs(), func(k *rung) bool { return k.Harmless() }) {
				return // an upper bound: a cache is claimed where the call was approved, and not where it was rejected
			}
			if c.crashes(k.tool.Name) == 0 {
				repeated += k.repeated(all) * n.n.most * p.n
			}
		}
	}
	if got := sum(h.calls); c.plan.EscalateAfter == 0 && got != most+repeated {
		failed(h, "%d executions, %d and %d were computed", got, most, repeated)
	}
}

// randomly does anything.
func randomly(r *rapid.T, c *checker) func(*hostile, steps.StepMessage, int) act {
	return func(h *hostile, m steps.StepMessage, _ int) act {
		k := c.rungOf(h.state, h.state.Unit(m.Step), m)
		a := act{lasts: time.Duration(rapid.Int64Range(0, int64(k.attempt)).Draw(r, "lasts"))}
		classes := slices.Concat(classesOf(k.Executor), nextRungs)
		f := steps.Fault{Class: rapid.SampledFrom(classes).Draw(r, "class"), Acted: rapid.SampledFrom([]steps.Acted{steps.ActedNo, steps.ActedNo, steps.ActedMaybe}).Draw(r, "acted")}
		if namesWaits(k.Executor) {
			f.RetryAfter = steps.Duration(rapid.SampledFrom([]time.Duration{0, 0, 1, time.Second, 10 * time.Second, time.Hour}).Draw(r, "after"))
		}
		does := rapid.IntRange(0, 9).Draw(r, "does")
		if h.state.Units[h.state.Unit(m.Step)].IsTurn() {
			does = rapid.IntRange(-9, 9).Draw(r, "does in a turn") // else the run seldom gets further
		}
		switch does {
		case -9, -8, -7, -6, -5, -4, -3, -2, -1, 0:
			if a.says = c.babble(r, h, m); a.says != nil && rapid.Bool().Draw(r, "counts") {
				a.usage = &steps.Usage{Input: 10, Output: rapid.Int64Range(0, 5).Draw(r, "written")}
			}
			return a
		case 1, 2:
			a.lose = true
		}
		a.fault = &f
		return a
	}
}

// slowly is greedy for time: each attempt takes as long as it may, and each named wait is the longest.
func slowly(c *checker) func(*hostile, steps.StepMessage, int) act {
	quick := greedy(c)
	return func(h *hostile, m steps.StepMessage, delivery int) act {
		k := c.rungOf(h.state, h.state.Unit(m.Step), m)
		a := quick(h, m, delivery)
		a.lasts = k.attempt
		if a.fault != nil && a.fault.RetryAfter > 0 {
			a.fault.RetryAfter = k.Retry.RetryAfterMax
		}
		return a
	}
}

// TestWorstCaseInABudget: a budget leaves room for as many named waits as fit into it, the shortest ones first, and ends
// the step a grace after it is used up.
func TestWorstCaseInABudget(t *testing.T) {
	t.Parallel()
	const text = "name: p\nsteps: [{id: a, tool: t, on_failure: skip}]\n"
	for _, test := range []struct {
		budget, rungs string
		attempts      int
		work          time.Duration
	}{
		{"10s", `[{name: a, http: {url: "http://a/"}, timeout: 1s, retry: {max_attempts: 1, initial: 4s, retry_after_max: 5s}}]`, 3, 10*time.Second + grace},
		{"8s", `[{name: a, http: {url: "http://a/"}, timeout: 1s, retry: {max_attempts: 1, initial: 4s, retry_after_max: 5s}}]`, 2, 8*time.Second + grace},
		{"10s", `[{name: a, http: {url: "http://a/"}, timeout: 1s, retry: {max_attempts: 1, initial: 4s}}, {name: b, http: {url: "http://b/"}, timeout: 1s, retry: {max_attempts: 1, initial: 3s, max_named_waits: 2}}]`, 4, 10*time.Second + grace},
		{"10s", `[{name: a, http: {url: "http://a/"}, timeout: 0s, retry: {max_attempts: 1, initial: 4s}}]`, 3, 10*time.Second + grace},
	} {
		doc, parsed := parse(t, fmt.Sprintf("tools: {t: {effects: none, timeout: %s, rungs: %s}}", test.budget, test.rungs), text)
		c := newChecker(doc, parsed)
		w := c.worst()
		if w.Attempts.Fixed != test.attempts || w.Work.Fixed != test.work {
			t.Errorf("%s %s: %d attempts and %s were computed, not %d and %s", test.budget, test.rungs, w.Attempts.Fixed, w.Work, test.attempts, test.work)
		}
		fits := c.shortest()
		h := play(t, "r", func(h *hostile, m steps.StepMessage, _ int) act {
			if h.used[m.RungName] < fits[m.RungName] {
				h.used[m.RungName]++
				return act{fault: &steps.Fault{Class: steps.RateLimited, Acted: steps.ActedNo, RetryAfter: 1}}
			}
			return act{fault: &steps.Fault{Class: steps.ToolError, Acted: steps.ActedNo}}
		}).until(doc)
		if got := sum(h.attempts()); got != test.attempts {
			t.Errorf("%s %s: the core made %d attempts of it, %d were computed\n%s", test.budget, test.rungs, got, test.attempts, h.story())
		}
		h = play(t, "r", func(*hostile, steps.StepMessage, int) act { return act{silence: true} }).until(doc)
		if h.worked() != test.work {
			t.Errorf("%s: the core worked for %s, %s were computed", test.budget, h.worked(), test.work)
		}
	}
}

// shortest is how many named waits of each rung of the only step fit into its budget.
func (c *checker) shortest() map[string]int {
	call := c.nodes[0].call
	rungs := slices.SortedFunc(slices.Values(call.segments[0]), func(a, b *rung) int { return int(a.least - b.least) })
	left, fits := time.Duration(call.tool.Timeout)-1, map[string]int{}
	for _, k := range rungs {
		fits[k.Name] = min(k.named, int(left/k.least))
		left -= time.Duration(fits[k.Name]) * k.least
	}
	return fits
}

// TestWorstTimeIsReached: without a budget, attempts that take as long as they may and waits that are as long as they may
// be add up to what was computed, but for the jitter of the waits and for workers that might have been lost.
func TestWorstTimeIsReached(t *testing.T) {
	t.Parallel()
	doc, parsed := parse(t, `tools: {t: {effects: none, timeout: 0s, rungs: [
  {name: a, http: {url: "http://a/"}, timeout: 3s, retry: {max_attempts: 3, initial: 2s, factor: 3, max: 5s, retry_after_max: 20s, max_named_waits: 2}},
  {name: b, command: {argv: [cat], grace: 2s}, timeout: 4s, retry: {max_attempts: 2, initial: 1s}}]}}`, "name: p\nsteps: [{id: a, tool: t, on_failure: skip}]\n")
	c := newChecker(doc, parsed)
	slow := slowly(c)
	h := play(t, "r", func(h *hostile, m steps.StepMessage, n int) act {
		h.used["lost a"] = lostBefore // no worker is lost
		return slow(h, m, n)
	}).until(doc)
	want := c.worst().Work.Fixed - c.nodes[0].call.losses(c.nodes[0].call.segments[0], 6*time.Second)
	// On a, 5 classes of 3 tries each, 2 named waits and the last one; on b, 3 classes of 2 tries.
	if sum := 13*3*time.Second + 5*7*time.Second + 2*20*time.Second + 4*6*time.Second + 3*time.Second; want != sum {
		t.Errorf("%s were computed, not %s", want, sum)
	}
	if got := h.worked() + h.jitter; got != want {
		t.Errorf("the core worked for %s, and %s more with longer jitter, in all %s; %s were computed\n%s", h.worked(), h.jitter, got, want, h.story())
	}
}

// TestWorstCaseBeforeADeadline: what goes on at the run's deadline may go on, and nothing new begins.
func TestWorstCaseBeforeADeadline(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		then string
		most time.Duration
	}{{"fail", 10*time.Second + steps.StopGrace + wire.HeardBy}, {"escalate", 10*time.Second + time.Second + 3*7*time.Second + 3*ackWait + pauses}} {
		doc, parsed := parse(t, `tools: {t: {effects: none, rungs: [{name: a, command: {argv: [cat], grace: 0s}, timeout: 7s, retry: {max_attempts: 2}}]}}`, "name: p\ndeadline: 10s\non_deadline: "+test.then+"\nsteps: [{id: a, tool: t}, {id: b, tool: t}]\n")
		c := newChecker(doc, parsed)
		w := c.worst()
		if !w.Cut || w.Work.Fixed != test.most {
			t.Errorf("%s: %s were computed, not %s", test.then, w.Work, test.most)
		}
		h := play(t, "r", slowly(c)).until(doc)
		if h.worked() > test.most {
			t.Errorf("%s: the core worked for %s", test.then, h.worked())
		}
	}
}

// TestWorkPutOffByAQuestion: a question whose deadline lets its step go on puts the step's work off until the step beside it is
// done.
func TestWorkPutOffByAQuestion(t *testing.T) {
	t.Parallel()
	doc, parsed := parse(t, `tools:
  ask: {effects: unsafe, timeout: 0s, rungs: [{name: person, human: {question: "?", deadline: 66m, on_deadline: fallback}}, {name: x, command: {argv: [cat], grace: 0s}, timeout: 10m, retry: {max_attempts: 1}}]}
  slow: {effects: unsafe, timeout: 0s, rungs: [{command: {argv: [cat], grace: 0s}, timeout: 65m, retry: {max_attempts: 1}}]}
`, "name: p\nsteps: [{id: a, tool: ask}, {id: b, tool: slow, needs: []}]\n")
	c := newChecker(doc, parsed)
	h := play(t, "r", func(h *hostile, m steps.StepMessage, _ int) act {
		return act{lasts: c.rungOf(h.state, h.state.Unit(m.Step), m).attempt}
	}).until(doc)
	each := c.nodes[0].work().plus(c.nodes[1].work()).Fixed
	if w := c.worst(); w.Work.Fixed != each || h.worked() != 75*time.Minute {
		t.Errorf("the core worked for %s, %s were computed, not %s\n%s", h.worked(), w.Work, each, h.story())
	}
}

// TestWhatWaitsAtTheDeadline: what is queued before the run's deadline begins after it: a retry for which the other side has
// named the wait, and a probe that waits until the call of a silent worker must be over.
func TestWhatWaitsAtTheDeadline(t *testing.T) {
	t.Parallel()
	const tools = `tools:
  first: {effects: none, rungs: [{http: {url: "http://a/"}, timeout: 10s, retry: {max_attempts: 1, max_named_waits: 1, retry_after_max: 1s}}]}
  waits: {effects: none, rungs: [{http: {url: "http://a/"}, timeout: 1s, retry: {max_attempts: 1, retry_after_max: 5m}}]}
  doubt: {effects: unsafe, rungs: [{http: {url: "http://a/"}, timeout: 1m, retry: {max_attempts: 1, max_named_waits: 1, retry_after_max: 1s}}],
    verify: {http: {url: "http://b/"}, timeout: 3s, retry: {max_attempts: 1, max_named_waits: 1, retry_after_max: 1s}, happened: output.found}}
`
	const late = 9900 * time.Millisecond // a moment before the deadline
	for _, test := range []struct {
		tool  string
		fault steps.Fault   // of its first call
		until time.Duration // that it may wait at least
	}{
		{"waits", steps.Fault{Class: steps.RateLimited, Acted: steps.ActedNo, RetryAfter: steps.Duration(5 * time.Minute)}, 5 * time.Minute},
		{"doubt", steps.Fault{Class: steps.Unknown, Acted: steps.ActedMaybe}, time.Minute + steps.RunningGrace},
	} {
		doc, parsed := parse(t, tools, "name: p\ndeadline: 10s\nsteps: [{id: a, tool: first}, {id: b, tool: "+test.tool+"}]\n")
		c := newChecker(doc, parsed)
		quick := slowly(c)
		h := play(t, "r", func(h *hostile, m steps.StepMessage, n int) act {
			switch {
			case m.Step == "a":
				return act{lasts: late}
			case h.used["first"] == 0:
				h.used["first"] = 1
				return act{fault: &test.fault}
			}
			return quick(h, m, n)
		}).until(doc)
		if w := c.worst(); h.worked() > w.Work.Fixed || h.worked() < late+test.until {
			t.Errorf("%s: the core worked for %s, %s were computed\n%s", test.tool, h.worked(), w.Work, h.story())
		}
	}
}
