package plan

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"belay/internal/steps"
)

// The tables of docs/plan.md and docs/tools.md whose first column is `key of WHAT` hold every key of the schemas, and no
// other: with what is required, the words of closed sets, the bounds and the defaults.

// keyTable is what a page says of one mapping, by key.
type keyTable map[string]keyRow

type keyRow struct{ kind, byDefault, rest string }

// keyTables are the tables of a page, by what their keys are of.
func keyTables(t *testing.T, page string) map[string]keyTable {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + page)
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string]keyTable{}
	var table keyTable
	for line := range strings.SplitSeq(string(text), "\n") {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		what, isHead := strings.CutPrefix(strings.TrimSpace(cells[0]), "key of ")
		switch {
		case isHead:
			what = strings.TrimPrefix(strings.TrimPrefix(what, "an "), "a ")
			table = keyTable{}
			tables[what] = table
		case !strings.HasPrefix(line, "|"):
			table = nil
		case table != nil && !strings.HasPrefix(line, "|--") && len(cells) > 2:
			key := strings.Trim(strings.TrimSpace(cells[0]), "`")
			if _, twice := table[key]; twice {
				t.Errorf("%s: %q is in one table twice", page, key)
			}
			table[key] = keyRow{strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2]), strings.Join(cells[3:], "|")}
		}
	}
	return tables
}

// objectsOf are the mappings with known keys in a schema, by what the page calls them.
func objectsOf(name string, schema map[string]any) map[string]map[string]any {
	found := map[string]map[string]any{}
	var walk func(name string, v any)
	walk = func(name string, v any) {
		object, ok := v.(map[string]any)
		if !ok {
			return
		}
		properties, _ := object["properties"].(map[string]any)
		if _, closed := object["additionalProperties"].(bool); closed && properties != nil {
			found[name] = object
		}
		for key, property := range properties {
			walk(key, property)
		}
		if items, ok := object["items"]; ok {
			walk(name, items)
		}
	}
	walk(name, schema)
	definitions, _ := schema["definitions"].(map[string]any)
	for key, definition := range definitions {
		walk(key, definition)
	}
	if class, ok := found["class"]; ok { // what a retry policy has under `on`
		found["on"] = class
		delete(found, "class")
	}
	return found
}

func TestReferenceHasEveryKey(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"plan", "tools"} {
		name := kind
		if kind == "tools" {
			name = "tools file"
		}
		_, schema := editorSchema(t, kind)
		objects, tables := objectsOf(name, schema), keyTables(t, kind+".md")
		if least := map[string]int{"plan": 3, "tools": 16}[kind]; len(objects) < least {
			t.Errorf("only %d mappings found in the schema of %s: has the way it is written changed?", len(objects), kind)
		}
		for _, what := range slices.Sorted(maps.Keys(objects)) {
			compareKeys(t, kind+".md: key of "+what, objects[what], tables[what])
		}
		for what := range tables {
			if objects[what] == nil {
				t.Errorf("docs/%s.md has a table of the keys of %q, which the schema does not know", kind, what)
			}
		}
	}
}

func compareKeys(t *testing.T, where string, object map[string]any, table keyTable) {
	t.Helper()
	properties := object["properties"].(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		row, ok := table[key]
		if !ok {
			t.Errorf("docs/%s: %q is missing", where, key)
			continue
		}
		property := properties[key].(map[string]any)
		for _, problem := range compareKey(property, required(object, key), row) {
			t.Errorf("docs/%s: %q: %s", where, key, problem)
		}
	}
	for key := range table {
		if properties[key] == nil {
			t.Errorf("docs/%s: there is no %q", where, key)
		}
	}
}

func required(object map[string]any, key string) bool {
	list, _ := object["required"].([]any)
	return slices.Contains(list, any(key))
}

// plainDefault is the word in which a schema's description says a default that can be compared.
var plainDefault = regexp.MustCompile(`Default: ([0-9a-z]+)\b(?:[.;,]|$)`)

func compareKey(property map[string]any, required bool, row keyRow) (problems []string) {
	say := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if says := row.byDefault == "required" || strings.HasSuffix(row.byDefault, "else required"); required && !says || !required && row.byDefault == "required" {
		say("whether it is required (%v) is not what the page says: %s", required, row.byDefault)
	}
	description, _ := property["description"].(string)
	if m := plainDefault.FindStringSubmatch(description); m != nil && !regexp.MustCompile(`\b`+m[1]+`\b`).MatchString(row.byDefault) {
		say("its default is %s, the page says %q", m[1], row.byDefault)
	}
	for _, word := range wordsOf(property) {
		if !strings.Contains(row.kind, "`"+word+"`") {
			say("it may be %q, the page says %q", word, row.kind)
		}
	}
	for _, bound := range []string{"minimum", "maximum"} {
		if n, ok := property[bound]; ok && !regexp.MustCompile(`\b`+fmt.Sprint(n)+`\b`).MatchString(row.kind) {
			say("its %s is %v, the page says %q", bound, n, row.kind)
		}
	}
	return problems
}

// wordsOf are the words of a closed set, also of the elements of a list.
func wordsOf(property map[string]any) (words []string) {
	if items, ok := property["items"].(map[string]any); ok {
		property = items
	}
	list, _ := property["enum"].([]any)
	if property["type"] == "boolean" {
		list = []any{"true", "false"}
	}
	for _, word := range list {
		words = append(words, fmt.Sprint(word))
	}
	return words
}

// TestReferenceDefaults: what the schema does not say is compared with what the parser fills in.
func TestReferenceDefaults(t *testing.T) {
	t.Parallel()
	tools, err := ParseTools("tools.yaml", []byte("tools: {a: {rungs: [{name: one, http: {url: 'http://a'}}, {name: two, static: {output: 1}}], approval: always}}"))
	if err != nil {
		t.Fatal(err)
	}
	tables, a := keyTables(t, "tools.md"), tools.Tools["a"]
	retry := a.Rungs[0].Retry
	for _, c := range []struct{ what, key, want string }{
		{"tool", "timeout", spokenDuration(a.Timeout)},
		{"tool", "effects", string(a.Effects)},
		{"rung", "timeout", spokenDuration(a.Rungs[0].Timeout)},
		{"rung", "timeout", spokenDuration(a.Rungs[1].Timeout)},
		{"rung", "timeout", spokenDuration(defaultModelTimeout)},
		{"rung", "retry", fmt.Sprint(retry.MaxAttempts)},
		{"retry", "max_attempts", fmt.Sprint(retry.MaxAttempts)},
		{"retry", "initial", spokenDuration(retry.Initial)},
		{"retry", "factor", fmt.Sprint(retry.Factor)},
		{"retry", "max", "60s"},
		{"retry", "retry_after_max", spokenDuration(retry.RetryAfterMax)},
		{"retry", "max_named_waits", fmt.Sprint(steps.DefaultNamedWaits)},
		{"http", "max_bytes", fmt.Sprint(steps.MaxOutput)},
		{"http", "max_bytes", fmt.Sprint(a.Rungs[0].Spec.HTTP.MaxBytes)},
		{"approval", "approvers", fmt.Sprint(a.Approval.Approvers)},
		{"approval", "valid_for", spokenDuration(a.Approval.ValidFor)},
		{"approval", "on_deadline", string(a.Approval.OnDeadline)},
	} {
		if got := tables[c.what][c.key].byDefault; !strings.Contains(got, c.want) {
			t.Errorf("docs/tools.md: %s of %s is %s by default, the page says %q", c.key, c.what, c.want, got)
		}
	}
	for _, verb := range a.Approval.Decisions {
		if got := tables["approval"]["decisions"].byDefault; !strings.Contains(got, "`"+string(verb)+"`") {
			t.Errorf("docs/tools.md: an approver may %s by default, the page says %q", verb, got)
		}
	}
	if retry.Max != steps.Duration(60e9) {
		t.Error("docs/tools.md: the longest wait is not 60s by default")
	}
	if step := keyTables(t, "plan.md")["step"]; !strings.Contains(step["max_parallel"].byDefault, fmt.Sprint(steps.DefaultFanOut)) {
		t.Errorf("docs/plan.md: max_parallel is %d by default", steps.DefaultFanOut)
	}
}

// TestReferenceClassesOfRetry: `on` takes the classes that are retried.
func TestReferenceClassesOfRetry(t *testing.T) {
	t.Parallel()
	row := keyTables(t, "tools.md")["retry"]["on"]
	for _, class := range steps.Classes() {
		if says, takes := strings.Contains(row.rest, "`"+string(class)+"`"), slices.Contains(retryable(), string(class)); says != takes {
			t.Errorf("docs/tools.md: whether `on` takes %s (%v) is not what the page says: %s", class, takes, row.rest)
		}
	}
}

const warnedTools = `
tools:
  slow: {effects: none, timeout: 1h, rungs: [{http: {url: "http://a"}, timeout: 2h}]}
  attempt: {effects: none, rungs: [{http: {url: "http://a"}, timeout: 5m}]}
  patient: {effects: none, timeout: 10s, rungs: [{http: {url: "http://a"}, retry: {max_attempts: 5, initial: 10s}}]}
  host: {effects: none, rungs: [{http: {url: "http://${ params.host }/", allow_hosts: ["*"]}}]}
  option: {effects: none, rungs: [{command: {argv: [cat, "${ params.file }"]}}]}
  program: {effects: none, rungs: [{command: {argv: ["${ params.program }"]}}]}
  asked: {effects: unsafe, rungs: [{model: {provider: openai, model: gpt}}]}
  answer: {output_schema: {type: object}, rungs: [{human: {question: "Which?", options: [a]}}]}
`

const warnedPlan = `
name: warned
input: {known: true}
deadline: 1m
steps:
  - {id: a, tool: slow, when: input.known}
  - {id: b, tool: attempt, with: {a: "${ steps.a.output.x }", b: "${ steps.a.degraded > 5 }"}}
  - {id: c, tool: patient}
  - {id: d, tool: host}
  - {id: e, tool: option}
  - {id: f, tool: program}
  - {id: g, tool: answer}
  - {id: h, tool: asked}
`

// TestReferenceOfWarnings: docs/plan.md lists what lint warns of.
func TestReferenceOfWarnings(t *testing.T) {
	t.Parallel()
	tools, err := ParseTools("tools.yaml", []byte(warnedTools))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := ParsePlan("plan.yaml", []byte(warnedPlan), tools)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/plan.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "\n| warning | of |\n|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := map[string]bool{}
	for line := range strings.SplitSeq(table, "\n") {
		rows[strings.TrimSpace(strings.Split(strings.Trim(line, "|"), "|")[0])] = false
	}
	for _, w := range doc.LintedWith(tools) {
		found := false
		for row := range rows {
			pattern := strings.ReplaceAll(regexp.QuoteMeta(row), "…", ".*")
			if regexp.MustCompile("^" + pattern).MatchString(w.Message) {
				rows[row], found = true, true
			}
		}
		if !found {
			t.Errorf("docs/plan.md does not list this warning: %s", w.Message)
		}
	}
	for row, met := range rows {
		if !met {
			t.Errorf("docs/plan.md lists a warning that is never given: %s", row)
		}
	}
}
