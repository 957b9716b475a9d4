package plan

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"belay/internal/steps"
)

// Bounds of a document. An alias counts as often as it is used, so a small text cannot become a large tree.
const (
	maxDocument = 4 << 20
	maxValues   = 400_000
	maxDepth    = steps.MaxDepth
)

// source is the text of one file, for positions.
type source struct {
	file  string
	lines []string
}

// parse reads one YAML (or JSON) document and returns its root, a mapping.
func (r *reader) parse(file string, data []byte, kind string) (*yaml.Node, bool) {
	r.src = source{file: file}
	if len(data) > maxDocument {
		r.problem(0, 0, "", "the file is larger than %d MiB", maxDocument>>20)
		return nil, false
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	r.src.lines = strings.Split(string(data), "\n")
	doc, err := loadYAML(data)
	if err != nil {
		r.syntax(data, err)
		return nil, false
	}
	if len(doc.Content) == 0 || doc.Content[0].ShortTag() == "!!null" {
		r.problem(1, 1, "", "the %s is empty", kind)
		return nil, false
	}
	root := doc.Content[0]
	if !r.bounded(root) {
		return nil, false
	}
	if root = resolve(root); root.Kind != yaml.MappingNode {
		r.at(root, "", "a %s is a mapping of keys to values, not %s", kind, kindOf(root))
		return nil, false
	}
	return root, true
}

// loadYAML turns a panic of the YAML reader into an error: its input is what people type.
func loadYAML(data []byte) (doc *yaml.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			doc, err = nil, fmt.Errorf("the YAML reader gave up: %v", p)
		}
	}()
	doc = new(yaml.Node)
	if len(bytes.TrimSpace(data)) == 0 {
		return doc, nil
	}
	return doc, yaml.Load(data, doc)
}

func (r *reader) syntax(data []byte, err error) {
	if all, ok := errors.AsType[*yaml.LoadErrors](err); ok {
		for _, e := range all.Errors {
			r.syntaxOne(data, e)
		}
		return
	}
	if e, ok := errors.AsType[*yaml.LoadError](err); ok {
		r.syntaxOne(data, e)
		return
	}
	r.problem(1, 1, "", "no YAML: %v", err)
}

func (r *reader) syntaxOne(data []byte, e *yaml.LoadError) {
	message := strings.TrimPrefix(e.Message, "yaml: ")
	switch {
	case strings.Contains(message, "no documents"):
		r.problem(1, 1, "", "the file is empty")
	case strings.Contains(message, "found multiple"):
		r.problem(r.src.secondDocument(), 1, "", "a file holds one document, this one holds more")
	case e.Mark.Line == 0:
		line, col, hint := strangeByte(data)
		r.problem(line, col, hint, "no YAML: %s", message)
	case strings.Contains(message, "cannot start any token") && strings.HasPrefix(r.src.line(e.Mark.Line), "\t"):
		r.problem(e.Mark.Line, e.Mark.Column, "indent with spaces", "no YAML: a tab cannot indent")
	default:
		r.problem(e.Mark.Line, e.Mark.Column, "", "no YAML: %s", message)
	}
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

// strangeByte finds what the YAML reader refuses without saying where: control characters and bytes that are no UTF-8.
func strangeByte(data []byte) (line, col int, hint string) {
	line, col = 1, 1
	for i := 0; i < len(data); {
		c, size := utf8.DecodeRune(data[i:])
		switch {
		case c == utf8.RuneError && size <= 1:
			return line, col, "the file must be UTF-8"
		case c < ' ' && c != '\n' && c != '\r' && c != '\t', c == 0x7f:
			return line, col, "remove the control character"
		case c == '\n':
			line, col = line+1, 0
		}
		i += size
		col++
	}
	return 1, 1, ""
}

// bounded checks size, depth and aliases of the tree once, so that nothing after it has to.
func (r *reader) bounded(root *yaml.Node) bool {
	w := walker{open: map[*yaml.Node]bool{}}
	if n, what := w.walk(root, 0); n != nil {
		r.at(n, "", "%s", what)
		return false
	}
	return true
}

type walker struct {
	open  map[*yaml.Node]bool // nodes around the one at hand
	count int
}

func (w *walker) walk(n *yaml.Node, depth int) (*yaml.Node, string) {
	if w.count++; w.count > maxValues {
		return n, fmt.Sprintf("the document has more than %d values once its aliases are replaced", maxValues)
	}
	if depth > maxDepth {
		return n, fmt.Sprintf("values are nested deeper than %d", maxDepth)
	}
	if n.Kind == yaml.AliasNode {
		if n.Alias == nil || w.open[n.Alias] {
			return n, fmt.Sprintf("the alias *%s contains itself", n.Value)
		}
		return w.walk(n.Alias, depth+1)
	}
	w.open[n] = true
	defer delete(w.open, n)
	for _, c := range n.Content {
		if bad, what := w.walk(c, depth+1); bad != nil {
			return bad, what
		}
	}
	return nil, ""
}

// resolve follows aliases; [reader.bounded] has made sure that they end.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func resolved(nodes []*yaml.Node) []*yaml.Node {
	list := make([]*yaml.Node, len(nodes))
	for i, n := range nodes {
		list[i] = resolve(n)
	}
	return list
}

func (s *source) line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	return strings.TrimSuffix(s.lines[n-1], "\r")
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

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "empty"
	case "!!bool":
		return "a boolean"
	case "!!int", "!!float":
		return "a number"
	}
	return "a string"
}
