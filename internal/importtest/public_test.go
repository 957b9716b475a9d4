package importtest

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// public are the packages that other modules import.
var public = []string{".", "belaytype", "belaytest", "embedded", "worker"}

// publicName is one that other modules can use.
type publicName struct {
	pkg, of, name string // of is the type of a method or field
	field         bool
	doc           string // what `go doc` says of it
}

func (n publicName) String() string {
	full := filepath.Join("belay", n.pkg) + "."
	if n.of != "" {
		full += n.of + "."
	}
	return full + n.name
}

// TestPublicNamesAreDocumented: `go doc` says something of every name of the public packages, fields and methods included.
func TestPublicNamesAreDocumented(t *testing.T) {
	t.Parallel()
	all := publicNames(t)
	if len(all) < 400 {
		t.Fatalf("only %d names were found", len(all))
	}
	for _, n := range all {
		if strings.TrimSpace(n.doc) == "" {
			t.Errorf("%s has no comment", n)
		}
	}
}

// TestTheGoPageHasEveryPublicName, or an Example of its own shows it.
func TestTheGoPageHasEveryPublicName(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/go.md")
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]bool{}
	for _, w := range regexp.MustCompile(`\w+`).FindAllString(string(page), -1) {
		words[w] = true
	}
	for _, n := range publicNames(t) {
		if n.field || words[n.name] || slices.Contains(examples(t, n.pkg), strings.TrimPrefix(n.of+"_"+n.name, "_")) {
			continue
		}
		t.Errorf("%s is neither in docs/go.md nor has it an Example", n)
	}
}

func publicNames(t *testing.T) (all []publicName) {
	t.Helper()
	for _, p := range load(t) {
		if !slices.Contains(public, p.name) {
			continue
		}
		for _, f := range p.files {
			for _, d := range f.Decls {
				all = append(all, namesDeclared(p.name, d)...)
			}
		}
	}
	return all
}

func namesDeclared(pkg string, d ast.Decl) (all []publicName) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		of := receiver(d)
		if d.Name.IsExported() && (of == "" || ast.IsExported(of)) {
			all = append(all, publicName{pkg: pkg, of: of, name: d.Name.Name, doc: d.Doc.Text()})
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			all = append(all, namesSpecified(pkg, d, s)...)
		}
	}
	return all
}

// namesSpecified are the names of one line of a declaration. A comment above the whole declaration is that of its only line.
func namesSpecified(pkg string, d *ast.GenDecl, s ast.Spec) (all []publicName) {
	above := ""
	if len(d.Specs) == 1 {
		above = d.Doc.Text()
	}
	switch s := s.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() {
			all = append(all, publicName{pkg: pkg, name: s.Name.Name, doc: above + s.Doc.Text()})
			for _, f := range fieldsOf(s.Type) {
				all = append(all, publicName{pkg: pkg, of: s.Name.Name, name: f.Names[0].Name, field: true, doc: f.Doc.Text() + f.Comment.Text()})
			}
		}
	case *ast.ValueSpec:
		for _, n := range s.Names {
			if n.IsExported() {
				all = append(all, publicName{pkg: pkg, name: n.Name, doc: above + s.Doc.Text() + s.Comment.Text()})
			}
		}
	}
	return all
}

// receiver is the type of a method; empty for a function.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	typ := d.Recv.List[0].Type
	if p, is := typ.(*ast.StarExpr); is {
		typ = p.X
	}
	if g, is := typ.(*ast.IndexExpr); is {
		typ = g.X
	}
	return typ.(*ast.Ident).Name
}

// examples are what the Examples of a package are of: Type, Type_Method, Function.
func examples(t *testing.T, pkg string) (all []string) {
	t.Helper()
	for _, p := range load(t) {
		if p.name != pkg {
			continue
		}
		for _, f := range p.tests {
			for _, d := range f.Decls {
				if d, is := d.(*ast.FuncDecl); is && strings.HasPrefix(d.Name.Name, "Example") {
					all = append(all, strings.TrimPrefix(d.Name.Name, "Example"))
				}
			}
		}
	}
	return all
}
