package wire

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"belay/internal/steps"
)

// TestBodiesByHand holds the bodies that are put together by hand against encoding/json: both read back the same.
func TestBodiesByHand(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string) string { return rapid.String().Draw(t, name) }
		a := steps.Attempt{Step: text("step"), Round: rapid.IntRange(0, 99).Draw(t, "round"), Rung: rapid.IntRange(0, 9).Draw(t, "rung"), Try: rapid.IntRange(0, 99).Draw(t, "try")}
		raw := rapid.SampledFrom([]string{`{}`, `null`, `{"a": [1, 2.50, "<x>"]}`, `12345678901234567890`}).Draw(t, "raw")
		at := rapid.SampledFrom([]time.Time{{}, time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)}).Draw(t, "at")
		d := steps.Duration(rapid.Int64Range(0, int64(100*time.Hour)).Draw(t, "duration"))
		e := steps.Succeeded{Attempt: a, Worker: text("worker"), Output: json.RawMessage(raw), Age: d, Started: at, Took: d}
		m := steps.StepMessage{
			Run: text("run"), Attempt: a, Workflow: text("workflow"), Tool: text("tool"), RungName: text("rung"), Effects: steps.EffectsUnsafe,
			Params: json.RawMessage(raw), Key: text("key"), Timeout: d, NotBefore: at, Deadline: at,
		}
		want, wantStep := e, m
		byJSON(t, e, &want)
		byJSON(t, m, &wantStep)
		_, body, err := EncodeEvent(e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeEvent(KindOutcome, body)
		if diff := cmp.Diff(want, got, equalJSON); err != nil || diff != "" {
			t.Fatalf("%v\n%s\n%s", err, body, diff)
		}
		step, err := DecodeStep(EncodeStep(m))
		if diff := cmp.Diff(wantStep, step, equalJSON); err != nil || diff != "" {
			t.Fatalf("%v\n%s", err, diff)
		}
	})
}

// equalJSON takes white space for nothing.
var equalJSON = cmp.Comparer(func(a, b json.RawMessage) bool {
	if len(a) == 0 && len(b) == 0 {
		return true
	}
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && cmp.Equal(x, y)
})

func byJSON(t *rapid.T, from, to any) {
	b, err := json.Marshal(from)
	if err == nil {
		err = json.Unmarshal(b, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func BenchmarkEncodeStep(b *testing.B) {
	m := stepMessage
	m.Params = json.RawMessage(`{"data":"x"}`)
	b.ReportAllocs()
	for b.Loop() {
		EncodeStep(m)
	}
}
