package importtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var inBackquotes = regexp.MustCompile("`([^`]+)`")

// TestArchitectureNamesEveryPackage compares the table of rooms with the packages: each has its place, below everything
// that it imports.
func TestArchitectureNamesEveryPackage(t *testing.T) {
	t.Parallel()
	rows := rooms(t)
	for _, p := range load(t) {
		row, named := rows[p.name]
		if !named {
			t.Errorf("ARCHITECTURE.md does not say what %s is for", p.name)
		}
		for _, imp := range p.imports {
			if above, is := rows[imp.path]; named && is && imp.own && above >= row {
				t.Errorf("in ARCHITECTURE.md %s stands above %s, which it imports", p.name, imp.path)
			}
		}
	}
	there := map[string]bool{}
	for _, p := range load(t) {
		there[p.name] = true
	}
	for name := range rows {
		if !there[name] {
			t.Errorf("ARCHITECTURE.md names %s, and there is no such package", name)
		}
	}
}

// rooms are the packages in the first column of the table, with their rows.
func rooms(t *testing.T) map[string]int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "\n## Rooms\n")
	table, _, _ = strings.Cut(table, "\n### ")
	rows := map[string]int{}
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		cell, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		row := len(rows)
		for _, m := range inBackquotes.FindAllStringSubmatch(cell, -1) {
			rows[m[1]] = row
		}
	}
	return rows
}

var pathInRepository = regexp.MustCompile("`((?:bench|config|deploy|docs|examples|internal|tools)/[a-z0-9_./-]+)`")

// TestPathsAreThere checks that what the documents name in backquotes is in the repository. Their links are checked in
// internal/manual.
func TestPathsAreThere(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "bench/*.md", "clients/*/*.md"} {
		names, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range pathInRepository.FindAllStringSubmatch(string(text), -1) {
				if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
					t.Errorf("%s names %s, which is not there", strings.TrimPrefix(name, root+"/"), m[1])
				}
			}
		}
	}
}
