package expr

import (
	"strings"
	"unicode/utf8"

	"belay/internal/yamldoc"
)

// Segment is a piece of a string: plain text, or the text between `${` and its brace.
type Segment struct {
	Text       string // the plain text, or what stands between `${` and its brace
	Expression bool   // it is the latter
	At         int    // offset of an expression's text in the string, in characters
}

// Split cuts s into segments. `$${` is a plain `${`; an expression ends at the brace that balances its `${`, where
// braces inside its own strings do not count.
func Split(s string) ([]Segment, []yamldoc.Fault) {
	var out []Segment
	var plain strings.Builder
	for i := 0; i < len(s); {
		switch {
		case strings.HasPrefix(s[i:], "$${"):
			plain.WriteString("${")
			i += len("$${")
		case strings.HasPrefix(s[i:], "${"):
			start := i + len("${")
			length := balanced(s[start:])
			if length < 0 {
				return nil, []yamldoc.Fault{{At: utf8.RuneCountInString(s[:i]), Message: "`${` without a closing brace", Hint: "write $${ for a plain ${"}}
			}
			out = appendPlain(out, &plain)
			out = append(out, Segment{Text: s[start : start+length], Expression: true, At: utf8.RuneCountInString(s[:start])})
			i = start + length + len("}")
		default:
			plain.WriteByte(s[i])
			i++
		}
	}
	return appendPlain(out, &plain), nil
}

func appendPlain(out []Segment, plain *strings.Builder) []Segment {
	if plain.Len() == 0 {
		return out
	}
	out = append(out, Segment{Text: plain.String()})
	plain.Reset()
	return out
}

// balanced is the length of the expression that s begins with, -1 when its closing brace is missing.
func balanced(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth == 0 {
				return i
			}
			depth--
		case '"', '\'', '`':
			i = endOfQuote(s, i)
		}
	}
	return -1
}

// endOfQuote is the index of the quote that closes the one at start; the end of s when there is none.
func endOfQuote(s string, start int) int {
	for i := start + 1; i < len(s); i++ {
		switch {
		case s[i] == s[start]:
			return i
		case s[i] == '\\' && s[start] != '`':
			i++
		}
	}
	return len(s)
}

// IsWhole reports whether segments are one expression and nothing else, so that its value keeps its type.
func IsWhole(segments []Segment) bool { return len(segments) == 1 && segments[0].Expression }

// Bare gives the text of an expression that may be written with or without `${ ... }` around it, and where it starts.
func Bare(s string) (text string, at int) {
	trimmed := strings.TrimSpace(s)
	if !strings.HasPrefix(trimmed, "${") {
		return s, 0
	}
	inner := trimmed[len("${"):]
	if balanced(inner) != len(inner)-1 {
		return s, 0
	}
	before := s[:strings.Index(s, "${")+len("${")]
	return inner[:len(inner)-1], utf8.RuneCountInString(before)
}
