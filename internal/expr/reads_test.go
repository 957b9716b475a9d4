package expr

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestReads: what is written out is read, and what is computed ends there.
func TestReads(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"input.order":                           "input.order",
		`steps["a-b"].output?.x.y > input.n[0]`: "steps.a-b.output.x.y input.n",
		"filter(steps.a.output, .x > input.y)":  "steps.a.output input.y",
		"steps.a.output[input.key].z":           "steps.a.output input.key",
		"item.sku + index":                      "item.sku index",
		"1 > 2":                                 "",
		"not an expression (":                   "",
		"${ input.whole }":                      "input.whole",
	} {
		if got := written(Reads(source)); !sameWords(got, want) {
			t.Errorf("%s reads %q, not %q", source, got, want)
		}
	}
	raw := json.RawMessage(`{"a": "x ${ input.a } and ${ steps.s.state }", "b": [{"c": "${ item }"}], "d": 5}`)
	if got := written(TemplateReads(raw)); !sameWords(got, "input.a steps.s.state item") {
		t.Errorf("the template reads %q", got)
	}
	step, field, ok := Read{"steps", "a", "output", "x"}.Of()
	if _, _, short := (Read{"steps", "a"}).Of(); !ok || step != "a" || field != "output" || short {
		t.Error(step, field, ok, short)
	}
}

func written(reads []Read) string {
	var words []string
	for _, r := range reads {
		words = append(words, strings.Join(r, "."))
	}
	return strings.Join(words, " ")
}

func sameWords(a, b string) bool {
	count := map[string]int{}
	for _, w := range strings.Fields(a) {
		count[w]++
	}
	for _, w := range strings.Fields(b) {
		count[w]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

// TestGiven: an expression over values that are given.
func TestGiven(t *testing.T) {
	t.Parallel()
	e, err := CompileBare("steps.a.state == 'skipped' && input.x > 2", Readable{Roots: []string{"input", "steps"}, Steps: map[string]int{"a": 0}}, true)
	if err != nil {
		t.Fatal(err)
	}
	v, err := e.Given(map[string]any{"input": map[string]any{"x": json.Number("3")}, "steps": map[string]any{"a": map[string]any{"state": "skipped"}}})
	if v != true || err != nil {
		t.Error(v, err)
	}
	if list, err := CompileBare("[1, 2, 3][:100]", Readable{}, false); err != nil {
		t.Error(err)
	} else if v, err := list.Given(nil); err != nil || len(v.([]any)) != 3 {
		t.Error(v, err) // a list may be shorter than what it is cut to
	}
}
