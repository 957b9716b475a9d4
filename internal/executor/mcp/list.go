package mcpexec

import (
	"context"
	"errors"

	"belay/internal/executor"
	"belay/internal/outbound"
	"belay/internal/steps"
)

// Listed is what a server says of itself.
type Listed struct {
	Server string // what it calls itself; "mcp" if it does not say
	Tools  []Tool // in its order, those of all pages
}

// List opens a session with a server, asks for all its tools, and ends the session and what it started. The error is a
// [steps.Fault].
func List(ctx context.Context, spec executor.MCPServer, version string, policy outbound.Policy) (Listed, error) {
	servers := NewServers(version, policy, nil)
	v := servers.server(spec)
	defer v.close()
	secrets, err := v.secrets()
	if err != nil {
		return Listed{}, err
	}
	tools, err := v.list(ctx)
	if f, ok := errors.AsType[steps.Fault](err); ok {
		return Listed{}, secrets.RedactFault(f)
	}
	return tools, err
}

func (v *server) list(ctx context.Context) (Listed, error) {
	c, err := v.begin(ctx, nil)
	if err != nil {
		return Listed{}, err
	}
	defer c.end()
	l := Listed{Server: "mcp"}
	if info := c.conn.InitializeResult(); info != nil && info.ServerInfo != nil && info.ServerInfo.Name != "" {
		l.Server = info.ServerInfo.Name
	}
	l.Tools, err = c.list()
	return l, err
}
