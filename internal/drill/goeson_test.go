package drill

import (
	"testing"

	"belay/internal/steps"
)

// TestCallsThatGoOnAreOne: an attempt that another one went on from is no call of its own; one that another one repeated is.
func TestCallsThatGoOnAreOne(t *testing.T) {
	t.Parallel()
	lost := &steps.Fault{Class: steps.Unknown}
	task := &steps.Continuation{Resume: steps.Resume{About: "task 7"}}
	u := &steps.Unit{Attempts: []steps.AttemptRecord{
		{Try: 1, Fault: lost}, {Try: 2, Fault: lost, Continues: task}, {Try: 3, Fault: lost}, {Round: 1, Try: 1, Continues: task},
	}}
	for n, want := range []bool{true, false, false, false} {
		if got := goesOn(u, n); got != want {
			t.Errorf("attempt %d is gone on from: %v", n, got)
		}
	}
}
