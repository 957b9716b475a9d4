//go:build mutants

package dispatch

import (
	"os"
	"strings"
)

// mutant breaks the dispatcher on purpose, in programs built with -tags mutants, so that the chaos test can show that
// it notices: "no-reconcile" never looks for what is wanted and not there.
func mutant(name string) bool { return strings.Contains(os.Getenv("BELAY_MUTANT"), name) }
