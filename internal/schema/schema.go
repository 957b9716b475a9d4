// Package schema has the JSON Schemas of what Belay's programs write for other programs: runs, dossiers, logs, and what
// crosses the queue. definitions.json is made of the Go types and their comments by a test: `go test ./internal/schema
// -update`. The schemas of what people write are in package plan.
package schema

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

//go:embed definitions.json
var generated []byte

// Document is a kind of document that has a schema.
type Document struct {
	Kind  string // as the command line names it
	Of    string // name of its definition
	Title string // what it is
}

// Documents are all that there are.
var Documents = []Document{
	{"run", "Run", "A run, as `run -o json` and `runs show -o json` print it and the API answers"},
	{"why", "Why", "What a run waits for, as `why -o json` prints it and the API answers"},
	{"dossier", "DossierOrDeadLetter", "An escalation with its whole context, as `esc show -o json` prints it"},
	{"events", "Line", "One line of a run's log, as `runs export` prints it and the API streams it; a log has many"},
	{"step", "StepMessage", "The body of a step message, which a worker takes from the queue"},
	{"outcome", "Outcome", "The body of a message on a run's outcome subject, which a worker appends to the log"},
}

// Definitions are the definitions of all documents by name. They refer to one another under prefix.
func Definitions(prefix string) (map[string]json.RawMessage, error) {
	text := bytes.ReplaceAll(generated, []byte(`"#/$defs/`), []byte(`"`+prefix))
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("definitions.json: %w", err)
	}
	return all, nil
}

// Kinds are the kinds of documents.
func Kinds() []string {
	kinds := make([]string, len(Documents))
	for i, d := range Documents {
		kinds[i] = d.Kind
	}
	return kinds
}

// Of is the schema of a kind of document, with the definitions that it needs.
func Of(kind string) ([]byte, error) {
	i := slices.IndexFunc(Documents, func(d Document) bool { return d.Kind == kind })
	if i < 0 {
		return nil, fmt.Errorf("there is no schema of %q; there are schemas of %s", kind, strings.Join(Kinds(), ", "))
	}
	d := Documents[i]
	all, err := Definitions("#/$defs/")
	if err != nil {
		return nil, err
	}
	return json.MarshalIndent(struct {
		Dialect string                     `json:"$schema"`
		Title   string                     `json:"title"`
		Ref     string                     `json:"$ref"`
		Defs    map[string]json.RawMessage `json:"$defs"`
	}{"https://json-schema.org/draft/2020-12/schema", d.Title, "#/$defs/" + d.Of, needed(all, d.Of)}, "", "  ")
}

var reference = regexp.MustCompile(`"#/\$defs/(\w+)"`)

// needed are the definitions that one needs, and itself.
func needed(all map[string]json.RawMessage, name string) map[string]json.RawMessage {
	found := map[string]json.RawMessage{name: all[name]}
	for _, ref := range reference.FindAllSubmatch(all[name], -1) {
		if _, known := found[string(ref[1])]; !known {
			maps.Copy(found, needed(all, string(ref[1])))
		}
	}
	return found
}
