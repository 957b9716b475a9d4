package engine

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/audit"
	"belay/internal/bus/embedded"
	"belay/internal/dispatch"
	"belay/internal/people"
	"belay/internal/plan"
	"belay/internal/tally"
	"belay/internal/worker"
)

// TestADeletedTrailIsSaid: whoever deletes the audit trail with its checkpoints is found by what the dispatcher keeps outside the
// store. It is not ready, signs nothing, moves runs on, and goes on signing once somebody has accepted it; so it does after a restart.
func TestADeletedTrailIsSaid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "audit.checkpoints")
	tools, err := plan.ParseTools(filepath.Join(dir, "tools.yaml"), []byte("tools: {look: {effects: none, rungs: [{static: {output: 1}}]}}"))
	if err != nil {
		t.Fatal(err)
	}
	start := func() *Engine {
		t.Helper()
		e, err := Start(t.Context(), Options{
			Embedded: &embedded.Options{StoreDir: filepath.Join(dir, "store"), Durability: embedded.Interval}, Dispatch: &dispatch.Options{Name: "d1"},
			People: &PeopleOptions{Keys: filepath.Join(dir, "keys"), Tally: filepath.Join(dir, "tally"), Checkpoints: file},
			Worker: &WorkerOptions{Options: worker.Options{Name: "w1"}, Tools: tools},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Stop)
		return e
	}
	note := func(e *Engine, id string) {
		t.Helper()
		if err := audit.New(e.Bus).Append(t.Context(), audit.Record{ID: id, Who: "mia", Action: "note"}); err != nil {
			t.Fatal(err)
		}
		e.Recorder.Nudge()
	}
	kept := func(n int) {
		t.Helper()
		within(t, 60*time.Second, func() bool {
			all, _ := audit.Kept(file)
			return len(all) >= n
		}, func() string { return fmt.Sprintf("no checkpoint %d is kept", n) })
	}
	forked := func(e *Engine) {
		t.Helper()
		within(t, 60*time.Second, func() bool {
			return e.Ready() != nil && strings.Contains(e.Ready().Error(), "the audit trail is not the one that was signed")
		}, func() string { return fmt.Sprint("ready: ", e.Ready()) })
		trail, err := audit.New(e.Bus).Read(t.Context())
		if err != nil || len(trail.Checkpoints) != 0 {
			t.Errorf("%d checkpoints were signed, %v", len(trail.Checkpoints), err)
		}
	}
	e := start()
	note(e, "1")
	kept(1)
	deleteTrail(t, e)
	note(e, "2")
	note(e, "3")
	forked(e)
	e.Stop()
	e = start()
	forked(e)
	submitTo(t, e, tools, "goes-on", "look")
	ended(t, e, "goes-on")
	accepted, err := e.AcceptDamage(t.Context(), people.Trusted("mia", "cli"), tally.Verdict{Reason: "we know who it was"})
	if err != nil || len(accepted) != 1 || accepted[0].Kind != tally.Forked {
		t.Fatalf("%+v, %v", accepted, err)
	}
	e.Recorder.Nudge()
	kept(2)
	if err := e.Ready(); err != nil {
		t.Error(err)
	}
}

// deleteTrail deletes the stream of the trail, and makes it anew, as a dispatcher would.
func deleteTrail(t *testing.T, e *Engine) {
	t.Helper()
	js, err := jetstream.New(e.Bus.NATS())
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), e.Bus.Names().AuditStream())
	if err != nil {
		t.Fatal(err)
	}
	config := s.CachedInfo().Config
	if err := js.DeleteStream(t.Context(), config.Name); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateOrUpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
}
