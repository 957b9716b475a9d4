package engine

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/dlq"
	"belay/internal/people"
	"belay/internal/steps"
	"belay/internal/steps/view"
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
	s, err := r.Runs.Load(t.Context(), "before")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	asked := func() error { return dlq.New(r.Bus).Await(ctx, view.EscalationOf(s, 0)) }
	for err = asked(); err != nil; err = asked() {
		if ctx.Err() != nil { // until the stream is there it cannot be followed
			t.Fatalf("not asked again after 5 s: %v", err)
		}
	}
	card, err := r.Desk.Card(t.Context(), "before-1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.People.Act(t.Context(), people.Trusted("mia", "cli"), "before-1", people.Act{Verb: people.Approve, Digest: card.Dossier.Approval.Digest}); err != nil {
		t.Fatal(err)
	}
	ended(t, r.Engine, "before")
	if s, err = r.Runs.Load(t.Context(), "before"); err != nil || s.Status() != steps.RunSucceeded {
		t.Errorf("%v, %v", s.Status(), err)
	}
}
