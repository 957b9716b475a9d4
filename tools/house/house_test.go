package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFigures(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.com/m\n\ngo 1.26.0\n",
		"m.go": `// Package m is the door.
package m

import "example.com/m/internal/a"

type T struct {
	A int // documented
	B int
	c int
}

// Documented is.
func Documented() { a.F() }
func (t hidden) Exported() {}
type hidden struct{ X int }
`,
		"m_test.go": `package m

import ("testing"; "time")

func TestA(t *testing.T) { t.Parallel() }
func TestB(t *testing.T) { t.Run("", func(t *testing.T) { t.Parallel(); time.Sleep(1) }); synctest.Test(t, func(t *testing.T) { time.Sleep(1) }) }
func Example() {
	// Output:
}
`,
		"internal/a/a.go": `package a

import "example.com/m/internal/b"

func F() {
	for {
		if b.X {
		} else if !b.X {
			switch { case b.X: func() { if b.X {} }() }
		}
	}
}
`,
		"internal/b/b.go":       "package b\nvar X, Y bool // both\n",
		"internal/b/mutants.go": "//go:build mutants\n\npackage b\nfunc also() {}\n",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	if err := run([]string{"-json", dir}, &out); err != nil {
		t.Fatal(err)
	}
	var h House
	if err := json.Unmarshal([]byte(out.String()), &h); err != nil {
		t.Fatal(err)
	}
	h.Files, h.Functions = Spread{Count: h.Files.Count}, Spread{Count: h.Functions.Count, Max: h.Functions.Max}
	want := House{
		Packages: 3, InternalPackages: 2, Edges: 2, Depth: 2, InternalDepth: 1, Chain: "internal/a > internal/b",
		Files: Spread{Count: 4}, Functions: Spread{Count: 4, Max: 8}, Nesting: 4, NestedMost: "internal/a/a.go F",
		PackageComments: Share{1, 3}, Names: Share{3, 5}, Fields: Share{1, 2}, Tests: Share{1, 2}, Examples: Share{1, 1}, Sleeps: 1,
	}
	if h != want {
		t.Errorf("got  %+v\nwant %+v", h, want)
	}
}
