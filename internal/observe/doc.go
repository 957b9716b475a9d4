// Package observe shows what Belay does to those who run it: log lines, Prometheus metrics, OpenTelemetry traces, and
// the health of a process over HTTP.
//
// It only derives. [Runs] hears of every record that a dispatcher applies, [Attempts] of every attempt that a worker
// executes; a line, a count or a span is made of what they are told and nothing is stored. So a number may be off by
// what a killed process took with it, or by what its successor applied once more; the log of a run is the truth.
//
// No run id, person or error text is ever a metric's label, and no parameters, outputs or headers are in any of them.
package observe
