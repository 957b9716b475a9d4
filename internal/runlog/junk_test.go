package runlog

import (
	"errors"
	"strings"
	"testing"

	"belay/internal/steps"
	"belay/internal/wire"
)

// TestJunkStopsNoRun: whoever may write to the subjects of one tool alone stops no run with what nobody can read, and the log says what it was.
// What a later version may know still stops the runs that it may be about.
func TestJunkStopsNoRun(t *testing.T) {
	t.Parallel()
	const other, own = "look", "t" // the steps of the plan are of t
	first := steps.Attempt{Step: "a", Try: 1}
	for name, c := range map[string]struct {
		tool, body string
		claim      bool
		stops      bool
	}{
		"no JSON":                                 {tool: own, body: "\x00\x01"},
		"empty":                                   {tool: own, body: ""},
		"no object":                               {tool: own, body: `7`},
		"no version":                              {tool: own, body: `{"type":"exploded","step":"a","try":1}`},
		"no type":                                 {tool: own, body: `{"v":1,"step":"a","try":1}`},
		"a key twice":                             {tool: own, body: `{"v":2,"v":2,"type":"exploded"}`},
		"a type that the kind forbids":            {tool: own, body: `{"v":1,"type":"decided","escalation":"r-1","verb":"abort"}`},
		"fields of the wrong JSON type":           {tool: own, body: `{"v":1,"type":"failed","step":["a"]}`},
		"a claim without JSON":                    {tool: own, body: "\x00", claim: true},
		"a claim of another attempt":              {tool: own, body: `{"v":1,"type":"claimed","step":"b","round":0,"rung":0,"try":1,"worker":"w"}`, claim: true},
		"an unknown type":                         {tool: own, body: `{"v":1,"type":"exploded","step":"a","round":0,"rung":0,"try":1}`, stops: true},
		"an unknown type of no step":              {tool: own, body: `{"v":1,"type":"exploded"}`, stops: true},
		"an unknown claim":                        {tool: own, body: `{"v":1,"type":"reserved","step":"a","round":0,"rung":0,"try":1}`, claim: true, stops: true},
		"a later version":                         {tool: own, body: `{"v":2,"type":"succeeded","step":"a","round":0,"rung":0,"try":1}`, stops: true},
		"a policy that nobody can use":            {tool: own, body: `{"v":1,"type":"objected","step":"a","round":0,"rung":0,"try":1,"worker":"w","policy":{"approval":{"when":")"}}}`, stops: true},
		"an unknown type, no such step":           {tool: own, body: `{"v":1,"type":"exploded","step":"zz","round":0,"rung":0,"try":1}`},
		"another tool's: no JSON":                 {tool: other, body: "\x00\x01"},
		"another tool's: an unknown type":         {tool: other, body: `{"v":1,"type":"exploded","step":"a","round":0,"rung":0,"try":1}`},
		"another tool's: an unknown type, bare":   {tool: other, body: `{"v":1,"type":"exploded"}`},
		"another tool's: a later version":         {tool: other, body: `{"v":2,"type":"succeeded","step":"a","round":0,"rung":0,"try":1}`},
		"another tool's: an unusable policy":      {tool: other, body: `{"v":1,"type":"objected","step":"a","round":0,"rung":0,"try":1,"worker":"w","policy":{"approval":{"when":")"}}}`},
		"another tool's: a claim nobody can read": {tool: other, body: "{", claim: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &writer{t: t, run: "r"}
			w.add(submitted(t))
			subject := wire.Default.Outcome(0, "r", c.tool)
			if c.claim {
				subject = wire.Default.ToolClaim(0, "r", c.tool, first)
			}
			seq := w.on(subject, []byte(c.body))
			w.add(succeeded("a"))
			w.add(succeeded("b"))
			var junk *steps.Record
			f := offline().Fold("r", w.entries, func(_ *steps.State, r steps.Record, _ []int) {
				if _, is := r.Event.(steps.Junk); is {
					junk = &r
				}
			})
			if c.stops {
				if frozen, is := errors.AsType[*Frozen](f.Frozen()); !is || frozen.DeadLetter != steps.DeadLetterID("r", seq) || !errors.Is(frozen.Poison.Why, wire.ErrPoison) {
					t.Fatalf("it goes on: %v", f.Frozen())
				}
				return
			}
			if err := f.Frozen(); err != nil || f.State.Status() != steps.RunSucceeded {
				t.Fatalf("%s: %v", f.State.Status(), err)
			}
			if junk == nil || junk.Tool != c.tool || !f.State.Foreign(*junk) || !strings.Contains(junk.NotCounted(), "cannot be read") || junk.Event.(steps.Junk).Why == "" {
				t.Errorf("people are told %+v", junk)
			}
		})
	}
}

// TestJunkOfWhatIsOver: once the steps of its tool are over, a worker stops the run with nothing; nor does it before there is a run, or after.
func TestJunkOfWhatIsOver(t *testing.T) {
	t.Parallel()
	subject := wire.Default.Outcome(0, "r", "t")
	for _, body := range []string{"\x00", `{"v":1,"type":"exploded"}`, `{"v":1,"type":"exploded","step":"a","round":0,"rung":0,"try":1}`} {
		w := &writer{t: t, run: "r"}
		w.on(subject, []byte(body))
		w.add(submitted(t))
		w.add(succeeded("a"))
		if strings.Contains(body, `"step"`) || body == "\x00" { // b is not over, so what names no step may be about it
			w.on(subject, []byte(body))
		}
		w.add(succeeded("b"))
		w.add(steps.Closed{State: steps.RunSucceeded})
		w.on(subject, []byte(body))
		if f := offline().Fold("r", w.entries, nil); f.Frozen() != nil || f.State.Status() != steps.RunSucceeded {
			t.Errorf("%q: %v", body, f.Frozen())
		}
	}
}
