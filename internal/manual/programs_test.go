package manual_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"sync"
)

// known are the packages that statements may use without an import, by the names that they have in code.
var known = func() map[string]string {
	all := map[string]string{}
	for _, p := range []string{
		"bytes", "cmp", "context", "encoding/json", "errors", "fmt", "io", "log", "log/slog", "maps", "math/rand/v2", "net/http", "os", "os/signal",
		"path/filepath", "slices", "strconv", "strings", "sync", "testing", "time",
		"belay", "belay/belaytype", "belay/belaytest", "belay/embedded", "belay/worker",
		"github.com/nats-io/nats.go", "github.com/nats-io/nats.go/jetstream",
	} {
		all[strings.TrimSuffix(path.Base(p), ".go")] = p
	}
	all["rand"] = "math/rand/v2"
	return all
}()

// exports are the files that the compiler wrote of the packages and of what they import.
var exports = sync.OnceValues(func() (map[string]string, error) {
	list := exec.Command("go", append([]string{"list", "-export", "-deps", "-json=ImportPath,Export"}, slices.Collect(func(yield func(string) bool) {
		for _, p := range known {
			if !yield(p) {
				return
			}
		}
	})...)...)
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list -export: %w", err)
	}
	files := map[string]string{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct{ ImportPath, Export string }
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return files, nil
		} else if err != nil {
			return nil, err
		}
		files[p.ImportPath] = p.Export
	}
})

// checkGo compiles a block: a file, declarations, or statements. A comment <!-- go ... --> above declares what the page's
// snippets use and do not show.
func checkGo(b *block) []problem {
	if !b.shown || b.has("plugin") {
		return nil // compiled with the blocks that use it; a plug-in by internal/executor
	}
	files, err := exports()
	if err != nil {
		return []problem{b.wrong("%v", err)}
	}
	positions := token.NewFileSet()
	main, err := parseGo(positions, b)
	if err != nil {
		return goProblems(b, positions, err)
	}
	all := []*ast.File{main}
	if !strings.HasPrefix(strings.TrimSpace(b.text), "package ") {
		for _, other := range b.page.blocks {
			if other.kind == "go" && !other.shown && other.at < b.at {
				f, err := parseGo(positions, other)
				if err != nil {
					return goProblems(other, positions, err)
				}
				all = append(all, f)
			}
		}
	}
	var found []problem
	config := types.Config{
		Importer: importer.ForCompiler(positions, "gc", func(path string) (io.ReadCloser, error) {
			if files[path] == "" {
				return nil, fmt.Errorf("the tests of the manual do not know the package %s", path)
			}
			return os.Open(files[path])
		}),
		Error: func(err error) {
			var e types.Error
			if !errors.As(err, &e) || e.Soft && all[0] == main && main.Name.Name == "snippet" {
				return // a snippet need not use all that it declares
			}
			found = append(found, problem{b.page, positions.Position(e.Pos).Line, e.Msg})
		},
	}
	_, _ = config.Check(main.Name.Name, positions, all, nil) // its errors were handed to Error
	return found
}

func goProblems(b *block, positions *token.FileSet, err error) []problem {
	return []problem{b.wrong("%v", err)}
}

// parseGo reads a block so that its positions are those of the page.
func parseGo(positions *token.FileSet, b *block) (*ast.File, error) {
	above := strings.Repeat("\n", b.at)
	text := strings.TrimSpace(b.text)
	if strings.HasPrefix(text, "package ") {
		return parser.ParseFile(positions, b.page.path, above+b.text, parser.SkipObjectResolution)
	}
	declarations, err := parseWithImports(positions, b.page.path, "package snippet; ", above+b.text)
	if err == nil {
		return declarations, nil
	}
	return parseWithImports(positions, b.page.path, "package snippet; func _() {", above+b.text+"\n}")
}

// parseWithImports puts imports of what the text uses in front.
func parseWithImports(positions *token.FileSet, name, start, text string) (*ast.File, error) {
	f, err := parser.ParseFile(token.NewFileSet(), name, start+text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	imports := ""
	for _, p := range imported(f) {
		imports += fmt.Sprintf("import %q; ", p)
	}
	clause, body, _ := strings.Cut(start, "; ")
	return parser.ParseFile(positions, name, clause+"; "+imports+body+text, parser.SkipObjectResolution)
}

// imported are the packages whose names stand before a dot, and that the file does not import itself.
func imported(f *ast.File) []string {
	own := map[string]bool{}
	for _, i := range f.Imports {
		own[path.Base(strings.Trim(i.Path.Value, `"`))] = true
	}
	used := map[string]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		if s, is := n.(*ast.SelectorExpr); is {
			if x, is := s.X.(*ast.Ident); is && known[x.Name] != "" && !own[x.Name] {
				used[known[x.Name]] = true
			}
		}
		return true
	})
	var all []string
	for p := range used {
		all = append(all, p)
	}
	slices.Sort(all)
	return all
}

func checkPython(b *block) []problem {
	return compiles(b, "python3", "import ast, sys; ast.parse(sys.stdin.read(), sys.argv[1])")
}

func compiles(b *block, program, script string) []problem {
	if _, err := exec.LookPath(program); err != nil {
		return nil // the tests of the clients say so
	}
	c := exec.Command(program, "-c", script, b.page.path)
	c.Stdin = strings.NewReader(strings.Repeat("\n", b.at) + b.text)
	if out, err := c.CombinedOutput(); err != nil {
		lines := printed(string(out))
		return []problem{b.wrong("%s cannot compile this:\n%s", program, indented(lines[max(0, len(lines)-4):]))}
	}
	return nil
}

func checkJavaScript(b *block) []problem {
	if _, err := exec.LookPath("node"); err != nil {
		return nil
	}
	c := exec.Command("node", "--check", "--input-type=module", "-")
	c.Stdin = strings.NewReader(b.text)
	if out, err := c.CombinedOutput(); err != nil {
		return []problem{b.wrong("node cannot compile this:\n%s", indented(printed(string(out))))}
	}
	return nil
}
