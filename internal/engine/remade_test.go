package engine

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
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
	gone := r.removable(t, js)
	back := r.hear(t, "$JS.EVENT.ADVISORY.STREAM.CREATED.*")
	removed := time.Now()
	for _, name := range gone {
		if err := js.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	for missing := slices.Clone(gone); len(missing) > 0; {
		m := next(t, back, "missing still: "+strings.Join(missing, ", "))
		missing = slices.DeleteFunc(missing, func(name string) bool { return strings.HasSuffix(m.Subject, "."+name) })
	}
	t.Logf("%d streams were there again after %s", len(gone), time.Since(removed).Round(time.Millisecond))
	s, err := r.Runs.Load(t.Context(), "before")
	if err != nil {
		t.Fatal(err)
	}
	if err := dlq.New(r.Bus).Await(t.Context(), view.EscalationOf(s, 0)); err != nil {
		t.Fatal(err)
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

// removable are the streams and buckets beside the log, once the dispatcher has looked which there are.
func (r *rig) removable(t *testing.T, js jetstream.JetStream) (names []string) {
	looks := r.hear(t, "$JS.API.STREAM.NAMES")
	n := r.Bus.Names()
	names = []string{n.TimersStream(), n.EscalationsStream(), n.AuditStream()}
	for _, bucket := range n.Buckets() {
		if _, err := js.Stream(t.Context(), "KV_"+bucket); err == nil {
			names = append(names, "KV_"+bucket)
		}
	}
	if !slices.Contains(names, "KV_"+n.KeysBucket()) {
		t.Fatalf("only %v are there", names)
	}
	for range 2 { // when the second one begins, the first one, which began after they were there, is over
		next(t, looks, "nobody looks which streams are there")
	}
	return names
}

// hear subscribes to a subject until the test ends.
func (r *rig) hear(t *testing.T, subject string) *nats.Subscription {
	t.Helper()
	s, err := r.Bus.NATS().SubscribeSync(subject)
	if err == nil {
		err = r.Bus.NATS().Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func next(t *testing.T, s *nats.Subscription, otherwise string) *nats.Msg {
	t.Helper()
	m, err := s.NextMsg(time.Minute)
	if err != nil {
		t.Fatalf("%s: %v", otherwise, err)
	}
	return m
}
