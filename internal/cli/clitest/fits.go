package clitest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"belay/internal/plan"
	"belay/internal/schema"
)

// written are the commands whose JSON has a schema: how they begin, and its kind.
var written = []struct{ command, kind string }{
	{"dispatcher run ", "run"},
	{"dispatcher runs show ", "run"},
	{"dispatcher runs watch ", "run"},
	{"dispatcher runs why ", "why"},
	{"dispatcher why ", "why"},
	{"dispatcher esc show ", "dossier"},
	{"dispatcher runs export ", "events"},
}

// fits holds what a command has written against its schema. Only whole answers in JSON have one.
func fits(command []string, out string) error {
	line := strings.Join(command, " ") + " "
	i := slices.IndexFunc(written, func(w struct{ command, kind string }) bool { return strings.HasPrefix(line, w.command) })
	if i < 0 || out == "" || slices.Contains(command, "--detach") {
		return nil
	}
	kind := written[i].kind
	if kind != "events" {
		if !strings.Contains(line, " -o json ") && !strings.Contains(line, " --output json ") {
			return nil
		}
		return fit(kind, out)
	}
	for entry := range strings.Lines(out) {
		if err := fit(kind, entry); err != nil {
			return err
		}
		var e struct {
			Subject string
			Event   json.RawMessage
		}
		if json.Unmarshal([]byte(entry), &e) == nil && strings.HasSuffix(e.Subject, ".outcome") && e.Event != nil {
			if err := fit("outcome", string(e.Event)); err != nil {
				return err
			}
		}
	}
	return nil
}

var compiled sync.Map // of schemas, by kind

func fit(kind, text string) error {
	check, ok := compiled.Load(kind)
	if !ok {
		of, err := schema.Of(kind)
		if err != nil {
			return err
		}
		made, err := plan.CompileSchema(of)
		if err != nil {
			return err
		}
		check, _ = compiled.LoadOrStore(kind, made)
	}
	if err := check.(func(json.RawMessage) error)(json.RawMessage(text)); err != nil {
		return fmt.Errorf("it does not fit `dispatcher schema %s`: %w\n%s", kind, err, text)
	}
	return nil
}
