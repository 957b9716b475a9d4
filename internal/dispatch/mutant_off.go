//go:build !mutants

package dispatch

// mutant is always empty in programs that people run. See mutant_on.go.
const mutant = ""
