package engine

import (
	"context"
	"strings"
	"testing"
	"time"

	"belay/internal/runlog"
	"belay/internal/steps"
)

// TestARunGoesOnAlthoughItsNewIDIsTaken: somebody submits a run under the id that a migration has named, before a dispatcher has. The run
// goes on under its spare id, whoever follows it is led there, and the other run is left alone.
func TestARunGoesOnAlthoughItsNewIDIsTaken(t *testing.T) {
	t.Parallel()
	g := newMigrating(t)
	e := g.start(t, true)
	if _, err := e.Runs.Submit(t.Context(), "r", steps.Submitted{Document: g.old.JSON, Input: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	asked(t, e, "r")
	e.Stop()

	e = g.stored(t)
	m, err := e.Runs.Migrate(t.Context(), "r", "", runlog.Migrating{Plan: g.other}, runlog.Retried{By: "mia", Via: "cli", Reason: "the address was wrong"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Runs.Submit(t.Context(), m.To, steps.Submitted{Document: g.old.JSON, Input: []byte(`{}`), By: "eve"}); err != nil {
		t.Fatal(err)
	}
	e.Stop()

	e = g.start(t, true)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var s *steps.State
	if err := e.Runs.Follow(ctx, "r", func(now *steps.State, _ steps.Record, _ []int) bool { s = now; return !s.Closed() }); err != nil {
		t.Fatal(err)
	}
	next := s.GoesOnAs()
	if next == m.To || !strings.HasPrefix(next, m.To+"-") || s.Status() != steps.RunMigrated || !strings.Contains(s.Reason, "it goes on as "+next+", because r-m1 is another run, under another plan, as mia said: the address was wrong") {
		t.Fatalf("it goes on as %q: %s", next, s.Reason)
	}
	again := asked(t, e, next)
	approve(t, e, again)
	ended(t, e, next)
	if s, err = e.Runs.Load(t.Context(), next); err != nil || s.Status() != steps.RunSucceeded || s.Migrates.Run != "r" || len(s.Program.Plan.Steps) != 4 {
		t.Errorf("%+v, %v", s, err)
	}
	asked(t, e, m.To) // the other run pays for itself, and then asks
	if s, err = e.Runs.Load(t.Context(), m.To); err != nil || s.Migrates != nil || s.By != "eve" {
		t.Errorf("the other run: %+v, %v", s, err)
	}
	if paid := g.shop.paid.Load(); paid != 2 {
		t.Errorf("paid %d times, for two runs", paid)
	}
}
