package worker

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"belay/internal/executor"
	"belay/internal/ladder"
	"belay/internal/steps"
)

// seeing is a rung whose executor shows what it was asked.
func seeing(see func(ctx context.Context, req executor.Request) error) ladder.Rung {
	return ladder.Rung{Executor: onwards{executor.Func(func(ctx context.Context, req executor.Request) (executor.Result, error) {
		return executor.Result{Output: json.RawMessage(`{"done":true}`)}, see(ctx, req)
	})}}
}

// onwards is an executor that goes on with what was left.
type onwards struct{ executor.Func }

func (onwards) Continues() {}

func failed(t *testing.T, all []steps.Event) steps.Failed {
	t.Helper()
	f, is := all[len(all)-1].(steps.Failed)
	if !is {
		t.Fatalf("the outcome is %+v", all[len(all)-1])
	}
	return f
}

var work7 = steps.Resume{Value: json.RawMessage(`{"job":7}`), About: "job 7", Harmless: true}

// TestWhatIsLeftIsStoredFirst: when the executor goes on, it is on the log, under the name of the claim.
func TestWhatIsLeftIsStoredFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.submit(steps.EffectsUnsafe)
	rung := seeing(func(ctx context.Context, req executor.Request) error {
		if err := req.Keep(ctx, work7); err != nil {
			return err
		}
		entries := r.entries()
		if last := string(entries[len(entries)-1].Data); !strings.Contains(last, `"type":"resumable"`) || req.Continues != nil {
			t.Errorf("the log ends with %s, and it goes on with %v", last, req.Continues)
		}
		return nil
	})
	rung.Effects = steps.EffectsUnsafe
	r.start(Options{}, rung)
	r.queue(message(steps.EffectsUnsafe))
	all := r.until(isOutcome)
	claim, left := all[1].(steps.Claimed), all[2].(steps.Resumable)
	if left.Worker != claim.Worker || string(left.Resume.Value) != `{"job":7}` || !left.Resume.Harmless {
		t.Errorf("%+v, claimed by %s", left, claim.Worker)
	}
	r.drained()
}

// TestARedeliveryGoesOn: what may be repeated is not begun anew under the same name either, once something is left.
func TestARedeliveryGoesOn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.submit(steps.EffectsIdempotent)
	m := message(steps.EffectsIdempotent)
	r.queue(m)
	r.takeSilently()
	r.log(steps.Started{Attempt: m.Attempt, Worker: "gone"})
	r.log(steps.Resumable{Attempt: m.Attempt, Worker: "gone", Resume: work7})
	r.start(Options{}, seeing(func(_ context.Context, req executor.Request) error {
		if req.Continues == nil || string(req.Continues.Value) != `{"job":7}` {
			t.Errorf("goes on with %+v", req.Continues)
		}
		return nil
	}))
	all := r.until(isOutcome)
	if _, is := all[len(all)-1].(steps.Succeeded); !is {
		t.Errorf("the outcome is %+v", all[len(all)-1])
	}
	r.drained()
}

// TestAnotherKindOfRungDoesNotGoOn: it would begin the call anew, which may have acted.
func TestAnotherKindOfRungDoesNotGoOn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.submit(steps.EffectsUnsafe)
	m := message(steps.EffectsUnsafe)
	state := steps.Resume{Value: json.RawMessage(`"s1"`), About: "the server's state"}
	r.log(steps.Claimed{Attempt: m.Attempt, Worker: "gone#1"})
	r.log(steps.Failed{Attempt: m.Attempt, Worker: "gone#1", Fault: steps.Fault{Class: steps.NeedsHuman, Message: "which?"}, Resume: &state, Question: &steps.Question{Text: "which?"}})
	r.log(steps.Decided{Escalation: "r-1", Verb: steps.VerbAnswer, By: "ann", Answer: json.RawMessage(`{}`)})
	rung := ok(func() { t.Error("executed") })
	rung.Effects = steps.EffectsUnsafe
	r.start(Options{}, rung)
	m.Try, m.Continues = 2, true
	r.queue(m)
	all := r.until(func(e steps.Event) bool { f, is := e.(steps.Failed); return is && f.Try == 2 })
	if f := all[len(all)-1].(steps.Failed); f.Fault.Class != steps.PolicyDenied || f.Fault.MayHaveActed() || !strings.Contains(f.Fault.Message, "begins anew") {
		t.Errorf("%+v", f)
	}
	r.drained()
}

// TestAnswersComeFromTheLog: an attempt that goes on has what was left, and what a person answered; the message has neither.
func TestAnswersComeFromTheLog(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.submit(steps.EffectsUnsafe)
	m := message(steps.EffectsUnsafe)
	state := steps.Resume{Value: json.RawMessage(`"s1"`), About: "the server's state"}
	r.log(steps.Claimed{Attempt: m.Attempt, Worker: "gone#1"})
	r.log(steps.Failed{Attempt: m.Attempt, Worker: "gone#1", Fault: steps.Fault{Class: steps.NeedsHuman, Message: "which?"}, Resume: &state, Question: &steps.Question{Text: "which?"}})
	r.log(steps.Decided{Escalation: "r-1", Verb: steps.VerbAnswer, By: "ann", Answer: json.RawMessage(`{"n":1.50}`)})
	rung := seeing(func(_ context.Context, req executor.Request) error {
		if c := req.Continues; c == nil || string(c.Value) != `"s1"` || string(c.Answer) != `{"n":1.50}` || req.Key != "r/s/0" {
			t.Errorf("goes on with %+v, key %s", c, req.Key)
		}
		return nil
	})
	rung.Effects = steps.EffectsUnsafe
	r.start(Options{}, rung)
	m.Try, m.Continues = 2, true
	r.queue(m)
	all := r.until(func(e steps.Event) bool { _, is := e.(steps.Succeeded); return is })
	if s := all[len(all)-1].(steps.Succeeded); s.Try != 2 {
		t.Errorf("%+v", s)
	}
	r.drained()
}

// TestAForgedContinuationIsNotExecuted: a message alone makes nothing go on, and nothing that goes on begin anew.
func TestAForgedContinuationIsNotExecuted(t *testing.T) {
	t.Parallel()
	for name, effects := range map[string]steps.Effects{"a safe call": steps.EffectsNone, "an unsafe one": steps.EffectsUnsafe} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.submit(effects)
			rung := ok(func() { t.Error("executed") })
			rung.Effects = effects
			r.start(Options{}, rung)
			m := message(effects)
			m.Continues = true
			r.queue(m)
			if f := r.fault(steps.PolicyDenied); f.MayHaveActed() {
				t.Errorf("%+v", f)
			}
			r.drained()
		})
	}
}

// TestWhatIsLeftIsSound: what is too large is not kept, and people are shown neither a schema nor a page that is none.
func TestWhatIsLeftIsSound(t *testing.T) {
	t.Parallel()
	large := steps.Resume{Value: json.RawMessage(`"` + strings.Repeat("x", steps.MaxResume) + `"`)}
	small := steps.Resume{Value: json.RawMessage(`1`)}
	for name, c := range map[string]struct {
		err    executor.Unfinished
		leaves bool
		says   string
		url    string
	}{
		"too large":   {executor.Unfinished{Resume: &large, Question: &steps.Question{Text: "which?"}}, false, "at most 65536 are kept", ""},
		"no schema":   {executor.Unfinished{Resume: &small, Question: &steps.Question{Text: "which?", Schema: json.RawMessage(`{"type":"smoke"}`)}}, true, "what the answer must be is not known", ""},
		"not the web": {executor.Unfinished{Resume: &small, Question: &steps.Question{Text: "go", URL: "javascript:alert(1)"}}, true, "none of the web", ""},
		"sound":       {executor.Unfinished{Resume: &small, Question: &steps.Question{Text: "go", URL: "https://x/y"}}, true, "go", "https://x/y"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.submit(steps.EffectsNone)
			c.err.Fault = steps.Fault{Class: steps.NeedsHuman, Message: "it asks"}
			r.start(Options{}, fails(func(context.Context) error { return c.err }))
			r.queue(message(steps.EffectsNone))
			f := failed(t, r.until(isOutcome))
			if (f.Resume != nil) != c.leaves || (f.Question != nil) != c.leaves {
				t.Fatalf("left %+v, asks %+v", f.Resume, f.Question)
			}
			said := f.Fault.Message
			if f.Question != nil {
				said = f.Question.Text
				if f.Question.URL != c.url {
					t.Errorf("page %q", f.Question.URL)
				}
			}
			if !strings.Contains(said, c.says) {
				t.Errorf("says %q, want %q", said, c.says)
			}
			r.drained()
		})
	}
}
