package api

import (
	"bytes"
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"belay/internal/people"
	"belay/internal/schema"
	"belay/internal/stepstest"
)

// definition is one of components.schemas, in the order of the file.
type definition struct {
	name string
	text json.RawMessage
}

// definitions are components.schemas, and where they stand in the file.
func definitions(t *testing.T, doc []byte) (all []definition, from, to int) {
	t.Helper()
	const opening = `"schemas": {`
	from = bytes.Index(doc, []byte(opening)) + len(opening)
	d := json.NewDecoder(bytes.NewReader(doc[from-1:]))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		one := definition{name: name.(string)}
		if err := d.Decode(&one.text); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all, from, from - 1 + int(d.InputOffset())
}

var toSchema = regexp.MustCompile(`"#/components/schemas/(\w+)"`)

// TestDefinitions: what the API answers is defined in openapi.json as it is in `dispatcher schema`; every definition is
// used, and none is missing.
func TestDefinitions(t *testing.T) {
	t.Parallel()
	known, err := schema.Definitions("#/components/schemas/")
	if err != nil {
		t.Fatal(err)
	}
	all, from, to := definitions(t, openAPI)
	var b bytes.Buffer
	have := map[string]bool{}
	write := func(d definition) {
		if len(have) > 0 {
			b.WriteByte(',')
		}
		have[d.name] = true
		b.WriteString("\n      \"" + d.name + "\": ")
		if err := json.Indent(&b, d.text, "      ", "  "); err != nil {
			t.Fatal(err)
		}
	}
	text := slices.Concat(openAPI[:from], openAPI[to:])
	for _, d := range all {
		if _, generated := known[d.name]; !generated {
			write(d)
			text = append(text, d.text...)
		}
	}
	for _, name := range referred(known, text) {
		if text, generated := known[name]; generated {
			write(definition{name, text})
		} else if !have[name] {
			t.Errorf("%s is not defined", name)
		}
	}
	for _, d := range all {
		if _, generated := known[d.name]; !generated && !strings.Contains(string(openAPI), `schemas/`+d.name+`"`) {
			t.Errorf("%s is not used", d.name)
		}
	}
	want := slices.Concat(openAPI[:from], b.Bytes(), []byte("\n    "), openAPI[to:])
	stepstest.File(t, "openapi.json", string(want))
}

// referred are the names of all definitions that a text needs, sorted.
func referred(known map[string]json.RawMessage, text []byte) []string {
	var names []string
	todo := [][]byte{text}
	for len(todo) > 0 {
		for _, ref := range toSchema.FindAllSubmatch(todo[0], -1) {
			if name := string(ref[1]); !slices.Contains(names, name) {
				names = append(names, name)
				todo = append(todo, known[name])
			}
		}
		todo = todo[1:]
	}
	slices.Sort(names)
	return names
}

// TestRequests: the fields of requests are those that are read, and no others.
func TestRequests(t *testing.T) {
	t.Parallel()
	all, _, _ := definitions(t, openAPI)
	for name, read := range map[string]any{"RunOrder": runOrder{}, "CallOrder": callOrder{}, "RedriveOrder": redriveOrder{}, "Act": people.Act{}, "RedriveLine": redrivePreview{}} {
		i := slices.IndexFunc(all, func(d definition) bool { return d.name == name })
		if i < 0 {
			t.Errorf("%s is not defined", name)
			continue
		}
		var d struct{ Properties map[string]any }
		if err := json.Unmarshal(all[i].text, &d); err != nil {
			t.Fatal(err)
		}
		for f := range reflect.TypeOf(read).Fields() {
			tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			inner := name == "Act" && (tag == "verb" || tag == "many") // the path says the verb; a redrive says that it is many
			if _, there := d.Properties[tag]; !there && !inner {
				t.Errorf("%s lacks %s", name, tag)
			}
			delete(d.Properties, tag)
		}
		for left := range d.Properties {
			t.Errorf("%s has %s, which nobody reads", name, left)
		}
	}
}
