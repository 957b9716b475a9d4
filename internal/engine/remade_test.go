package engine

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/dlq"
	"belay/internal/people"
	"belay/internal/steps"
)

// TestWhatIsRemovedIsMadeAgain: streams and buckets that somebody removes while everything runs are there again within seconds, with
// what follows from the log in them: a question is asked again, approved under a key that workers find, and the run goes on.
func TestWhatIsRemovedIsMadeAgain(t *testing.T) {
	t.Parallel()
	r := startRig(t, `
tools:
  pay: {effects: unsafe, approval: always, rungs: [{static: {output: 1}}]}
`)
	r.run(t, "before", "name: p\nsteps: [{id: s, tool: pay}]\n")
	js, err := jetstream.New(r.Bus.NATS())
	if err != nil {
		t.Fatal(err)
	}
	names := r.Bus.Names()
	gone := []string{names.TimersStream(), names.EscalationsStream(), names.AuditStream()}
	for _, bucket := range names.Buckets() {
		if _, err := js.Stream(t.Context(), "KV_"+bucket); err == nil {
			gone = append(gone, "KV_"+bucket)
		}
	}
	if len(gone) < 7 {
		t.Fatalf("only %v are there", gone)
	}
	for _, name := range gone {
		if err := js.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	open, there := dlq.New(r.Bus), false
	for !there {
		list, err := open.List(ctx)
		there = slices.ContainsFunc(list, func(e dlq.Entry) bool { return e.ID == "before-1" })
		if ctx.Err() != nil {
			t.Fatalf("after 5 s: %v, %v", list, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	card, err := r.Desk.Card(t.Context(), "before-1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.People.Act(t.Context(), people.Trusted("mia", "cli"), "before-1", people.Act{Verb: people.Approve, Digest: card.Dossier.Approval.Digest}); err != nil {
		t.Fatal(err)
	}
	ended(t, r.Engine, "before")
	s, err := r.Runs.Load(t.Context(), "before")
	if err != nil || s.Status() != steps.RunSucceeded {
		t.Errorf("%v, %v", s.Status(), err)
	}
}
