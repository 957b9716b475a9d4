package chaos

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// buildSkewed makes the programs as they would be on machines whose clocks are wrong: every use of a clock in Belay's own
// sources goes to testdata/skewed.go.txt. No library that pretends to be libc reaches Go programs, and a switch in the programs
// themselves could be forgotten in a place, or thrown by accident; so the sources are rewritten for this build alone.
func buildSkewed(t *testing.T) string {
	t.Helper()
	skewing.Lock()
	defer skewing.Unlock()
	if skewedBin == "" {
		skewedBin = makeSkewed(t)
	}
	return skewedBin
}

// The programs are built once for all tests.
var (
	skewing   sync.Mutex
	skewedBin string
)

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == asNode {
		if err := runNode(os.Args[1]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	code := m.Run()
	for _, bin := range append(builds.own, skewedBin) {
		if bin != "" {
			_ = os.RemoveAll(bin)
		}
	}
	os.Exit(code)
}

func makeSkewed(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir, replace := skewedDir(root), map[string]string{}
	text, err := os.ReadFile("testdata/skewed.go.txt")
	if err != nil {
		t.Fatal(err)
	}
	put := func(original string, text []byte) {
		inside, err := filepath.Rel(root, original)
		if err != nil {
			t.Fatal(err)
		}
		replace[original] = filepath.Join(dir, inside)
		if err := os.MkdirAll(filepath.Dir(replace[original]), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(replace[original], text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(filepath.Join(root, "internal/skewed/skewed.go"), text)
	uses := 0
	for _, name := range sources(t) {
		text, n := skewed(t, name)
		if uses += n; n > 0 {
			put(name, text)
		}
	}
	if uses < 100 {
		t.Fatalf("%d uses of a clock in the programs: most are not found", uses)
	}
	bin, err := os.MkdirTemp("", "belay-skewed-")
	if err != nil {
		t.Fatal(err)
	}
	buildOver(t, filepath.Join(dir, "overlay.json"), bin, replace)
	return bin
}

// skewedDir is where the sources are: always at the same place, so that what was built of them is found in Go's cache.
func skewedDir(root string) string {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	return filepath.Join(cache, "belay-skewed", fmt.Sprintf("%x", sha256.Sum256([]byte(root)))[:12])
}

// buildOver builds the programs into a folder, with other files in place of some, which are listed in a file.
func buildOver(t *testing.T, list, bin string, replace map[string]string) {
	t.Helper()
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-overlay", list, "-o", bin+"/", module()+"/cmd/...").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
}

// sources are the files of Belay that the programs are made of.
func sources(t *testing.T) (all []string) {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-f", `{{if .Module}}{{if .Module.Main}}{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{end}}{{end}}`, module()+"/cmd/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

// clocks are the functions that look at the clock of the machine.
var clocks = map[string][]string{"time": {"Now", "Since", "Until"}, "context": {"WithDeadline"}}

// skewed is a file whose uses of a clock go to the package skewed, and how many there are.
func skewed(t *testing.T, name string) (text []byte, uses int) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	imported := map[string]bool{}
	for _, spec := range file.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		imported[path] = spec.Name == nil
	}
	var at []int
	ast.Inspect(file, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := s.X.(*ast.Ident); ok && imported[x.Name] && slices.Contains(clocks[x.Name], s.Sel.Name) {
			at = append(at, set.Position(x.Pos()).Offset)
		}
		return true
	})
	if len(at) == 0 {
		return text, 0
	}
	slices.Sort(at)
	var out bytes.Buffer
	from := set.Position(file.Name.End()).Offset
	out.Write(text[:from])
	out.WriteString(`; import skewed_ "` + module() + `/internal/skewed"`)
	for _, n := range at {
		out.Write(text[from:n])
		out.WriteString("skewed_")
		from = n + bytes.IndexByte(text[n:], '.')
	}
	out.Write(text[from:])
	for path, use := range map[string]string{"time": "time.Nanosecond", "context": "context.Background"} {
		if imported[path] {
			fmt.Fprintf(&out, "\nvar _ = %s\n", use)
		}
	}
	return out.Bytes(), len(at)
}

// module is the path of this repository's module.
func module() string {
	return strings.TrimSuffix(reflect.TypeFor[client]().PkgPath(), "/internal/chaos")
}
