package wire

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"belay/internal/exactjson"
	"belay/internal/steps"
)

func usual() (steps.Succeeded, steps.StepMessage) {
	a := steps.Attempt{Step: "s~12", Round: 1, Rung: 2, Try: 30}
	at := time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)
	return steps.Succeeded{Attempt: a, Worker: "w-1", Output: json.RawMessage(`{"a":[1,2.5,"}"],"b":null}`), Age: steps.Duration(90 * time.Minute), Started: at, Took: steps.Duration(1234567)},
		steps.StepMessage{
			Run: "r-1", Attempt: a, Workflow: "w", Tool: "pay.charge", RungName: "primary", Effects: steps.EffectsUnsafe, Params: json.RawMessage(`{"x":"y"}`),
			Key: "r-1/s/0", Timeout: steps.Duration(1500 * time.Millisecond), NotBefore: at, Deadline: at.Add(time.Hour), Policies: &steps.Policies{Heard: []string{"0123456789abcdef"}},
		}
}

func submission() steps.Submitted {
	return steps.Submitted{
		Epoch:    2,
		Document: json.RawMessage(`{"plan":{"name":"x, \"y\"}"}}`), Input: json.RawMessage(`{"a":[1,"}"],"b":"\\"}`), Labels: map[string]string{"team": "red"},
		By: "ann", Via: "cli", Reason: "mended now", ToolsFile: "/x/tools.yaml", At: time.Date(2026, 1, 2, 4, 0, 0, 0, time.UTC), In: steps.Duration(90 * time.Second), RetryOf: "r-0", KeyRun: "r-0", Request: "5f1c", Token: "0123456789abcdef",
		Proof: &steps.Proof{Key: "89ab", At: time.Date(2026, 1, 2, 3, 4, 5, 678000000, time.UTC), Signature: []byte("signed")},
	}
}

// TestUsualBodiesAreReadByHand: if the form of one changed on one side only, all would still work, and be slow.
func TestUsualBodiesAreReadByHand(t *testing.T) {
	t.Parallel()
	e, m := usual()
	s := submission()
	for _, name := range []string{"started", "claimed", "withdrawn", "closed"} {
		kind, body, err := EncodeEvent(events[name])
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := scanEvent(kind, body); !ok || !cmp.Equal(events[name], got) {
			t.Errorf("%s: %v, %+v", name, ok, got)
		}
	}
	for range 2 {
		got, ok := scanSucceeded(appendSucceeded(e))
		if diff := cmp.Diff(e, got); !ok || diff != "" {
			t.Errorf("%v\n%s", ok, diff)
		}
		step, ok := scanStep(appendStep(m))
		if diff := cmp.Diff(m, step); !ok || diff != "" {
			t.Errorf("%v\n%s", ok, diff)
		}
		body, ok := appendSubmitted(s)
		if !ok {
			t.Error("a usual run is not written by hand")
		}
		run, ok := scanSubmitted(body)
		if diff := cmp.Diff(s, run); !ok || diff != "" {
			t.Errorf("%v\n%s", ok, diff)
		}
		s.At, s.In = time.Time{}, 0
		s.Labels, s.By, s.Via, s.Reason, s.ToolsFile, s.RetryOf, s.KeyRun, s.Request, s.Token, s.Proof = nil, "", "", "", "", "", "", "", "", nil
		e.Age, e.Started, e.Took = 0, time.Time{}, 0
		m.Timeout, m.NotBefore, m.Deadline = 0, time.Time{}, time.Time{}
	}
}

// FuzzScan: whatever is read by hand, encoding/json with exact keys reads the same way; nothing is read by hand that it refuses.
func FuzzScan(f *testing.F) {
	e, m := usual()
	f.Add(appendSucceeded(e))
	f.Add(appendStep(m))
	if body, ok := appendSubmitted(submission()); ok {
		f.Add(body)
	}
	f.Add([]byte(`{"v":1,"type":"submitted","proof":null,"input":{},"document":{}}`))
	f.Add([]byte(`{"v":1,"type":"submitted","proof":{"key":"a","at":"2026-01-02T03:04:05Z","signature":"YQ=="},"proof":{"key":"b"},"input":{},"document":{}}`))
	f.Add([]byte(`{"v":1,"type":"submitted","input":{"a":"\"}"},"document":[1,{"x":"\\"}]}`))
	f.Add([]byte(`{"v":1,"type":"submitted","labels":{"a":"b"},"labels":{"a":1},"input":{},"document":{}}`))
	f.Add([]byte(`{"v":1,"type":"submitted","labels":null,"input":{},"document":{},"carried":[{"step":"s"}]}`))
	f.Add([]byte(`{"v":1,"type":"succeeded","step":"s","round":0,"rung":0,"try":1,"worker":"w","output":1}`))
	f.Add([]byte(`{"v":1,"type":"succeeded","step":"s","round":0,"rung":0,"try":1,"worker":"w","output":1}{"x":2}`))
	f.Add([]byte(`{"v":1,"type":"succeeded","step":"s","round":00,"rung":0,"try":1,"worker":"w","output": 1 }`))
	f.Add([]byte(`{"v":1,"type":"succeeded","step":"s","round":0,"rung":0,"try":1,"worker":"w","took":1e2,"output":[1]}`))
	f.Add([]byte(`{"v":1,"type":"succeeded","step":"s","round":0,"rung":0,"try":1,"worker":"w","took":+1,"output":[1]}`))
	f.Add([]byte(`{"v":1,"type":"succeeded","step":"s","round":0,"rung":0,"try":1,"worker":"w","output":1,"output":2}`))
	for _, name := range []string{"started", "claimed", "closed"} {
		_, body, err := EncodeEvent(events[name])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte(`{"v":1,"type":"started","step":"s","round":0,"rung":0,"try":1,"worker":"w","unheard":true}`))
	f.Add([]byte(`{"v":1,"type":"started","step":"s","round":0,"rung":0,"try":1,"worker":"w","unheard":trueish}`))
	f.Add([]byte(`{"v":1,"type":"closed","state":"failed","reason":"it","reason":"twice"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		readAlike(t, body, scanStarted)
		readAlike(t, body, scanClaimed)
		readAlike(t, body, scanClosed)
		readAlike(t, body, scanSucceeded)
		readAlike(t, body, scanSubmitted)
		if got, ok := scanStep(body); ok {
			var want steps.StepMessage
			err := exactjson.Unmarshal(body, &want)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%s\n%v\n%s", body, err, diff)
			}
		}
	})
}

func readAlike[E steps.Event](t *testing.T, body []byte, scan func([]byte) (E, bool)) {
	t.Helper()
	got, ok := scan(body)
	if !ok {
		return
	}
	want, err := read[E](body)
	if diff := cmp.Diff(want, steps.Event(got)); err != nil || diff != "" {
		t.Errorf("%s\n%v\n%s", body, err, diff)
	}
}

func BenchmarkDecodeSucceeded(b *testing.B) {
	e, _ := usual()
	body := appendSucceeded(e)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeEvent(KindOutcome, body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeStep(b *testing.B) {
	_, m := usual()
	body := appendStep(m)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeStep(body); err != nil {
			b.Fatal(err)
		}
	}
}
