package runlog

import (
	"errors"
	"testing"

	"belay/internal/steps"
)

// TestASnapshotReadsOn: what comes after it is heard once, and what it was made of not again.
func TestASnapshotReadsOn(t *testing.T) {
	t.Parallel()
	l, _ := online(t)
	submit(t, l, "run", submitted(t))
	appendAll(t, l, "run", steps.Started{Attempt: steps.Attempt{Step: "a", Try: 1}, Worker: "w"})
	s, err := l.Open(t.Context(), "run")
	if err != nil {
		t.Fatal(err)
	}
	before := s.State.Seq
	seq, err := l.Append(t.Context(), "run", succeeded("a"))
	if err != nil {
		t.Fatal(err)
	}
	var heard []uint64
	err = s.Follow(t.Context(), func(_ *steps.State, r steps.Record, _ []int) bool {
		heard = append(heard, r.Seq)
		return r.Seq < seq
	})
	if err != nil || len(heard) != 1 || heard[0] != seq || s.State.Seq != seq {
		t.Errorf("heard of %d, and stands at %d: %v; want %d alone", heard, s.State.Seq, err, seq)
	}
	if then, err := s.At(before); err != nil || then.Seq != before {
		t.Errorf("it does not know any more how it stood: %+v, %v", then, err)
	}
}

func TestNoSnapshotOfNothing(t *testing.T) {
	t.Parallel()
	l, _ := online(t)
	for id, want := range map[string]error{"nobody": ErrNoRun, "no name": ErrBadID} {
		if s, err := l.Open(t.Context(), id); s != nil || !errors.Is(err, want) {
			t.Errorf("%s: %v, %v", id, s, err)
		}
	}
}
