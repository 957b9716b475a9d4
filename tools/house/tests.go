package main

import (
	"go/ast"
	"go/doc"
	"strings"
)

// tests counts the tests of a file, which of them call t.Parallel themselves, its examples, and its sleeps.
func (b *builder) tests(f *ast.File) {
	for _, d := range f.Decls {
		if d, is := d.(*ast.FuncDecl); is && d.Recv == nil && strings.HasPrefix(d.Name.Name, "Test") && d.Name.Name != "TestMain" {
			b.Tests.count(parallel(d.Body))
		}
	}
	for _, e := range doc.Examples(f) {
		b.Examples.count(e.Output != "" || e.EmptyOutput)
	}
	b.sleeps(f)
}

// sleeps counts those that take real time: in a bubble of testing/synctest the clock moves by itself.
func (b *builder) sleeps(f *ast.File) {
	ast.Inspect(f, func(n ast.Node) bool {
		if calls(n, "time", "Sleep") {
			b.Sleeps++
		}
		return !calls(n, "synctest", "Test")
	})
}

func parallel(body *ast.BlockStmt) bool {
	for _, s := range body.List {
		if s, is := s.(*ast.ExprStmt); is && calls(s.X, "t", "Parallel") {
			return true
		}
	}
	return false
}

func calls(n ast.Node, on, name string) bool {
	call, is := n.(*ast.CallExpr)
	if !is {
		return false
	}
	sel, is := call.Fun.(*ast.SelectorExpr)
	if !is || sel.Sel.Name != name {
		return false
	}
	id, is := sel.X.(*ast.Ident)
	return is && id.Name == on
}
