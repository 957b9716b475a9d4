package wire

import (
	"slices"
	"strings"
	"testing"

	"belay/internal/steps"
)

// TestWhatWorkersSay: an older dispatcher takes a type that it does not know, where only workers write, for a report that its worker has
// spoiled, see [steps.Junk]. So that every version folds a run the same way, workers say nothing in a run that is newer than its epoch.
func TestWhatWorkersSay(t *testing.T) {
	t.Parallel()
	since := map[string]int{ // the epoch of the runs from which on workers say it
		"started": 1, "progress": 1, "succeeded": 1, "failed": 1, "claimed": 1, "objected": 2, "resumable": 7,
	}
	var all []string
	for key := range readers {
		if kind, of, _ := strings.Cut(key, "/"); kind == KindOutcome || kind == KindClaim {
			all = append(all, of)
		}
	}
	for _, name := range all {
		if epoch, known := since[name]; !known || epoch > steps.Epoch {
			t.Errorf("%s is new: give it the next epoch here and in steps.Epoch, have workers say it in runs of that epoch alone, and leave it out of the fold of older ones", name)
		}
	}
	for name := range since {
		if !slices.Contains(all, name) {
			t.Errorf("%s is no longer read: logs have it", name)
		}
	}
	if Version != 1 {
		t.Error("another version of what workers say takes a new epoch too")
	}
}

// TestClaimOf is the attempt of a subject of claims, also where the body says another one.
func TestClaimOf(t *testing.T) {
	t.Parallel()
	for _, a := range []steps.Attempt{{Step: "a", Try: 1}, {Step: "a~t3.1", Round: 2, Rung: 1, Try: 4}, {Step: "claim", Try: 1}} {
		for _, subject := range []string{Default.Claim(3, "claim", a), Default.ToolClaim(3, "claim", "pay.in", a)} {
			if got, ok := Default.ClaimOf(subject); !ok || got != a {
				t.Errorf("%s: %+v, %t", subject, got, ok)
			}
		}
	}
	for _, subject := range []string{"", "other", Default.Outcome(0, "r", "t"), Default.Log(0, "r", KindClaim), Default.Log(0, "r", KindClaim) + ".a", Default.Log(0, "r", KindClaim) + ".a.x"} {
		if a, ok := Default.ClaimOf(subject); ok {
			t.Errorf("%s: %+v", subject, a)
		}
	}
}
