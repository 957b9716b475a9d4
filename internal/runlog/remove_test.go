package runlog

import (
	"bytes"
	"errors"
	"testing"

	"belay/internal/steps"
	"belay/internal/wire"
)

// TestRemoveArchived: only what is in an archive as it is in the log is removed, and an interrupted removal is gone on with.
func TestRemoveArchived(t *testing.T) {
	t.Parallel()
	l, b := online(t)
	for _, id := range []string{"open", "ended"} {
		submit(t, l, id, submitted(t))
	}
	if _, err := l.Archived(t.Context(), "open", ""); !errors.Is(err, ErrNotEnded) {
		t.Fatalf("open: %v", err)
	}
	if _, err := l.Archived(t.Context(), "never", ""); !errors.Is(err, ErrNoRun) {
		t.Fatalf("never submitted: %v", err)
	}
	if _, err := l.Cancel(t.Context(), "ended", steps.Cancelled{By: "mia"}); err != nil {
		t.Fatal(err)
	}
	appendAll(t, l, "ended", steps.Withdrawn{Attempt: steps.Attempt{Step: "a", Try: 1}}, steps.Closed{State: steps.RunCancelled})
	was := digestOf(t, l)
	if _, err := l.Archived(t.Context(), "ended", was); err != nil {
		t.Fatal(err)
	}
	// A removal ends right after its mark: the run is whole, the file is out of date, and another one has all of it.
	m, stream, err := l.RemovalMark("ended")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.PublishWait(t.Context(), stream, m); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Archived(t.Context(), "ended", was); !errors.Is(err, ErrGrown) {
		t.Fatalf("grown: %v", err)
	}
	entries, err := l.Archived(t.Context(), "ended", digestOf(t, l))
	if err != nil {
		t.Fatal(err)
	}
	appendAll(t, l, "ended", steps.Succeeded{Attempt: steps.Attempt{Step: "a", Try: 1}, Output: []byte(`1`)}) // it comes in between
	if err := l.Remove(t.Context(), "ended", entries[len(entries)-1].Seq); err != nil {
		t.Fatal(err)
	}
	left, err := b.ReadLog(t.Context(), "ended", 0)
	if err != nil || len(left) != 2 || IsRemovalMark(left[0]) || !IsRemovalMark(left[1]) {
		t.Fatalf("left: %+v, %v; want what came in between, and the mark", left, err)
	}
	if f, err := l.Read(t.Context(), "ended", nil); err != nil || f.State != nil || !f.Removed || f.Orphan != nil {
		t.Fatalf("%+v, %v", f, err)
	}
	if _, err := l.Archived(t.Context(), "ended", was); !errors.Is(err, ErrNoRun) {
		t.Fatalf("removed: %v", err)
	}
	if s, err := l.Load(t.Context(), "open"); err != nil || s.Closed() {
		t.Fatalf("open: %v", err)
	}
}

func TestRemovalOrder(t *testing.T) {
	t.Parallel()
	n := wire.Default
	in := []string{n.Log(0, "r", wire.KindResult), n.Log(0, "r", wire.KindClock), n.Log(0, "r", wire.KindPlan), n.Claim(0, "r", steps.Attempt{Step: "plan", Try: 1})}
	got := removalOrder(in)
	if len(got) != len(in) || got[0] != n.Log(0, "r", wire.KindPlan) || got[len(got)-1] != n.Log(0, "r", wire.KindResult) {
		t.Errorf("%v", got)
	}
}

// digestOf archives what has ended, and returns the digest of the one run.
func digestOf(t *testing.T, l *Log) (digest string) {
	t.Helper()
	var file bytes.Buffer
	if _, err := l.Archive(t.Context(), Filter{}, &file); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ReadArchive(&file, func(r ArchiveRun, _ []byte) error { digest = r.SHA256; return nil }); err != nil {
		t.Fatal(err)
	}
	return digest
}
