package drill

import (
	"strings"
	"testing"

	"belay/internal/sim"
)

// TestCost: the dearest play is counted call by call.
func TestCost(t *testing.T) {
	t.Parallel()
	tools := strings.Replace(shopTools, `{name: primary, http: {method: POST, url: "http://pay.invalid/refunds"}}`, `{name: primary, cost: 0.25, http: {method: POST, url: "http://pay.invalid/refunds"}}`, 1)
	tools = strings.Replace(tools, `{name: primary, command: {argv: [ship]}}`, `{name: primary, cost: 2, command: {argv: [ship]}}`, 1)
	r := prepared(t, tools, shopPlan, sim.Whole).Run()
	if c := r.Find("lookup.primary/late"); c.Cost != 2 {
		t.Errorf("one parcel costs %v", c.Cost)
	}
	if c := r.Find("note.primary/timeout"); r.Cost < 2 || !strings.Contains(r.Headline(), "cost ") || c.Cost < 2 {
		t.Errorf("%s", r.Headline())
	}
}
