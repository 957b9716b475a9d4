package drill

import (
	"testing"

	"belay/internal/sim"
)

const undoneTools = `
tools:
  models.m: {effects: none, rungs: [{name: primary, http: {method: POST, url: "http://model.invalid/chat"}}]}
  card.charge: {effects: unsafe, rungs: [{name: primary, http: {method: POST, url: "http://pay.invalid/charges"}}]}
  card.uncharge: {effects: idempotent, rungs: [{name: primary, http: {method: POST, url: "http://pay.invalid/refunds"}}]}
  parcels.ship: {effects: unsafe, rungs: [{name: primary, command: {argv: [ship]}}]}
`

// TestWhatAnAgentHasDoneIsUndone: an agent's step is undone as a whole; its turns and calls are not units of a plan that
// something must undo.
func TestWhatAnAgentHasDoneIsUndone(t *testing.T) {
	t.Parallel()
	r := prepared(t, undoneTools, `
name: shop
steps:
  - {id: pay, agent: {model: models.m, prompt: pay, tools: [card.charge]}, compensate: {tool: card.uncharge}}
  - {id: ship, tool: parcels.ship, on_failure: fail}
`, sim.Whole).Run()
	wants(t, r, map[string]string{
		"ship.primary/refused":          "compensated",
		"pay~undo.primary/500":          "ok/person",
		"pay~undo.primary/no-worker":    "person",
		"pay~t1.1.primary/500":          "person",
		"pay~t1.1.primary/killed-after": "person",
	})
}
