package plan

import (
	"path"
	"slices"
	"strings"
)

// interpreters execute a program that stands behind them.
var interpreters = []string{"sh", "bash", "dash", "zsh", "env", "python", "python3", "node", "ruby", "perl", "go", "npx", "uv", "deno", "bun"}

// Dependency is what a rung of the tool needs to be up beside its worker: a host, a program, a service, a handler. It is empty
// for what needs nothing outside.
func (t *ToolDef) Dependency(r *RungDef) string {
	switch r.Executor {
	case "http", "model":
		return hostOf(r.Target)
	case "command":
		return programOf(r.Target)
	case "nats":
		return "nats " + strings.TrimPrefix(r.Target, "subject ")
	case "go":
		return "handler " + t.Name
	case "remote":
		return "remote " + t.Name
	case "mcp":
		return mcpServer(r)
	}
	return ""
}

// mcpServer is the host or the program of an MCP server, so that an http rung of the same host leans on the same.
func mcpServer(r *RungDef) string {
	_, at, _ := strings.Cut(r.Target, r.Spec.MCP.Tool+" of ")
	if r.Spec.MCP.Server.URL != "" {
		return hostOf(at)
	}
	return programOf(at)
}

// hostOf is the host of a target like "GET https://api.example.com/orders/${ params.order }".
func hostOf(target string) string {
	_, address, _ := strings.Cut(target, "://")
	open := false
	end := strings.IndexFunc(address, func(c rune) bool {
		switch c {
		case '{':
			open = true
		case '}':
			open = false
		}
		return !open && (c == '/' || c == '?' || c == '#')
	})
	if end >= 0 {
		address = address[:end]
	}
	if _, after, hasUser := strings.Cut(address, "@"); hasUser {
		address = after
	}
	if strings.Contains(address, "${") {
		return "unknown (" + address + ")"
	}
	return strings.ToLower(address)
}

// programOf is what a command line starts. Behind an interpreter it is the script that it is given, not the interpreter.
func programOf(target string) string {
	words := strings.Fields(target)
	if len(words) == 0 || strings.HasPrefix(words[0], "'") {
		return "unknown (" + target + ")"
	}
	if !slices.Contains(interpreters, path.Base(words[0])) {
		return words[0]
	}
	const shown = 60
	if len(target) > shown {
		return target[:strings.LastIndex(target[:shown], " ")] + " ..."
	}
	return target
}
