// Package expr compiles and evaluates the expressions of plans and tools files: bare ones (`when`), and `${ ... }` in the
// strings of a JSON value. What a process may read and evaluate is bounded, and the same expression over the same values
// gives the same result in every process: there is no clock, no randomness, and numbers stay as they are written.
//
// [Compile] makes an [Expression] of one, [CompileText] a [Text] of a string with some in it, [CompileJSON] a [Template]
// of a whole value. Each is checked against what may be read at its place ([Readable]), and is a steps.Expr, a function of
// a run's state, at the end. What is wrong comes as faults with places, which yamldoc puts into the document.
//
// Where to start reading: expression.go (one expression, from text to program), template.go and segments.go (`${ ... }`
// in strings), references.go (which names there are), rewrite.go, number.go and functions.go (how json.Number is
// calculated with), meter.go (what an evaluation may cost), bind.go (from a run's state to the values that are read),
// watch.go (what lint says of an expression that compiles).
package expr
