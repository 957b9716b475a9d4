package plan

import (
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"belay/internal/executor"
	"belay/internal/expr"
	"belay/internal/steps"
	"belay/internal/yamldoc"
)

func editorSchema(t *testing.T, kind string) (check, map[string]any) {
	t.Helper()
	raw, err := Schema(kind)
	if err != nil {
		t.Fatal(err)
	}
	valid, err := CompileSchema(raw)
	if err != nil {
		t.Fatal(err)
	}
	return valid, steps.Decode(raw).(map[string]any)
}

func TestSchemaKinds(t *testing.T) {
	t.Parallel()
	if _, err := Schema("worker"); err == nil {
		t.Error("a schema of something unknown")
	}
	for _, kind := range []string{"plan", "tools"} {
		if _, doc := editorSchema(t, kind); doc["$schema"] != "http://json-schema.org/draft-07/schema#" {
			t.Errorf("the schema of %s is not draft-07", kind)
		}
	}
}

// TestSchemaAgreesWithParser: what the parser accepts must be fine for editors too.
func TestSchemaAgreesWithParser(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/stories/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, file := range files {
		story, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tools, err := ParseTools("tools.yaml", section(story, "tools.yaml"))
		if err != nil {
			continue
		}
		seen++
		agree(t, file, "tools", section(story, "tools.yaml"))
		if _, err := ParsePlan("plan.yaml", section(story, "plan.yaml"), tools); err == nil {
			agree(t, file, "plan", section(story, "plan.yaml"))
		}
	}
	if seen < 5 {
		t.Errorf("only %d stories are valid", seen)
	}
}

func agree(t *testing.T, file, kind string, data []byte) {
	t.Helper()
	valid, _ := editorSchema(t, kind)
	r := &reader{&yamldoc.Reader{}}
	root, ok := r.Parse(file, data, kind)
	if !ok {
		t.Fatal(r.Problems)
	}
	var raw json.RawMessage
	r.json(&raw)(root)
	if err := valid(raw); err != nil {
		t.Errorf("%s: the %s schema refuses what the parser accepts: %v", file, kind, err)
	}
}

// TestSchemaHasEveryKey: the parser and the schema know the same keys, at every place.
func TestSchemaHasEveryKey(t *testing.T) {
	t.Parallel()
	p := &planFile{reader: &reader{&yamldoc.Reader{}}}
	s := &planStep{Step: steps.Step{Compensate: &steps.Compensate{}}}
	f := &toolsFile{reader: &reader{&yamldoc.Reader{}}, tools: &Tools{}}
	r := &RungDef{}
	retry := &steps.RetryPolicy{}
	command, web := &executor.Command{}, &httpFile{HTTP: &executor.HTTP{}}
	for _, c := range []struct {
		kind, path string
		known      yamldoc.Fields
	}{
		{"plan", "", p.fields()},
		{"plan", "definitions/step", p.stepFields(s)},
		{"plan", "definitions/compensate", p.compensateFields(s)},
		{"tools", "", f.fields()},
		{"tools", "definitions/target", f.limitedTarget(&target{})},
		{"tools", "definitions/target_limits", f.targetFields(&steps.Limits{})},
		{"tools", "definitions/tool/properties/limits", f.limitFields(&steps.Limits{})},
		{"tools", "definitions/service", f.serviceFields(&Service{})},
		{"tools", "definitions/tool", f.toolFields(&ToolDef{})},
		{"tools", "definitions/tool/properties/undo", f.undoFields(&ToolDef{Tool: steps.Tool{Undo: &steps.Compensate{}}})},
		{"tools", "definitions/tool/properties/breaker", f.breakerFields(&steps.Breaker{})},
		{"tools", "definitions/tool/properties/slo", f.sloFields(&steps.SLO{})},
		{"tools", "definitions/rung", f.rungFields(&ToolDef{}, r)},
		{"tools", "definitions/rung/properties/retry", f.retryFields(retry)},
		{"tools", "definitions/class", f.classFields(&steps.ClassPolicy{})},
		{"tools", "definitions/http", f.httpFields(web)},
		{"tools", "definitions/http/properties/auth", f.authFields(new(string), new(string))},
		{"tools", "definitions/command", f.commandFields(command, &[]string{})},
		{"tools", "definitions/nats", f.natsFields(&executor.NATS{}, new(string))},
		{"tools", "definitions/mcp", f.mcpFields(&executor.MCP{})},
		{"tools", "definitions/mcp/properties/auth", f.authFields(new(string), new(string))},
		{"tools", "definitions/approval", f.approvalFields(&steps.Approval{})},
		{"tools", "definitions/verify", f.verifyFields(&ToolDef{}, &steps.Verify{}, r)},
		{"tools", "definitions/human", f.humanFields(&steps.Human{})},
		{"tools", "definitions/cache", f.cacheFields(new(steps.Duration))},
		{"tools", "definitions/static", f.staticFields(&executor.Static{})},
		{"tools", "definitions/remote", f.remoteFields(&executor.Remote{})},
		{"tools", "definitions/model", f.modelFields(&executor.Model{}, new(*steps.Price))},
		{"tools", "definitions/model_auth", f.modelAuthFields(&executor.Model{})},
		{"tools", "definitions/price", f.priceFields(&steps.Price{})},
	} {
		_, doc := editorSchema(t, c.kind)
		if diff := cmp.Diff(supported(c.known), documented(t, doc, c.path)); diff != "" {
			t.Errorf("%s %s: the parser (-) and the schema (+) differ\n%s", c.kind, c.path, diff)
		}
	}
}

func supported(known yamldoc.Fields) []string {
	known = maps.Clone(known)
	maps.DeleteFunc(known, func(_ string, f yamldoc.Field) bool { return f == nil })
	return slices.Sorted(maps.Keys(known))
}

// documented are the keys of an object of a schema; each must have a description and an example.
func documented(t *testing.T, doc map[string]any, path string) []string {
	t.Helper()
	for _, key := range strings.FieldsFunc(path, func(c rune) bool { return c == '/' }) {
		doc, _ = doc[key].(map[string]any)
	}
	properties, _ := doc["properties"].(map[string]any)
	for key, p := range properties {
		p := p.(map[string]any)
		if examples, _ := p["examples"].([]any); p["description"] == nil || len(examples) == 0 {
			t.Errorf("%s: %s has no description or no example", path, key)
		}
	}
	return slices.Sorted(maps.Keys(properties))
}

// TestSchemaExamplesAreValid: an example that the schema itself refuses would mislead.
func TestSchemaExamplesAreValid(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"plan", "tools"} {
		_, doc := editorSchema(t, kind)
		examples(t, kind, doc, doc)
	}
}

func examples(t *testing.T, path string, doc, at map[string]any) {
	if list, ok := at["examples"].([]any); ok {
		part := maps.Clone(at)
		part["$schema"], part["definitions"] = doc["$schema"], doc["definitions"]
		if ref, ok := part["$ref"]; ok { // in draft-07 a reference hides what stands beside it
			part = map[string]any{"$schema": doc["$schema"], "definitions": doc["definitions"], "allOf": []any{map[string]any{"$ref": ref}}}
		}
		raw, err := expr.Canonical(part)
		if err != nil {
			t.Fatal(err)
		}
		valid, err := CompileSchema(raw)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for _, e := range list {
			raw, err := expr.Canonical(e)
			if err == nil {
				err = valid(raw)
			}
			if err != nil {
				t.Errorf("%s: example %s: %v", path, raw, err)
			}
		}
	}
	for key, v := range at {
		if next, ok := v.(map[string]any); ok {
			examples(t, path+"/"+key, doc, next)
		}
	}
}

func TestCompileSchema(t *testing.T) {
	t.Parallel()
	valid, err := CompileSchema(json.RawMessage(`{"type":"object","required":["a","b"],"properties":{"a":{"type":"string"},"n":{"maximum":5}},"additionalProperties":false}`))
	if err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]string{
		`{"a":"x","b":1}`:                 "additional properties 'b' not allowed",
		`{"a":5,"n":6}`:                   "a: got number, want string\nmissing property 'b'\nn: maximum: got 6, want 5",
		`[]`:                              "got array, want object",
		`{`:                               "not JSON: unexpected EOF",
		`{} {}`:                           "not JSON: more than one value",
		`{"a":"","b":0,"n":1e1000000000}`: "additional properties 'b' not allowed\nn: maximum: got ∞, want 5",
	} {
		if err := valid(json.RawMessage(value)); err == nil || err.Error() != want {
			t.Errorf("%s: %v\n want %s", value, err, want)
		}
	}
	for _, bad := range []string{`{"type":1}`, `{`, `{"$ref":"file:///etc/passwd"}`, `{"$ref":"http://127.0.0.1:1/x"}`, `{"pattern":"("}`, `5`, `{"$ref":"#/nope"}`} {
		if _, err := CompileSchema(json.RawMessage(bad)); err == nil {
			t.Errorf("%s compiles", bad)
		}
	}
	if none, err := CompileSchema(nil); none != nil || err != nil {
		t.Errorf("no schema gives %v", err)
	}
}

func TestProblemsAreErrors(t *testing.T) {
	t.Parallel()
	_, err := ParseTools("t.yaml", []byte("tools: []"))
	problems, ok := errors.AsType[yamldoc.Problems](err)
	if !ok || len(problems) != 1 || problems[0].Line != 1 || problems[0].Col != 8 {
		t.Errorf("got %#v", err)
	}
	if got := (yamldoc.Problem{File: "f", Message: "m"}).String(); got != "f: m" {
		t.Error(got)
	}
}
