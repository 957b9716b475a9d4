package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"belay/internal/exactjson/exactjsontest"
	"belay/internal/steps"
)

var (
	attempt = steps.Attempt{Step: "refund~3", Round: 1, Rung: 2, Try: 3}
	moment  = time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.UTC)
)

// events has every type of event, with everything in it that it may hold.
var events = map[string]steps.Event{
	"submitted": steps.Submitted{
		Epoch:    2,
		Document: raw(`{"name":"p"}`), Input: raw(`{"order":12345678901234567890,"note":"<b>&"}`), Labels: map[string]string{"team": "payments"},
		ToolsFile: "tools.yaml", At: moment, In: steps.Duration(time.Hour), By: "zoe", Via: "cli", Reason: "mended", RetryOf: "r0", KeyRun: "r0", Carried: []steps.Carried{{Step: "a", State: steps.StepState("succeeded"), Rung: 1, Output: raw(`1.50`), Tainted: true}},
	},
	"replayed": steps.Submitted{
		Epoch: 7, Document: raw(`{"name":"p"}`), Input: raw(`{}`), By: "zoe", Replay: &steps.ReplayOf{Run: "r0", From: []string{"b"}, Confirmed: []string{"b"}},
		Carried: []steps.Carried{{Step: "a", State: steps.StepSucceeded, Output: raw(`1`), From: "r0", AnswerBy: "ann", Rejected: &steps.Decided{Escalation: "r0-1", Verb: steps.VerbReject, By: "ann"}}},
	},
	"cancelled": steps.Cancelled{By: "zoe", Reason: "too late"},
	"steered":   steps.Steered{ID: "m1", Step: "resolve", Text: "be brief", TakeBack: 3, By: "zoe", Via: "cli"},
	"started":   steps.Started{Attempt: attempt, Worker: "w1", Delivery: "7"},
	"progress":  steps.Progress{Attempt: attempt, Worker: "w1", Message: "half"},
	"resumable": steps.Resumable{Attempt: attempt, Worker: "w1", Resume: steps.Resume{Value: raw(`{"task":"7"}`), About: `task "7"`, Harmless: true}},
	"asking": steps.Failed{Attempt: attempt, Worker: "w1", Fault: steps.Fault{Class: steps.NeedsHuman, Message: "which?"},
		Resume: &steps.Resume{Value: raw(`{"state":"<&>"}`), About: "the server's state"}, Question: &steps.Question{Text: "which?", Schema: raw(`{"type":"object"}`), URL: "https://x/?a&b"}},
	"spent":     steps.Failed{Attempt: attempt, Worker: "w1", Fault: steps.Fault{Class: steps.Unavailable}, Spent: true},
	"succeeded": steps.Succeeded{Attempt: attempt, Worker: "w1", Output: raw(`{"id":1e400}`), Age: steps.Duration(time.Hour), Started: moment, Took: steps.Duration(1500 * time.Millisecond)},
	"failed":    steps.Failed{Attempt: attempt, Worker: "w1", Fault: steps.Fault{Class: steps.Timeout, Message: "503 <html>"}, Started: moment, Took: steps.Duration(time.Second)},
	"objected": steps.Objected{Attempt: attempt, Worker: "w1", Policy: steps.ToolPolicy{
		Effects: steps.EffectsUnsafe, Approval: &steps.Approval{When: "params.a > 1", Decisions: []steps.Verb{steps.VerbApprove}, Approvers: 2}, OutputSchema: raw(`{"type":"object"}`),
		Verify: &steps.Verify{Happened: "output.found"}, Definition: map[string]string{"effects": "x"},
	}},
	"claimed":   steps.Claimed{Attempt: attempt, Worker: "w1"},
	"withdrawn": steps.Claimed{Attempt: attempt},
	"approved":  steps.Decided{Escalation: "r-1", Verb: steps.VerbApprove, By: "zoe", Grant: &grant},
	"decided":   steps.Decided{Escalation: "r-1", Verb: steps.VerbEdit, By: "zoe", Via: "cli", Reason: "agreed", Params: raw(`{"amount":0.10}`), Answer: raw(`null`)},
	"fired":     steps.Fired{},
	"unserved":  steps.Unserved{Attempt: attempt},
	"takenback": steps.Withdrawn{Attempt: attempt},
	"damaged":   steps.Damaged{Damage: "d", What: "entries are missing", Found: moment, Hole: true, By: "zoe", Reason: "seen"},
	"held":      steps.Held{Attempt: attempt, Hold: steps.Hold{Why: steps.HoldGate, Gate: "g1", Covers: "tool payments.*", By: "zoe", Reason: "wrong <amounts>", Since: moment, Until: moment.Add(time.Hour)}},
	"released":  steps.Released{Attempt: attempt, Gate: "g1", By: "zoe", Reason: "mended"},
	"closed":    steps.Closed{State: steps.RunState("degraded"), Reason: "done"},
}

var grant = steps.Grant{
	Run: "r", Step: "refund~3", Round: 1, Tool: "payments.refund", Digest: "d", Escalation: "r-1", By: "zoe", Nonce: "n", Issued: moment, Expires: moment, Key: "k", Signature: []byte{1, 2},
}

var stepMessage = steps.StepMessage{
	Run: "r", Attempt: attempt, Workflow: "refund", Tool: "payments.refund", RungName: "primary", Effects: steps.Effects("unsafe"),
	Params: raw(`{"amount":12345678901234567890}`), Key: "r/refund~3/1", Timeout: steps.Duration(5 * time.Second), NotBefore: moment, Deadline: moment.Add(time.Hour),
}

func raw(s string) json.RawMessage { return json.RawMessage(s) }

func TestEventsComeBack(t *testing.T) {
	t.Parallel()
	for name, e := range events {
		kind, body, err := EncodeEvent(e)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(body) || !strings.HasPrefix(string(body), `{"v":1,"type":"`) {
			t.Errorf("%s is written as %s", name, body)
		}
		back, err := DecodeEvent(kind, body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(e, back, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s came back otherwise: %s", name, diff)
		}
		var spaced strings.Builder // by somebody else's encoder: other order, other spaces
		if err := respell(&spaced, body); err != nil {
			t.Fatal(err)
		}
		if back, err := DecodeEvent(kind, []byte(spaced.String())); err != nil || !cmp.Equal(e, back, cmp.Comparer(sameJSON)) {
			t.Errorf("%s, spelled otherwise, is %+v, %v", name, back, err)
		}
	}
}

// respell writes an object with its keys in order of the alphabet and with spaces.
func respell(w *strings.Builder, body []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return err
	}
	enc := json.NewEncoder(w)
	enc.SetIndent(" ", "  ")
	return enc.Encode(fields)
}

func sameJSON(a, b json.RawMessage) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	spell := func(m json.RawMessage) string {
		var v any
		d := json.NewDecoder(strings.NewReader(string(m)))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			return string(m)
		}
		s, err := json.Marshal(v)
		if err != nil {
			return string(m)
		}
		return string(s)
	}
	return spell(a) == spell(b)
}

// Who may write a subject decides what may be said there: no event is accepted from the subject of another kind.
func TestAnEventOnAnotherKindOfSubjectIsPoison(t *testing.T) {
	t.Parallel()
	kinds := []string{KindPlan, KindOutcome, KindClaim, KindDecision, KindClock, KindResult}
	for name, e := range events {
		own, body, err := EncodeEvent(e)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range kinds {
			if _, err := DecodeEvent(kind, body); (err == nil) != (kind == own) || err != nil && !errors.Is(err, ErrPoison) {
				t.Errorf("%s on %s: %v", name, kind, err)
			}
		}
	}
}

func TestPoison(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		"", "{", "null", "[]", `"x"`, "\xff\xfe", `{}`, `{"v":1}`, `{"v":1,"type":"unheard"}`, `{"v":2,"type":"started"}`, `{"type":"started","step":"a"}`,
		`{"v":1,"type":"started","step":5}`, `{"v":1,"type":"started"`, `{"v":1,"type":"started","try":1.5}`, `{"v":1,"type":"`, `{"v":"1","type":"started"}`,
		strings.Repeat("[", 100_000),
	} {
		if e, err := DecodeEvent(KindOutcome, []byte(body)); !errors.Is(err, ErrPoison) {
			t.Errorf("%.40q is read as %+v, %v", body, e, err)
		}
		if m, err := DecodeStep([]byte(body)); !errors.Is(err, ErrPoison) && !strings.Contains(body, `"v":1`) {
			t.Errorf("%.40q is read as the step %+v, %v", body, m, err)
		}
	}
}

// What encoding/json takes for a key, other readers of a log do not; and of two values that a key has, they may take the
// other one.
func TestNamesOfKeysAreExact(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]steps.Event{
		`{"v":1,"type":"started","step":"a","round":0,"rung":0,"try":1,"worker":"w","wOrker":"x"}`:             steps.Started{Attempt: steps.Attempt{Step: "a", Try: 1}, Worker: "w"},
		`{"v":1,"type":"started","step":"a","round":0,"rung":0,"try":1,"Worker":"x"}`:                          steps.Started{Attempt: steps.Attempt{Step: "a", Try: 1}},
		`{"v":1,"tYpe":"failed","V":2,"type":"started","step":"a","round":0,"rung":0,"try":1,"new":"unknown"}`: steps.Started{Attempt: steps.Attempt{Step: "a", Try: 1}},
		`{"v":1,"type":"failed","step":"a","round":0,"rung":0,"try":1,"fault":{"Acted":"no"}}`:                 steps.Failed{Attempt: steps.Attempt{Step: "a", Try: 1}},
		`{"v":1,"type":"succeeded","step":"a","round":0,"rung":0,"try":1,"output":{"a":1,"A":2,"a":3}}`:        steps.Succeeded{Attempt: steps.Attempt{Step: "a", Try: 1}, Output: raw(`{"a":1,"A":2,"a":3}`)},
	} {
		if e, err := DecodeEvent(KindOutcome, []byte(body)); err != nil || !cmp.Equal(want, e) {
			t.Errorf("%s is read as %+v, %v", body, e, err)
		}
	}
	for _, body := range []string{
		`{"v":1,"tYpe":"started","step":"a","round":0,"rung":0,"try":1,"worker":"w"}`,
		`{"V":1,"type":"started","step":"a","round":0,"rung":0,"try":1,"worker":"w"}`,
		`{"v":1,"type":"started","step":"a","round":0,"rung":0,"try":1,"worker":"w","type":"succeeded"}`,
		`{"v":1,"type":"started","step":"a","round":0,"rung":0,"try":1,"worker":"w","worker":"x"}`,
		`{"v":1,"type":"failed","step":"a","round":0,"rung":0,"try":1,"fault":{"acted":"no","acted":"maybe"}}`,
		`{"v":1,"type":"failed","step":"a","round":0,"rung":0,"try":1,"new":1,"new":2}`,
	} {
		if e, err := DecodeEvent(KindOutcome, []byte(body)); !errors.Is(err, ErrPoison) {
			t.Errorf("%s is read as %+v, %v", body, e, err)
		}
	}
	step := string(EncodeStep(stepMessage))
	if m, err := DecodeStep([]byte(strings.Replace(step, `"effects"`, `"Effects"`, 1))); err != nil || m.Effects != "" {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err := DecodeStep([]byte(strings.Replace(step, `{"v":1`, `{"v":1,"effects":"pure"`, 1))); !errors.Is(err, ErrPoison) {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestApprovedStepsComeBack(t *testing.T) {
	t.Parallel()
	m := stepMessage
	m.Grants, m.Definition = []steps.Grant{grant, grant}, map[string]string{"effects": "x", "rung primary": "y"}
	body := EncodeStep(m)
	back, err := DecodeStep(body)
	if diff := cmp.Diff(m, back); err != nil || diff != "" || !bytes.Equal(body, EncodeStep(back)) {
		t.Errorf("came back otherwise: %s, %v", diff, err)
	}
}

func TestStepsComeBack(t *testing.T) {
	t.Parallel()
	m := stepMessage
	body := EncodeStep(m)
	back, err := DecodeStep(body)
	if diff := cmp.Diff(m, back, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Errorf("came back otherwise: %s, %v", diff, err)
	}
	if _, err := DecodeStep([]byte(strings.Replace(string(body), `"v":1`, `"v":2`, 1))); !errors.Is(err, ErrPoison) {
		t.Errorf("the next version is read: %v", err)
	}
}

// FuzzKeys: no key of an event is taken in another case, or twice.
func FuzzKeys(f *testing.F) {
	for name := range events {
		_, body, err := EncodeEvent(events[name])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	exactjsontest.Fuzz(f, func(body []byte) (json.RawMessage, error) {
		var err error
		for _, kind := range []string{KindPlan, KindOutcome, KindClaim, KindDecision, KindClock, KindResult} {
			var e steps.Event
			if e, err = DecodeEvent(kind, body); err == nil {
				_, again, err := EncodeEvent(e)
				return again, err
			}
		}
		return nil, err
	})
}

// Whatever arrives, it is refused, or it reads the same after it was written again.
func FuzzDecodeEvent(f *testing.F) {
	for _, e := range events {
		kind, body, err := EncodeEvent(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(kind, body)
	}
	f.Fuzz(func(t *testing.T, kind string, body []byte) {
		e, err := DecodeEvent(kind, body)
		if err != nil {
			if !errors.Is(err, ErrPoison) {
				t.Fatalf("refused without being called poison: %v", err)
			}
			exactjsontest.Message(t, err)
			return
		}
		own, again, err := EncodeEvent(e)
		if err != nil || own != kind {
			t.Fatalf("read from %s, written to %s: %v", kind, own, err)
		}
		back, err := DecodeEvent(own, again)
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		if _, third, err := EncodeEvent(back); err != nil || string(third) != string(again) {
			t.Fatalf("written as %s, then as %s: %v", again, third, err)
		}
	})
}

func FuzzDecodeStep(f *testing.F) {
	f.Add(EncodeStep(stepMessage))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := DecodeStep(body)
		if err != nil {
			if !errors.Is(err, ErrPoison) {
				t.Fatalf("refused without being called poison: %v", err)
			}
			exactjsontest.Message(t, err)
			return
		}
		again := EncodeStep(m)
		back, err := DecodeStep(again)
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		if third := EncodeStep(back); !bytes.Equal(again, third) {
			t.Fatalf("written as %s, then as %s", again, third)
		}
	})
}

// What a subject is read as is written to the same subject, whatever it is read as.
func FuzzParseSubjects(f *testing.F) {
	for _, s := range []string{
		Default.Claim(1, "r", attempt), Default.Step("orders.lookup", "primary", "r", attempt), Default.TimerDue(1, "r"), Default.TimerSet(0, "r"), Default.Stop("r", attempt),
		Default.Escalation(steps.KindApproval, "", "r-1"), Default.Log(3, "r", KindPlan), Default.Report("t", "r"), Default.StepFilter("orders.lookup", "primary"),
		"belay.runs.+1.r.plan", "belay.timers.due.01.r", "belay.stop.r.s.0-0-+1", "belay.steps.~.p..s.1-0-1", "belay.timers.x.1.r",
	} {
		f.Add(s)
	}
	n := Default
	f.Fuzz(func(t *testing.T, s string) {
		built := map[string]string{}
		if tool, rung, run, a, ok := n.ParseStep(s); ok {
			built["step"] = n.Step(tool, rung, run, a)
		}
		if p, run, ok := n.ParseTimer(s); ok {
			if built["timer"] = n.TimerDue(p, run); s == n.TimerSet(p, run) {
				built["timer"] = s
			}
		}
		if p, run, kind, ok := n.ParseLog(s); ok {
			if built["log"] = n.Log(p, run, kind); strings.HasPrefix(s, built["log"]+".") {
				built["log"] = s
			}
			if of, ok := n.LogRun(s); !ok || of != run {
				t.Fatalf("%q is of run %q, and of %q", s, run, of)
			}
		}
		if token, run, ok := n.ParseReport(s); ok {
			built["report"] = n.Report(token, run)
		}
		if kind, tool, id, ok := n.ParseEscalation(s); ok {
			built["escalation"] = n.Escalation(kind, tool, id)
		}
		if run, a, ok := n.ParseStop(s); ok {
			built["stop"] = n.Stop(run, a)
		}
		if tool, rung, ok := n.ParseStepFilter(s); ok {
			built["filter"] = n.StepFilter(tool, rung)
		}
		for what, b := range built {
			if b != s {
				t.Fatalf("%q is read as the %s of %q", s, what, b)
			}
		}
	})
}
