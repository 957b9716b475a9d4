package handoff

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"belay/internal/bus"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// TestRemoveRun: an archived run is removed by whoever may, as it is in the archive, and not before it is on record.
func TestRemoveRun(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	failing(t, l, "r")
	mia, ole := people.Trusted("mia", "cli"), people.Actor{Name: "ole", Role: people.Approver, Via: "cli"}
	remove := func(who people.Actor, digest string) (Done, error) {
		return l.desk.Act(t.Context(), who, "r", people.Act{Verb: people.RemoveRun, Digest: digest, Text: "/backup/a.jsonl"})
	}
	if _, err := remove(mia, "x"); !errors.Is(err, ErrNotAllowed) {
		t.Fatalf("where nothing records it: %v", err)
	}
	var full bool
	var onRecord int
	l.desk.Removing = func(_ context.Context, who people.Actor, a people.Act, run string, entries []bus.Entry) error {
		if full {
			return bus.ErrFull
		}
		if onRecord++; who.Name != "mia" || a.Text != "/backup/a.jsonl" || run != "r" || len(entries) == 0 {
			t.Errorf("%+v %+v %s, entries %d", who, a, run, len(entries))
		}
		return nil
	}
	if _, err := remove(mia, "x"); !errors.Is(err, ErrNotAllowed) {
		t.Fatalf("an open run: %v", err)
	}
	if _, err := decided(t, l, "r-1", steps.Decided{Verb: steps.VerbAbort, By: "mia", Reason: "no"}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Append(t.Context(), "r", steps.Closed{State: steps.RunAborted}); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	var digest string
	if _, err := l.Archive(t.Context(), runlog.Filter{}, &file); err != nil {
		t.Fatal(err)
	}
	if _, _, err := runlog.ReadArchive(&file, func(r runlog.ArchiveRun, _ []byte) error { digest = r.SHA256; return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := remove(ole, digest); !errors.Is(err, people.ErrForbidden) {
		t.Fatalf("an approver: %v", err)
	}
	if _, err := remove(mia, "x"); !errors.Is(err, ErrChanged) {
		t.Fatalf("another digest: %v", err)
	}
	if _, err := remove(mia, ""); !errors.Is(err, ErrInvalid) {
		t.Fatalf("no digest: %v", err)
	}
	full = true
	if _, err := remove(mia, digest); !errors.Is(err, bus.ErrFull) {
		t.Fatalf("no room for the record: %v", err)
	}
	if s, err := l.Load(t.Context(), "r"); err != nil || !s.Closed() || onRecord > 0 {
		t.Fatalf("%v, on record %d", err, onRecord)
	}
	full = false
	if done, err := remove(mia, digest); err != nil || done.Repeated || onRecord != 1 {
		t.Fatalf("%+v, %v, on record %d", done, err, onRecord)
	}
	if _, err := l.Load(t.Context(), "r"); !errors.Is(err, runlog.ErrNoRun) {
		t.Fatalf("removed: %v", err)
	}
	if done, err := remove(mia, digest); err != nil || !done.Repeated || onRecord != 1 {
		t.Fatalf("again: %+v, %v, on record %d", done, err, onRecord)
	}
}
