package handoff

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"belay/internal/approval"
	"belay/internal/bus"
	"belay/internal/bus/bustest"
	"belay/internal/dlq"
	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/wire"
)

// office is a log, and a desk where people decide.
type office struct {
	*runlog.Log
	desk *Desk
	bus  *bus.Bus
}

func newLog(t *testing.T) (*office, *bus.Bus) {
	t.Helper()
	b := bustest.Start(t, 2)
	signer, err := approval.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	log := runlog.New(b, plan.NewCache(8))
	return &office{log, NewDesk(log, dlq.New(b), NewClaims(b), signer), b}, b
}

// failing submits a run of one step whose only attempt failed, so that it asks a person.
func failing(t *testing.T, l *office, run string) {
	t.Helper()
	d := steps.Definition{
		Plan: steps.Plan{Name: "pay", Steps: []steps.Step{{ID: "s", Tool: "t", OnFailure: steps.OnFailureEscalate}}},
		Tools: map[string]steps.Tool{"t": {
			Name: "t", Effects: steps.EffectsIdempotent,
			InputSchema:  json.RawMessage(`{"type":"object","required":["amount"],"properties":{"amount":{"type":"number","maximum":100}}}`),
			OutputSchema: json.RawMessage(`{"type":"object","required":["id"]}`),
			Rungs:        []steps.Rung{{Name: "primary", Executor: "go", Retry: steps.RetryPolicy{MaxAttempts: 1, Factor: 2}}},
		}},
	}
	doc, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Submit(t.Context(), run, steps.Submitted{Document: doc, Input: json.RawMessage(`{}`)}); err != nil {
		t.Fatal(err)
	}
	fail(t, l, run, 0)
}

// decided lets somebody decide at a desk, and gives back the decision as the log has it.
func decided(t testing.TB, l *office, id string, d steps.Decided) (steps.Decided, error) {
	t.Helper()
	who := people.Trusted(d.By, d.Via)
	if who.Name == "" {
		who.Name = "somebody"
	}
	done, err := l.desk.Act(t.Context(), who, id, people.Act{Verb: people.Action(d.Verb), Reason: d.Reason, Params: d.Params, Answer: d.Answer})
	d.Escalation, d.By = done.ID, done.By
	return d, err
}

func fail(t *testing.T, l *office, run string, round int) {
	t.Helper()
	f := steps.Failed{Attempt: steps.Attempt{Step: "s", Round: round, Try: 1}, Worker: "w", Fault: steps.Fault{Class: steps.ToolError, Acted: steps.ActedNo, Message: "no"}}
	if _, err := l.Append(t.Context(), run, f); err != nil {
		t.Fatal(err)
	}
}

func deep(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }

func TestDecideRefuses(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	failing(t, l, "run")
	answer := func(v string) steps.Decided { return steps.Decided{Verb: steps.VerbAnswer, Answer: json.RawMessage(v)} }
	edit := func(v string) steps.Decided { return steps.Decided{Verb: steps.VerbEdit, Params: json.RawMessage(v)} }
	for name, c := range map[string]struct {
		id   string
		d    steps.Decided
		want error
		says string
	}{
		"no id":                      {"", steps.Decided{Verb: steps.VerbRetry}, ErrNoEscalation, ""},
		"no number":                  {"run", steps.Decided{Verb: steps.VerbRetry}, ErrNoEscalation, ""},
		"no such run":                {"nobody-1", steps.Decided{Verb: steps.VerbRetry}, ErrNoEscalation, ""},
		"wildcard":                   {"*-1", steps.Decided{Verb: steps.VerbRetry}, ErrNoEscalation, ""},
		"no such number":             {"run-2", steps.Decided{Verb: steps.VerbRetry}, ErrNoEscalation, ""},
		"verb not allowed":           {"run-1", steps.Decided{Verb: steps.VerbApprove}, ErrNotAllowed, "retry, edit"},
		"no verb":                    {"run-1", steps.Decided{}, ErrNotAllowed, "retry"},
		"edit without parameters":    {"run-1", edit(``), ErrInvalid, "object"},
		"edit with a list":           {"run-1", edit(`[1]`), ErrInvalid, "object"},
		"edit with broken JSON":      {"run-1", edit(`{"amount":1}}`), ErrInvalid, "object"},
		"edit against the schema":    {"run-1", edit(`{"amount":101}`), ErrInvalid, "amount"},
		"edit misses a parameter":    {"run-1", edit(`{}`), ErrInvalid, "amount"},
		"answer without a value":     {"run-1", answer(``), ErrInvalid, "JSON"},
		"answer against the schema":  {"run-1", answer(`{"no":1}`), ErrInvalid, "id"},
		"answer too large":           {"run-1", answer(`{"id":"` + strings.Repeat("x", steps.MaxOutput) + `"}`), ErrInvalid, "bytes"},
		"edit too deep":              {"run-1", edit(`{"amount":1,"x":` + deep(200) + `}`), ErrInvalid, "201 levels deep, at most 200"},
		"answer too deep":            {"run-1", answer(`{"id":` + deep(5_000) + `}`), ErrInvalid, "5001 levels deep, at most 200"},
		"answer far too deep":        {"run-1", answer(deep(50_000)), ErrInvalid, "at most 200"},
		"dead letter of a sound run": {"run-dl1", steps.Decided{Verb: steps.VerbSkip}, ErrDecidedBefore, "not frozen"},
		"dead letter, odd verb":      {"run-dl1", steps.Decided{Verb: steps.VerbAbort}, ErrNotAllowed, "retry, skip"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decided(t, l, c.id, c.d)
			if !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.says) {
				t.Errorf("%v; want %v, saying %q", err, c.want, c.says)
			}
		})
	}
	s, err := l.Load(t.Context(), "run")
	if err != nil || s.Escalations[0].State != steps.EscalationOpen {
		t.Errorf("a refused decision changed something: %v", err)
	}
}

func TestDecideCounts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		d    steps.Decided
		want steps.RunState
	}{
		"answer": {steps.Decided{Verb: steps.VerbAnswer, Answer: json.RawMessage(`{"id":1}`)}, steps.RunSucceeded},
		"skip":   {steps.Decided{Verb: steps.VerbSkip}, steps.RunSucceeded},
		"retry":  {steps.Decided{Verb: steps.VerbRetry}, steps.RunRunning},
		"edit":   {steps.Decided{Verb: steps.VerbEdit, Params: json.RawMessage(`{"amount":99.50}`)}, steps.RunRunning},
		"abort":  {steps.Decided{Verb: steps.VerbAbort}, steps.RunAborted},
	} {
		t.Run(name, func(t *testing.T) {
			l, _ := newLog(t)
			failing(t, l, "run")
			c.d.By, c.d.Reason = "mia", "because"
			got, err := decided(t, l, "run-1", c.d)
			if err != nil || got.Escalation != "run-1" || got.By != "mia" {
				t.Fatalf("%+v, %v", got, err)
			}
			s, err := l.Load(t.Context(), "run")
			if err != nil || s.Status() != c.want {
				t.Errorf("the run is %s, %v; want %s", s.Status(), err, c.want)
			}
			if again, err := decided(t, l, "run-1", c.d); err != nil || again.Verb != c.d.Verb {
				t.Errorf("the same person says the same again: %+v, %v", again, err)
			}
		})
	}
}

func TestDecideTellsTheLoserWhoWon(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	failing(t, l, "run")
	if _, err := decided(t, l, "run-1", steps.Decided{Verb: steps.VerbSkip, By: "bo"}); err != nil {
		t.Fatal(err)
	}
	_, err := decided(t, l, "run-1", steps.Decided{Verb: steps.VerbRetry, By: "mia"})
	before, ok := errors.AsType[*DecidedBefore](err)
	if !ok || !errors.Is(err, ErrDecidedBefore) {
		t.Fatalf("%v; want ErrDecidedBefore", err)
	}
	if before.Decision.By != "bo" || before.Decision.Verb != steps.VerbSkip || before.At.IsZero() {
		t.Errorf("%+v", before)
	}
	for _, word := range []string{"bo", "skip", before.At.UTC().Format(time.RFC3339)} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
}

func TestDecideLosesAgainstEvents(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	failing(t, l, "run")
	if _, err := l.Cancel(t.Context(), "run", steps.Cancelled{By: "bo", Reason: ""}); err != nil {
		t.Fatal(err)
	}
	_, err := decided(t, l, "run-1", steps.Decided{Verb: steps.VerbRetry, By: "mia"})
	before, ok := errors.AsType[*DecidedBefore](err)
	if !ok || before.Decision != nil || before.At.IsZero() {
		t.Errorf("%v", err)
	}
}

// Many people decide at the same time: exactly one counts, and all others learn who that was.
func TestDecideRace(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	for round := range 20 {
		run := fmt.Sprintf("run-%d", round)
		failing(t, l, run)
		const people = 8
		errs := make([]error, people)
		var wg sync.WaitGroup
		for i := range people {
			wg.Go(func() {
				_, errs[i] = decided(t, l, run+"-1", steps.Decided{Verb: steps.VerbSkip, By: fmt.Sprintf("p%d", i)})
			})
		}
		wg.Wait()
		winner := ""
		for i, err := range errs {
			if err == nil && winner != "" {
				t.Errorf("%s: p%d and %s both won", run, i, winner)
			}
			if err == nil {
				winner = fmt.Sprintf("p%d", i)
			}
		}
		for i, err := range errs {
			if before, ok := errors.AsType[*DecidedBefore](err); err != nil && (!ok || before.Decision.By != winner) {
				t.Errorf("%s: p%d was told %v; the winner is %s", run, i, err, winner)
			}
		}
	}
}

func TestDecideDeadLetter(t *testing.T) {
	t.Parallel()
	l, b := newLog(t)
	failing(t, l, "run")
	p := wire.Partition("run", b.Partitions())
	garbage := bus.Message{Subject: b.Names().Log(p, "run", wire.KindOutcome), Header: map[string][]string{}, Data: []byte("{")}
	seq, err := b.PublishWait(t.Context(), b.Names().RunsStream(p), garbage)
	if err != nil {
		t.Fatal(err)
	}
	id := steps.DeadLetterID("run", seq)
	if _, err := decided(t, l, "run-1", steps.Decided{Verb: steps.VerbRetry}); !errors.Is(err, runlog.ErrFrozen) || !strings.Contains(err.Error(), id) {
		t.Errorf("deciding in a frozen run: %v; want it to name %s", err, id)
	}
	if _, err := decided(t, l, steps.DeadLetterID("run", seq+1), steps.Decided{Verb: steps.VerbSkip}); !errors.Is(err, ErrNoEscalation) {
		t.Errorf("another letter: %v", err)
	}
	if _, err := decided(t, l, id, steps.Decided{Verb: steps.VerbSkip, By: "mia"}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Load(t.Context(), "run"); err != nil {
		t.Errorf("still frozen: %v", err)
	}
	if _, err := decided(t, l, "run-1", steps.Decided{Verb: steps.VerbSkip, By: "mia"}); err != nil {
		t.Errorf("after the letter is decided: %v", err)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	failing(t, l, "some-abc123")
	if id, err := Find(t.Context(), l.Log, l.desk.Open, "c123-1"); err != nil || id != "some-abc123-1" {
		t.Errorf("%q, %v", id, err)
	}
	if id, err := Find(t.Context(), l.Log, l.desk.Open, "c123-dl9"); err != nil || id != "some-abc123-dl9" {
		t.Errorf("%q, %v", id, err)
	}
	for _, bad := range []string{"", "abc123", "zzz-1"} {
		if _, err := Find(t.Context(), l.Log, l.desk.Open, bad); err == nil {
			t.Errorf("Find(%q) found something", bad)
		}
	}
}
