//go:build mutants

package worker

import (
	"os"
	"strings"
)

// mutant breaks the worker on purpose, in programs built with -tags mutants, so that the chaos test can show that it
// notices: "no-claim" executes unsafe tools without claiming the attempt, "ack-first" acknowledges before it executes,
// and so before the outcome is stored, "no-approval" does not check approvals, "no-wanted" does not look whether the run
// wants the attempt.
func mutant(name string) bool { return strings.Contains(os.Getenv("BELAY_MUTANT"), name) }
