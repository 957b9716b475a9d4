// Package observe shows operators what Belay does: log lines, Prometheus metrics, OpenTelemetry traces, and the health
// of a process over HTTP.
//
// It only derives. [Runs] sees every record that a dispatcher applies, [Attempts] every attempt that a worker executes; they
// make lines, counts and spans of them, and store nothing. So a counter may lack what a killed process had not exported yet,
// or count twice what its successor applied again. The log of a run is the truth.
//
// No run id, person or error text is ever a label of a metric, and nothing has parameters, outputs or headers in it.
package observe
