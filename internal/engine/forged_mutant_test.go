//go:build mutants

package engine

import "testing"

// TestForgeriesAreExecutedWithoutTheCheck: the test above would notice.
func TestForgeriesAreExecutedWithoutTheCheck(t *testing.T) {
	t.Setenv("BELAY_MUTANT", "no-approval")
	if paid, _ := attack(t, 120); paid == 0 {
		t.Error("without the worker's check no forged message was executed: the attack is too weak")
	}
}
