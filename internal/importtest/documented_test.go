package importtest

import (
	"go/ast"
	"testing"
)

// minFields is how many of a hundred exported struct fields are documented at least. It is only ever raised.
const minFields = 90

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	t.Parallel()
	for _, p := range load(t) {
		if !commented(p.files) && !commented(p.tests) {
			t.Errorf("%s has no package comment", p.name)
		}
	}
}

func commented(files []*ast.File) bool {
	for _, f := range files {
		if f.Doc != nil {
			return true
		}
	}
	return false
}

// TestFieldsAreDocumented wants a comment above or beside the exported fields of exported types: unit, default, what
// follows from it. `go doc` shows them to whoever uses the type.
func TestFieldsAreDocumented(t *testing.T) {
	t.Parallel()
	type share struct{ has, of int }
	all, byPackage := share{}, map[string]share{}
	for _, p := range load(t) {
		here := share{}
		for _, f := range exportedFields(p.files) {
			here.of++
			if f.Doc != nil || f.Comment != nil {
				here.has++
			}
		}
		byPackage[p.name] = here
		all.has, all.of = all.has+here.has, all.of+here.of
	}
	if 100*all.has >= minFields*all.of {
		return
	}
	t.Errorf("%d of %d exported struct fields are documented; %d %% must be", all.has, all.of, minFields)
	for name, s := range byPackage {
		if 100*s.has < minFields*s.of {
			t.Logf("%s: %d of %d", name, s.has, s.of)
		}
	}
}

// exportedFields returns one entry a name: `A, B int` is two, with the same comment.
func exportedFields(files []*ast.File) (fields []*ast.Field) {
	for _, f := range files {
		for _, d := range f.Decls {
			g, is := d.(*ast.GenDecl)
			if !is {
				continue
			}
			for _, s := range g.Specs {
				if ts, is := s.(*ast.TypeSpec); is && ts.Name.IsExported() {
					fields = append(fields, fieldsOf(ts.Type)...)
				}
			}
		}
	}
	return fields
}

func fieldsOf(typ ast.Expr) (fields []*ast.Field) {
	ast.Inspect(typ, func(n ast.Node) bool {
		st, is := n.(*ast.StructType)
		if !is {
			return true
		}
		for _, f := range st.Fields.List {
			for _, name := range f.Names {
				if name.IsExported() {
					fields = append(fields, f)
				}
			}
		}
		return true
	})
	return fields
}
