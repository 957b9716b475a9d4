package belay_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"belay"
	"belay/belaytype"
	"belay/embedded"
	busembedded "belay/internal/bus/embedded"
	"belay/internal/dispatch"
	"belay/internal/engine"
	"belay/worker"
)

const toolsFile = `
tools:
  work:
    effects: none
    rungs:
      - {name: primary, go: {}, timeout: 10s, retry: {max_attempts: 2, initial: 1ms}}
  pay:
    effects: unsafe
    rungs:
      - {name: primary, go: {}, retry: {max_attempts: 2, initial: 1ms}}
  fixed:
    effects: none
    rungs:
      - {name: primary, static: {output: 7}}
  refused:
    effects: none
    rungs:
      - {name: primary, http: {url: "http://127.0.0.1:1/"}, retry: {max_attempts: 1}}
  ladder:
    effects: none
    rungs:
      - {name: primary, go: {}}
      - {name: spare, go: {}}
`

type rig struct {
	*belay.Client
	t     *testing.T
	tools *belay.Tools
}

func open(t *testing.T, handlers ...belay.Handler) *rig {
	t.Helper()
	tools, err := belay.ParseTools("tools.yaml", []byte(toolsFile))
	if err != nil {
		t.Fatal(err)
	}
	c, err := embedded.Open(t.Context(), t.TempDir(), embedded.Options{Tools: tools, Handlers: handlers, Interval: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &rig{c, t, tools}
}

func (b *rig) plan(tool string) *belay.Plan {
	b.t.Helper()
	p, err := belay.ParsePlan("plan.yaml", fmt.Appendf(nil, "name: one\ninput: {x: 1}\nsteps:\n  - {id: s, tool: %s, with: {x: \"${ input.x }\"}}\noutput: \"${ steps.s.output }\"\n", tool), b.tools)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// submit starts a run, and fails the test if that does not work.
func (b *rig) submit(tool string, s belay.Submission) *belay.Run {
	b.t.Helper()
	r, err := b.Submit(b.t.Context(), b.plan(tool), s)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// rest runs one step of a tool until it ends or asks a person.
func (b *rig) rest(tool string, input any) *belaytype.Document {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	r, err := b.Submit(ctx, b.plan(tool), belay.Submission{Input: input})
	if err != nil {
		b.t.Fatal(err)
	}
	doc, err := r.Rest(ctx)
	var ended *belay.Ended
	if err != nil && !errors.As(err, &ended) {
		b.t.Fatal(err)
	}
	return doc
}

type params struct {
	X int `json:"x"`
}

// TestHowAHandlerFailsDecidesWhatHappensNext: the same function, another error each time.
func TestHowAHandlerFailsDecidesWhatHappensNext(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		tool     string
		err      error
		panics   bool
		attempts int
		class    string
		state    belaytype.RunState
	}{
		{name: "a plain error is not repeated", tool: "work", err: errors.New("no"), attempts: 1, class: "tool_error", state: belaytype.Waiting},
		{name: "permanent", tool: "work", err: belay.Permanent(errors.New("no")), attempts: 1, class: "tool_error", state: belaytype.Waiting},
		{name: "try again", tool: "work", err: belay.TryAgain(errors.New("no")), attempts: 2, class: "unavailable", state: belaytype.Waiting},
		{name: "try again, wrapped", tool: "work", err: fmt.Errorf("in the end: %w", belay.TryAgain(errors.New("no"))), attempts: 2, class: "unavailable", state: belaytype.Waiting},
		{name: "a person is asked before another rung", tool: "ladder", err: belay.NeedHuman(errors.New("no")), attempts: 1, class: "needs_human", state: belaytype.Waiting},
		{name: "every rung of a ladder", tool: "ladder", err: belay.Permanent(errors.New("no")), attempts: 2, class: "tool_error", state: belaytype.Waiting},
		{name: "a panic", tool: "work", panics: true, attempts: 1, class: "tool_error", state: belaytype.Waiting},
		{name: "unsafe, may have acted", tool: "pay", err: belay.TryAgain(errors.New("no")), attempts: 1, class: "unknown", state: belaytype.Waiting},
		{name: "unsafe, nothing happened", tool: "pay", err: belay.NothingHappened(belay.TryAgain(errors.New("no"))), attempts: 2, class: "unavailable", state: belaytype.Waiting},
		{name: "unsafe, nothing happened, the other way round", tool: "pay", err: belay.TryAgain(belay.NothingHappened(errors.New("no"))), attempts: 2, class: "unavailable", state: belaytype.Waiting},
		{name: "no reason given", tool: "work", err: belay.Permanent(nil), attempts: 1, class: "tool_error", state: belaytype.Waiting},
	}
	var now atomic.Int64
	handler := func(context.Context, params) (int, error) {
		tt := &tests[now.Load()]
		if tt.panics {
			panic("no")
		}
		return 0, tt.err
	}
	b := open(t, belay.Handle("work", handler), belay.Handle("pay", handler), belay.Handle("ladder", handler))
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now.Store(int64(i))
			doc := b.rest(tt.tool, nil)
			s := doc.Steps[0]
			if doc.State != tt.state || string(s.Class) != tt.class || len(s.Attempts) != tt.attempts {
				t.Errorf("%s, %d attempts, %s: %s; want %s, %d, %s", doc.State, len(s.Attempts), s.Class, s.Message, tt.state, tt.attempts, tt.class)
			}
		})
	}
}

func TestRetryAfterWaitsThatLongAndBurnsNoTry(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	b := open(t, belay.Handle("work", func(context.Context, params) (int64, error) {
		if n := calls.Add(1); n <= 3 {
			return 0, belay.RetryAfter(50*time.Millisecond, errors.New("slow down"))
		}
		return calls.Load(), nil
	}))
	doc := b.rest("work", nil)
	if doc.State != belaytype.Succeeded || string(doc.Output) != "4" || len(doc.Steps[0].Attempts) != 4 {
		t.Fatalf("%s %s", doc.State, doc.Output)
	}
	for _, a := range doc.Steps[0].Attempts[1:] {
		if time.Duration(a.Wait) != 50*time.Millisecond {
			t.Errorf("try %d waited %s", a.Try, a.Wait)
		}
	}
}

func TestParametersAndResults(t *testing.T) {
	t.Parallel()
	b := open(t,
		belay.Handle("work", func(_ context.Context, in params) (any, error) { return in.X, nil }),
		belay.Handle("ladder", func(_ context.Context, in map[string]any) (any, error) { return in["x"], nil }),
		belay.Handle("pay", func(context.Context, any) (any, error) { return make(chan int), nil }))
	if doc := b.rest("work", params{7}); string(doc.Output) != "7" {
		t.Errorf("%s %s", doc.State, doc.Output)
	}
	// Any length of number passes a handler without a type.
	if doc := b.rest("ladder", map[string]json.Number{"x": "12345678901234567890"}); string(doc.Output) != "12345678901234567890" {
		t.Errorf("%s %s", doc.State, doc.Output)
	}
	if doc := b.rest("work", map[string]any{"x": 1.5}); doc.Steps[0].Class != "invalid_input" || !strings.Contains(doc.Steps[0].Message, "belay_test.params") {
		t.Errorf("parameters that do not fit: %s %s", doc.Steps[0].Class, doc.Steps[0].Message)
	}
	// An unsafe tool whose result is unusable has acted: a person settles it.
	if doc := b.rest("pay", nil); doc.State != belaytype.Waiting || !strings.Contains(doc.Steps[0].Message, "cannot be written as JSON") {
		t.Errorf("a result that is no JSON: %s %s", doc.State, doc.Steps[0].Message)
	}
}

func TestInfoAndProgress(t *testing.T) {
	t.Parallel()
	if belay.Info(t.Context()) != (belay.Attempt{}) {
		t.Error("an attempt outside a handler")
	}
	belay.Progress(t.Context(), "nobody hears this")
	b := open(t,
		belay.Handle("ladder", func(ctx context.Context, _ params) (belay.Attempt, error) {
			return belay.Attempt{}, belay.Permanent(errors.New("not here"))
		}),
		belay.Handle("ladder", func(ctx context.Context, _ params) (belay.Attempt, error) {
			belay.Progress(ctx, "half of %d", 2)
			return belay.Info(ctx), nil
		}).OnRung("spare"))
	doc, err := b.submit("ladder", belay.Submission{ID: "info"}).Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := belay.Output[belay.Attempt](doc)
	if err != nil {
		t.Fatal(err)
	}
	if want := (belay.Attempt{Run: "info", Step: "s", Tool: "ladder", Rung: "spare", Key: "info/s/0", Try: 1}); got != want || doc.State != belaytype.Degraded {
		t.Errorf("%s %+v, want %+v", doc.State, got, want)
	}
	if _, err := belay.Output[int](doc); err == nil || !strings.Contains(err.Error(), "info") {
		t.Errorf("an object is no int: %v", err)
	}
}

func TestSubmitTwiceIsOnce(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	b := open(t, belay.Handle("work", func(context.Context, params) (int64, error) { return calls.Add(1), nil }))
	p := b.plan("work")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			r, err := b.Submit(t.Context(), p, belay.Submission{ID: "same", Input: params{1}})
			if err == nil {
				_, err = r.Wait(t.Context())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if calls.Load() != 1 {
		t.Errorf("executed %d times", calls.Load())
	}
	if _, err := b.Submit(t.Context(), p, belay.Submission{ID: "same", Input: params{2}}); !errors.Is(err, belay.ErrConflict) {
		t.Errorf("another input under the same id: %v", err)
	}
	list, err := b.List(t.Context(), belaytype.Filter{})
	if err != nil || len(list) != 1 || list[0].ID != "same" {
		t.Errorf("%v %v", list, err)
	}
}

// TestWaitGivesWhatTheLogSays, whether the end was reported or read.
func TestWaitGivesWhatTheLogSays(t *testing.T) {
	t.Parallel()
	b := open(t, belay.Handle("work", func(_ context.Context, p params) (int, error) {
		if p.X%3 == 0 {
			return 0, errors.New("not this one")
		}
		return p.X, nil
	}))
	p := b.plan("work")
	for i := range 9 {
		r, err := b.Submit(t.Context(), p, belay.Submission{Input: params{i + 1}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Rest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got.State == belaytype.Waiting {
			if err := b.Decide(t.Context(), got.Escalations[0], belaytype.Decision{Verb: belaytype.Answer, Answer: 5, By: "bo", Reason: "known"}); err != nil {
				t.Fatal(err)
			}
		}
		got, err = r.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if want, err := r.Show(t.Context()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Wait gives %+v, Show %+v, %v", got, want, err)
		}
	}
}

func TestWhatCannotBeSubmitted(t *testing.T) {
	t.Parallel()
	b := open(t)
	p := b.plan("work")
	for name, tt := range map[string]struct {
		s    belay.Submission
		want string
	}{
		"an id of two words": {belay.Submission{ID: "a b"}, "a b"},
		"no object":          {belay.Submission{Input: 5}, "struct or a map"},
		"not JSON":           {belay.Submission{Input: make(chan int)}, "cannot be written as JSON"},
		"unknown input":      {belay.Submission{Input: map[string]any{"y": 1}}, `"y"`},
		"another type":       {belay.Submission{Input: map[string]any{"x": "one"}}, `"x"`},
	} {
		if _, err := b.Submit(t.Context(), p, tt.s); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.Submit(t.Context(), nil, belay.Submission{}); err == nil || !strings.Contains(err.Error(), "LoadPlan") {
		t.Errorf("no plan: %v", err)
	}
	if _, err := b.Client.Run("nobody").Wait(t.Context()); !errors.Is(err, belay.ErrNoRun) {
		t.Error(err)
	}
	if _, err := b.Client.Run("nobody").Rest(t.Context()); !errors.Is(err, belay.ErrNoRun) {
		t.Error(err)
	}
	for e, err := range b.Client.Run("nobody").Events(t.Context()) {
		if !errors.Is(err, belay.ErrNoRun) {
			t.Errorf("%+v %v", e, err)
		}
	}
	if _, err := b.Client.Run("nobody").Show(t.Context()); !errors.Is(err, belay.ErrNoRun) {
		t.Error(err)
	}
}

func TestCancelStopsWhatExecutes(t *testing.T) {
	t.Parallel()
	executing, stopped := make(chan struct{}), make(chan error, 1)
	b := open(t, belay.Handle("work", func(ctx context.Context, _ params) (int, error) {
		close(executing)
		<-ctx.Done()
		stopped <- ctx.Err()
		return 0, ctx.Err()
	}))
	r := b.submit("work", belay.Submission{})
	<-executing
	if err := r.Cancel(t.Context(), "ann", "not needed"); err != nil {
		t.Fatal(err)
	}
	doc, err := r.Wait(t.Context())
	var ended *belay.Ended
	if !errors.As(err, &ended) || ended.State != belaytype.Cancelled || !strings.Contains(err.Error(), "not needed") || doc.State != belaytype.Cancelled {
		t.Errorf("%v %s", err, doc.State)
	}
	if err := <-stopped; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := r.Cancel(t.Context(), "ann", "again"); !errors.Is(err, belay.ErrEnded) {
		t.Error(err)
	}
}

func TestAPersonDecides(t *testing.T) {
	t.Parallel()
	b := open(t, belay.Handle("work", func(context.Context, params) (int, error) { return 0, belay.Permanent(errors.New("never")) }))
	r := b.submit("work", belay.Submission{ID: "ask"})
	doc, err := r.Rest(t.Context())
	if err != nil || doc.State != belaytype.Waiting || len(doc.Escalations) != 1 {
		t.Fatalf("%v %s %v", err, doc.State, doc.Escalations)
	}
	id := doc.Escalations[0]
	d, err := b.Escalation(t.Context(), id)
	if err != nil || d.ID != id || !strings.Contains(d.Message, "never") {
		t.Fatalf("%+v %v", d, err)
	}
	if err := b.Decide(t.Context(), id, belaytype.Decision{Verb: "approve", By: "bo"}); err == nil {
		t.Error("a verb that is not offered was taken")
	}
	if err := b.Decide(t.Context(), id, belaytype.Decision{Verb: "answer", By: "bo", Answer: map[string]int{"n": 5}}); err != nil {
		t.Fatal(err)
	}
	if err := b.Decide(t.Context(), id, belaytype.Decision{Verb: "abort", By: "cy"}); !errors.Is(err, belay.ErrDecided) || !strings.Contains(err.Error(), "bo") {
		t.Errorf("the second decision: %v", err)
	}
	if doc, err = r.Wait(t.Context()); err != nil || string(doc.Output) != `{"n":5}` || doc.Steps[0].AnswerBy != "bo" {
		t.Errorf("%v %s", err, doc.Output)
	}
	for _, id := range []string{"nonsense", "nobody-1", "ask-9"} {
		if _, err := b.Escalation(t.Context(), id); err == nil {
			t.Errorf("%s was found", id)
		}
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	b := open(t, belay.Handle("work", func(context.Context, params) (int, error) { <-release; return 1, nil }))
	r := b.submit("work", belay.Submission{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(release)
	if doc, err := r.Wait(t.Context()); err != nil || doc.State != belaytype.Succeeded {
		t.Errorf("%v %s", err, doc.State)
	}
}

// TestOverAServer: client, worker and dispatcher are three connections to one server over TCP.
func TestOverAServer(t *testing.T) {
	t.Parallel()
	server, err := engine.Start(t.Context(), engine.Options{
		Embedded: &busembedded.Options{StoreDir: t.TempDir(), Listen: "127.0.0.1:0", Durability: busembedded.Interval},
		Dispatch: &dispatch.Options{Name: "d"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	at := belay.NATS{Server: server.Server.URL()}
	tools, err := belay.ParseTools("tools.yaml", []byte(toolsFile))
	if err != nil {
		t.Fatal(err)
	}
	working, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- worker.Run(working, worker.Options{NATS: at, Tools: tools, Name: "mine"}, belay.Handle("work", func(ctx context.Context, in params) (int, error) { return in.X + 1, nil }))
	}()
	client, err := belay.Open(t.Context(), belay.Options{NATS: at})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	b := &rig{client, t, tools}
	doc, err := b.submit("work", belay.Submission{Input: params{41}}).Wait(t.Context())
	if err != nil || string(doc.Output) != "42" || doc.Steps[0].Attempts[0].Worker != "mine" {
		t.Errorf("%v %s", err, doc.Output)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestAWorkerThatIsStoppedWhileItStarts has done what it was told.
func TestAWorkerThatIsStoppedWhileItStarts(t *testing.T) {
	t.Parallel()
	tools, err := belay.ParseTools("tools.yaml", []byte(toolsFile))
	if err != nil {
		t.Fatal(err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := worker.Run(stopped, worker.Options{NATS: belay.NATS{Server: "nats://127.0.0.1:1"}, Tools: tools}); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeOpened(t *testing.T) {
	t.Parallel()
	if err := worker.Run(t.Context(), worker.Options{}); err == nil || !strings.Contains(err.Error(), "Tools") {
		t.Error(err)
	}
	if _, err := belay.Open(t.Context(), belay.Options{NATS: belay.NATS{Server: "nats://127.0.0.1:1", Timeout: time.Second}}); !errors.Is(err, belay.ErrUnreachable) {
		t.Error(err)
	}
	dir := t.TempDir()
	c, err := embedded.Open(t.Context(), dir, embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := embedded.Open(t.Context(), dir, embedded.Options{}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("one folder twice: %v", err)
	}
}

// TestParsePlanRefusesWhatDoesNotEnd: what keeps `dispatcher run` from starting a plan keeps this package from it.
func TestParsePlanRefusesWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	tools, err := belay.ParseTools("tools.yaml", []byte("tools: {hang: {effects: none, timeout: 0s, rungs: [{go: {}, timeout: 0s}]}}"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = belay.ParsePlan("plan.yaml", []byte("name: p\nsteps: [{id: a, tool: hang}]\n"), tools)
	if problems, ok := errors.AsType[belay.Problems](err); !ok || len(problems) != 1 || problems[0].Line != 1 || !strings.HasPrefix(problems[0].Message, "BLY001: ") {
		t.Errorf("%v", err)
	}
}
