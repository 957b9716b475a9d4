package manual_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// limitRow is a row of a table in docs/limits.md that names a constant: what, how much, what it means, and where it stands.
var limitRow = regexp.MustCompile("(?m)^\\| (.+?) \\| ([0-9][^|]*?) \\| .* \\| `(internal/[a-z/]+)` (\\w+) \\|$")

// TestLimits compares the numbers of docs/limits.md with the constants that its tables name.
func TestLimits(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "docs/limits.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := limitRow.FindAllStringSubmatch(string(text), -1)
	if named := strings.Count(string(text), "| `internal/"); len(rows) != named || named < 30 {
		t.Errorf("%d rows name a constant, and %d of them could be read", named, len(rows))
	}
	constants := constants{}
	for _, row := range rows {
		want, err := amount(row[2])
		if err != nil {
			t.Errorf("%s: %v", row[1], err)
			continue
		}
		got, err := constants.value(row[3], row[4])
		if err != nil {
			t.Errorf("%s: %v", row[1], err)
			continue
		}
		if !constant.Compare(got, token.EQL, want) {
			t.Errorf("%s: the page says %s, and %s in %s is %s", row[1], row[2], row[4], row[3], got)
		}
	}
}

var units = map[string]int64{
	"": 1, "KiB": 1 << 10, "MiB": 1 << 20,
	"s": int64(time.Second), "min": int64(time.Minute), "h": int64(time.Hour),
}

// amount reads how much a table says: 10,000 or 512 KiB or 15 min.
func amount(text string) (constant.Value, error) {
	number, unit, _ := strings.Cut(text, " ")
	n := constant.MakeFromLiteral(strings.ReplaceAll(number, ",", ""), token.INT, 0)
	factor, ok := units[unit]
	if n.Kind() == constant.Unknown || !ok {
		return nil, fmt.Errorf("%q is not an amount", text)
	}
	return constant.BinaryOp(n, token.MUL, constant.MakeInt64(factor)), nil
}

// constants are those of packages, by folder below the project. A constant is an expression of numbers, of others of its
// package, of those of internal/steps, and of the lengths of package time.
type constants map[string]map[string]ast.Expr

func (c constants) value(folder, name string) (constant.Value, error) {
	all, err := c.of(folder)
	if err != nil {
		return nil, err
	}
	e, ok := all[name]
	if !ok {
		return nil, fmt.Errorf("%s has no constant %s with a value of its own", folder, name)
	}
	v, err := c.evaluate(folder, e)
	if err != nil {
		return nil, fmt.Errorf("%s of %s: %w", name, folder, err)
	}
	return v, nil
}

func (c constants) of(folder string) (map[string]ast.Expr, error) {
	if all, ok := c[folder]; ok {
		return all, nil
	}
	files, err := filepath.Glob(filepath.Join(root, folder, "*.go"))
	if err != nil {
		return nil, err
	}
	all := map[string]ast.Expr{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if s, ok := n.(*ast.ValueSpec); ok && len(s.Names) == len(s.Values) {
				for i, name := range s.Names {
					all[name.Name] = s.Values[i]
				}
			}
			_, function := n.(*ast.FuncDecl)
			return !function
		})
	}
	c[folder] = all
	return all, nil
}

var errNoConstant = errors.New("its value cannot be worked out here")

var lengths = map[string]time.Duration{"Second": time.Second, "Minute": time.Minute, "Hour": time.Hour, "Millisecond": time.Millisecond}

func (c constants) evaluate(folder string, e ast.Expr) (constant.Value, error) {
	switch e := e.(type) {
	case *ast.BasicLit:
		return constant.MakeFromLiteral(e.Value, e.Kind, 0), nil
	case *ast.ParenExpr:
		return c.evaluate(folder, e.X)
	case *ast.Ident:
		return c.value(folder, e.Name)
	case *ast.CallExpr: // a conversion
		if len(e.Args) == 1 {
			return c.evaluate(folder, e.Args[0])
		}
	case *ast.SelectorExpr:
		return c.imported(e)
	case *ast.BinaryExpr:
		return c.binary(folder, e)
	}
	return nil, errNoConstant
}

func (c constants) imported(e *ast.SelectorExpr) (constant.Value, error) {
	from, ok := e.X.(*ast.Ident)
	switch {
	case ok && from.Name == "steps":
		return c.value("internal/steps", e.Sel.Name)
	case ok && from.Name == "time" && lengths[e.Sel.Name] > 0:
		return constant.MakeInt64(int64(lengths[e.Sel.Name])), nil
	}
	return nil, errNoConstant
}

func (c constants) binary(folder string, e *ast.BinaryExpr) (constant.Value, error) {
	x, err := c.evaluate(folder, e.X)
	if err != nil {
		return nil, err
	}
	y, err := c.evaluate(folder, e.Y)
	if err != nil {
		return nil, err
	}
	if e.Op == token.SHL || e.Op == token.SHR {
		by, _ := constant.Uint64Val(y)
		return constant.Shift(x, e.Op, uint(by)), nil
	}
	return constant.BinaryOp(x, e.Op, y), nil
}
