package expr

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"

	"belay/internal/yamldoc"
)

// Readable is what an expression at one place of a document may read.
type Readable struct {
	Roots  []string          // input, steps, params, ...
	Absent map[string]string // roots that exist elsewhere, and why not here
	Inputs []string          // names that the input can have; nil means any
	Steps  map[string]int    // all steps of the plan, by their place in it
	Done   func(int) bool    // whether the step at a place is surely done when the expression is evaluated; nil means all are
	watch  *Watch            // what lint looks for; nil: nothing
}

var (
	stepFields = []string{"output", "state", "degraded", "degraded_by", "rejection"}
	runFields  = []string{"id", "workflow", "labels"}
)

// references collects what an expression names. Children come before their parents, so an identifier is judged only
// when the whole tree has been seen.
type references struct {
	see     Readable
	config  *conf.Config
	names   []*ast.IdentifierNode
	parents map[ast.Node]*ast.MemberNode
	callees map[ast.Node]bool
	locals  map[string]bool
	uses    Uses
	faults  []yamldoc.Fault
}

// inspect lists what the expression uses and every reference in it that is not allowed.
func inspect(tree ast.Node, see Readable, config *conf.Config) (Uses, []yamldoc.Fault) {
	r := &references{
		see: see, config: config,
		parents: map[ast.Node]*ast.MemberNode{}, callees: map[ast.Node]bool{}, locals: map[string]bool{},
	}
	ast.Walk(&tree, r)
	for _, name := range r.names {
		r.judge(name)
	}
	slices.Sort(r.uses.Roots)
	slices.Sort(r.uses.Steps)
	return Uses{Roots: slices.Compact(r.uses.Roots), Steps: slices.Compact(r.uses.Steps)}, r.faults
}

// Visit implements ast.Visitor.
func (r *references) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		r.names = append(r.names, n)
	case *ast.MemberNode:
		r.parents[n.Node] = n
	case *ast.CallNode:
		r.callees[n.Callee] = true
	case *ast.VariableDeclaratorNode:
		r.locals[n.Name] = true
	case *ast.PredicateNode:
		r.refuseNested(n)
	}
}

// refuseNested: the time of a closure inside a closure is the product of two lists.
func (r *references) refuseNested(outer *ast.PredicateNode) {
	finder := closures{}
	ast.Walk(&outer.Node, &finder)
	for _, inner := range finder.found {
		r.fault(inner, "", "a closure inside a closure is not allowed")
	}
}

type closures struct{ found []ast.Node }

// Visit implements ast.Visitor.
func (c *closures) Visit(node *ast.Node) {
	if p, ok := (*node).(*ast.PredicateNode); ok {
		c.found = append(c.found, p)
	}
}

func (r *references) fault(at ast.Node, hint, format string, args ...any) {
	f := yamldoc.Fault{At: at.Location().From, Message: fmt.Sprintf(format, args...), Hint: hint}
	if !slices.Contains(r.faults, f) {
		r.faults = append(r.faults, f)
	}
}

func (r *references) judge(n *ast.IdentifierNode) {
	switch name := n.Value; {
	case r.callees[n]:
		r.judgeFunction(n)
	case r.locals[name]:
	case r.see.Absent[name] != "":
		r.fault(n, "", "%q is not known here: %s", name, r.see.Absent[name])
	case name == "null":
		r.fault(n, "write nil", "unknown name %q", name)
	case !slices.Contains(r.see.Roots, name):
		r.fault(n, yamldoc.OneOf(name, r.see.Roots), "unknown name %q", name)
	default:
		r.uses.Roots = append(r.uses.Roots, name)
		r.judgeRoot(n)
	}
}

func (r *references) judgeFunction(n *ast.IdentifierNode) {
	if slices.Contains(disabled, n.Value) {
		r.fault(n, "", "the function %s is not available: the same plan must always give the same result", n.Value)
		return
	}
	if _, ok := r.config.Builtins[n.Value]; !ok {
		known := slices.Collect(maps.Keys(r.config.Builtins))
		r.fault(n, yamldoc.DidYouMean(n.Value, known), "unknown function %q", n.Value)
	}
}

func (r *references) judgeRoot(n *ast.IdentifierNode) {
	switch n.Value {
	case "steps":
		r.judgeStep(n)
	case "input":
		if r.see.Inputs != nil {
			r.judgeField(r.parents[n], "the input", r.see.Inputs)
		}
	case "run":
		r.judgeField(r.parents[n], "run", runFields)
	}
}

// judgeStep checks `steps.<id>.<field>`. The id must be written out, or nobody could say beforehand what is read.
func (r *references) judgeStep(n *ast.IdentifierNode) {
	read := r.parents[n]
	if read == nil {
		r.fault(n, "steps.<id>.output", "`steps` alone is not a value")
		return
	}
	id, ok := read.Property.(*ast.StringNode)
	if !ok {
		r.fault(read.Property, "steps.<id>.output", "the step must be named, not computed")
		return
	}
	place, known := r.see.Steps[id.Value]
	switch {
	case !known:
		r.fault(id, r.stepHint(id.Value), "unknown step %q", id.Value)
	case r.see.Done != nil && !r.see.Done(place):
		r.fault(id, fmt.Sprintf("add %q to needs", id.Value), "step %q is not among the needs of this step, so it may not be done yet", id.Value)
	default:
		r.uses.Steps = append(r.uses.Steps, id.Value)
		r.judgeField(r.parents[read], "steps."+id.Value, stepFields)
	}
}

func (r *references) judgeField(read *ast.MemberNode, of string, fields []string) {
	if read == nil {
		return
	}
	field, ok := read.Property.(*ast.StringNode)
	if ok && !slices.Contains(fields, field.Value) {
		r.fault(field, yamldoc.OneOf(field.Value, fields), "%s has no field %q", of, field.Value)
	}
}

// mostHinted bounds the steps that a hint is looked for in.
const mostHinted = 1_000

// stepHint knows that a minus in an id is a minus in an expression.
func (r *references) stepHint(id string) string {
	if len(r.see.Steps) > mostHinted {
		return ""
	}
	ids := slices.Sorted(maps.Keys(r.see.Steps))
	for _, known := range ids {
		if strings.HasPrefix(known, id+"-") {
			return fmt.Sprintf(`write steps["%s"]`, known)
		}
	}
	return yamldoc.OneOf(id, ids)
}
