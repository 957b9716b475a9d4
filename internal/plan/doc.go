// Package plan reads what people write: plans and tools files. It checks everything before anything is published,
// compiles the expressions, and pins the policies of the tools that a plan names.
//
// A document goes through three forms. [ParsePlan] turns text into a [Document]: a steps.Definition with all defaults
// filled in, and its canonical JSON. That JSON travels in the run's first event. [Compile] turns those bytes, and
// nothing else, into a steps.Program whose expressions are functions; every process that folds the run does that, so
// Compile reads no file and no clock and gives the same program everywhere. [ParseTools] turns a tools file into
// policies (pinned into runs) and executor specifications (which stay with the worker).
//
// Where to start reading: planfile.go and plancheck.go (which keys a plan has, and what is checked across steps),
// toolsfile.go, executors.go and toolspeople.go (which keys a tools file has), compile.go (from bytes to a program),
// lint.go and linttools.go (warnings). yamldoc reads the YAML, expr compiles the expressions.
package plan
