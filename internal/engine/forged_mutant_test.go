//go:build mutants

package engine

import "testing"

// TestForgeriesAreExecutedWithoutTheChecks: the test above would notice. Each check alone keeps the forged messages out.
func TestForgeriesAreExecutedWithoutTheChecks(t *testing.T) {
	for mutant, pays := range map[string]bool{"no-approval,no-wanted": true, "no-approval": false, "no-wanted": false} {
		t.Setenv("BELAY_MUTANT", mutant)
		if paid, _ := attack(t, 120); (paid > 0) != pays {
			t.Errorf("%s: %d forged messages were executed", mutant, paid)
		}
	}
}
