package plan

import (
	"strings"
	"unicode/utf8"
)

// segment is a piece of a string: plain text, or the text between `${` and its brace.
type segment struct {
	text       string
	expression bool
	at         int // offset of an expression's text in the string, in characters
}

// split cuts s into segments. `$${` is a plain `${`; an expression ends at the brace that balances its `${`, where
// braces inside its own strings do not count.
func split(s string) ([]segment, []fault) {
	var out []segment
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
				return nil, []fault{{at: utf8.RuneCountInString(s[:i]), message: "`${` without its closing brace", hint: "write $${ for a plain ${"}}
			}
			out = appendPlain(out, &plain)
			out = append(out, segment{text: s[start : start+length], expression: true, at: utf8.RuneCountInString(s[:start])})
			i = start + length + len("}")
		default:
			plain.WriteByte(s[i])
			i++
		}
	}
	return appendPlain(out, &plain), nil
}

func appendPlain(out []segment, plain *strings.Builder) []segment {
	if plain.Len() == 0 {
		return out
	}
	out = append(out, segment{text: plain.String()})
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

// isWhole reports whether segments are one expression and nothing else, so that its value keeps its type.
func isWhole(segments []segment) bool { return len(segments) == 1 && segments[0].expression }

// bare gives the text of an expression that may be written with or without `${ ... }` around it, and where it starts.
func bare(s string) (text string, at int) {
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
