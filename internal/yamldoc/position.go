package yamldoc

import (
	"strings"

	"go.yaml.in/yaml/v4"
)

// source is the text of one file, for positions.
type source struct {
	file  string
	lines []string
}

func (s *source) line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	return strings.TrimSuffix(s.lines[n-1], "\r")
}

// secondDocument is the line where a document that is not the first begins.
func (s *source) secondDocument() int {
	content := false
	for i, line := range s.lines {
		if content && strings.HasPrefix(line, "---") {
			return i + 1
		}
		trimmed := strings.TrimSpace(line)
		content = content || trimmed != "" && trimmed[0] != '#' && trimmed[0] != '%'
	}
	return 1
}

// locate gives line and column of the character at offset of a scalar's value. The text in the file differs from the
// value by quotes, escapes, indentation and folded lines, so both are read side by side; where that fails, it is the
// scalar's beginning.
func (s *source) locate(n *yaml.Node, offset int) (line, col int) {
	c := cursor{src: s, line: n.Line, col: n.Column - 1}
	switch {
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		c.line, c.col = c.line+1, 0
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		c.col++
	}
	escapes := n.Style&yaml.DoubleQuotedStyle != 0
	for i, want := range []rune(n.Value) {
		if !c.meet(want, escapes) {
			return n.Line, n.Column
		}
		if i == offset {
			return c.line, c.col + 1
		}
		c.step(want, n.Style)
	}
	return c.line, c.col + 1
}

// cursor is a place in a file's text.
type cursor struct {
	src  *source
	line int
	col  int // in characters, from 0
	text []rune
	of   int // the line that text holds
}

func (c *cursor) here() (rune, bool) {
	if c.of != c.line {
		c.text, c.of = []rune(c.src.line(c.line)), c.line
	}
	if c.col < len(c.text) {
		return c.text[c.col], true
	}
	return '\n', c.line <= len(c.src.lines)
}

// meet moves over line ends and indentation to where the character want is written.
func (c *cursor) meet(want rune, escapes bool) bool {
	for {
		have, ok := c.here()
		switch {
		case !ok:
			return false
		case have == want, escapes && have == '\\', have == '\n' && want == ' ':
			return true
		case have == '\n':
			c.line, c.col = c.line+1, 0
		case have == ' ' || have == '\t':
			c.col++
		default:
			return false
		}
	}
}

// step moves past the character want, in whatever way it is written.
func (c *cursor) step(want rune, style yaml.Style) {
	have, _ := c.here()
	switch {
	case have == '\n':
		c.line, c.col = c.line+1, 0
	case have == '\\' && style&yaml.DoubleQuotedStyle != 0:
		c.col += c.escapeLength()
	case have == '\'' && style&yaml.SingleQuotedStyle != 0:
		c.col += 2
	default:
		c.col++
	}
}

func (c *cursor) escapeLength() int {
	if c.col+1 >= len(c.text) {
		return 2
	}
	switch c.text[c.col+1] {
	case 'x':
		return 4
	case 'u':
		return 6
	case 'U':
		return 10
	}
	return 2
}
