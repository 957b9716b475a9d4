package yamldoc

import (
	"fmt"

	"go.yaml.in/yaml/v4"
)

// Reader reads the nodes of one document into typed values. It collects everything that is wrong on the way instead of
// stopping at the first mistake; a value that cannot be read is left as it was. The zero Reader is ready for
// [Reader.Parse].
type Reader struct {
	// Problems are the mistakes found so far, in the order in which they were found; [Problems.Err] makes an error of
	// them, in the order of the text.
	Problems Problems
	// Warnings are remarks about what is not a mistake but may not be meant. They never make a document invalid.
	Warnings Problems

	src source
}

// FileName is the name that the document was given in [Reader.Parse].
func (r *Reader) FileName() string { return r.src.file }

// Field reads the value of one key. Aliases in it are resolved.
type Field func(value *yaml.Node)

// Fields are the keys that a mapping may have. A nil Field is a key that is known but not supported yet.
type Fields map[string]Field

func (r *Reader) problem(line, col int, hint, format string, args ...any) {
	r.Problems = append(r.Problems, Problem{File: r.src.file, Line: line, Col: col, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// At reports a problem at the place of n. The hint says what to do instead, and may be empty.
func (r *Reader) At(n *yaml.Node, hint, format string, args ...any) {
	r.problem(n.Line, n.Column, hint, format, args...)
}

// Inside reports faults in the value of a scalar, each at its own place in the text.
func (r *Reader) Inside(n *yaml.Node, faults []Fault) {
	for _, f := range faults {
		line, col := r.src.locate(n, f.At)
		r.problem(line, col, f.Hint, "%s", f.Message)
	}
}

// Warn notes a remark at the place of n.
func (r *Reader) Warn(n *yaml.Node, hint, format string, args ...any) {
	r.Warnings = append(r.Warnings, Problem{File: r.src.file, Line: n.Line, Col: n.Column, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// WarnInside notes remarks about the value of a scalar, each at its own place in the text.
func (r *Reader) WarnInside(n *yaml.Node, remarks []Fault) {
	for _, f := range remarks {
		line, col := r.src.locate(n, f.At)
		r.Warnings = append(r.Warnings, Problem{File: r.src.file, Line: line, Col: col, Message: f.Message, Hint: f.Hint})
	}
}
