package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// House holds the figures.
type House struct {
	Packages         int    `json:"packages"`
	InternalPackages int    `json:"internal_packages"`
	Edges            int    `json:"edges"`          // imports of one own package by another
	Depth            int    `json:"depth"`          // imports in the longest chain
	InternalDepth    int    `json:"internal_depth"` // the same, among internal packages alone
	Chain            string `json:"chain"`          // one that is as long as InternalDepth
	Files            Spread `json:"files"`
	Functions        Spread `json:"functions"`
	FunctionsOver60  int    `json:"functions_over_60"`
	Nesting          int    `json:"nesting"` // of if, for, switch, select and function literals
	NestedMost       string `json:"nested_most"`
	PackageComments  Share  `json:"package_comments"`
	Names            Share  `json:"exported_names_documented"`  // top-level names, and methods of exported types
	Fields           Share  `json:"exported_fields_documented"` // of exported types: what go doc shows
	Tests            Share  `json:"tests_parallel"`
	Examples         Share  `json:"examples_with_output"`
	Sleeps           int    `json:"sleeps_in_tests"` // outside testing/synctest
}

// Spread describes lengths in lines.
type Spread struct {
	Count   int    `json:"count"`
	Median  int    `json:"median"`
	P90     int    `json:"p90"`
	Max     int    `json:"max"`
	Longest string `json:"longest"` // where Max is
}

// Share is how many of all.
type Share struct {
	Has int `json:"has"`
	Of  int `json:"of"`
}

func (s Share) String() string {
	if s.Of == 0 {
		return "none"
	}
	return fmt.Sprintf("%d of %d (%d %%)", s.Has, s.Of, 100*s.Has/s.Of)
}

func (s *Share) count(has bool) {
	s.Of++
	if has {
		s.Has++
	}
}

// pkg is what `go list` says of a package.
type pkg struct {
	ImportPath, Dir                                    string
	Imports                                            []string
	GoFiles, IgnoredGoFiles, TestGoFiles, XTestGoFiles []string
}

func measure(dir string) (House, error) {
	module, err := goList(dir, "-m", "-f={{.Path}}")
	if err != nil {
		return House{}, err
	}
	pkgs, err := packages(dir)
	if err != nil {
		return House{}, err
	}
	h := House{Packages: len(pkgs)}
	h.graph(strings.TrimSpace(string(module)), pkgs)
	b := builder{House: &h, fset: token.NewFileSet(), root: dir}
	for _, p := range pkgs {
		if err := b.pkg(p); err != nil {
			return House{}, err
		}
	}
	h.Files, h.Functions = spread(b.files), spread(b.functions)
	return h, nil
}

func goList(dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(context.Background(), "go", append([]string{"list"}, args...)...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s in %s: %w", strings.Join(args, " "), dir, err)
	}
	return out, nil
}

func packages(dir string) ([]pkg, error) {
	out, err := goList(dir, "-json=ImportPath,Dir,Imports,GoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles", "./...")
	if err != nil {
		return nil, err
	}
	var pkgs []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs, nil
		} else if err != nil {
			return nil, err
		}
		pkgs = append(pkgs, p)
	}
}

// builder gathers what is counted over all packages.
type builder struct {
	*House
	fset             *token.FileSet
	root             string
	files, functions []length
}

type length struct {
	lines int
	where string
}

func spread(all []length) Spread {
	if len(all) == 0 {
		return Spread{}
	}
	slices.SortFunc(all, func(a, b length) int { return a.lines - b.lines })
	last := all[len(all)-1]
	return Spread{len(all), all[len(all)/2].lines, all[len(all)*9/10].lines, last.lines, last.where}
}

func (b *builder) pkg(p pkg) error {
	commented := false
	for _, name := range slices.Concat(p.GoFiles, p.IgnoredGoFiles, p.TestGoFiles, p.XTestGoFiles) {
		f, err := parser.ParseFile(b.fset, filepath.Join(p.Dir, name), nil, parser.ParseComments)
		if err != nil {
			return err
		}
		commented = commented || f.Doc != nil
		if strings.HasSuffix(name, "_test.go") {
			b.tests(f)
			continue
		}
		b.files = append(b.files, length{b.fset.File(f.Pos()).LineCount(), b.where(f.Pos(), "")})
		b.code(f)
	}
	b.PackageComments.count(commented)
	return nil
}

func (b *builder) where(at token.Pos, name string) string {
	path := b.fset.Position(at).Filename
	if root, err := filepath.Abs(b.root); err == nil {
		if rel, err := filepath.Rel(root, path); err == nil {
			path = rel
		}
	}
	return strings.TrimSpace(path + " " + name)
}

func (b *builder) code(f *ast.File) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			b.function(d)
		case *ast.GenDecl:
			for _, s := range d.Specs {
				b.spec(d, s)
			}
		}
	}
}

func (b *builder) function(d *ast.FuncDecl) {
	lines := b.fset.Position(d.End()).Line - b.fset.Position(d.Pos()).Line + 1
	b.functions = append(b.functions, length{lines, b.where(d.Pos(), d.Name.Name)})
	if lines > 60 {
		b.FunctionsOver60++
	}
	if n := nesting(d.Body); n > b.Nesting {
		b.Nesting, b.NestedMost = n, b.where(d.Pos(), d.Name.Name)
	}
	if d.Name.IsExported() && (d.Recv == nil || ast.IsExported(receiver(d))) {
		b.Names.count(d.Doc != nil)
	}
}

func receiver(d *ast.FuncDecl) string {
	name := ""
	ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
		if id, is := n.(*ast.Ident); is && name == "" {
			name = id.Name
		}
		return name == ""
	})
	return name
}

func (b *builder) spec(d *ast.GenDecl, s ast.Spec) {
	switch s := s.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() {
			b.Names.count(d.Doc != nil || s.Doc != nil || s.Comment != nil)
		}
		if !s.Name.IsExported() {
			return
		}
		ast.Inspect(s.Type, func(n ast.Node) bool {
			if st, is := n.(*ast.StructType); is {
				b.fields(st)
			}
			return true
		})
	case *ast.ValueSpec:
		for _, name := range s.Names {
			if name.IsExported() {
				b.Names.count(d.Doc != nil || s.Doc != nil || s.Comment != nil)
			}
		}
	}
}

// fields counts a field as documented if a comment stands above it or beside it.
func (b *builder) fields(st *ast.StructType) {
	for _, f := range st.Fields.List {
		for _, name := range f.Names {
			if name.IsExported() {
				b.Fields.count(f.Doc != nil || f.Comment != nil)
			}
		}
	}
}
