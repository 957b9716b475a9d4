package prove

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestLargestPlan: whoever submits chooses the plan, and a server proves it before it answers.
func TestLargestPlan(t *testing.T) {
	t.Parallel()
	const tools = `tools:
  r: {effects: none, rungs: [{name: x, go: {}}, {name: y, cache: {max_age: 1h}}]}
  t: {rungs: [{http: {url: "http://a/"}}]}
  f: {effects: none, rungs: [{go: {}}]}
`
	for _, last := range []string{"t", "f, on_failure: fail"} {
		var b strings.Builder
		b.WriteString("name: large\ndeadline: 1m\nsteps:\n  - {id: s0, tool: r}\n")
		for i := 1; i < 3500; i++ {
			fmt.Fprintf(&b, "  - {id: s%d, tool: t, when: steps.s%d.state != 'x', with: {v: \"${ steps.s%d.output.v }\"}}\n", i, i-1, i-1)
		}
		fmt.Fprintf(&b, "  - {id: last, tool: %s}\n", last)
		doc, parsed := parse(t, tools, b.String())
		begun := time.Now()
		r := Check(doc, parsed, today)
		if took := time.Since(begun); took > time.Minute {
			t.Errorf("it took %s", took)
		}
		if len(r.with("BLY022")) == 0 {
			t.Error("nothing is found")
		}
		t.Logf("%d findings after %s", len(r.Findings), time.Since(begun))
	}
}
