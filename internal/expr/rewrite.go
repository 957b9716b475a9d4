package expr

import (
	"slices"

	"github.com/expr-lang/expr/ast"
)

// rewriter puts the functions of functions.go where an expression calculates or compares, because the language itself
// takes json.Number for a string: it would order 9 after 10 and could not add at all. Operands are converted, values
// that are only passed on are not. Walk visits children first, so what is wrapped here is already rewritten.
type rewriter struct{}

var (
	arithmetic  = []string{"-", "*", "/", "**", "^"}
	comparisons = map[string]string{"==": "eq·", "!=": "ne·", "<": "lt·", "<=": "le·", ">": "gt·", ">=": "ge·", "in": "in·", "+": "add·", "%": "mod·"}

	// What functions need their arguments as.
	onNumber  = []string{"abs", "ceil", "floor", "round", "float", "len"}
	onText    = []string{"matches", "contains", "startsWith", "endsWith"} // operators
	onNumbers = []string{"sum", "mean", "median"}
	onIndexes = []string{"take", "get", "bitand", "bitor", "bitxor", "bitnand", "bitshl", "bitshr", "bitushr", "bitnot"}
	byNumber  = []string{"sum", "sortBy", "groupBy"} // what their closure gives
)

// Visit implements ast.Visitor.
func (rewriter) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.BinaryNode:
		rewriteBinary(node, n)
	case *ast.UnaryNode:
		if n.Operator == "-" || n.Operator == "+" {
			wrap("num·", &n.Node)
		}
	case *ast.MemberNode:
		wrap("index·", &n.Property)
		if !n.Optional && isDegradedBy(n.Node) {
			n.Optional = true
			ast.Patch(node, &ast.ChainNode{Node: n})
		}
	case *ast.SliceNode:
		wrap("index·", &n.From)
		wrap("index·", &n.To)
	case *ast.BuiltinNode:
		rewriteBuiltin(node, n.Name, n.Arguments)
	}
}

func rewriteBinary(node *ast.Node, n *ast.BinaryNode) {
	if name, ok := comparisons[n.Operator]; ok {
		if _, orders := operators[name+orNull]; orders && (ofDegraded(n.Left) || ofDegraded(n.Right)) {
			name += orNull
		}
		ast.Patch(node, call(name, n.Left, n.Right))
		return
	}
	switch {
	case slices.Contains(arithmetic, n.Operator):
		wrap("num·", &n.Left)
		wrap("num·", &n.Right)
	case n.Operator == "..":
		wrap("index·", &n.Left)
		wrap("index·", &n.Right)
	case slices.Contains(onText, n.Operator):
		wrap("look·", &n.Left)
	}
}

// orNull marks the comparisons of what is null where nothing is degraded: null is neither older nor younger than
// anything.
const orNull = "null·"

// isDegradedBy recognises `steps.<id>.degraded_by`, whose fields are null where it is.
func isDegradedBy(n ast.Node) bool {
	m, ok := n.(*ast.MemberNode)
	if !ok {
		return false
	}
	_, field, ok := readOf(m)
	return ok && field == "degraded_by"
}

// ofDegraded recognises a field of it, once that is rewritten.
func ofDegraded(n ast.Node) bool {
	c, ok := n.(*ast.ChainNode)
	if !ok {
		return false
	}
	m, ok := c.Node.(*ast.MemberNode)
	return ok && isDegradedBy(m.Node)
}

func rewriteBuiltin(node *ast.Node, name string, args []ast.Node) {
	if _, ok := replaced[name]; ok {
		ast.Patch(node, call(replacementName(name), args...))
		return
	}
	switch {
	case len(args) == 0:
	case name == "int":
		args[0] = call("whole·", args[0])
	case slices.Contains(onNumber, name):
		wrap("num·", &args[0])
	case slices.Contains(onNumbers, name):
		wrap("nums·", &args[0])
	case slices.Contains(onIndexes, name):
		for i := range args {
			wrap("index·", &args[i])
		}
	default: // closures over a list, and what reads a string or a list once
		wrap("look·", &args[0])
	}
	if len(args) > 1 && slices.Contains(byNumber, name) {
		wrap("num·", &args[1])
	}
}

// wrap puts a call around the value of node. A closure is called around its result, literals stay as they are.
func wrap(name string, node *ast.Node) {
	switch n := (*node).(type) {
	case nil, *ast.StringNode, *ast.IntegerNode, *ast.FloatNode:
	case *ast.PredicateNode:
		wrap(name, &n.Node)
	default:
		wrapped := call(name, n)
		wrapped.SetLocation(n.Location())
		*node = wrapped
	}
}

func call(name string, args ...ast.Node) *ast.CallNode {
	args = append([]ast.Node{&ast.IdentifierNode{Value: meterName}}, args...)
	return &ast.CallNode{Callee: &ast.IdentifierNode{Value: name}, Arguments: args}
}

// replacementName is the name under which a replaced function is called once an expression is rewritten.
func replacementName(name string) string { return name + "·" }
