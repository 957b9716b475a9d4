package importtest

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// pkg is a package of this module.
type pkg struct {
	name    string // below the module; "." is the module's root
	imports []imported
	files   []*ast.File // all of them, whatever their build tags
	tests   []*ast.File
}

// imported is a package that another one imports outside its tests.
type imported struct {
	path string // below the module if it is its own, else the whole path
	own  bool
}

var positions = token.NewFileSet()

// load reads the module once, whatever its path is.
func load(t *testing.T) []pkg {
	t.Helper()
	pkgs, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	return pkgs
}

var loaded = sync.OnceValues(func() ([]pkg, error) {
	out, err := exec.Command("go", "list", "-m").Output()
	if err != nil {
		return nil, err
	}
	module := strings.TrimSpace(string(out))
	if err := readFolders(); err != nil {
		return nil, err
	}
	out, err = exec.Command("go", "list", "-json=ImportPath,Dir,Imports,GoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles", module+"/...").Output()
	if err != nil {
		return nil, err
	}
	var pkgs []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var l listed
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			return pkgs, nil
		} else if err != nil {
			return nil, err
		}
		p, err := l.read(module)
		if err != nil {
			return nil, err
		}
		pkgs = append(pkgs, p)
	}
})

// root is the module's folder, seen from this one.
const root = "../.."

// readFolders looks into every folder of Go files: go test sees it and does not answer from its cache once a file was added.
func readFolders() error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if name := d.Name(); err == nil && d.IsDir() && path != root && (name[0] == '.' || name == "node_modules" || name == "testdata" || name == "bin") {
			return fs.SkipDir
		}
		return err
	})
}

// listed is what go list says of a package.
type listed struct {
	ImportPath, Dir                                             string
	Imports, GoFiles, IgnoredGoFiles, TestGoFiles, XTestGoFiles []string
}

func (l listed) read(module string) (pkg, error) {
	p := pkg{name: below(module, l.ImportPath).path}
	for _, imp := range l.Imports {
		p.imports = append(p.imports, below(module, imp))
	}
	for _, name := range slices.Concat(l.GoFiles, l.IgnoredGoFiles, l.TestGoFiles, l.XTestGoFiles) {
		f, err := parser.ParseFile(positions, filepath.Join(l.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return pkg{}, err
		}
		if strings.HasSuffix(name, "_test.go") {
			p.tests = append(p.tests, f)
		} else {
			p.files = append(p.files, f)
		}
	}
	return p, nil
}

func below(module, path string) imported {
	if path == module {
		return imported{".", true}
	}
	short, own := strings.CutPrefix(path, module+"/")
	return imported{short, own}
}
