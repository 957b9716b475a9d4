package dispatcher

import (
	"bytes"
	"testing"
	"time"

	"belay/internal/steps"
	"belay/internal/steps/view"
)

// TestWhatHoldsARunBack: a gate that is closed is named once, with the command that opens it; behind one that is open a run waits for its turn.
func TestWhatHoldsARunBack(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := &progress{w: &out, id: "r", flags: " --data-dir d"}
	p.waitsBehind(view.Why{Waits: []view.Wait{
		{Step: "a", For: view.ForGate, Gate: "open", Opened: new(time.Now()), Text: "behind gate open"},
		{Step: "b", For: view.ForGate, Gate: "shut", Text: "open it with `dispatcher gate open shut`"},
		{Step: "c", For: view.ForGate, Gate: "shut", Text: "said already"},
		{Step: "d", For: view.ForLimit, Why: steps.HoldRate, Text: "held back by the rate limit of pay"},
		{Step: "e", For: view.ForWorker, Text: "a worker"},
	}})
	const want = "run r is held back:\n  b  open it with `dispatcher gate open shut` --data-dir d\n" +
		"run r waits for its turn:\n  a  behind gate open\n" +
		"run r waits for a limit:\n  d  held back by the rate limit of pay\n"
	if out.String() != want {
		t.Errorf("%s, want %s", out.String(), want)
	}
}
