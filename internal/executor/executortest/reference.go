package executortest

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"belay/internal/steps"
)

// Cause makes a fault happen.
type Cause func(t *testing.T) steps.Fault

// Agree holds a table of docs/faults.md against the faults that really come: the one below this heading whose first
// column is called so. Each row has causes, by the words of its first column. A class or an acted that is not written as
// code or as no and maybe says where it comes from, and is not compared.
func Agree(t *testing.T, heading, column string, causes map[string][]Cause) {
	t.Helper()
	seen := map[string]bool{}
	for _, row := range faultTable(t, heading, column) {
		what, class, acted := row[0], row[1], row[2]
		seen[what] = true
		if causes[what] == nil {
			t.Errorf("docs/faults.md, %s: no test makes this happen: %s", heading, what)
		}
		for _, cause := range causes[what] {
			t.Run(what, func(t *testing.T) { compareFault(t, cause(t), class, acted) })
		}
	}
	for what := range causes {
		if !seen[what] {
			t.Errorf("docs/faults.md, %s: it does not say what comes of this: %s", heading, what)
		}
	}
}

func compareFault(t *testing.T, f steps.Fault, class, acted string) {
	t.Helper()
	if name, is := strings.CutPrefix(class, "`"); is && strings.TrimSuffix(name, "`") != string(f.Class) {
		t.Errorf("it is %s, the page says %s: %+v", f.Class, class, f)
	}
	if (acted == "no" || acted == "maybe") && acted != string(f.Acted) {
		t.Errorf("acted is %s, the page says %s: %+v", f.Acted, acted, f)
	}
}

// faultTable is the rows of the table.
func faultTable(t *testing.T, heading, column string) (rows [][]string) {
	t.Helper()
	_, self, _, _ := runtime.Caller(0)
	page, err := os.ReadFile(filepath.Join(filepath.Dir(self), "../../../docs/faults.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n### "+heading+"\n")
	section, _, _ = strings.Cut(section, "\n### ")
	_, table, found := strings.Cut(section, "| "+column+" |")
	if !found {
		t.Fatalf("docs/faults.md has no table below %q whose first column is called %q", heading, column)
	}
	table, _, _ = strings.Cut(table, "\n\n")
	for _, line := range strings.Split(strings.TrimSpace(table), "\n")[2:] {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) != 3 {
			t.Fatalf("docs/faults.md: %d cells in %s", len(cells), line)
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	return rows
}
