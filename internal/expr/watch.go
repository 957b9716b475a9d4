package expr

import (
	"fmt"
	"slices"

	"github.com/expr-lang/expr/ast"

	"belay/internal/yamldoc"
)

// Watch is what an expression should mind beside being right: lint warns where it does not. Nil watches nothing.
type Watch struct {
	MayBeNull func(step string) string // why the output of a step may be null; empty where it is not
	fragile   bool                     // null as the value of the whole expression makes what is around it fail
}

// Whole is w for an expression whose own value must not be null.
func (w *Watch) Whole() *Watch { return &Watch{MayBeNull: w.MayBeNull, fragile: true} }

// Watched is v with something that lint watches for.
func (v Readable) Watched(w *Watch) Readable { v.watch = w; return v }

// Around is the view of the expressions in a string: null has no text, so it fails inside a longer one.
func (v Readable) Around(written string) Readable {
	if segments, _ := Split(written); v.watch != nil && !IsWhole(segments) {
		v.watch = v.watch.Whole()
	}
	return v
}

// remarks are what there is to say about an expression that compiles.
func (w *Watch) remarks(tree ast.Node) []yamldoc.Fault {
	if w == nil {
		return nil
	}
	r := &remarker{Watch: w, parents: map[ast.Node]ast.Node{}, minded: map[string]bool{}}
	ast.Walk(&tree, r)
	for _, read := range r.reads {
		r.judge(read)
	}
	for _, read := range r.careless {
		if !r.minded[read.step] {
			r.sayNull(read)
		}
	}
	return r.faults
}

// stepRead is `steps.<step>.<field>` in an expression.
type stepRead struct {
	step, field string
	node        *ast.MemberNode
}

type remarker struct {
	*Watch
	parents  map[ast.Node]ast.Node
	reads    []stepRead
	careless []stepRead
	minded   map[string]bool // steps whose null the expression thinks of, somewhere
	faults   []yamldoc.Fault
}

// Visit implements ast.Visitor.
func (r *remarker) Visit(node *ast.Node) {
	for _, child := range childrenOf(*node) {
		r.parents[child] = *node
	}
	if m, ok := (*node).(*ast.MemberNode); ok {
		if step, field, ok := readOf(m); ok {
			r.reads = append(r.reads, stepRead{step, field, m})
		}
	}
}

// childrenOf are the operands that matter for where a value goes.
func childrenOf(node ast.Node) []ast.Node {
	switch n := node.(type) {
	case *ast.UnaryNode:
		return []ast.Node{n.Node}
	case *ast.BinaryNode:
		return []ast.Node{n.Left, n.Right}
	case *ast.ChainNode:
		return []ast.Node{n.Node}
	case *ast.MemberNode:
		return []ast.Node{n.Node}
	case *ast.SliceNode:
		return []ast.Node{n.Node}
	case *ast.BuiltinNode:
		return n.Arguments
	case *ast.CallNode:
		return n.Arguments
	case *ast.ConditionalNode:
		return []ast.Node{n.Cond, n.Exp1, n.Exp2}
	case *ast.VariableDeclaratorNode:
		return []ast.Node{n.Value, n.Expr}
	case *ast.ArrayNode:
		return n.Nodes
	case *ast.PairNode:
		return []ast.Node{n.Value}
	case *ast.PredicateNode:
		return []ast.Node{n.Node}
	}
	return nil
}

// readOf recognises `steps.<step>.<field>`.
func readOf(m *ast.MemberNode) (step, field string, ok bool) {
	of, isField := m.Node.(*ast.MemberNode)
	name, isText := m.Property.(*ast.StringNode)
	if !isField || !isText {
		return "", "", false
	}
	root, isRoot := of.Node.(*ast.IdentifierNode)
	id, isText := of.Property.(*ast.StringNode)
	if !isRoot || !isText || root.Value != "steps" {
		return "", "", false
	}
	return id.Value, name.Value, true
}

func (r *remarker) judge(read stepRead) {
	switch read.field {
	case "state", "rejection":
		r.minded[read.step] = true
	case "degraded":
		r.judgeDegraded(read)
	case "output":
		r.judgeOutput(read)
	}
}

// judgeOutput finds out what happens when the output is null.
func (r *remarker) judgeOutput(read stepRead) {
	at, parent := r.around(read.node)
	careless := false
	switch p := parent.(type) {
	case nil:
		careless = r.fragile
	case *ast.MemberNode:
		careless = !p.Optional
		r.minded[read.step] = r.minded[read.step] || p.Optional
	case *ast.SliceNode, *ast.UnaryNode:
		careless = true
	case *ast.BinaryNode:
		careless = r.judgeOperand(read, p, at)
	case *ast.BuiltinNode:
		careless = !slices.Contains([]string{"string", "toJSON", "type"}, p.Name)
	case *ast.ConditionalNode:
		careless = p.Cond == at
	}
	if careless {
		r.careless = append(r.careless, read)
	}
}

// around is the node that takes the value of n, through what only passes it on, and the part of it that does so.
func (r *remarker) around(n ast.Node) (at, parent ast.Node) {
	for at = n; ; at = parent {
		parent = r.parents[at]
		switch p := parent.(type) {
		case *ast.ChainNode:
			continue
		case *ast.ConditionalNode:
			if p.Cond != at {
				continue
			}
		}
		return at, parent
	}
}

func (r *remarker) judgeOperand(read stepRead, p *ast.BinaryNode, at ast.Node) (careless bool) {
	switch p.Operator {
	case "??":
		r.minded[read.step] = r.minded[read.step] || p.Left == at
		return false
	case "==", "!=":
		r.minded[read.step] = r.minded[read.step] || isNil(p.Left) || isNil(p.Right)
		return false
	case "in":
		return false
	}
	return true
}

func isNil(n ast.Node) bool {
	_, is := n.(*ast.NilNode)
	return is
}

func (r *remarker) sayNull(read stepRead) {
	why := r.MayBeNull(read.step)
	if why == "" {
		return
	}
	name := access(read.step)
	r.say(read.node, fmt.Sprintf("write %s.output?.field, give a default with ??, or ask for %s.state first", name, name),
		"the output of step %q may be null: %s", read.step, why)
}

// judgeDegraded: whether a result is degraded is true or false, and how it came about stands beside it.
func (r *remarker) judgeDegraded(read stepRead) {
	name := access(read.step)
	_, parent := r.around(read.node)
	hint := fmt.Sprintf("%s.degraded_by has rung, cause and age (in seconds), and is null where nothing is degraded", name)
	switch p := parent.(type) {
	case *ast.MemberNode:
		r.say(read.node, hint, "%s.degraded is true or false, and has no fields", name)
	case *ast.BinaryNode:
		other := p.Left
		if r.within(read.node, p.Left) {
			other = p.Right
		}
		if what := literal(other); what != "" && p.Operator != "&&" && p.Operator != "||" {
			r.say(read.node, hint, "%s.degraded is true or false, and is compared with %s here", name, what)
		}
	}
}

// within reports whether a node is part of another one, or is it.
func (r *remarker) within(n, whole ast.Node) bool {
	for ; n != nil; n = r.parents[n] {
		if n == whole {
			return true
		}
	}
	return false
}

// literal says what is written there, where that cannot be a truth value.
func literal(n ast.Node) string {
	switch x := n.(type) {
	case *ast.StringNode:
		return "a string"
	case *ast.IntegerNode, *ast.FloatNode:
		return "a number"
	case *ast.UnaryNode:
		return literal(x.Node)
	case *ast.ArrayNode:
		if len(x.Nodes) > 0 {
			return literal(x.Nodes[0])
		}
	}
	return ""
}

// access is how an expression names a step.
func access(step string) string {
	for _, c := range step {
		if c == '-' {
			return `steps["` + step + `"]`
		}
	}
	return "steps." + step
}

func (r *remarker) say(at *ast.MemberNode, hint, format string, args ...any) {
	f := yamldoc.Fault{At: at.Property.Location().From, Message: fmt.Sprintf(format, args...), Hint: hint}
	if !slices.Contains(r.faults, f) {
		r.faults = append(r.faults, f)
	}
}
