package dispatcher

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"

	"belay/internal/executor"
	mcpexec "belay/internal/executor/mcp"
	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/text"
	"belay/internal/wire"
)

// importFile is a tools file that is made of what a server lists.
type importFile struct {
	server  executor.MCPServer
	flags   importFlags
	title   string // what the server calls itself
	prefix  string
	names   map[string]bool // that are taken
	tools   []string        // their text
	unsafe  int             // how many need approval
	refused []error         // why others are not among them
}

func newImport(server executor.MCPServer, f importFlags, title string) *importFile {
	file := &importFile{server: server, flags: f, title: title, names: map[string]bool{}, prefix: f.name}
	if file.prefix == "" {
		file.prefix = validPart(title)
	}
	return file
}

// add adds a tool, or notes why it cannot be one of Belay.
func (f *importFile) add(t mcpexec.Tool) {
	name := f.nameOf(t.Name)
	effects := effectsOf(t.Annotations)
	written := f.write(name, effects, t)
	if _, err := plan.ParseTools("tools.yaml", []byte("tools:\n"+written)); err != nil {
		f.refused = append(f.refused, fmt.Errorf("tool %q cannot become a tool of Belay: %w", text.Cut(text.Line(t.Name), 80), err))
		return
	}
	f.names[name] = true
	f.tools = append(f.tools, written)
	if effects.Unsafe() {
		f.unsafe++
	}
}

func effectsOf(h mcpexec.Hints) steps.Effects {
	switch {
	case h.ReadOnly:
		return steps.EffectsNone
	case h.Idempotent:
		return steps.EffectsIdempotent
	}
	return steps.EffectsUnsafe
}

// maxToolName is the length of a tool's name.
const maxToolName = 64

// nameOf makes a valid name of a server's, and another one where it is taken.
func (f *importFile) nameOf(tool string) string {
	whole := strings.Trim(f.prefix+"."+validPart(tool), ".")
	for n := 1; ; n++ {
		suffix := ""
		if n > 1 {
			suffix = fmt.Sprintf("_%d", n)
		}
		name := strings.TrimRight(whole[:min(len(whole), maxToolName-len(suffix))], ".") + suffix
		if !f.names[name] {
			return name
		}
	}
}

// validPart is a part of a tool's name: letters, digits, _ and -, with single dots in between.
func validPart(s string) string {
	var parts []string
	for _, part := range strings.Split(s, ".") {
		part = strings.Map(func(r rune) rune {
			if r < 0x80 && wire.ValidName(string(r)) {
				return r
			}
			return '_'
		}, part)
		if part != "" {
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return "tool"
	}
	return strings.Join(parts, ".")
}

// write writes one tool.
func (f *importFile) write(name string, effects steps.Effects, t mcpexec.Tool) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimSpace(t.Description)) {
		comment(&b, text.Line(strings.TrimRight(line, "\r\n")))
	}
	if name != f.prefix+"."+t.Name {
		comment(&b, "The server calls it "+text.Line(fmt.Sprintf("%q", t.Name))+".")
	}
	tool := object("effects", scalar(string(effects)))
	if effects.Unsafe() {
		tool.Content = append(tool.Content, scalar("approval"), scalar("always"))
	}
	addSchema(tool, "input_schema", t.InputSchema)
	addSchema(tool, "output_schema", t.OutputSchema)
	rung := object("mcp", f.rung(t.Name))
	tool.Content = append(tool.Content, scalar("rungs"), &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{rung}})
	b.WriteString(indented(object(name, tool)))
	return b.String()
}

// rung is the setting of a rung with the server.
func (f *importFile) rung(tool string) *yaml.Node {
	n := object()
	add := func(key string, value *yaml.Node) { n.Content = append(n.Content, scalar(key), value) }
	if f.server.URL != "" {
		add("url", plainText(f.server.URL))
	} else {
		add("command", list(f.server.Argv))
	}
	if len(f.flags.env) > 0 {
		env := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, e := range f.flags.env {
			env.Content = append(env.Content, scalar(e))
		}
		add("env", env)
	}
	if f.server.BearerEnv != "" {
		add("auth", object("bearer_env", scalar(f.server.BearerEnv)))
	}
	add("tool", plainText(tool))
	return n
}

// text is the whole file.
func (f *importFile) text() []byte {
	var b strings.Builder
	for _, line := range []string{
		"Tools of the MCP server " + text.Line(fmt.Sprintf("%q", f.title)) + ", written by `dispatcher tools import mcp`.",
		"",
		"Review this file before you use it. Descriptions, schemas and effects are the server's own words, and nobody has",
		"checked them: a tool that calls itself read-only may change something. What stands here counts from now on. A server",
		"that says something else later relaxes nothing, and an unsafe call is refused if its input schema has changed.",
	} {
		b.WriteString(strings.TrimRight("# "+line, " ") + "\n")
	}
	b.WriteString("tools:\n" + strings.Join(f.tools, "\n"))
	return []byte(b.String())
}

// commentWidth is how many bytes a line of a comment has at most, as long as its words allow.
const commentWidth = 110

func comment(b *strings.Builder, line string) {
	row := ""
	for _, word := range strings.Fields(line) {
		if row != "" && len(row)+len(word) >= commentWidth {
			b.WriteString("  #" + row + "\n")
			row = ""
		}
		row += " " + word
	}
	b.WriteString("  #" + row + "\n")
}

func object(pairs ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i+1 < len(pairs); i += 2 {
		n.Content = append(n.Content, scalar(pairs[i].(string)), pairs[i+1].(*yaml.Node))
	}
	return n
}

func scalar(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

// plainText is a text in which a template would see no expression.
func plainText(s string) *yaml.Node { return scalar(strings.ReplaceAll(s, "${", "$${")) }

func list(words []string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, w := range words {
		n.Content = append(n.Content, plainText(w))
	}
	return n
}

// addSchema adds a schema with its keys in the server's order, and its numbers as they are.
func addSchema(tool *yaml.Node, key string, schema json.RawMessage) {
	if len(schema) == 0 || string(schema) == "null" {
		return
	}
	d := json.NewDecoder(bytes.NewReader(schema))
	d.UseNumber()
	n, err := nodeOf(d)
	if err != nil {
		n = scalar(string(schema)) // refused when the file is read
	}
	tool.Content = append(tool.Content, scalar(key), n)
}

func nodeOf(d *json.Decoder) (*yaml.Node, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch v := token.(type) {
	case json.Delim:
		return collection(d, v)
	case string:
		return scalar(v), nil
	case json.Number:
		tag := "!!int"
		if strings.ContainsAny(string(v), ".eE") {
			tag = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: string(v)}, nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(v)}, nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
}

func collection(d *json.Decoder, begin json.Delim) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.MappingNode}
	if begin == '[' {
		n = &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	}
	for d.More() {
		e, err := nodeOf(d)
		if err != nil {
			return nil, err
		}
		if e.Kind == yaml.MappingNode {
			n.Style = 0 // a list of objects has a line for each
		}
		n.Content = append(n.Content, e)
	}
	_, err := d.Token()
	if len(n.Content) == 0 {
		n.Style = yaml.FlowStyle
	}
	return n, err
}

// indented is a document two columns to the right.
func indented(n *yaml.Node) string {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(n), e.Close()); err != nil {
		return "  # it cannot be written: " + err.Error() + "\n"
	}
	var out strings.Builder
	for line := range strings.Lines(b.String()) {
		if strings.TrimSpace(line) != "" {
			line = "  " + line
		}
		out.WriteString(line)
	}
	return out.String()
}

// withDetail is what a fault says, with its evidence, for whoever sits before the terminal.
func withDetail(err error) error {
	f, ok := errors.AsType[steps.Fault](err)
	switch {
	case !ok:
		return err
	case f.Detail == "":
		return errors.New(f.Message)
	}
	return fmt.Errorf("%s (%s)", f.Message, text.CutMiddle(text.Line(f.Detail), 500))
}
