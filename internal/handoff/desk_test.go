package handoff

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"belay/internal/dlq"
	"belay/internal/people"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/wire"
)

// held submits a run of one step that needs approval.
func held(t *testing.T, l *office, run string, rule steps.Approval) string {
	t.Helper()
	rule.Decisions = []steps.Verb{steps.VerbApprove, steps.VerbReject, steps.VerbEdit}
	d := steps.Definition{
		Plan: steps.Plan{Name: "pay", Steps: []steps.Step{{ID: "s", Tool: "t", With: json.RawMessage(`{"to":"ann","amount":12345678901234567890}`), OnFailure: steps.OnFailureEscalate}}},
		Tools: map[string]steps.Tool{"t": {
			Name: "t", Effects: steps.EffectsUnsafe, Approval: &rule, Definition: map[string]string{"effects": "x"},
			InputSchema: json.RawMessage(`{"type":"object","required":["amount"],"properties":{"amount":{"type":"number"}}}`),
			Rungs:       []steps.Rung{{Name: "primary", Executor: "http", Retry: steps.RetryPolicy{MaxAttempts: 1, Factor: 2}}},
		}},
	}
	doc, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Submit(t.Context(), run, steps.Submitted{Document: doc, Input: json.RawMessage(`{}`), By: "sue"}); err != nil {
		t.Fatal(err)
	}
	return run + "-1"
}

func (l *office) act(t *testing.T, who, id string, a people.Act) (Done, error) {
	t.Helper()
	return l.desk.Act(t.Context(), people.Trusted(who, "cli"), id, a)
}

func (l *office) digest(t *testing.T, id string) string {
	t.Helper()
	c, err := l.desk.Card(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return c.Dossier.Approval.Digest
}

func (l *office) state(t *testing.T, run string) *steps.State {
	t.Helper()
	s, err := l.Load(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestApproveIsOfWhatWasShown(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	id := held(t, l, "run", steps.Approval{})
	for name, c := range map[string]struct {
		a    people.Act
		want error
	}{
		"no digest":       {people.Act{Verb: "approve"}, ErrInvalid},
		"another digest":  {people.Act{Verb: "approve", Digest: "x"}, ErrChanged},
		"another version": {people.Act{Verb: "approve", Digest: l.digest(t, id), Revision: 99}, ErrChanged},
		"no reason":       {people.Act{Verb: "reject", Reason: "  "}, ErrInvalid},
		"not offered":     {people.Act{Verb: "skip"}, ErrNotAllowed},
	} {
		if _, err := l.act(t, "mia", id, c.a); !errors.Is(err, c.want) {
			t.Errorf("%s: %v; want %v", name, err, c.want)
		}
	}
	if _, err := l.act(t, " ", id, people.Act{Verb: "approve", Digest: l.digest(t, id)}); !errors.Is(err, people.ErrForbidden) {
		t.Errorf("nobody: %v", err)
	}
	a := people.Act{Verb: "approve", Digest: l.digest(t, id)}
	done, err := l.act(t, "mia", id, a)
	if err != nil || !strings.Contains(done.Effect, "exactly these parameters") {
		t.Fatalf("%+v, %v", done, err)
	}
	if again, err := l.act(t, "mia", id, a); err != nil || again.By != "mia" {
		t.Errorf("the same again: %+v, %v", again, err)
	}
	if _, err := l.act(t, "bo", id, people.Act{Verb: "reject", Reason: "no"}); !errors.Is(err, ErrDecidedBefore) || !strings.Contains(err.Error(), "mia chose approve") {
		t.Errorf("%v", err)
	}
	w := steps.Wants(l.state(t, "run"), nil)
	if len(w.Steps) != 1 || len(w.Steps[0].Grants) != 1 || len(w.Steps[0].Grants[0].Signature) == 0 {
		t.Errorf("%+v", w.Steps)
	}
}

func TestTwoMustApprove(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	id := held(t, l, "run", steps.Approval{Approvers: 2, NotSubmitter: true})
	a := people.Act{Verb: "approve", Digest: l.digest(t, id)}
	if _, err := l.act(t, "sue", id, a); !errors.Is(err, people.ErrForbidden) || !strings.Contains(err.Error(), "submitted") {
		t.Errorf("who submitted it: %v", err)
	}
	done, err := l.act(t, "mia", id, a)
	if err != nil || !done.Part || done.Effect != "1 of 2 approved, mia; one more person must approve before t runs; the run says it was submitted by sue, and nobody checked that" {
		t.Fatalf("%+v, %v", done, err)
	}
	for _, same := range []string{"mia", "Mia", " mia ", "ｍｉａ", "MIA\u00a0"} {
		if done, err := l.act(t, same, id, a); !errors.Is(err, ErrApproved) || !strings.Contains(err.Error(), "1 of 2 approved, mia; one more person must approve before t runs") {
			t.Errorf("the same person again, as %q: %+v, %v", same, done, err)
		}
	}
	for _, same := range []string{"Sue", " ＳＵＥ"} {
		if _, err := l.act(t, same, id, a); !errors.Is(err, people.ErrForbidden) {
			t.Errorf("who submitted it, as %q: %v", same, err)
		}
	}
	if s := l.state(t, "run"); s.Escalations[0].State != steps.EscalationOpen || len(s.Escalations[0].Approvals) != 1 {
		t.Fatalf("%+v", s.Escalations[0])
	}
	if _, err := l.act(t, "bo", id, a); err != nil {
		t.Fatal(err)
	}
	if w := steps.Wants(l.state(t, "run"), nil); len(w.Steps) != 1 || len(w.Steps[0].Grants) != 2 {
		t.Errorf("%+v", w.Steps)
	}
}

func TestAnEditIsRecordedAsAPatch(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	id := held(t, l, "run", steps.Approval{})
	if _, err := l.act(t, "mia", id, people.Act{Verb: "edit", Params: json.RawMessage(`{"to":"bob", "amount":12345678901234567891, "note":"x"}`), Reason: "ann moved"}); err != nil {
		t.Fatal(err)
	}
	s := l.state(t, "run")
	d := s.Escalations[0].Decision
	want := `[{"value":12345678901234567890,"op":"test","path":"/amount"},{"value":12345678901234567891,"op":"replace","path":"/amount"},{"value":"x","op":"add","path":"/note"},{"value":"ann","op":"test","path":"/to"},{"value":"bob","op":"replace","path":"/to"}]`
	if string(d.Patch) != want || string(d.Params) != `{"amount":12345678901234567891,"note":"x","to":"bob"}` {
		t.Errorf("%s\n%s", d.Params, d.Patch)
	}
	if w := steps.Wants(s, nil); len(w.Steps) != 1 || string(w.Steps[0].Params) != string(d.Params) {
		t.Errorf("mia may approve, so her edit is an approval: %+v", w)
	}
	if _, err := l.act(t, "mia", id, people.Act{Verb: "edit", Params: json.RawMessage(`{"amount":1,"amount":2}`)}); !errors.Is(err, ErrDecidedBefore) {
		t.Error(err)
	}
}

func TestAnEditOfSomebodyWhoMayNotApproveAsksAnew(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	id := held(t, l, "run", steps.Approval{})
	operator := people.Actor{Name: "op", Role: people.Operator}
	if _, err := l.desk.Act(t.Context(), operator, id, people.Act{Verb: "approve", Digest: l.digest(t, id)}); !errors.Is(err, people.ErrForbidden) {
		t.Errorf("%v", err)
	}
	twice := people.Act{Verb: "edit", Params: json.RawMessage(`{"amount":1,"amount":2}`)}
	if _, err := l.desk.Act(t.Context(), operator, id, twice); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "twice") {
		t.Errorf("%v", err)
	}
	if _, err := l.desk.Act(t.Context(), operator, id, people.Act{Verb: "edit", Params: json.RawMessage(`{"amount":1}`)}); err != nil {
		t.Fatal(err)
	}
	s := l.state(t, "run")
	if w := steps.Wants(s, nil); len(w.Steps) != 0 || len(w.Escalations) != 1 || s.Escalations[1].Digest == s.Escalations[0].Digest {
		t.Errorf("%+v", w)
	}
}

// TestManyApproveNothing: a retry of somebody who may approve is an approval, but not one of many.
func TestManyApproveNothing(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	id := held(t, l, "run", steps.Approval{})
	if _, err := l.act(t, "mia", id, people.Act{Verb: "approve", Digest: l.digest(t, id), Many: true}); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("%v", err)
	}
	if _, err := l.act(t, "mia", id, people.Act{Verb: "edit", Params: json.RawMessage(`{"amount":1}`), Many: true}); err != nil {
		t.Fatal(err)
	}
	if w := steps.Wants(l.state(t, "run"), nil); len(w.Steps) != 0 || len(w.Escalations) != 1 {
		t.Errorf("%+v", w)
	}
}

func TestTooLate(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	id := held(t, l, "run", steps.Approval{Deadline: steps.Duration(time.Nanosecond), OnDeadline: steps.ExpiryPark})
	_, err := l.act(t, "mia", id, people.Act{Verb: "reject", Reason: "no"})
	before, ok := errors.AsType[*DecidedBefore](err)
	if !ok || before.State != steps.EscalationExpired || before.Next != "run-2" || !strings.Contains(err.Error(), "asked again as run-2") {
		t.Errorf("%v", err)
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	id := held(t, l, "run", steps.Approval{})
	now := time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)
	l.desk.Now = func() time.Time { return now }
	must := func(who string, a people.Act) {
		t.Helper()
		if _, err := l.act(t, who, id, a); err != nil {
			t.Errorf("%s by %s: %v", a.Verb, who, err)
		}
	}
	refused := func(who string, a people.Act, want error, says string) {
		t.Helper()
		if _, err := l.act(t, who, id, a); !errors.Is(err, want) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s by %s: %v; want %v, %q", a.Verb, who, err, want, says)
		}
	}
	must("mia", people.Act{Verb: people.Claim})
	refused("bo", people.Act{Verb: people.Claim}, ErrClaimed, "mia has it until 2026-01-01T03:15:00Z")
	refused("bo", people.Act{Verb: people.Release}, ErrClaimed, "mia")
	now = now.Add(10 * time.Minute)
	must("mia", people.Act{Verb: people.Claim}) // the lease begins anew
	now = now.Add(Lease)
	must("bo", people.Act{Verb: people.Claim}) // it has run out
	must("bo", people.Act{Verb: people.Release})
	must("mia", people.Act{Verb: people.Assign, To: "bo"})
	must("mia", people.Act{Verb: people.Note, Text: " she called "})
	must("mia", people.Act{Verb: people.Snooze, Until: now.Add(time.Hour)})
	refused("mia", people.Act{Verb: people.Assign}, ErrInvalid, "name of a person")
	refused("mia", people.Act{Verb: people.Note}, ErrInvalid, "text")
	refused("mia", people.Act{Verb: people.Note, Text: strings.Repeat("x", maxText+1)}, ErrInvalid, "bytes")
	refused("mia", people.Act{Verb: people.Snooze, Until: now}, ErrInvalid, "from now")
	refused("mia", people.Act{Verb: people.Snooze, Until: now.Add(8 * 24 * time.Hour)}, ErrInvalid, "week")
	items, err := l.desk.Items(t.Context())
	if err != nil || len(items) != 0 {
		t.Fatalf("%v, %v; no dispatcher has put a letter", items, err)
	}
	c, err := l.desk.Card(t.Context(), id)
	if err != nil || c.Item.Claim != nil || c.Item.Assigned != "bo" || len(c.Item.Notes) != 1 || c.Item.Notes[0].Text != "she called" || c.Item.Snoozed.IsZero() {
		t.Errorf("%+v, %v", c.Item, err)
	}
	must("bo", people.Act{Verb: "reject", Reason: "no"})
	refused("mia", people.Act{Verb: people.Claim}, ErrDecidedBefore, "bo chose reject")
	c, err = l.desk.Card(t.Context(), id)
	var did []string
	for _, line := range c.Trail {
		did = append(did, line.By+" "+line.Did())
	}
	want := "mia claimed it, mia claimed it, bo claimed it, bo released it, mia assigned it, mia put it off, mia noted, bo rejected"
	if err != nil || strings.Join(did, ", ") != want || c.Item.Assigned != "bo" || c.Item.Claim != nil || c.Decided().IsZero() {
		t.Errorf("%q, %+v, %v", did, c.Item, err)
	}
	if all, err := l.desk.Claims.all(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("the inbox keeps what is settled: %v, %v", all, err)
	}
}

// TestWhatNobodyDecidedLeavesTheInbox: an item that ended by itself takes what people did about it along.
func TestWhatNobodyDecidedLeavesTheInbox(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	open := held(t, l, "open", steps.Approval{})
	over := held(t, l, "over", steps.Approval{})
	for _, id := range []string{open, over} {
		if _, err := l.act(t, "mia", id, people.Act{Verb: people.Note, Text: "it is on my list"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.desk.Runs.Cancel(t.Context(), "over", steps.Cancelled{By: "bo", Reason: "not needed"}); err != nil {
		t.Fatal(err)
	}
	listed := func(after time.Duration) int {
		l.desk.Now = func() time.Time { return time.Now().Add(after) }
		if _, err := l.desk.Items(t.Context()); err != nil {
			t.Fatal(err)
		}
		all, err := l.desk.Claims.all(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	if soon, later := listed(time.Minute), listed(2*time.Hour); soon != 2 || later != 1 {
		t.Errorf("the inbox holds %d at once and %d later, want 2 and 1", soon, later)
	}
	for _, id := range []string{open, over} {
		c, err := l.desk.Card(t.Context(), id)
		if err != nil || len(c.Trail) == 0 || c.Trail[0].Reason != "it is on my list" {
			t.Errorf("%s: %+v, %v", id, c.Trail, err)
		}
	}
}

// TestOneClaimWins: of many at once exactly one gets it.
func TestOneClaimWins(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	id := held(t, l, "run", steps.Approval{})
	errs := make(chan error, 16)
	for i := range cap(errs) {
		go func() {
			_, err := l.desk.Act(context.Background(), people.Trusted(string(rune('a'+i)), ""), id, people.Act{Verb: people.Claim})
			errs <- err
		}()
	}
	won := 0
	for range cap(errs) {
		if err := <-errs; err == nil {
			won++
		} else if !errors.Is(err, ErrClaimed) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d have it", won)
	}
}

func TestAnotherProcessActs(t *testing.T) {
	t.Parallel()
	l, b := newLog(t)
	id := held(t, l, "run", steps.Approval{})
	remote := Remote{Bus: b, Token: "secret"}
	act := func(a people.Act) (Done, error) {
		return remote.Act(t.Context(), people.Trusted("mia", "cli"), id, a)
	}
	if _, err := act(people.Act{Verb: people.Claim}); !errors.Is(err, ErrNoDesk) {
		t.Fatalf("nobody is there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready, end := make(chan struct{}), make(chan error, 1)
	letIn := func(_ context.Context, shown wire.Shown, name string) (people.Actor, error) {
		if shown.Proof == nil || !shown.Proof.Keyed(wire.TokenHash("secret"), shown.Of) {
			return people.Actor{}, errors.New("the token is not known")
		}
		return people.Trusted(name, ""), nil
	}
	go func() { end <- Serve(ctx, b, l.desk, letIn, func() { close(ready) }) }()
	<-ready
	if _, err := (Remote{Bus: b}).Act(t.Context(), people.Trusted("eve", ""), id, people.Act{Verb: people.Claim}); !errors.Is(err, people.ErrForbidden) {
		t.Errorf("without a token: %v", err)
	}
	if _, err := act(people.Act{Verb: "approve"}); !errors.Is(err, ErrInvalid) || strings.Count(err.Error(), "approve run-1") != 1 {
		t.Errorf("%v", err)
	}
	done, err := act(people.Act{Verb: "approve", Digest: l.digest(t, id)})
	if err != nil || done.By != "mia" || done.At.IsZero() || done.Effect == "" {
		t.Errorf("%+v, %v", done, err)
	}
	_, err = act(people.Act{Verb: "reject", Reason: "no"})
	before, ok := errors.AsType[*DecidedBefore](err)
	if !ok || before.Decision.By != "mia" || !strings.Contains(err.Error(), "you chose approve") || strings.Count(err.Error(), "already decided") != 1 {
		t.Errorf("%v", err)
	}
	if answer, err := b.Request(t.Context(), b.Names().People(), []byte("{")); err != nil || !strings.Contains(string(answer), "invalid") {
		t.Errorf("%s, %v", answer, err)
	}
	cancel()
	if err := <-end; err != nil {
		t.Error(err)
	}
}

// TestEveryErrorHasItsCode both ways.
func TestEveryErrorHasItsCode(t *testing.T) {
	t.Parallel()
	for _, c := range codes {
		if got := failureOf(c.err); got.Code != c.code || !errors.Is(got.error(), c.err) {
			t.Errorf("%v is %+v", c.err, got)
		}
	}
	if f := failureOf(errors.New("odd")); f.Code != "internal" || f.error().Error() != "odd" {
		t.Errorf("%+v", f)
	}
	if failureOf(nil) != nil {
		t.Error("no error is one")
	}
}

func TestOpenOfARunIsWhatItsLogSays(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t) // no dispatcher: nobody writes entries
	id := held(t, l, "run", steps.Approval{})
	open := func(want string) {
		t.Helper()
		items, err := l.desk.ItemsOf(t.Context(), "run")
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, it := range items {
			got += it.ID + " "
		}
		if got = strings.TrimSpace(got); got != want {
			t.Errorf("open: %q, want %q", got, want)
		}
	}
	open(id)
	if _, err := l.act(t, "mia", id, people.Act{Verb: people.Claim}); err != nil {
		t.Fatal(err)
	}
	if items, err := l.desk.ItemsOf(t.Context(), "run"); err != nil || items[0].Claim == nil || items[0].Claim.By != "mia" {
		t.Errorf("%+v, %v; want it claimed by mia", items, err)
	}
	if _, err := l.act(t, "mia", id, people.Act{Verb: "approve", Digest: l.digest(t, id)}); err != nil {
		t.Fatal(err)
	}
	open("")
	if items, err := l.desk.ItemsOf(t.Context(), "nobody"); err != nil || len(items) != 0 {
		t.Errorf("of no run: %v, %v", items, err)
	}
}

func TestAwaitOpen(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	id := held(t, l, "run", steps.Approval{})
	s := l.state(t, "run")
	listed := make(chan bool, 1)
	go func() {
		l.desk.Open.AwaitOpen(t.Context(), s)
		items, err := l.desk.Items(t.Context())
		listed <- err == nil && len(items) == 1 && items[0].ID == id
	}()
	select {
	case <-listed:
		t.Fatal("it did not wait for the entry")
	case <-time.After(50 * time.Millisecond): // long enough for one that does not wait
	}
	l.desk.Open.Put(dlq.Entry{Escalation: view.EscalationOf(s, 0)}, func(err error) {
		if err != nil {
			t.Error(err)
		}
	})
	if !<-listed {
		t.Error("it is not listed")
	}
}
