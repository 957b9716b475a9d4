package drill

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"belay/internal/plan"
	"belay/internal/sim"
)

const shopTools = `
tools:
  orders.lookup:
    effects: none
    rungs:
      - {name: primary, http: {url: "http://shop.invalid/orders/${ params.order }"}, retry: {max_attempts: 2, initial: 100ms}}
      - {name: cached, cache: {max_age: 24h}}
  payments.charge:
    effects: unsafe
    output_schema: {type: object, required: [id], properties: {id: {type: string}}}
    verify: {http: {url: "http://pay.invalid/charges/${ params.order }"}, happened: "output.found"}
    rungs:
      - {name: primary, http: {method: POST, url: "http://pay.invalid/charges"}}
  payments.refund:
    effects: idempotent
    rungs:
      - {name: primary, http: {method: POST, url: "http://pay.invalid/refunds"}}
  parcels.ship:
    effects: unsafe
    rungs:
      - {name: primary, command: {argv: [ship]}}
  notes.add:
    effects: idempotent
    approval: {when: "params.amount > 100", deadline: 30m, on_deadline: escalate}
    rungs:
      - {name: primary, go: {}}
`

const shopPlan = `
name: shop
input: {order: A-1}
steps:
  - {id: lookup, tool: orders.lookup, with: {order: "${ input.order }"}}
  - {id: charge, tool: payments.charge, with: {order: "${ input.order }", amount: "${ steps.lookup.output.total }"}, compensate: {tool: payments.refund, with: {order: "${ input.order }"}}}
  - {id: ship, tool: parcels.ship, when: "steps.lookup.output.total > 10", on_failure: fail}
  - {id: note, tool: notes.add, with: {amount: 120}}
output: {paid: "${ steps.charge.output.id }"}
`

func prepared(t *testing.T, tools, text string, broken sim.Mutant) *Drill {
	t.Helper()
	d := undrilled(t, tools, text)
	if err := errors.Join(d.Prepare(), d.PrepareUndo()); err != nil {
		t.Fatal(err)
	}
	d.broken = broken
	return d
}

// undrilled is a drill that has not played the plan yet.
func undrilled(t *testing.T, tools, text string) *Drill {
	t.Helper()
	file, err := plan.ParseTools("tools.yaml", []byte(tools))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := plan.ParsePlan("plan.yaml", []byte(text), file)
	if err != nil {
		t.Fatal(err)
	}
	in, err := doc.CheckInput(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &Drill{Doc: doc, Tools: file, Input: in}
}

// TestHowAPlanFails: cells of a plan that has a bit of everything.
func TestHowAPlanFails(t *testing.T) {
	t.Parallel()
	r := prepared(t, shopTools, shopPlan, sim.Whole).Run()
	wants(t, r, map[string]string{
		"lookup.primary/timeout":       "ok/~cached",
		"lookup.primary/400":           "~cached",
		"lookup.primary/panic":         ".",
		"lookup.cached/cache-empty":    "person",
		"charge.primary/timeout":       "person", // the probe finds that it has not happened: a person sends it back
		"charge.primary/killed-after":  "ok",
		"charge.primary/schema":        "person",
		"charge.primary/late":          "ok",
		"charge.verify/refused":        "ok/person",
		"ship.primary/error":           "person", // nobody knows whether it has been shipped
		"ship.primary/refused":         "compensated",
		"ship.primary/no-worker":       "compensated",
		"note.primary/panic":           "person",
		"note.primary/500":             ".",
		"approval of note/approve":     "ok",
		"approval of note/reject":      "compensated",
		"approval of note/silence":     "person",
		"approval of note/abort":       "person",
		"approval of note/two-at-once": "compensated",
		"dispatcher/killed":            "ok",
	})
}

// wants compares cells, by their names, with the words that they have in the matrix, and lets none be bad.
func wants(t *testing.T, r *Report, cells map[string]string) {
	t.Helper()
	for name, want := range cells {
		c := r.Find(name)
		if c == nil {
			t.Errorf("no cell %s", name)
			continue
		}
		if got := c.word(); got != want {
			var b strings.Builder
			c.Timeline(&b)
			t.Errorf("%s: %s, want %s\n%s", name, got, want, b.String())
		}
	}
	if r.Bad() {
		t.Errorf("it is bad:\n%s", shown(r))
	}
}

// noticed plays a plan with one rule broken at a time, and wants to see it in a cell: "TWICE ship.primary/timeout".
func noticed(t *testing.T, tools, plan string, mutants map[string]sim.Mutant) {
	t.Helper()
	for want, broken := range mutants {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			r := prepared(t, tools, plan, broken).Run()
			outcome, name, _ := strings.Cut(want, " ")
			if c := r.Find(name); c == nil || c.Outcome.String() != outcome || !r.Bad() {
				t.Errorf("%s is not noticed\n%s", want, shown(r))
			}
		})
	}
}

func shown(r *Report) string {
	var b strings.Builder
	r.Text(&b, 110)
	return b.String()
}

// TestBrokenRulesAreNoticed: each mutant makes some cell one that must never be.
func TestBrokenRulesAreNoticed(t *testing.T) {
	t.Parallel()
	noticed(t, shopTools, shopPlan, map[string]sim.Mutant{
		"TWICE ship.primary/delivered-twice": sim.NoClaim,
		"STUCK dispatcher/killed":            sim.NoReconcile,
		"TWICE ship.primary/killed-after":    sim.NoLog,
		"TWICE ship.primary/timeout":         sim.BlindRepeat,
	})
}

// TestNothingIsForgotten: what is never reported, or acknowledged too early, leaves no run without an end: the step's budget
// ends the wait, and a person is asked.
func TestNothingIsForgotten(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]sim.Mutant{"acknowledged before it is executed": sim.AckFirst, "never reported": sim.LostReport} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, c := range prepared(t, shopTools, shopPlan, broken).Run().Cells {
				if c.Outcome == Stuck {
					t.Errorf("%s: %s", c.Name(), c.Why)
				}
			}
		})
	}
}

func TestPairs(t *testing.T) {
	t.Parallel()
	d := prepared(t, shopTools, shopPlan, sim.Whole)
	r := d.Run()
	budget, least := 8*time.Minute, 5000
	if testing.Short() {
		budget, least = 5*time.Second, 1
	}
	d.PlayPairs(r, budget)
	if p := r.Pairs; p.bad() || p.Plays < least || p.LeftOut > 0 && !testing.Short() {
		t.Errorf("%d played, %d left out, bad: %q", p.Plays, p.LeftOut, p.Bad[:min(3, len(p.Bad))])
	}
	d.PlayPairs(r, 0)
	if p := r.Pairs; p.LeftOut < 1000 {
		t.Errorf("without a budget %d are left out", p.LeftOut)
	}
}

// TestTheSameEachTime: a drill that is run again gives the same report.
func TestTheSameEachTime(t *testing.T) {
	t.Parallel()
	report := func() string {
		b, err := json.MarshalIndent(prepared(t, shopTools, shopPlan, sim.Whole).Run(), "", " ")
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if a, b := report(), report(); a != b {
		t.Errorf("two drills differ:\n%s\n%s", a, b)
	}
}

// TestSpeed: 20 steps, and what undoes them, under every single fault. It runs alone, before the tests that are parallel;
// where other programs keep the machine busy, its own time on the processors counts. That is two seconds or three; where plays grow with
// the plan faster than they should, it is minutes.
func TestSpeed(t *testing.T) { //nolint:paralleltest // it measures
	var b strings.Builder
	b.WriteString("name: long\nsteps:\n")
	for i := range 20 {
		b.WriteString("  - {id: s" + string(rune('a'+i)) + ", tool: payments.charge, compensate: {tool: payments.refund}}\n")
	}
	began, busy := time.Now(), busyFor(t)
	r := prepared(t, shopTools, b.String(), sim.Whole).Run()
	took := min(time.Since(began), busyFor(t)-busy)
	t.Logf("%d plays in %v", r.Plays, took)
	if took > time.Minute && !testing.Short() {
		t.Errorf("it took %v", took)
	}
	if r.Bad() || r.Plays < 2400 {
		t.Errorf("%s", r.Headline())
	}
}

// busyFor is how long this process has been on the processors.
func busyFor(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestBaseline(t *testing.T) {
	t.Parallel()
	before := prepared(t, shopTools, shopPlan, sim.Whole).Run()
	raw, err := json.Marshal(before.Baseline())
	if err != nil {
		t.Fatal(err)
	}
	b, err := ParseBaseline(raw, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if list := before.Against(b); len(list) > 0 {
		t.Errorf("changed against itself: %v", list)
	}
	without := strings.Replace(shopTools, "      - {name: cached, cache: {max_age: 24h}}\n", "", 1)
	list := prepared(t, without, shopPlan, sim.Whole).Run().Against(b)
	if len(list) == 0 || !list[0].Worse() || !slices.ContainsFunc(list, func(c Change) bool {
		return c.Cell == "lookup.primary/400" && c.Was == Degraded && c.Is == Person
	}) {
		t.Errorf("without the fallback: %v", list)
	}
	for _, bad := range []string{"", "{}", `{"plan":"other","cells":{}}`, `{"plan":"shop","cells":{"a/b":"splendid"}}`} {
		if _, err := ParseBaseline([]byte(bad), "shop"); err == nil || !strings.Contains(err.Error(), "--write-baseline") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

var update = flag.Bool("update", false, "write the baselines of the examples anew; review the difference")

// TestExamples: every plan of the examples gets through without faults, with outputs that are made up, ends under each fault as
// its baseline says, and nothing is lost, doubled or stuck.
func TestExamples(t *testing.T) {
	t.Parallel()
	n := 0
	for _, pattern := range []string{"*.yaml", "*/plan.yaml"} {
		all, err := filepath.Glob("../../examples/" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range all {
			if filepath.Base(path) != "tools.yaml" {
				n++
				t.Run(strings.TrimPrefix(path, "../../examples/"), func(t *testing.T) { example(t, path) })
			}
		}
	}
	if n < 8 {
		t.Errorf("%d plans", n)
	}
}

func example(t *testing.T, path string) {
	t.Parallel()
	tools, err := plan.LoadTools(plan.FindTools(path))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := plan.LoadPlan(path, tools)
	if err != nil {
		t.Fatal(err)
	}
	in, err := doc.CheckInput(nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &Drill{Doc: doc, Tools: tools, Input: in}
	if err := errors.Join(d.Prepare(), d.PrepareUndo()); err != nil {
		t.Fatal(err)
	}
	r := d.Run()
	if r.Bad() {
		t.Errorf("%s", shown(r))
	}
	file := strings.TrimSuffix(path, ".yaml") + ".drill.json"
	if *update {
		raw, err := json.MarshalIndent(r.Baseline(), "", "  ")
		if err == nil {
			err = os.WriteFile(file, append(raw, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := ParseBaseline(raw, r.Name)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range r.Against(b) {
		t.Errorf("%s: %s -> %s (run with -update, and review)", c.Cell, c.Was, c.Is)
	}
}

// TestDocumented: docs/drill.md names every fault.
func TestDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/drill.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "## The faults")
	table, _, _ = strings.Cut(table, "\n\nA fault")
	var want strings.Builder
	for _, f := range faults {
		want.WriteString("| `" + f.name + "` | " + f.title + " |\n")
	}
	if !strings.HasSuffix(strings.TrimSpace(table), strings.TrimSpace(want.String())) {
		t.Errorf("the table should be\n%s", want.String())
	}
}

const modelTools = `
tools:
  support.classify:
    output_schema: {type: object, required: [queue]}
    rungs:
      - {name: gpt, model: {provider: openai, model: gpt-5-mini, prompt: "Which queue?"}}
      - {name: rest, static: {output: {queue: other}}}
  support.file:
    effects: unsafe
    rungs: [{model: {provider: anthropic, model: claude, prompt: "Which queue?"}}]
`

const modelPlan = `
name: sort
steps:
  - {id: queue, tool: support.classify}
  - {id: file, tool: support.file, needs: [queue]}
`

// TestModels: what only a model's provider says is in the matrix, and a call that failed is never in doubt: nothing happened.
func TestModels(t *testing.T) {
	t.Parallel()
	r := prepared(t, modelTools, modelPlan, sim.Whole).Run()
	wants(t, r, map[string]string{
		"queue.gpt/timeout": "ok/~rest", "queue.gpt/429": "ok/~rest", "queue.gpt/500": "ok/~rest", "queue.gpt/overloaded": "ok/~rest", "queue.gpt/refused": "ok/~rest",
		"queue.gpt/garbage": "ok/~rest", "queue.gpt/schema": "ok/~rest", "queue.gpt/401": "~rest",
		"queue.gpt/refusal": "~rest", "queue.gpt/filtered": "~rest", "queue.gpt/truncated": "~rest", "queue.gpt/too-long": "~rest",
		"queue.rest/refusal": ".", "file.primary/429": "ok/person", "file.primary/overloaded": "ok/person", "file.primary/garbage": "ok/person", "file.primary/refusal": "person",
	})
}
