package prove

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"belay/internal/plan"
	"belay/internal/steps"
)

// dearest is the call of a part that is tried most often; nil if it has none.
func (p part) dearest() (worst *call) {
	for _, k := range p.of {
		if worst == nil || k.attempts(all) > worst.attempts(all) {
			worst = k
		}
	}
	return worst
}

// proposes is what a model says that proposes n calls, each another one.
func proposes(tool string, first, n int) json.RawMessage {
	var calls []string
	for k := range n {
		calls = append(calls, fmt.Sprintf(`{"name":%q,"arguments":{"n":%d}}`, steps.CallName(tool), first+k))
	}
	return json.RawMessage(`{"text":"x","calls":[` + strings.Join(calls, ",") + `]}`)
}

// talk is what a model says so that its agent does all that its limits allow; nil if m is no turn. Each of its turns proposes
// a call as long as there are any and, where calls are made at once, the last of these turns all that are left. After that
// it answers what does not fit or, where everything fits, proposes one call too many.
func (c *checker) talk(h *hostile, m steps.StepMessage) json.RawMessage {
	if !h.state.Units[h.state.Unit(m.Step)].IsTurn() {
		return nil
	}
	id, _, _ := strings.Cut(m.Step, "~")
	n, turns, made := &c.nodes[c.index[id]], 0, 0
	for i := range h.state.Units {
		u := &h.state.Units[i]
		if of, _, _ := strings.Cut(u.ID, "~"); of == id && u.IsTurn() {
			turns++
		} else if of == id && u.IsCall() {
			made++
		}
	}
	tool := "made_up"
	if k := n.parts()[1].dearest(); k != nil {
		tool = k.tool.Name
	}
	switch {
	case turns < n.agent.waves:
		return proposes(tool, made, 1)
	case turns == n.agent.waves && h.wide:
		return proposes(tool, made, n.agent.calls-made)
	case turns == n.agent.waves:
		return proposes(tool, made, 1)
	case len(n.Agent.OutputSchema) > 0:
		return json.RawMessage(`{"object":{}}`)
	}
	return proposes(tool, made, n.agent.calls-made+1)
}

// babble is anything that a model may say in turn m; nil if it is none.
func (c *checker) babble(r *rapid.T, h *hostile, m steps.StepMessage) json.RawMessage {
	if !h.state.Units[h.state.Unit(m.Step)].IsTurn() {
		return nil
	}
	id, _, _ := strings.Cut(m.Step, "~")
	n, most := &c.nodes[c.index[id]], 1
	if h.wide {
		most = 3
	}
	calls := rapid.IntRange(-1, most).Draw(r, "calls")
	if calls < 0 {
		return json.RawMessage(rapid.SampledFrom([]string{`{"object":{"ok":1}}`, `{"object":{}}`, `{"text":"x"}`, `null`, `{"calls":[{"name":"made_up"}]}`}).Draw(r, "answer"))
	}
	tools := append(slices.Clone(n.Agent.Tools), "made_up")
	return proposes(rapid.SampledFrom(tools).Draw(r, "tool"), rapid.IntRange(0, 2).Draw(r, "argument"), max(calls, 1))
}

// TestWorstTimeOfAgents: turns and calls that take as long as they may add up to what was computed, but for workers that
// might have been lost. With a limit of time a turn begins just before it, and its call, and the last turn, come after it.
func TestWorstTimeOfAgents(t *testing.T) {
	t.Parallel()
	const tools = `tools:
  m: {effects: none, timeout: 0s, rungs: [{command: {argv: [cat], grace: 0s}, timeout: 10s, retry: {max_attempts: 1}}]}
  quick: {effects: none, timeout: 0s, rungs: [{command: {argv: [cat], grace: 0s}, timeout: 1s, retry: {max_attempts: 1}}]}
  slow: {effects: none, timeout: 0s, rungs: [{command: {argv: [cat], grace: 0s}, timeout: 7s, retry: {max_attempts: 1}}]}
`
	for _, test := range []struct {
		agent string
		turns int // with what is lost of each
		calls int
		limit time.Duration
	}{
		{"on_limit: escalate, limits: {turns: 4, calls: 9}", 4, 4, 0},
		{"on_limit: finish, limits: {turns: 4, calls: 9}", 5, 4, 0},
		{"on_limit: finish, limits: {turns: 4, calls: 2}", 4, 2, 0},
		{"on_limit: finish, output_schema: {type: object, required: [ok]}, limits: {turns: 4, calls: 2}", 5, 2, 0},
		{"on_limit: escalate, limits: {turns: 40, calls: 90, time: 34001ms}", 1, 1, 34001 * time.Millisecond},
		{"on_limit: finish, limits: {turns: 40, calls: 90, time: 34001ms}", 2, 1, 34001 * time.Millisecond},
		{"on_limit: finish, limits: {turns: 2, calls: 90, time: 1000h}", 3, 2, 0},
		{"on_limit: escalate, keep_turns: 1, summary: {model: m}, limits: {turns: 4, calls: 9}", 4 + 2, 4, 0},
		{"on_limit: finish, keep_turns: 1, summary: {model: m}, limits: {turns: 4, calls: 9}", 5 + 2, 4, 0},
		{"on_limit: escalate, keep_turns: 2, summary: {model: m}, limits: {turns: 7, calls: 9}", 7 + 2, 7, 0},
		{"on_limit: escalate, keep_turns: 2, summary: {model: m}, limits: {turns: 4, calls: 9}", 4, 4, 0},
		{"on_limit: escalate, keep_turns: 1, summary: {model: m}, limits: {turns: 40, calls: 90, time: 44001ms}", 1, 1, 44001 * time.Millisecond},
	} {
		doc, parsed := parse(t, tools, "name: p\nsteps:\n  - {id: g, agent: {model: m, prompt: x, tools: [quick, slow], "+test.agent+"}}\n")
		c := newChecker(doc, parsed)
		n := &c.nodes[0]
		model, slow := n.call, n.agent.tools[1]
		losses := time.Duration(test.turns)*model.losses(model.rungs(), 10*time.Second) + time.Duration(test.calls)*slow.losses(slow.rungs(), 7*time.Second)
		want := c.worst().Work.Fixed - losses
		if sum := test.limit + time.Duration(test.turns)*10*time.Second + time.Duration(test.calls)*7*time.Second; want != sum {
			t.Errorf("%s: %s were computed, not %s", test.agent, want, sum)
		}
		h := play(t, "r", func(h *hostile, m steps.StepMessage, _ int) act {
			says := c.talk(h, m)
			if says != nil {
				says = json.RawMessage(strings.ReplaceAll(string(says), "quick", "slow"))
			}
			return act{lasts: c.rungOf(h.state, h.state.Unit(m.Step), m).attempt, says: says}
		}).until(doc)
		if got := h.worked(); got > want || want-got > time.Millisecond {
			t.Errorf("%s: the core worked for %s, %s were computed\n%s", test.agent, got, want, h.story())
		}
	}
}

// TestWorstCaseOfAgentsBeforeADeadline: a call that an agent is at goes on at the run's deadline, and no turn begins.
func TestWorstCaseOfAgentsBeforeADeadline(t *testing.T) {
	t.Parallel()
	doc, parsed := parse(t, `tools:
  m: {effects: none, rungs: [{command: {argv: [cat], grace: 0s}, timeout: 1s, retry: {max_attempts: 1}}]}
  t: {effects: none, rungs: [{command: {argv: [cat], grace: 0s}, timeout: 7s, retry: {max_attempts: 1}}]}
`, "name: p\ndeadline: 10s\nsteps: [{id: g, agent: {model: m, prompt: x, tools: [t]}}]\n")
	c := newChecker(doc, parsed)
	w := c.worst()
	if most := 10*time.Second + 3*7*time.Second + 3*ackWait + pauses; !w.Cut || w.Work.Fixed != most {
		t.Errorf("%s were computed, not %s", w.Work, most)
	}
	if h := play(t, "r", slowly(c)).until(doc); h.worked() > w.Work.Fixed {
		t.Errorf("the core worked for %s, %s were computed", h.worked(), w.Work)
	}
}

// parsePriced reads a plan whose model m costs a dollar for each token that it writes.
func parsePriced(t *testing.T, tools, text string) (*plan.Document, *plan.Tools) {
	t.Helper()
	parsed, err := plan.ParseTools("tools.yaml", []byte(tools))
	if err != nil {
		t.Fatal(err)
	}
	for k := range parsed.Tools["m"].Tool.Rungs {
		parsed.Tools["m"].Tool.Rungs[k].Price = &steps.Price{Output: 1_000_000}
	}
	doc, err := plan.ParsePlan("plan.yaml", []byte(text), parsed)
	if err != nil {
		t.Fatal(err)
	}
	return doc, parsed
}

const moneyTools = `tools:
  m: {effects: none, timeout: 30d, rungs: [{http: {url: "http://m/"}, timeout: 1s, retry: {max_attempts: 2, max_named_waits: 1}}]}
  t: {effects: none, rungs: [{go: {}}]}
`

// TestMoneyOfAgentsIsReached: one turn for which all money is reserved is tried as often as it may be, and nobody knows what
// the tries cost.
func TestMoneyOfAgentsIsReached(t *testing.T) {
	t.Parallel()
	doc, parsed := parsePriced(t, moneyTools, "name: p\nsteps:\n  - {id: g, agent: {model: m, prompt: x, tools: [t], max_output_tokens: 5, limits: {usd: 5}}}\n")
	c := newChecker(doc, parsed)
	cost := c.worst().Agents[0]
	if cost.USD != steps.Dollars(5) || cost.MostUSD != steps.Dollars(5*4) { // one try, executed three times more: workers are lost, one of them before the log has heard of it
		t.Errorf("%s and %s were computed", cost.USD, cost.MostUSD)
	}
	quick := greedy(c)
	h := play(t, "r", func(h *hostile, m steps.StepMessage, delivery int) act {
		a := quick(h, m, delivery)
		if a.fault == nil && !a.lose {
			a.fault = &steps.Fault{Class: steps.ToolError}
		}
		if a.fault != nil {
			a.fault.Acted = steps.ActedMaybe
		}
		return a
	}).until(doc)
	if spent := h.spent("g"); spent != cost.MostUSD {
		t.Errorf("the core has reckoned with %s, %s were computed\n%s", spent, cost.MostUSD, h.story())
	}
}

// TestMoneyOfAgents: what an agent may spend is a figure of its own, and no figure at all is a finding.
func TestMoneyOfAgents(t *testing.T) {
	t.Parallel()
	const text = "name: p\nsteps:\n  - {id: g, agent: {model: m, prompt: x, tools: [t], max_output_tokens: 5LIMITS}}\n"
	report := func(limits string) *Report {
		doc, parsed := parsePriced(t, moneyTools, strings.ReplaceAll(text, "LIMITS", limits))
		return Check(doc, parsed, today)
	}
	page := func(r *Report) string {
		var b strings.Builder
		if err := r.Text(&b, true); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	with, without := report(", limits: {usd: 2.5, turns: 3, calls: 4}"), report("")
	for _, part := range []string{"Agent: g may ask its model 3 times and make 4 calls, and spend $2.50 on the model, or $10.00 where workers are lost under its last try.\n", "whatever the model of an agent says", "lets it cost as much again", "once more for each lost worker", "add at most 1000 tokens"} {
		if !strings.Contains(page(with), part) {
			t.Errorf("it does not say %q:\n%s", part, page(with))
		}
	}
	if !strings.Contains(page(without), "Agent: g may ask its model 20 times and make 40 calls, and spend any amount on the model.\n") {
		t.Error(page(without))
	}
	raw, err := json.Marshal(with.Worst.Agents)
	if err != nil || string(raw) != `[{"step":"g","turns":3,"calls":4,"usd":2.5,"usd_worst":10,"priced":true}]` {
		t.Errorf("%s, %v", raw, err)
	}
	if found := without.with(plan.AgentMoney); len(found) != 1 || len(with.with(plan.AgentMoney)) != 0 || found[0].Message != "nothing bounds what the agent of step g spends: m has a price, and the agent no limits.usd" {
		t.Errorf("%+v", found)
	}
	if d := Compare(without, with, "main"); !slices.Contains(d.Lines, "money of the agent of g any amount -> $2.50") {
		t.Errorf("%q", d.Lines)
	}
}

// TestMoneyOfSummaries: it is the agent's, and a model of summaries without a price is no bound either.
func TestMoneyOfSummaries(t *testing.T) {
	t.Parallel()
	const tools = moneyTools + `  small: {effects: none, rungs: [{http: {url: "http://s/"}}]}
`
	doc, parsed := parsePriced(t, tools, "name: p\nsteps:\n  - {id: g, agent: {model: m, prompt: x, tools: [t], keep_turns: 5, summary: {model: small}, limits: {usd: 2}}}\n")
	r := Check(doc, parsed, today)
	if a := r.Worst.Agents[0]; a.Summaries != 2 || a.Priced || !strings.HasPrefix(a.sentence(), "Agent: g may ask its model 20 times, have its turns summarised 2 times and make 40 calls, and spend any amount") {
		t.Errorf("%+v: %s", a, a.sentence())
	}
	found := r.with(plan.AgentMoney)
	if len(found) != 1 || found[0].Message != "limits.usd of step g bounds nothing: without a price small/primary counts as nothing" || found[0].Fix != "in the tool small: price, at each rung of its model" {
		t.Errorf("%+v", found)
	}
}

// TestUnpricedIsNoBound: where a rung of the model has no price, no figure is stated; where the calls of one have no cost, none
// of its host.
func TestUnpricedIsNoBound(t *testing.T) {
	t.Parallel()
	r := check(t, twoModels, agentStep("t", "limits: {usd: 1}"))
	if a := r.Worst.Agents[0]; a.Priced || a.USD != 0 || a.MostUSD != 0 || !strings.Contains(a.sentence(), "and spend any amount on the model") {
		t.Errorf("%+v: %s", a, a.sentence())
	}
	const tools = `tools: {t: {effects: none, rungs: [{name: x, model: {provider: openai, model: a, prompt: x}, cost: 1}, {name: y, model: {provider: openai, model: b, prompt: x}}]}}`
	if d := check(t, tools, oneStep).Worst.Dependencies[0]; d.Cost != nil || d.money() != "-" {
		t.Errorf("%s costs %s", d.Name, d.money())
	}
	if d := check(t, strings.Replace(tools, "prompt: x}}", "prompt: x}, cost: 0}", 1), oneStep).Worst.Dependencies[0]; d.Cost == nil {
		t.Errorf("%s has no cost", d.Name)
	}
}

// TestSeenOfAgents: the faults of a model and of the tools that it calls are faults of the plan's tools; those of which the
// model was told were left to nobody.
func TestSeenOfAgents(t *testing.T) {
	t.Parallel()
	doc, _ := parse(t, `tools:
  m: {effects: none, rungs: [{http: {url: "http://m/"}}]}
  look: {effects: none, rungs: [{http: {url: "http://t/"}}]}
  pay: {effects: unsafe, rungs: [{http: {url: "http://t/"}}]}
`, "name: p\nsteps:\n  - {id: g, agent: {model: m, prompt: x, tools: [look, pay, ask_person]}}\n")
	h := play(t, "r", func(_ *hostile, m steps.StepMessage, _ int) act {
		switch m.Step {
		case "g~t1":
			return act{says: json.RawMessage(`{"calls":[{"name":"look","arguments":{}},{"name":"pay","arguments":{}},{"name":"ask_person","arguments":{"question":"?"}},{"name":"none","arguments":{}}]}`)}
		case "g~t1.1":
			return act{fault: &steps.Fault{Class: steps.NotFound, Acted: steps.ActedNo}}
		case "g~t1.2":
			return act{fault: &steps.Fault{Class: steps.Timeout, Acted: steps.ActedMaybe}}
		}
		return act{fault: &steps.Fault{Class: steps.Unauthorized, Acted: steps.ActedNo}}
	}).until(doc)
	tally := Tally{}
	tally.Add(h.state)
	var got []string
	for _, seen := range tally.Unminded(doc) {
		got = append(got, seen.Sentence())
	}
	if want := []string{"m answered `unauthorized` once, and people were asked once", "pay answered `timeout` once, and people were asked once"}; !slices.Equal(got, want) {
		t.Errorf("%q\nnot %q\n%s", got, want, h.story())
	}
	if missing := Served(doc, []string{"m/primary", "pay/primary"}); !slices.Equal(missing, []string{"look/primary"}) {
		t.Errorf("%q is not served", missing)
	}
}
