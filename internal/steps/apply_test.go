package steps_test

import (
	"testing"

	"belay/internal/steps"
)

func TestApplyIgnoresWhatBelongsToNoRun(t *testing.T) {
	t.Parallel()
	s, touched := steps.Apply(nil, steps.Record{Seq: 1, Event: steps.Fired{}})
	if s != nil || touched == nil || len(touched) != 0 {
		t.Fatalf("got %v, %v", s, touched)
	}
}
