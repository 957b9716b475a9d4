package yamldoc

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Bounds of a document. An alias counts as often as it is used, so a small text cannot become a large tree.
const (
	maxDocument = 4 << 20
	maxValues   = 400_000
)

// MaxDepth is how deep values may be nested; it is what the core lets an event carry.
const MaxDepth = 200

// Parse reads one YAML (or JSON) document and returns its root, a mapping.
func (r *Reader) Parse(file string, data []byte, kind string) (*yaml.Node, bool) {
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
	if root = Resolve(root); root.Kind != yaml.MappingNode {
		r.At(root, "", "a %s must be a mapping of keys to values, not %s", kind, KindOf(root))
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

func (r *Reader) syntax(data []byte, err error) {
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
	r.problem(1, 1, "", "not YAML: %v", err)
}

func (r *Reader) syntaxOne(data []byte, e *yaml.LoadError) {
	message := strings.TrimPrefix(e.Message, "yaml: ")
	switch {
	case strings.Contains(message, "no documents"):
		r.problem(1, 1, "", "the file is empty")
	case strings.Contains(message, "found multiple"):
		r.problem(r.src.secondDocument(), 1, "", "the file has more than one document")
	case e.Mark.Line == 0:
		line, col, hint := strangeByte(data)
		r.problem(line, col, hint, "not YAML: %s", message)
	case strings.Contains(message, "cannot start any token") && strings.HasPrefix(r.src.line(e.Mark.Line), "\t"):
		r.problem(e.Mark.Line, e.Mark.Column, "indent with spaces", "not YAML: a tab cannot indent")
	default:
		r.problem(e.Mark.Line, e.Mark.Column, "", "not YAML: %s", message)
	}
}

// strangeByte finds what the YAML reader refuses without saying where: control characters and bytes that are not UTF-8.
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
func (r *Reader) bounded(root *yaml.Node) bool {
	w := walker{open: map[*yaml.Node]bool{}}
	if n, what := w.walk(root, 0); n != nil {
		r.At(n, "", "%s", what)
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
	if depth > MaxDepth {
		return n, fmt.Sprintf("values are nested deeper than %d", MaxDepth)
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
