//go:build mutants

package worker

import "os"

// mutant breaks the worker on purpose, in programs built with -tags mutants, so that the chaos test can show that it
// notices: "no-claim" executes unsafe tools without claiming the attempt, "ack-first" acknowledges before the outcome
// is stored.
var mutant = os.Getenv("BELAY_MUTANT")
