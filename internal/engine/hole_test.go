package engine

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/tally"
	"belay/internal/wire"
)

const holeTools = restoredTools + `
  sign: {effects: none, rungs: [{name: desk, human: {question: "Sign?"}}]}
`

// TestARunOfWhichEntriesAreGone is a card, and nothing of it goes on before somebody says so; other runs do, also with what must
// not happen twice, and before the damage is accepted.
func TestARunOfWhichEntriesAreGone(t *testing.T) {
	t.Parallel()
	r := &restored{dir: t.TempDir(), shop: &shop{}}
	srv := httptest.NewServer(r.shop)
	t.Cleanup(srv.Close)
	var err error
	if r.tools, err = plan.ParseTools("tools.yaml", []byte(strings.ReplaceAll(holeTools, "URL", srv.URL))); err != nil {
		t.Fatal(err)
	}
	e := r.start(t, true)
	doc, err := plan.ParsePlan("plan.yaml", []byte("name: p\nsteps: [{id: a, tool: look}, {id: b, tool: sign, needs: [a]}, {id: c, tool: pay, needs: [b]}]\n"), r.tools)
	if err == nil {
		_, err = e.Runs.Submit(t.Context(), "hit", steps.Submitted{Document: doc.JSON, Input: []byte(`{}`)})
	}
	if err != nil {
		t.Fatal(err)
	}
	asked(t, e, "hit")
	removeOutcomes(t, e, "hit")
	within(t, 60*time.Second, func() bool { return len(e.Tally.Found()) > 0 }, func() string { return "nothing was found" })
	if d := e.Tally.Found()[0]; d.Kind != tally.Missing || !slices.Equal(d.Runs, []string{"hit"}) {
		t.Fatal(d.Text())
	}
	var card *steps.Escalation
	within(t, 60*time.Second, func() bool {
		s, err := e.Runs.Load(t.Context(), "hit")
		if err != nil {
			t.Fatal(err)
		}
		for n := range s.Escalations {
			if s.Escalations[n].AboutDamage() && s.Escalations[n].State == steps.EscalationOpen {
				card = &s.Escalations[n]
			}
		}
		return card != nil
	}, func() string { return "no card" })
	if !strings.Contains(card.Fault.Message, "missing") || !slices.Equal(card.Allowed, []steps.Verb{steps.VerbRetry, steps.VerbAbort}) {
		t.Errorf("%v, %s", card.Allowed, card.Fault.Message)
	}
	within(t, 60*time.Second, func() bool {
		items, err := e.Desk.Items(t.Context())
		return err == nil && len(items) == 1 && items[0].ID == card.ID && items[0].Kind == steps.KindFailure
	}, func() string { return "the question that the log has forgotten is still there" })
	submitTo(t, e, r.tools, "other", "pay")
	ended(t, e, "other")
	if e.Ready() == nil {
		t.Error("ready, although nobody has accepted it")
	}
	if _, err := e.AcceptDamage(t.Context(), people.Trusted("mia", "cli"), tally.Verdict{Reason: "seen", Calls: tally.CallsRun}); err != nil {
		t.Fatal(err)
	}
	if err := e.Ready(); err != nil {
		t.Error(err)
	}
	if _, err := e.Desk.Act(t.Context(), people.Trusted("mia", "cli"), card.ID, people.Act{Verb: people.Retry}); err != nil {
		t.Fatal(err)
	}
	question := sign(t, e)
	if _, err := e.Desk.Act(t.Context(), people.Trusted("mia", "cli"), question.ID, people.Act{Verb: people.Answer, Answer: []byte(`"yes"`)}); err != nil {
		t.Fatal(err)
	}
	within(t, 60*time.Second, func() bool { return asked(t, e, "hit").Kind == steps.KindUnknown }, func() string { return "c is not in doubt" })
	if paid, looked := r.shop.paid.Load(), r.shop.looked.Load(); paid != 1 || looked != 2 {
		t.Errorf("%d payments, %d looks", paid, looked)
	}
}

// sign is the question to people that the plan asks.
func sign(t *testing.T, e *Engine) (q *steps.Escalation) {
	t.Helper()
	within(t, 60*time.Second, func() bool {
		s, err := e.Runs.Load(t.Context(), "hit")
		if err != nil {
			t.Fatal(err)
		}
		for n := range s.Escalations {
			if x := &s.Escalations[n]; x.Kind == steps.KindQuestion && x.State == steps.EscalationOpen {
				q = x
			}
		}
		return q != nil
	}, func() string { return "nobody is asked to sign" })
	return q
}

// removeOutcomes removes what workers have said of a run, behind Belay's back.
func removeOutcomes(t *testing.T, e *Engine, run string) {
	t.Helper()
	names := e.Bus.Names()
	p := wire.Partition(run, e.Bus.Partitions())
	within(t, 60*time.Second, func() bool { // it is in the tally
		report, err := tally.Check(t.Context(), e.Bus, "", func(int) {})
		return err == nil && report.Partitions[p].UpTo == report.Partitions[p].LastSeq
	}, func() string { return "not noted" })
	js, err := jetstream.New(e.Bus.NATS())
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), names.RunsStream(p))
	if err == nil {
		err = s.Purge(t.Context(), jetstream.WithPurgeSubject(names.Log(p, run, wire.KindOutcome)))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestALogThatHasLostItsTail: what a server with `durability: interval` loses when the machine goes down is not done once more.
func TestALogThatHasLostItsTail(t *testing.T) {
	t.Parallel()
	const runs = 10
	r := &restored{dir: t.TempDir(), shop: &shop{}}
	srv := httptest.NewServer(r.shop)
	t.Cleanup(srv.Close)
	var err error
	if r.tools, err = plan.ParseTools("tools.yaml", []byte(strings.ReplaceAll(restoredTools, "URL", srv.URL))); err != nil {
		t.Fatal(err)
	}
	e := r.start(t, false)
	var pays []string
	for n := range runs {
		pays = append(pays, fmt.Sprint("pay-", n))
		submitTo(t, e, r.tools, pays[n], "pay")
	}
	e.Stop()
	sizes := map[string]int64{}
	blocks, err := filepath.Glob(filepath.Join(r.dir, "store", "jetstream", "*", "streams", "BELAY_RUNS_*", "msgs", "*.blk"))
	for _, path := range blocks {
		info, statErr := os.Stat(path)
		if statErr != nil {
			t.Fatal(statErr)
		}
		sizes[path] = info.Size()
	}
	e = r.start(t, true)
	ended(t, e, pays...)
	e.Stop()
	for path, size := range sizes {
		if err == nil {
			err = os.Truncate(path, size)
		}
	}
	if err != nil || len(sizes) == 0 {
		t.Fatal(sizes, err)
	}

	e = r.start(t, true)
	within(t, 60*time.Second, func() bool { return len(e.Tally.Found()) > 0 }, func() string { return "nothing was found" })
	if _, err := e.AcceptDamage(t.Context(), people.Trusted("mia", "cli"), tally.Verdict{Reason: "the power was cut"}); err != nil {
		t.Fatal(err)
	}
	for _, id := range pays {
		// Where the server still knows how far it was, each run has a hole, and a person is asked of the run too.
		if q := asked(t, e, id); q.Kind != steps.KindUnknown && !q.AboutDamage() {
			t.Errorf("%s: %s, %s", id, q.Kind, q.Fault.Message)
		}
	}
	if got := r.shop.paid.Load(); got != runs {
		t.Errorf("%d payments, not %d", got, runs)
	}
}
