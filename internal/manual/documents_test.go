package manual_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"belay/internal/cli"
	"belay/internal/cli/dispatcher"
	"belay/internal/notify"
	"belay/internal/outbound"
	"belay/internal/plan"
	"belay/internal/scriptedmodel"
	"belay/internal/yamldoc"
)

// document is a block as a whole document: with what is wrapped around it, and so many lines in front that a mistake is
// reported at its line of the page.
type document struct {
	kind, file, text string
}

func wholeDocument(b *block) (document, []problem) {
	if len(b.words) == 0 {
		return document{}, []problem{b.wrong("say what the YAML is: plan, tools, config, notify, script, steps, rungs or tool")}
	}
	d := document{kind: b.words[0], file: b.page.path, text: b.text}
	switch d.kind {
	case "plan", "tools", "config", "notify", "script":
	case "steps":
		d.kind, d.text = "plan", "name: page\nsteps:\n"+b.text
	case "tool":
		d.kind, d.text = "tools", "tools:\n"+shifted(b.lines, "  ")
	case "rungs":
		d.kind, d.text = "tools", "tools:\n  page.tool:\n    rungs:\n"+shifted(b.lines, "      ")
	default:
		return document{}, []problem{b.wrong("YAML of kind %q is not known: plan, tools, config, notify, script, steps, rungs or tool", d.kind)}
	}
	if b.has("invalid") || b.has("warns") { // its message names the file and the lines that a reader has
		d.file = d.kind + ".yaml"
		if named := b.keys["file"]; named != "" {
			d.file = named
		}
		return d, nil
	}
	wrapped := strings.Count(d.text, "\n") - strings.Count(b.text, "\n")
	d.text = strings.Repeat("\n", max(b.at-wrapped, 0)) + d.text
	return d, nil
}

func shifted(lines []string, indent string) string {
	var text strings.Builder
	for _, l := range lines {
		if l != "" {
			l = indent + l
		}
		text.WriteString(l + "\n")
	}
	return text.String()
}

func checkYAML(b *block) []problem {
	d, found := wholeDocument(b)
	if found != nil {
		return found
	}
	warnings, err := parseDocument(b.page, d)
	switch {
	case b.has("invalid") && err == nil:
		return []problem{b.wrong("the parser takes it, and the page says that it is invalid")}
	case b.has("invalid"):
		return compare(b, err.Error())
	case err != nil:
		return []problem{b.wrong("the parser refuses it:\n%s", indented(printed(err.Error())))}
	case b.has("warns"):
		return compare(b, lined(warnings))
	case len(warnings) > 0:
		return []problem{b.wrong("the linter warns:\n%s", indented(printed(lined(warnings))))}
	}
	return nil
}

func lined(warnings yamldoc.Problems) string {
	var text strings.Builder
	for _, w := range warnings {
		text.WriteString("warning: " + w.String() + "\n")
	}
	return text.String()
}

func parseDocument(p *page, d document) (yamldoc.Problems, error) {
	switch d.kind {
	case "plan":
		tools, err := toolsOf(p)
		if err != nil {
			return nil, err
		}
		doc, err := plan.ParsePlan(d.file, []byte(d.text), tools)
		if err != nil {
			return nil, err
		}
		return doc.Warnings, nil
	case "script":
		_, err := scriptedmodel.Parse(d.file, []byte(d.text))
		return nil, err
	case "tools":
		tools, err := plan.ParseTools(d.file, []byte(d.text))
		if err != nil {
			return nil, err
		}
		var warnings yamldoc.Problems
		for _, def := range tools.Tools {
			warnings = append(warnings, def.Warnings...)
		}
		return warnings, nil
	case "config":
		return nil, inFile(d, func(path string) error {
			_, err := run("config", "view", "--config", path)
			return err
		})
	}
	return nil, inFile(d, func(path string) error {
		_, err := notify.Load(path, pretended, outbound.Policy{})
		return err
	})
}

// pretended is an environment in which every variable is set to something of the right form.
func pretended(name string) string {
	switch {
	case strings.Contains(name, "URL"), strings.Contains(name, "HOOK") && !strings.Contains(name, "SECRET"):
		return "https://example.com/hook"
	case strings.Contains(name, "SECRET"):
		return "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	}
	return "something"
}

// inFile lets f read the document from a file of its name.
func inFile(d document, f func(path string) error) error {
	dir, err := os.MkdirTemp("", "manual")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, filepath.Base(d.file))
	if err := os.WriteFile(path, []byte(d.text), 0o600); err != nil {
		return err
	}
	if err := f(path); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), path, d.file))
	}
	return nil
}

// run runs a command of the dispatcher in this process, and gives what it prints.
func run(args ...string) (string, error) {
	var out, errs bytes.Buffer
	none := func(string) string { return "" }
	if code := dispatcher.Run(context.Background(), args, cli.IO{In: strings.NewReader(""), Out: &out, Err: &errs, Getenv: none}); code != 0 {
		return out.String(), fmt.Errorf("%s", strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

// toolsOf are the tools that a page's plans may name: those that it shows, then those of the examples.
func toolsOf(p *page) (*plan.Tools, error) {
	all, err := plan.LoadTools(filepath.Join(root, "examples/tools.yaml"))
	if err != nil {
		return nil, err
	}
	for _, b := range p.blocks {
		if b.kind != "yaml" || len(b.words) == 0 || !slices.Contains([]string{"tools", "tool"}, b.words[0]) || b.has("invalid") {
			continue
		}
		d, _ := wholeDocument(b)
		shown, err := plan.ParseTools(d.file, []byte(d.text))
		if err != nil {
			return nil, err
		}
		for name, def := range shown.Tools {
			all.Tools[name] = def
		}
	}
	return all, nil
}

func checkJSON(b *block) []problem {
	if b.has("wire") {
		if !strings.HasPrefix(b.about, "wire: ") {
			return []problem{b.wrong("json wire: the comment `<!-- wire: KIND -->` above it is missing, by which its test finds it")}
		}
		return nil
	}
	d := json.NewDecoder(strings.NewReader(b.text))
	var value json.RawMessage
	if err := d.Decode(&value); err != nil {
		return []problem{b.wrong("not JSON: %v", err)}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return []problem{b.wrong("more than one JSON value")}
	}
	for _, kind := range b.words {
		schema, err := run("schema", kind)
		if err != nil {
			return []problem{b.wrong("json %s: %v", kind, err)}
		}
		fits, err := plan.CompileSchema(json.RawMessage(schema))
		if err != nil {
			return []problem{b.wrong("the schema of %s: %v", kind, err)}
		}
		if err := fits(value); err != nil {
			return []problem{b.wrong("this is no %s:\n%s", kind, indented(printed(err.Error())))}
		}
	}
	return nil
}

var httpStart = regexp.MustCompile(`^(?:(?:GET|POST|PUT|PATCH|DELETE|HEAD) /\S*|(?:HTTP/1\.1 )?[1-5]\d\d(?: .*)?)$`)

// checkHTTP wants a request or a status line first. Whether the answers are so is for the tests that send the requests.
func checkHTTP(b *block) []problem {
	if len(b.lines) == 0 || !httpStart.MatchString(b.lines[0]) {
		return []problem{b.wrong("begin with a request like `GET /path` or an answer like `200 application/json`")}
	}
	if i := strings.Index(b.text, "\n{"); i >= 0 && !json.Valid([]byte(b.text[i:])) {
		return []problem{b.wrong("the body is not JSON")}
	}
	return nil
}
