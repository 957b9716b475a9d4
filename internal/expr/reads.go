package expr

import (
	"encoding/json"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"

	"belay/internal/steps"
)

// Read is one value that an expression reads: a root, and the names behind it as far as they are written out, like steps,
// lookup, output, amount.
type Read []string

// Of gives the step and the field that are read of it; ok is false for what is not of a step.
func (r Read) Of() (step, field string, ok bool) {
	if len(r) < 3 || r[0] != "steps" {
		return "", "", false
	}
	return r[1], r[2], true
}

var everyRoot = Readable{Roots: []string{"input", "steps", "run", "params", "output", "untrusted", "item", "index"}}

// Reads lists what a bare expression reads. One that does not compile reads nothing.
func Reads(written string) []Read {
	source, _ := Bare(written)
	tree, err := parser.ParseWithConfig(source, configure(everyRoot))
	if err != nil {
		return nil
	}
	r := &reads{parents: map[ast.Node]*ast.MemberNode{}}
	ast.Walk(&tree.Node, r)
	var found []Read
	for _, n := range r.names {
		found = append(found, r.from(n))
	}
	return found
}

type reads struct {
	names   []*ast.IdentifierNode
	parents map[ast.Node]*ast.MemberNode
}

// Visit implements ast.Visitor.
func (r *reads) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		for _, root := range everyRoot.Roots {
			if n.Value == root {
				r.names = append(r.names, n)
			}
		}
	case *ast.MemberNode:
		r.parents[n.Node] = n
	}
}

func (r *reads) from(n *ast.IdentifierNode) Read {
	read := Read{n.Value}
	for at := r.parents[n]; at != nil; at = r.parents[at] {
		name, ok := at.Property.(*ast.StringNode)
		if !ok || at.Method {
			break
		}
		read = append(read, name.Value)
	}
	return read
}

// TemplateReads lists what the expressions in the strings of a JSON value read.
func TemplateReads(raw json.RawMessage) []Read { return readsIn(steps.Decode(raw)) }

func readsIn(v any) (found []Read) {
	switch v := v.(type) {
	case string:
		segments, _ := Split(v)
		for _, s := range segments {
			if s.Expression {
				found = append(found, Reads(s.Text)...)
			}
		}
	case []any:
		for _, e := range v {
			found = append(found, readsIn(e)...)
		}
	case map[string]any:
		for _, e := range v {
			found = append(found, readsIn(e)...)
		}
	}
	return found
}

// Given evaluates e where the roots have these values.
func (e *Expression) Given(roots map[string]any) (any, error) {
	env := newEnvironment(len(roots))
	for name, v := range roots {
		env[name] = v
	}
	return e.evaluate(env)
}
