package main

import "go/ast"

// nesting is how many if, for, switch and select statements stand in one another. An else-if does not count as deeper,
// and a function literal starts again from where it stands.
func nesting(body *ast.BlockStmt) int {
	if body == nil {
		return 0
	}
	deepest := 0
	ast.Walk(&nest{deepest: &deepest}, body)
	return deepest
}

type nest struct {
	depth   int
	deepest *int
	elseIf  *ast.IfStmt
}

func (v *nest) Visit(n ast.Node) ast.Visitor {
	inner := &nest{depth: v.depth, deepest: v.deepest}
	switch n := n.(type) {
	case *ast.IfStmt:
		inner.elseIf, _ = n.Else.(*ast.IfStmt)
		if v.elseIf == n {
			return inner
		}
	case *ast.ForStmt, *ast.RangeStmt, *ast.SwitchStmt, *ast.TypeSwitchStmt, *ast.SelectStmt:
	default:
		return inner
	}
	inner.depth++
	*v.deepest = max(*v.deepest, inner.depth)
	return inner
}
