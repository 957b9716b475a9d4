// Package yamldoc reads documents that people write, in YAML or JSON, and reports every mistake in one with its place in
// the text, a message and a hint. Plans, tools files, settings and notify files are all read with it; each of them has
// its own parser, beside what it is for.
//
// A parser embeds a [Reader], gets the root with [Reader.Parse], and reads it with [Reader.Object]: a table of the keys
// that may be there, each with a function that reads its value. What is wrong is noted and reading goes on, so that one
// pass reports all. At the end [Problems.Err] is the error. The package's example is a whole parser.
//
// Where to start reading: reader.go (what a parser holds), mapping.go and scalar.go (typed reading), parse.go (from text
// to nodes, and what is refused at once), position.go (where a character of a quoted or folded string stands), hint.go
// ("did you mean"), problem.go (what comes out).
package yamldoc
