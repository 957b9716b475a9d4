package prove

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"belay/internal/plan"
	"belay/internal/steps"
)

const twoRungs = `tools:
  t:
    effects: none
    rungs:
      - {name: x, http: {url: "http://a/"}, cost: 0.5}
      - {name: y, cache: {max_age: 1h}}
  u: {effects: none, rungs: [{go: {}}]}
`

// TestCompare: the difference is said first, what matters most before the rest.
func TestCompare(t *testing.T) {
	t.Parallel()
	const text = "name: p\nsteps:\n  - {id: a, tool: t}\n  - {id: b, tool: u}\n"
	before := check(t, twoRungs, text)
	for _, test := range []struct{ old, new, want string }{
		{"", "", "Against main: no difference in how it fails."},
		{`, cost: 0.5}`, `, cost: 0.5, retry: {max_attempts: 1}}`, "Against main: worst calls to a 33 -> 23."},
		{`cost: 0.5`, `cost: 1`, "Against main: worst cost of a 16.5 -> 33."},
		{"\n      - {name: y, cache: {max_age: 1h}}", "", "Against main: step a loses its fallback."},
		{`http://a/`, `http://b/`, "Against main: leans on b now, worst 33 calls, leans on a no longer."},
		{`[{go: {}}]`, `[{name: g, go: {}}, {name: h, go: {}}]`, "Against main: worst calls to handler u 33 -> 64, step b gets a fallback, 1 warning new (BLY014)."},
	} {
		if got := Compare(before, check(t, strings.Replace(twoRungs, test.old, test.new, 1), text), "main").Headline; got != test.want {
			t.Errorf("%s -> %s: %s\nnot %s", test.old, test.new, got, test.want)
		}
	}
	if got := Compare(nil, before, "main"); got.Headline != "Against main: the plan is new." {
		t.Error(got.Headline)
	}
	more := check(t, twoRungs, text+"  - {id: c, tool: t}\n")
	if got := Compare(before, more, "v1"); !strings.Contains(got.Headline, "worst calls to a 33 -> 66") || !slices.Contains(got.Lines, "step c is new") {
		t.Error(got.Lines)
	}
	if got := Compare(more, before, "v1"); !slices.Contains(got.Lines, "step c is gone") {
		t.Error(got.Lines)
	}
}

// TestBoundsAreRoundedUp: an amount that is shown with fewer digits is never less than it is.
func TestBoundsAreRoundedUp(t *testing.T) {
	t.Parallel()
	for cost, want := range map[float64]string{16.5: "16.5", 16.5049: "16.51", 1_650_000: "1650000", 0.000123412: "0.0001235", 3 * 0.1: "0.3", 0: "0"} {
		if got := (&Dependency{Cost: &cost}).money(); got != want {
			t.Errorf("%v is shown as %s, not %s", cost, got, want)
		}
	}
	if a := (AgentCost{Step: "a", Turns: 2, Calls: 2, USD: steps.Dollars(0.125), MostUSD: steps.Dollars(0.251)}); a.money() != "$0.13" || !strings.Contains(a.sentence(), "spend $0.13 on the model, or $0.26 where") {
		t.Error(a.sentence())
	}
}

// TestFingerprints: a finding is the same one wherever it stands, and another one for another step.
func TestFingerprints(t *testing.T) {
	t.Parallel()
	const tools = `tools: {t: {rungs: [{go: {}}]}}`
	prints := func(text string) (list []string) {
		for _, f := range check(t, tools, text).with(plan.NoApproval) {
			list = append(list, f.Print)
		}
		return list
	}
	one := prints(oneStep)
	if moved := prints("# a comment\n\n" + oneStep); !slices.Equal(one, moved) {
		t.Errorf("moved: %v, %v", one, moved)
	}
	if two := prints(oneStep + "  - {id: b, tool: t}\n"); len(two) != 2 || two[0] != one[0] || two[1] == one[0] {
		t.Errorf("two: %v, %v", one, two)
	}
}

// TestWaivers: one for the plan or for each step that a finding is about accepts it; one for another step does not.
func TestWaivers(t *testing.T) {
	t.Parallel()
	const tools = `tools: {t: {rungs: [{go: {}}]}}`
	const text = oneStep + "  - {id: b, tool: t}\nwaivers:\n"
	for _, test := range []struct {
		waivers string
		left    int // findings that nothing probes t
		idle    int // waivers of nothing
	}{
		{"  - {code: BLY015, reason: so, until: 2027-02-01}\n", 0, 0},
		{"  - {code: BLY015, step: a, reason: so, until: 2027-02-01}\n", 1, 0},
		{"  - {code: BLY015, step: a, reason: so, until: 2027-02-01}\n  - {code: BLY015, step: b, reason: so, until: 2027-02-01}\n", 0, 0},
		{"  - {code: BLY015, step: a, reason: so, until: 2027-02-01}\n  - {code: BLY015, step: b, reason: so, until: 2027-01-01}\n", 1, 0},
		{"  - {code: BLY010, reason: so, until: 2027-02-01}\n", 1, 1},
	} {
		r := check(t, tools, text+test.waivers)
		if left, idle := len(r.with(plan.NoProbe)), len(r.with(plan.WaivesNothing)); left != test.left || idle != test.idle {
			t.Errorf("%s%d findings are left, %d waivers are of nothing", test.waivers, left, idle)
		}
	}
}

// TestWaiversAreNotPinned: what a run is submitted with does not change.
func TestWaiversAreNotPinned(t *testing.T) {
	t.Parallel()
	const tools = `tools: {t: {rungs: [{go: {}, cost: 0.1}]}}`
	plain, _ := parse(t, strings.Replace(tools, ", cost: 0.1", "", 1), oneStep)
	waived, _ := parse(t, tools, oneStep+"waivers: [{code: BLY015, reason: so, until: 2027-02-01}]\n")
	if !bytes.Equal(plain.JSON, waived.JSON) {
		t.Errorf("%s\nis not\n%s", waived.JSON, plain.JSON)
	}
}

// TestAnnotations: nothing in a message ends its line or its property.
func TestAnnotations(t *testing.T) {
	t.Parallel()
	r := &Report{Findings: []Finding{{Code: "BLY001", Severity: Error, Title: "a: b, c", Message: "50%\nmore", File: "./x,y.yaml", Line: 3, Col: 4, Fix: "z"}}}
	var b bytes.Buffer
	r.Annotations(&b)
	if want := "::error file=x%2Cy.yaml,line=3,col=4,title=BLY001 a%3A b%2C c::50%25%0Amore%0AFix: z\n"; b.String() != want {
		t.Errorf("%s\nnot\n%s", b.String(), want)
	}
}

// TestSummary: with something to compare with, old warnings are not listed; errors always are.
func TestSummary(t *testing.T) {
	t.Parallel()
	const tools = `tools: {t: {rungs: [{go: {}}]}, w: {effects: none, timeout: 0s, rungs: [{go: {}, timeout: 0s}]}}`
	before := check(t, tools, oneStep+"  - {id: w, tool: w}\n")
	now := check(t, tools, oneStep+"  - {id: w, tool: w}\n  - {id: b, tool: t}\n")
	var b bytes.Buffer
	now.Summary(&b, Compare(before, now, "main"))
	page := b.String()
	for _, part := range []string{"### plan.yaml: 3 steps, not every way ends: 1 error, ", "- step b is new\n", "| error | BLY001 | `tools.yaml:1` |", "| warning | BLY016 | `plan.yaml:5` | step b does"} {
		if !strings.Contains(page, part) {
			t.Errorf("the summary lacks %q:\n%s", part, page)
		}
	}
	if strings.Contains(page, "step a does") {
		t.Errorf("an old warning is listed:\n%s", page)
	}
}

// TestSARIF: what code scanning asks for is there, and a finding of a tools file is there once.
func TestSARIF(t *testing.T) {
	t.Parallel()
	const tools = `tools: {t: {rungs: [{go: {}}]}}`
	one, two := check(t, tools, oneStep), check(t, tools, oneStep)
	raw, err := json.Marshal(AsSARIF([]*Report{one, two}, "1.0"))
	if err != nil {
		t.Fatal(err)
	}
	var log SARIF
	if err := json.Unmarshal(raw, &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if log.Version != "2.1.0" || len(run.Tool.Driver.Rules) != len(Entries) || len(run.Results) != len(one.Findings) {
		t.Errorf("%s", raw)
	}
	for _, r := range run.Results {
		if run.Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID || r.Prints["belayFinding/v1"] == "" || len(r.CodeFlows[0].Threads[0].Locations) < 2 {
			t.Errorf("%+v", r)
		}
	}
}

// TestFormulas: what depends on the length of a list is a formula, in the sentence too.
func TestFormulas(t *testing.T) {
	t.Parallel()
	r := check(t, `tools: {t: {effects: none, rungs: [{http: {url: "http://a/"}}]}}`, "name: p\ninput: {l: []}\nsteps:\n  - {id: a, tool: t}\n  - {id: b, tool: t, for_each: input.l, max_parallel: 4, compensate: {tool: t}}\n")
	if want := "Worst case of work: 10m6s + 10m6s for every 4 items of b; calls to a: 33 + 66 x items of b."; !strings.HasSuffix(r.Headline, want) {
		t.Errorf("%s\nnot %s", r.Headline, want)
	}
	if got := r.Worst.Undo.String(); got != "10m6s x items of b" {
		t.Error(got)
	}
}

// TestLargestAgent: times that nobody can count are no negative ones.
func TestLargestAgent(t *testing.T) {
	t.Parallel()
	const tools = `tools: {m: {effects: none, timeout: 2000d, rungs: [{go: {}, timeout: 2000d, retry: {max_attempts: 1000}}]}}`
	text := "name: p\nsteps:\n"
	for _, id := range []string{"a", "b", "c"} {
		text += "  - {id: " + id + ", agent: {model: m, prompt: x, tools: [m], limits: {turns: 10000, calls: 100000}}}\n"
	}
	w := check(t, tools, text).Worst
	if !w.Work.Endless || w.Work.Fixed < 0 || w.Dependencies[0].Time.Fixed < 0 || w.Attempts.Fixed < 3*110_000 {
		t.Errorf("%+v", w)
	}
	if got := check(t, tools, "name: p\nsteps:\n  - {id: a, agent: {model: m, prompt: x, limits: {turns: 10000, calls: 100000, time: 1h}}}\n").Worst.Work; got.Endless || got.String() != "48001h0m6s" {
		t.Errorf("with a limit of time: %s", got)
	}
}

// TestWhatSilenceDoes: an approval that nobody gives fails a step, and is told to the model of an agent.
func TestWhatSilenceDoes(t *testing.T) {
	t.Parallel()
	const tools = "tools:\n  m: {effects: none, rungs: [{http: {url: \"http://m/\"}}]}\n  pay: {effects: unsafe, approval: {deadline: 1h, on_deadline: fail}, rungs: [{http: {url: \"http://p/\"}}]}\n"
	const agent, step = "  - {id: g, agent: {model: m, prompt: x, tools: [pay]}}\n", "  - {id: s, tool: pay}\n"
	for steps, want := range map[string]string{
		step:         "after 1h the step fails, and the run with it.",
		agent:        "after 1h the agent's model is told that nobody has decided.",
		agent + step: "after 1h the step fails, and the run with it; of the call of an agent, its model is told.",
	} {
		doc, parsed := parse(t, tools, "name: p\nsteps:\n"+steps)
		var b strings.Builder
		if err := Check(doc, parsed, today).Text(&b, true); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, b.String())
		}
	}
}
