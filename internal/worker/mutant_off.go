//go:build !mutants

package worker

// mutant is always empty in programs that people run. See mutant_on.go.
const mutant = ""
