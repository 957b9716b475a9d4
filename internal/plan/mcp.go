package plan

import (
	"go.yaml.in/yaml/v4"

	"belay/internal/executor"
	"belay/internal/expr"
	"belay/internal/steps"
	"belay/internal/yamldoc"
)

func (f *toolsFile) readMCP(r *RungDef, n *yaml.Node) {
	c := &executor.MCP{Server: executor.MCPServer{Dir: f.base}, Response: "text", MaxBytes: steps.MaxOutput}
	found := f.Object(n, "mcp", f.mcpFields(c))
	f.checkServer(n, found)
	s := &c.Server
	for key, only := range map[string]string{"dir": "command", "env": "command", "headers": "url", "auth": "url"} {
		if found[key] != nil && found[only] == nil {
			f.At(found[key], "", "%s belongs to a server with %s", key, only)
		}
	}
	if s.URL != "" {
		s.Dir = ""
	}
	(*hiddenValues)(&s.Hidden).addWords(s.Argv)
	for _, v := range s.Env {
		if !v.FromEnv {
			(*hiddenValues)(&s.Hidden).addNamed("", v.Name, v.Value)
		}
	}
	r.Spec.MCP = c
	r.Target = c.Tool + " of " + commandLine(s.Argv)
	if s.URL != "" {
		r.Target = c.Tool + " of " + withoutSecrets(s.URL)
	}
}

// checkServer reports an mcp executor that does not name one server and a tool of it.
func (f *toolsFile) checkServer(n *yaml.Node, found map[string]*yaml.Node) {
	const example = `like {command: [python3, server.py], tool: NAME} or {url: "https://files.example.com/mcp", tool: NAME}`
	command, at := found["command"] != nil, found["url"] != nil
	switch {
	case found == nil:
	case command && at:
		f.At(n, "", "mcp has both command and url: it takes one of them")
	case !command && !at && found["tool"] == nil:
		f.At(n, example, "mcp has no server and no tool")
		return
	case !command && !at:
		f.At(n, example, "mcp has no server: neither command nor url")
	}
	f.Require(n, "mcp", found, "tool")
}

// mcpFields are the keys of an mcp executor. A server is shared by all calls, so that nothing of it depends on parameters.
func (f *toolsFile) mcpFields(c *executor.MCP) yamldoc.Fields {
	s := &c.Server
	return yamldoc.Fields{
		"command": func(n *yaml.Node) {
			f.List(n, "command", func(_ int, e *yaml.Node) { s.Argv = append(s.Argv, f.plain(e)) })
			if n.Kind == yaml.SequenceNode && (len(n.Content) == 0 || yamldoc.Resolve(n.Content[0]).Value == "") {
				f.At(n, "[python3, server.py]", "the command must begin with the program")
			}
		},
		"dir": f.dir(&s.Dir),
		"env": f.env(&s.Env),
		"url": func(n *yaml.Node) { f.readServerURL(s, n) },
		"headers": func(n *yaml.Node) {
			s.Headers = map[string]string{}
			f.checkHeaders(n)
			f.Mapping(n, "headers", func(key, value *yaml.Node) { s.Headers[key.Value] = f.plain(value) })
			(*hiddenValues)(&s.Hidden).addMapping("header ", n)
		},
		"auth": func(n *yaml.Node) { f.readAuth(&s.BearerEnv, &s.BasicEnv, n) },
		"tool": func(n *yaml.Node) {
			if c.Tool = f.plain(n); n.Value == "" && yamldoc.IsString(n) {
				f.At(n, "", "a tool of a server has a name")
			}
		},
		"response":  yamldoc.Choice(f.Reader, &c.Response, "json", "text"),
		"max_bytes": f.Int(&c.MaxBytes, 1, maxBytes),
	}
}

func (f *toolsFile) readServerURL(s *executor.MCPServer, n *yaml.Node) {
	before := len(f.Problems)
	u := f.plain(n)
	if len(f.Problems) > before || !f.checkURL(n, n.Value, "the endpoint of a server over streamable HTTP") {
		return
	}
	s.URL = u
	(*hiddenValues)(&s.Hidden).addURL(u)
}

// plain reads a text without expressions; $${ is a plain ${.
func (f *toolsFile) plain(n *yaml.Node) string {
	text, ok := f.Text(n)
	if !ok {
		return ""
	}
	parts, faults := expr.Split(text)
	f.Inside(yamldoc.Resolve(n), faults)
	for _, part := range parts {
		if part.Expression {
			f.At(n, "the session with a server is shared by all calls; what differs from call to call is a parameter of the tool", "no expressions here")
			return ""
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return parts[0].Text
}

// settleMCP gives the rungs that are tools of servers the schema with which the server's is compared.
func (t *ToolDef) settleMCP() {
	for i := range t.Rungs {
		if c := t.Rungs[i].Spec.MCP; c != nil {
			c.Schema, c.Strict = t.InputSchema, t.Effects.Unsafe()
		}
	}
}
