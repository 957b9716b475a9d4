package schema_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// source is what comments and constants of a package say.
type source struct {
	types  map[string]string // what each type is
	fields map[string]string // what each field is, by Type.Field
	words  map[string][]word // the constants of each kind of words
}

type word struct{ word, text string }

func read(dir string) (*source, error) {
	s := &source{types: map[string]string{}, fields: map[string]string{}, words: map[string][]word{}}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	set := token.NewFileSet()
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, filepath.Join(dir, f.Name()), nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				s.declared(g)
			}
		}
	}
	return s, nil
}

func (s *source) declared(g *ast.GenDecl) {
	for _, spec := range g.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			s.typed(spec, g)
		case *ast.ValueSpec:
			s.constant(spec)
		}
	}
}

func (s *source) typed(spec *ast.TypeSpec, g *ast.GenDecl) {
	comment := spec.Doc
	if comment == nil {
		comment = g.Doc
	}
	s.types[spec.Name.Name] = plain(new(doc.Package).Synopsis(comment.Text()))
	body, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range body.Fields.List {
		for _, name := range f.Names {
			text := f.Comment.Text()
			if f.Doc != nil {
				text = f.Doc.Text()
			}
			s.fields[spec.Name.Name+"."+name.Name] = plain(text)
		}
	}
}

func (s *source) constant(spec *ast.ValueSpec) {
	kind, ok := spec.Type.(*ast.Ident)
	if !ok || len(spec.Values) != 1 {
		return
	}
	if lit, ok := spec.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
		if text, err := strconv.Unquote(lit.Value); err == nil {
			s.words[kind.Name] = append(s.words[kind.Name], word{text, plain(spec.Comment.Text())})
		}
	}
}

var link = regexp.MustCompile(`\[([A-Za-z.]+)\]`)

// plain is a comment in one line, without links.
func plain(comment string) string {
	return strings.TrimSuffix(link.ReplaceAllString(strings.Join(strings.Fields(comment), " "), "$1"), ".")
}
