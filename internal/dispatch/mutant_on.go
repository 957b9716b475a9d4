//go:build mutants

package dispatch

import "os"

// mutant breaks the dispatcher on purpose, in programs built with -tags mutants, so that the chaos test can show that
// it notices: "no-reconcile" never looks for what is wanted and not there.
var mutant = os.Getenv("BELAY_MUTANT")
