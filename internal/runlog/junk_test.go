package runlog

import (
	"cmp"
	"errors"
	"strings"
	"testing"
	"time"

	"belay/internal/steps"
	"belay/internal/wire"
)

// TestJunkStopsNoRun: whoever may write to the subjects of one tool alone stops no run with what nobody can read, and the log says what it was.
// What a later version may know stops the runs of older epochs that it may be about.
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

// TestWhatAWorkerSpoilsEndsItsAttempt: what stands on the subject of a tool's workers is theirs, whatever version or type it says it has. It
// stops no run; the attempt that it names has failed, and a worker that gets its message afterwards drops it.
func TestWhatAWorkerSpoilsEndsItsAttempt(t *testing.T) {
	t.Parallel()
	first := steps.Attempt{Step: "a", Try: 1}
	const named = `"step":"a","round":0,"rung":0,"try":1`
	for name, c := range map[string]struct {
		tool, body string
		claim      bool
		ends       bool
		unsafe     bool
		class      steps.Class
	}{
		"an unknown type":                    {body: `{"v":1,"type":"exploded",` + named + `}`, ends: true, class: steps.InvalidOutput},
		"a later version":                    {body: `{"v":2,"type":"succeeded",` + named + `}`, ends: true, class: steps.InvalidOutput},
		"no version":                         {body: `{"type":"succeeded",` + named + `}`, ends: true, class: steps.InvalidOutput},
		"a field of another JSON type":       {body: `{"v":1,"type":"succeeded","took":"long",` + named + `}`, ends: true, class: steps.InvalidOutput},
		"a policy that nobody can use":       {body: `{"v":1,"type":"objected","worker":"w","policy":{"approval":{"when":")"}},` + named + `}`, ends: true, class: steps.PolicyDenied},
		"unsafe: an unknown type":            {body: `{"v":1,"type":"exploded",` + named + `}`, ends: true, unsafe: true, class: steps.Unknown},
		"unsafe: a field of another type":    {body: `{"v":1,"type":"succeeded","took":"long",` + named + `}`, ends: true, unsafe: true, class: steps.Unknown},
		"unsafe: a claim nobody can read":    {body: "{", claim: true, ends: true, unsafe: true, class: steps.Unknown},
		"unsafe: a claim of a later version": {body: `{"v":2,"type":"claimed"}`, claim: true, ends: true, unsafe: true, class: steps.Unknown},
		"a claim of what needs none":         {body: "{", claim: true},
		"no attempt":                         {body: `{"v":1,"type":"exploded"}`},
		"no JSON":                            {body: "\x00"},
		"no such step":                       {body: `{"v":1,"type":"exploded","step":"zz","round":0,"rung":0,"try":1}`},
		"another try":                        {body: `{"v":1,"type":"exploded","step":"a","round":0,"rung":0,"try":7}`},
		"another tool's":                     {tool: "look", body: `{"v":1,"type":"exploded",` + named + `}`},
		"another tool's, unsafe":             {tool: "look", body: `{"v":2,"type":"succeeded",` + named + `}`, unsafe: true},
		"another tool's claim":               {tool: "look", body: "{", claim: true, unsafe: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &writer{t: t, run: "r"}
			sub := submitted(t)
			sub.Epoch = steps.Epoch
			effects := steps.EffectsIdempotent
			if c.unsafe {
				effects = steps.EffectsUnsafe
				sub.Document = []byte(strings.ReplaceAll(string(sub.Document), `"idempotent"`, `"unsafe"`))
			}
			w.add(sub)
			tool := cmp.Or(c.tool, "t")
			subject := wire.Default.Outcome(0, "r", tool)
			if c.claim {
				subject = wire.Default.ToolClaim(0, "r", tool, first)
			}
			w.on(subject, []byte(c.body))
			f := offline().Fold("r", w.entries, nil)
			if err := f.Frozen(); err != nil {
				t.Fatal(err)
			}
			rec := f.State.Units[0].Current()
			if ended := rec.Fault != nil; ended != c.ends || ended && f.State.Units[0].Fault.Class != c.class {
				t.Fatalf("the attempt is %s, fault %v, of the step %v", rec.State, rec.Fault, f.State.Units[0].Fault)
			}
			if c.ends && (len(f.State.Escalations) != 1 || f.State.Escalations[0].Fault.Detail == "") {
				t.Errorf("people are asked %+v", f.State.Escalations)
			}
			h := &History{}
			for _, e := range w.entries {
				h.add(wire.Default, "r", e)
			}
			m := steps.StepMessage{Run: "r", Attempt: first, Tool: "t", Effects: effects}
			verdict, _ := steps.VerdictOn(h.About("a", "t"), steps.Delivered{StepMessage: m, Redelivered: true, AckWait: time.Second})
			if (verdict == steps.Drop) != c.ends {
				t.Errorf("a worker that gets it then would %s", verdict)
			}
			w.add(succeeded("a")) // of another one, or too late
			w.add(succeeded("b"))
			f = offline().Fold("r", w.entries, nil)
			if err := f.Frozen(); err != nil || (f.State.Status() == steps.RunSucceeded) == c.ends {
				t.Errorf("%s: %v", f.State.Status(), err)
			}
		})
	}
}
