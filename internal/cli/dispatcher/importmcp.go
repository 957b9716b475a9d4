package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"belay/internal/cli"
	"belay/internal/executor"
	mcpexec "belay/internal/executor/mcp"
	"belay/internal/text"
)

type importFlags struct {
	out, name, url, bearerEnv string
	env                       []string
	force                     bool
}

func (a *app) toolsImport() *cobra.Command {
	c := &cobra.Command{Use: "import", Short: "Write a tools file from what a server lists", RunE: cli.NeedSubcommand}
	c.AddCommand(a.importMCPCommand())
	return c
}

func (a *app) importMCPCommand() *cobra.Command {
	var f importFlags
	c := &cobra.Command{
		Use: "mcp (--url URL | -- COMMAND [ARG...])", Short: "Write a tools file with the tools of an MCP server",
		Long: "Connects to a server, lists its tools, and writes a tools file to stdout or to a file, for a person to review. Effects come from what\n" +
			"the server says about itself: read-only is none, idempotent is idempotent, anything else is unsafe and needs approval.\n\n" +
			"Exit code 69: the server cannot be reached. 65: some of its tools cannot be tools of Belay; they are named, and left out.",
		Example: "  dispatcher tools import mcp --out tools.yaml -- npx -y @modelcontextprotocol/server-filesystem@2026.8.31 reports\n" +
			"  dispatcher tools import mcp --url https://shop.example.com/mcp --bearer-env SHOP_TOKEN --name shop",
		RunE: func(c *cobra.Command, args []string) error { return a.importMCP(c.Context(), args, f) },
	}
	fl := c.Flags()
	fl.StringVar(&f.out, "out", "", "`file` to write (default stdout)")
	fl.StringVar(&f.name, "name", "", "what the tools' names begin with (default the server's name)")
	fl.StringVar(&f.url, "url", "", "endpoint of a server over streamable HTTP; BELAY_URL does not count, because it is where clients find Belay")
	fl.StringVar(&f.bearerEnv, "bearer-env", "", "`name` of the environment variable with the bearer token for --url")
	fl.StringArrayVar(&f.env, "env", nil, "variable that the command sees: `NAME` lets one through, NAME=value sets one (repeatable)")
	fl.BoolVar(&f.force, "force", false, "overwrite the file of --out")
	return c
}

func (a *app) importMCP(ctx context.Context, argv []string, f importFlags) error {
	if !a.Typed("url") {
		f.url = "" // BELAY_URL is where clients find Belay
	}
	server, err := f.server(argv)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(f.out); f.out != "" && !f.force && !errors.Is(err, fs.ErrNotExist) {
		return cli.Usage("%s exists: give --force to overwrite it, or another --out", f.out)
	}
	list, err := mcpexec.List(ctx, server, cli.Version, a.Outbound())
	if err != nil {
		return cli.WithCode(cli.ExitUnreachable, fmt.Errorf("the tools of MCP server %s cannot be listed: %w", serverName(server), withDetail(err)))
	}
	file := newImport(server, f, list.Server)
	for _, t := range list.Tools {
		file.add(t)
	}
	if len(file.tools) == 0 {
		return cli.WithCode(cli.ExitInvalid, errors.Join(append([]error{fmt.Errorf("MCP server %s has no tool that Belay can call", serverName(server))}, file.refused...)...))
	}
	if err := a.writeImport(file, f.out); err != nil {
		return err
	}
	if len(file.refused) > 0 {
		return cli.WithCode(cli.ExitInvalid, errors.Join(file.refused...))
	}
	return nil
}

// server is what the flags name. A program runs where it will run for the file that is written.
func (f *importFlags) server(argv []string) (executor.MCPServer, error) {
	s := executor.MCPServer{Argv: argv, URL: f.url, BearerEnv: f.bearerEnv}
	switch {
	case (len(argv) == 0) == (f.url == ""):
		return s, cli.Usage("name one server: --url URL, or -- COMMAND [ARG...]")
	case f.url != "" && !strings.HasPrefix(f.url, "http://") && !strings.HasPrefix(f.url, "https://"):
		return s, cli.Usage("--url must begin with http:// or https://")
	case f.url != "" && len(f.env) > 0:
		return s, cli.Usage("--env is for a command; a URL has --bearer-env")
	case f.url == "" && f.bearerEnv != "":
		return s, cli.Usage("--bearer-env is for a URL; a command has --env")
	}
	for _, e := range f.env {
		name, value, fixed := strings.Cut(e, "=")
		if name == "" {
			return s, cli.Usage("--env %s does not name a variable", e)
		}
		s.Env = append(s.Env, executor.EnvVar{Name: name, Value: value, FromEnv: !fixed})
	}
	if f.out != "" && f.url == "" {
		dir, err := filepath.Abs(filepath.Dir(f.out))
		if err != nil {
			return s, fmt.Errorf("find the folder of %s: %w", f.out, err)
		}
		s.Dir = dir
	}
	return s, nil
}

func serverName(s executor.MCPServer) string {
	if s.URL != "" {
		return "at the URL"
	}
	return filepath.Base(s.Argv[0])
}

// writeImport writes the file as a whole or not at all.
func (a *app) writeImport(file *importFile, out string) error {
	data := file.text()
	if out == "" {
		_, err := a.Out.Write(data)
		return err
	}
	temp := out + ".new"
	if err := os.WriteFile(temp, data, 0o644); err != nil {
		return fmt.Errorf("write the tools file: %w", err)
	}
	if err := os.Rename(temp, out); err != nil {
		return fmt.Errorf("write the tools file: %w", err)
	}
	fmt.Fprintf(a.Err, "wrote %s: %d tools, %d of them only with approval; review it before you use it\n", text.Line(out), len(file.tools), file.unsafe)
	return nil
}
