package expr

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"belay/internal/steps"
)

// The tables of docs/expressions.md are evaluated. One whose head has a column `gives` has an example in the column before
// it: of `string` a template, of anything else an expression. What it gives is JSON in code, or what the error or the
// refusal says. A column `function` names the functions that there are.

// reference is docs/expressions.md.
func reference(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/expressions.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// tableRow is one row of a table, by the names of its columns.
type tableRow map[string]string

// tableRows are the rows of all tables of a page.
func tableRows(page string) []tableRow {
	var rows []tableRow
	var head []string
	for line := range strings.SplitSeq(page, "\n") {
		if !strings.HasPrefix(line, "|") {
			head = nil
			continue
		}
		cells := tableCells(line)
		switch {
		case head == nil:
			head = cells
		case !strings.HasPrefix(line, "|--"):
			row := tableRow{}
			for i, cell := range cells[:min(len(cells), len(head))] {
				row[head[i]] = cell
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// tableCells are the cells of a row; `\|` is no border.
func tableCells(line string) []string {
	line = strings.ReplaceAll(strings.Trim(line, "|"), `\|`, "\x00")
	cells := strings.Split(line, "|")
	for i := range cells {
		cells[i] = strings.ReplaceAll(strings.TrimSpace(cells[i]), "\x00", "|")
	}
	return cells
}

// code is what a cell has between its backticks.
func code(cell string) (string, bool) {
	inner, ok := strings.CutPrefix(cell, "`")
	inner, closed := strings.CutSuffix(inner, "`")
	return inner, ok && closed
}

var jsonBlock = regexp.MustCompile("(?ms)^```json\n(.*?)^```")

// paper is the data of the page's examples.
type paper struct{ values map[string]any }

func (p paper) Input() any                    { return p.values["input"] }
func (p paper) Run() map[string]any           { return p.values["run"].(map[string]any) }
func (p paper) Params() any                   { return p.values["params"] }
func (p paper) Output() any                   { return p.values["output"] }
func (p paper) Untrusted() bool               { u, _ := p.values["untrusted"].(bool); return u }
func (p paper) Item() (any, int, bool)        { return p.values["item"], 0, true }
func (p paper) steps() map[string]any         { return p.values["steps"].(map[string]any) }
func (p paper) Step(id string) map[string]any { return p.steps()[id].(map[string]any) }

func (p paper) view() Readable {
	see := Readable{Roots: []string{"input", "steps", "run", "item", "index", "params", "output"}, Steps: map[string]int{}}
	for i, id := range slices.Sorted(maps.Keys(p.steps())) {
		see.Steps[id] = i
	}
	return see
}

func (p paper) gives(template string) string {
	compiled, faults := CompileTemplate(template, "", p.view())
	if len(faults) > 0 {
		f := faults[0]
		return fmt.Sprintf("refused: %s (%s)", f.Message, f.Hint)
	}
	raw, err := compiled.over(p)
	if err != nil {
		return "error: " + err.Error()
	}
	return "`" + string(raw) + "`"
}

func TestReferenceExamples(t *testing.T) {
	t.Parallel()
	page := reference(t)
	block := jsonBlock.FindStringSubmatch(page)
	if block == nil {
		t.Fatal("the page has no data for its examples")
	}
	data, ok := steps.Decode(json.RawMessage(block[1])).(map[string]any)
	if !ok {
		t.Fatal("the data of the examples is not JSON")
	}
	shown := 0
	for _, row := range tableRows(page) {
		want, has := row["gives"]
		if !has {
			continue
		}
		shown++
		if problem := checkExample(paper{data}, row, want); problem != "" {
			t.Error(problem)
		}
	}
	if shown < 150 {
		t.Errorf("only %d examples found: has the way they are written changed?", shown)
	}
}

func checkExample(p paper, row tableRow, want string) string {
	template, isTemplate := code(row["string"])
	if !isTemplate {
		example, ok := code(row["example"] + row["refused"])
		if !ok {
			return fmt.Sprintf("the row %v has no example in code", row)
		}
		template = "${ " + example + " }"
	}
	got := p.gives(template)
	kind, words, isError := strings.Cut(want, ": ")
	if isError && (kind == "error" || kind == "refused") {
		if !strings.HasPrefix(got, kind+": ") || !strings.Contains(got, words) {
			return fmt.Sprintf("%s\n gives %s\n the page says %s", template, got, want)
		}
		return ""
	}
	if got != want {
		return fmt.Sprintf("%s\n gives %s\n the page says %s", template, got, want)
	}
	return ""
}

var calledName = regexp.MustCompile(`(\w+)\(`)

// TestReferenceFunctions: the page has every function, each where it belongs, and no other.
func TestReferenceFunctions(t *testing.T) {
	t.Parallel()
	documented, missing := map[string]bool{}, map[string]bool{}
	for _, row := range tableRows(reference(t)) {
		into := documented
		if _, hasExample := row["gives"]; !hasExample {
			into = missing
		}
		for _, name := range calledName.FindAllStringSubmatch(row["function"], -1) {
			into[name[1]] = true
		}
	}
	known := slices.Sorted(maps.Keys(configure(Readable{}).Builtins))
	for _, name := range known {
		if !documented[name] {
			t.Errorf("docs/expressions.md has no row with an example for the function %s", name)
		}
		delete(documented, name)
	}
	for name := range documented {
		t.Errorf("docs/expressions.md has the function %s, which does not exist", name)
	}
	if got, want := slices.Sorted(maps.Keys(missing)), slices.Sorted(slices.Values(disabled)); !slices.Equal(got, want) {
		t.Errorf("docs/expressions.md says that %v are not there; these are not: %v", got, want)
	}
}

var operatorExamples = []string{"==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "**", "^", "..", "??", "?.", "in", "not in", "and", "or", "not", "&&", "||", "!", "contains", "startsWith", "endsWith", "matches", "|"}

// TestReferenceOperators: every operator that the language has is in the table of operators.
func TestReferenceOperators(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for _, row := range tableRows(reference(t)) {
		all.WriteString(row["operators"] + " ")
	}
	for _, operator := range operatorExamples {
		if !strings.Contains(all.String(), "`"+operator+"`") {
			t.Errorf("docs/expressions.md has no operator %s", operator)
		}
	}
}
