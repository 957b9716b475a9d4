package catalog

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"belay/internal/yamldoc"
)

const tools = `tools: {a: {effects: none, rungs: [{static: {output: 1}}]}}`

// write makes a directory of files, by name.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func open(t *testing.T, files map[string]string) (*Catalog, string, error) {
	t.Helper()
	files["tools.yaml"] = tools
	dir := write(t, files)
	c, err := Open(filepath.Join(dir, "tools.yaml"), dir)
	return c, dir, err
}

// TestEveryMistakeAtOnce: of all plans, with their places; and a name that two of them have.
func TestEveryMistakeAtOnce(t *testing.T) {
	t.Parallel()
	_, dir, err := open(t, map[string]string{
		"1.yaml":  "name: x\nsteps:\n  - {id: s, tool: b}\n",
		"2.yml":   "name: y\nstep: []\n",
		"3.yaml":  "name: z\nsteps: [{id: s, tool: a}]\n",
		"4.json":  "{\"steps\": [{\"id\": \"s\", \"tool\": \"a\"}],\n \"name\": \"z\"}",
		".5.yaml": "junk", "README.md": "junk",
	})
	problems, ok := errors.AsType[yamldoc.Problems](err)
	if !ok {
		t.Fatal(err)
	}
	var got []string
	for _, p := range problems {
		got = append(got, strings.ReplaceAll(p.String(), dir+"/", ""))
	}
	want := []string{
		`1.yaml:3:19: unknown tool "b": it is not in tools.yaml (one of: a)`,
		`2.yml:1:1: the plan has no "steps"`,
		`2.yml:2:1: unknown key "step" in the plan (did you mean "steps"?)`,
		`4.json:2:10: the plan "z" is in 3.yaml too (give one of them another name)`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestABrokenReloadKeepsTheOldPlans, and a good one brings the new ones.
func TestABrokenReloadKeepsTheOldPlans(t *testing.T) {
	t.Parallel()
	const good = "name: x\nsteps: [{id: s, tool: a}]\n"
	c, dir, err := open(t, map[string]string{"x.yaml": good})
	if err != nil {
		t.Fatal(err)
	}
	put := func(text string) error {
		if err := os.WriteFile(filepath.Join(dir, "x.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return c.Reload()
	}
	if err := put("name: y\n"); err == nil || cmp.Diff([]string{"x"}, c.Names()) != "" {
		t.Errorf("%v %v", err, c.Names())
	}
	if err := put("name: y\nsteps: [{id: s, tool: a}]\n"); err != nil || cmp.Diff([]string{"y"}, c.Names()) != "" {
		t.Errorf("%v %v", err, c.Names())
	}
}

// TestWholePlan: every mistake has its place in what was sent, and its path in the plan.
func TestWholePlan(t *testing.T) {
	t.Parallel()
	c, _, err := open(t, map[string]string{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Prepare(Order{At: Place{3, 11}, Whole: json.RawMessage("{\"name\":\"x\", \"stps\": 1,\n \"steps\":[{\"id\":\"s\",\"tool\":\"b\",\"with\":{\"a/b\":\"${ inpt }\"}}]}")})
	got, ok := errors.AsType[InvalidPlan](err)
	if !ok {
		t.Fatal(err)
	}
	for i := range got {
		got[i].Message, got[i].Hint = "", ""
	}
	want := InvalidPlan{{Line: 3, Column: 24, Path: "/stps"}, {Line: 4, Column: 28, Path: "/steps/0/tool"}, {Line: 4, Column: 50, Path: "/steps/0/with/a~1b"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	s, err := c.Prepare(Order{Whole: json.RawMessage(`{"name":"x","labels":{"a":"1","b":"1"},"steps":[{"id":"s","tool":"a","with":{"t":"\\ud83d\ud83d\ude00"}}]}`), Labels: map[string]string{"b": "2"}})
	if err != nil || !strings.Contains(string(s.Document), `"t":"\\ud83d😀"`) || cmp.Diff(map[string]string{"a": "1", "b": "2"}, s.Labels) != "" {
		t.Errorf("%v %s %v", err, s.Document, s.Labels)
	}
}

func TestInputAndNames(t *testing.T) {
	t.Parallel()
	c, _, err := open(t, map[string]string{"x.yaml": "name: refund\ninput: {order: a, n: 1}\nsteps: [{id: s, tool: a}]\n"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Prepare(Order{Plan: "refund", Input: map[string]json.RawMessage{"ordr": []byte(`"b"`), "n": []byte(`"2"`)}})
	want := InvalidInput{
		{Path: "/n", Message: `input "n": must be a number like its default, not a string`},
		{Path: "/ordr", Message: `input "ordr": the plan has no such input (did you mean "order"?)`},
	}
	if diff := cmp.Diff(error(want), err); diff != "" {
		t.Error(diff)
	}
	_, err = c.Prepare(Order{Plan: "refnd"})
	if u, ok := errors.AsType[*Unknown](err); !ok || u.Error() != `the server has no plan "refnd" (did you mean "refund"?)` {
		t.Error(err)
	}
	s, err := c.Prepare(Order{Plan: "refund", Input: map[string]json.RawMessage{"order": []byte(`"b"`)}})
	if err != nil || string(s.Input) != `{"n":1,"order":"b"}` || !filepath.IsAbs(s.ToolsFile) {
		t.Errorf("%v %s", err, s.Input)
	}
}

// TestWhatDoesNotEndIsRefused: a plan of the catalog, one that a caller brings, and a single call, each where nothing ends
// an attempt. A warning passes.
func TestWhatDoesNotEndIsRefused(t *testing.T) {
	t.Parallel()
	dir := write(t, map[string]string{
		"tools.yaml": "tools:\n  hang: {effects: none, timeout: 0s, rungs: [{go: {}, timeout: 0s}]}\n  a: {rungs: [{go: {}}]}\n",
		"hang.yaml":  "name: hang\nsteps: [{id: s, tool: hang}]\n", "warned.yaml": "name: warned\nsteps: [{id: s, tool: a}]\n",
	})
	c, err := Open(filepath.Join(dir, "tools.yaml"), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []Order{{Plan: "hang"}, {Tool: "hang"}, {Whole: json.RawMessage(`{"name":"x","steps":[{"id":"s","tool":"hang"}]}`)}} {
		_, err := c.Prepare(o)
		list, ok := errors.AsType[InvalidPlan](err)
		if !ok || len(list) != 1 || !strings.HasPrefix(list[0].Message, "BLY001: nothing ends an attempt of hang/primary") || list[0].Line != 0 || list[0].Hint == "" {
			t.Errorf("%+v: %+v, %v", o, list, err)
		}
	}
	_, err = c.Prepare(Order{Whole: json.RawMessage(`{"name":"x","steps":[{"id":"s","tool":"a","with":{}}],"waivers":[{"code":"BLY015","reason":"so","until":"2000-01-01"}]}`)})
	if err != nil {
		t.Errorf("a waiver that has expired: %v", err)
	}
	if _, err := c.Prepare(Order{Plan: "warned"}); err != nil {
		t.Error(err)
	}
}

// TestStrict: an order, or the whole catalog, refuses what is only a warning, wherever the plan comes from; what the plan
// waives passes, for as long as it does.
func TestStrict(t *testing.T) {
	t.Parallel()
	const waived = `{"name":"x","steps":[{"id":"s","tool":"a"}],"waivers":[{"code":"BLY015","reason":"so","until":"%s"},{"code":"BLY016","reason":"so","until":"%s"}]}`
	dir := write(t, map[string]string{
		"tools.yaml": "tools:\n  hang: {effects: none, timeout: 0s, rungs: [{go: {}, timeout: 0s}]}\n  a: {rungs: [{go: {}}]}\n  ok: {effects: none, rungs: [{go: {}}]}\n",
		"hang.yaml":  "name: hang\nsteps: [{id: s, tool: hang}]\n", "warned.yaml": "name: warned\nsteps: [{id: s, tool: a}]\n",
		"good.yaml": "name: good\nsteps: [{id: s, tool: ok}]\n", "waived.json": fmt.Sprintf(waived, "9999-12-30", "9999-12-30"),
	})
	c, err := Open(filepath.Join(dir, "tools.yaml"), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct {
		o    Order
		want string // codes of the findings
		at   string // path of the first one in what the caller sent
	}{
		{Order{Plan: "good"}, "", ""},
		{Order{Tool: "ok"}, "", ""},
		{Order{Plan: "x"}, "", ""},
		{Order{Plan: "hang"}, "BLY001", ""},
		{Order{Plan: "warned"}, "BLY016 BLY015", ""},
		{Order{Tool: "a"}, "BLY016 BLY015", ""},
		{Order{Whole: json.RawMessage(`{"name":"x","steps":[{"id":"s","tool":"a"}]}`)}, "BLY016 BLY015", "/steps/0"},
		{Order{Whole: fmt.Appendf(nil, waived, "2000-01-01", "9999-12-30")}, "BLY004 BLY015", "/waivers/0"},
	} {
		one.o.Strict = true
		_, err := c.Prepare(one.o)
		list, _ := errors.AsType[Findings](err)
		var codes []string
		for _, m := range list {
			code, _, _ := strings.Cut(m.Message, ":")
			codes = append(codes, code)
		}
		if strings.Join(codes, " ") != one.want || (err == nil) != (one.want == "") || len(list) > 0 && list[0].Path != one.at {
			t.Errorf("%+v: %v %+v", one.o, err, list)
		}
	}
	c.Strict = true
	if _, err := c.Prepare(Order{Plan: "warned"}); err == nil || err.Error() != "strict refuses warnings too, and there are 2 findings" {
		t.Error(err)
	}
	if err := c.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Prepare(Order{Plan: "warned"}); err == nil {
		t.Error("reading the files again has loosened it")
	}
}
