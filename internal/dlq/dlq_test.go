package dlq

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/bus/bustest"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

func newQueue(t *testing.T) (*Queue, *bus.Bus) {
	t.Helper()
	b := bustest.Start(t, 1)
	return New(b), b
}

func put(t *testing.T, x *Queue, l Entry) {
	t.Helper()
	done := make(chan error, 1)
	x.Put(l, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatalf("put %s: %v", l.ID, err)
	}
}

func entry(run string, n int, tool string) Entry {
	return Entry{Escalation: view.Escalation{
		ID: fmt.Sprintf("%s-%d", run, n), Kind: steps.KindFailure, State: steps.EscalationOpen, Run: run, Workflow: "w",
		Step: "s", Tool: tool, Rung: "primary", Class: steps.Timeout, Message: "took <too> long",
		Opened: time.Unix(int64(n), 0).UTC(), Allowed: []steps.Verb{steps.VerbRetry},
	}}
}

func TestPutTwiceIsOnce(t *testing.T) {
	t.Parallel()
	x, _ := newQueue(t)
	first := entry("run", 1, "orders.lookup")
	put(t, x, first)
	second := first
	second.Message = "another word"
	put(t, x, second)
	list, err := x.List(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	if got := list[0]; got.Message != first.Message || got.Tool != first.Tool || got.Allowed[0] != steps.VerbRetry || !got.Opened.Equal(first.Opened) {
		t.Errorf("got %+v", got)
	}
}

// An entry that is there, but was never confirmed, is written again: it may be only in the memory of a server whose disk
// fails.
func TestAnUncertainEntryIsWrittenAgain(t *testing.T) {
	t.Parallel()
	x, b := newQueue(t)
	l := entry("r", 1, "t")
	at := func() uint64 {
		t.Helper()
		put(t, x, l)
		e, ok, err := b.Last(t.Context(), b.Names().EscalationsStream(), x.Subject(l.Escalation))
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		return e.Seq
	}
	first, second := at(), at()
	x.doubts.Store(x.Subject(l.Escalation), true)
	anew, after := at(), at()
	if second != first || anew <= first || after != anew {
		t.Errorf("put at %d, then at %d, in doubt at %d, after that at %d", first, second, anew, after)
	}
}

func TestAwait(t *testing.T) {
	t.Parallel()
	x, _ := newQueue(t)
	put(t, x, entry("there", 1, "t"))
	if err := x.Await(t.Context(), entry("there", 1, "t").Escalation); err != nil {
		t.Error(err)
	}
	got := make(chan error, 1)
	go func() { got <- x.Await(t.Context(), entry("coming", 1, "t").Escalation) }()
	put(t, x, entry("another", 1, "t"))
	put(t, x, entry("coming", 1, "t"))
	if err := <-got; err != nil {
		t.Error(err)
	}
	bounded, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_ = x.Await(bounded, entry("never", 1, "t").Escalation)
	if bounded.Err() == nil {
		t.Error("returned without an entry")
	}
}

func TestListIsOldestFirst(t *testing.T) {
	t.Parallel()
	x, _ := newQueue(t)
	for _, n := range []int{3, 1, 2} {
		put(t, x, entry("run", n, "t"))
	}
	list, err := x.List(t.Context())
	if err != nil || len(list) != 3 || list[0].ID != "run-1" || list[2].ID != "run-3" {
		t.Errorf("%v, %v", list, err)
	}
}

func TestGetAndRemove(t *testing.T) {
	t.Parallel()
	x, _ := newQueue(t)
	l := entry("run", 1, "t")
	put(t, x, l)
	put(t, x, entry("run", 11, "t"))
	if got, err := x.Get(t.Context(), "run-1"); err != nil || got.ID != "run-1" {
		t.Errorf("%+v, %v", got, err)
	}
	for range 2 { // removing what is gone is no error
		if err := x.Remove(t.Context(), l.Escalation); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := x.Get(t.Context(), "run-1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("after the removal: %v", err)
	}
	if _, err := x.Get(t.Context(), "run-11"); err != nil {
		t.Errorf("another one was removed too: %v", err)
	}
	for _, bad := range []string{"", "*", ">", "a b", "a.b"} {
		if _, err := x.Get(t.Context(), bad); !errors.Is(err, ErrNotFound) {
			t.Errorf("Get(%q): %v", bad, err)
		}
	}
}

func TestDeadLetterKeepsTheBytes(t *testing.T) {
	t.Parallel()
	x, _ := newQueue(t)
	raw := bytes.Repeat([]byte{0, 0xff, '"', '\n'}, (1<<20)/4) // as large as a message can be
	e := bus.Entry{Seq: 7, Time: time.Unix(9, 0), Subject: "somewhere", Data: raw}
	put(t, x, DeadLetter("run-dl7", "run", e, errors.New("cannot be read")))
	l, err := x.Get(t.Context(), "run-dl7")
	if err != nil {
		t.Fatal(err)
	}
	if l.Kind != steps.KindDeadLetter || l.Tool != "" || l.Message != "cannot be read" || l.Origin.Sequence != 7 || l.Origin.Size != len(raw) {
		t.Errorf("%+v", l.Escalation)
	}
	if len(l.Origin.Raw) == 0 || !bytes.HasPrefix(raw, l.Origin.Raw) {
		t.Errorf("%d bytes kept that are not those of the message", len(l.Origin.Raw))
	}
	if err := x.Remove(t.Context(), l.Escalation); err != nil {
		t.Fatal(err)
	}
	if list, err := x.List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%v, %v", list, err)
	}
}

func TestUnreadableEntryShowsItself(t *testing.T) {
	t.Parallel()
	x, b := newQueue(t)
	put(t, x, entry("run", 1, "t"))
	subject := b.Names().Escalation(steps.KindApproval, "a.b", "run-2")
	if _, err := b.PublishWait(t.Context(), b.Names().EscalationsStream(), bus.Message{Subject: subject, Header: map[string][]string{}, Data: []byte("{")}); err != nil {
		t.Fatal(err)
	}
	list, err := x.List(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	if got := list[1]; got.ID != "run-2" || got.Kind != steps.KindApproval || got.Tool != "a.b" || got.Message == "" {
		t.Errorf("%+v", got)
	}
}
