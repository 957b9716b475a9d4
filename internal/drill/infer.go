package drill

import (
	"maps"
	"slices"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"

	"belay/internal/expr"
)

// shape is what expressions expect of a value: an object with these fields, a list of these, or a value.
type shape struct {
	fields map[string]*shape
	elem   *shape // of a list
	value  any    // what an expression compares it with; nil: nothing is known
	exact  bool   // value is more than a guess at its type
}

func (s *shape) field(name string) *shape {
	if s.fields == nil {
		s.fields = map[string]*shape{}
	}
	if s.fields[name] == nil {
		s.fields[name] = &shape{}
	}
	return s.fields[name]
}

func (s *shape) element() *shape {
	if s.elem == nil {
		s.elem = &shape{}
	}
	return s.elem
}

// expect notes what an expression needs. What it compares with counts more than what type it needs.
func (s *shape) expect(h hint) {
	if h.value != nil && !s.exact {
		s.value, s.exact = h.value, h.exact
	}
	if h.list {
		s.element()
	}
}

// sample is a value of the shape. Base is what is known of it otherwise, and is kept where no expression needs another one.
func (s *shape) sample(base any) any {
	switch {
	case s == nil:
		return base
	case len(s.fields) > 0:
		object, is := base.(map[string]any)
		if !is {
			object = map[string]any{}
		}
		for _, name := range slices.Sorted(maps.Keys(s.fields)) {
			object[name] = s.fields[name].sample(object[name])
		}
		return object
	case s.elem != nil:
		if list, is := base.([]any); is && len(list) > 0 {
			for i := range list {
				list[i] = s.elem.sample(list[i])
			}
			return list
		}
		return []any{s.elem.sample(nil), s.elem.sample(nil)}
	case s.value != nil && (s.exact || base == nil):
		return s.value
	case base != nil:
		return base
	}
	return "sample"
}

// hint is what the place of an expression needs its value to be.
type hint struct {
	value any
	exact bool
	list  bool
}

// reader finds out what expressions expect of the values that they read.
type reader struct {
	roots map[string]*shape // by the name of a root: input, output; steps has a field for each step
	truth bool              // whether conditions should hold
	elem  *shape            // of the list that a closure goes through
}

// read reads a bare expression; a condition should hold where truth says so.
func (r *reader) read(text string, h hint) {
	tree, err := parser.Parse(text)
	if err != nil {
		return // the plan has been checked; what only our language can read is not looked at
	}
	r.visit(tree.Node, h)
}

// template reads all expressions in a decoded template; schema is the JSON Schema of what it makes, if there is one.
func (r *reader) template(v any, schema map[string]any) {
	switch v := v.(type) {
	case string:
		segments, _ := expr.Split(v)
		for _, s := range segments {
			if s.Expression {
				h := hint{}
				if expr.IsWhole(segments) {
					h = hintOf(schema)
				}
				r.read(s.Text, h)
			}
		}
	case []any:
		items, _ := schema["items"].(map[string]any)
		for _, e := range v {
			r.template(e, items)
		}
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		for k, e := range v {
			of, _ := properties[k].(map[string]any)
			r.template(e, of)
		}
	}
}

// hintOf is what a schema needs a value to be.
func hintOf(schema map[string]any) hint {
	if schema == nil {
		return hint{}
	}
	h := hint{value: sampleOf(schema, 0)}
	_, h.exact = schema["enum"]
	if list, is := h.value.([]any); is {
		h.list, h.value = len(list) >= 0, nil
	}
	if _, is := h.value.(map[string]any); is {
		h.value = nil
	}
	return h
}

func (r *reader) visit(n ast.Node, h hint) {
	if at := r.place(n); at != nil {
		at.expect(h)
		return
	}
	switch n := n.(type) {
	case *ast.ChainNode:
		r.visit(n.Node, h)
	case *ast.MemberNode:
		r.visit(n.Node, hint{})
		r.visit(n.Property, hint{})
	case *ast.UnaryNode:
		r.unary(n)
	case *ast.BinaryNode:
		r.binary(n, h)
	case *ast.ConditionalNode:
		r.visit(n.Cond, hint{value: r.truth})
		r.visit(n.Exp1, h)
		r.visit(n.Exp2, h)
	case *ast.BuiltinNode:
		r.builtin(n)
	case *ast.CallNode:
		r.all(n.Arguments)
	case *ast.ArrayNode:
		r.all(n.Nodes)
	case *ast.MapNode:
		r.all(n.Pairs)
	case *ast.PairNode:
		r.visit(n.Value, hint{})
	case *ast.PredicateNode:
		r.visit(n.Node, hint{value: r.truth})
	case *ast.VariableDeclaratorNode:
		r.visit(n.Value, hint{})
		r.visit(n.Expr, h)
	}
}

func (r *reader) all(nodes []ast.Node) {
	for _, n := range nodes {
		r.visit(n, hint{})
	}
}

func (r *reader) unary(n *ast.UnaryNode) {
	switch n.Operator {
	case "!", "not":
		r.truth = !r.truth
		r.visit(n.Node, hint{value: r.truth})
		r.truth = !r.truth
	default:
		r.visit(n.Node, hint{value: 1.0})
	}
}

func (r *reader) binary(n *ast.BinaryNode, h hint) {
	switch n.Operator {
	case "and", "&&", "or", "||":
		r.visit(n.Left, hint{value: r.truth})
		r.visit(n.Right, hint{value: r.truth})
	case "==", "!=", "<", "<=", ">", ">=":
		r.compare(n)
	case "in":
		r.visit(n.Left, hint{})
		if list, is := n.Right.(*ast.ArrayNode); is && len(list.Nodes) > 0 {
			r.visit(n.Left, hint{value: literal(list.Nodes[0]), exact: true})
			return
		}
		r.visit(n.Right, hint{list: true})
	case "contains", "startsWith", "endsWith", "matches":
		r.visit(n.Left, hint{value: cmpText(n.Right), exact: true})
	case "??":
		r.visit(n.Left, h)
		r.visit(n.Right, h)
	case "+":
		other := hint{}
		if _, number := literal(n.Left).(float64); number {
			other.value = 1.0
		}
		if _, number := literal(n.Right).(float64); number {
			other.value = 1.0
		}
		r.visit(n.Left, other)
		r.visit(n.Right, other)
	default:
		r.visit(n.Left, hint{value: 1.0})
		r.visit(n.Right, hint{value: 1.0})
	}
}

func cmpText(n ast.Node) any {
	if s, is := literal(n).(string); is {
		return s
	}
	return nil
}

// compare wants a comparison with a literal to hold, or not to.
func (r *reader) compare(n *ast.BinaryNode) {
	left, right, op := n.Left, n.Right, n.Operator
	if literal(left) != nil {
		left, right, op = right, left, mirrored[op]
	}
	lit := literal(right)
	if lit == nil {
		r.visit(left, hint{value: 1.0})
		r.visit(right, hint{value: 1.0})
		return
	}
	r.visit(left, hint{value: that(op, lit, r.truth), exact: true})
}

var mirrored = map[string]string{"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

// that is a value that compares with a literal as it should.
func that(op string, lit any, holds bool) any {
	number, isNumber := lit.(float64)
	equal := (op == "==" || op == "<=" || op == ">=") == holds
	switch {
	case isNumber && holds == (op == ">" || op == ">="):
		if op == "==" || op == "!=" {
			break
		}
		return number + 1
	case isNumber && (op == ">" || op == ">=" || op == "<" || op == "<="):
		return number - 1
	}
	if op == "!=" {
		equal = !holds
	}
	if equal {
		return lit
	}
	switch lit := lit.(type) {
	case bool:
		return !lit
	case string:
		return "not " + lit
	case float64:
		return lit + 1
	}
	return "sample"
}

// literal is the value of a literal; nil for everything else.
func literal(n ast.Node) any {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value
	case *ast.BoolNode:
		return n.Value
	case *ast.IntegerNode:
		return float64(n.Value)
	case *ast.FloatNode:
		return n.Value
	}
	return nil
}

// builtin reads a function whose first argument may be a list that a closure goes through.
func (r *reader) builtin(n *ast.BuiltinNode) {
	if len(n.Arguments) == 0 {
		return
	}
	list := r.place(n.Arguments[0])
	closure := len(n.Arguments) > 1
	if closure {
		_, closure = n.Arguments[1].(*ast.PredicateNode)
	}
	if list == nil || !closure && !ofLists[n.Name] {
		r.all(n.Arguments)
		return
	}
	outer := r.elem
	r.elem = list.element()
	r.all(n.Arguments[1:])
	r.elem = outer
}

var ofLists = map[string]bool{"len": true, "sum": true, "first": true, "last": true, "join": true, "min": true, "max": true, "sort": true, "reverse": true}

// place is the value that a chain of names reads; nil where the expression is something else.
func (r *reader) place(n ast.Node) *shape {
	switch n := n.(type) {
	case *ast.ChainNode:
		return r.place(n.Node)
	case *ast.IdentifierNode:
		return r.roots[n.Value]
	case *ast.PointerNode:
		return r.elem
	case *ast.MemberNode:
		of := r.place(n.Node)
		if of == nil {
			return nil
		}
		if name, is := n.Property.(*ast.StringNode); is {
			return of.field(name.Value)
		}
		return of.element()
	}
	return nil
}
