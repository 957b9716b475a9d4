package yamldoc

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake in a document. Line and Col count from 1; 0 means that the place is not known.
type Problem struct {
	File      string // as it was named
	Line, Col int    // from 1; 0: the place is not known
	Message   string // what is wrong, without the place
	Hint      string // what to do instead; may be empty
	Code      string // names the kind of a remark, where whoever reads the document has one; may be empty
}

func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, max(p.Col, 1))
	}
	b.WriteString(": ")
	b.WriteString(p.Message)
	if p.Hint != "" {
		b.WriteString(" (" + p.Hint + ")")
	}
	return b.String()
}

// Problems is every mistake found in a document, in the order of the text. It is the error of all functions here that
// read documents; use errors.As to print the problems one by one.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// Sorted orders problems as the text has them and drops repetitions, which aliases give.
func (p Problems) Sorted() Problems {
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col), strings.Compare(a.Message, b.Message))
	})
	return slices.Compact(p)
}

// Err makes p an error; none are nil.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	return p.Sorted()
}

// Fault is a mistake inside one string, before its place in the file is known.
type Fault struct {
	At      int    // offset in the string, in characters
	Message string // what is wrong
	Hint    string // what to do instead; may be empty
}

// Shifted is f in a longer string, which has by more characters before it.
func (f Fault) Shifted(by int) Fault { f.At += by; return f }
