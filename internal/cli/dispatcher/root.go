package dispatcher

import (
	"context"

	"github.com/spf13/cobra"

	"belay/internal/cli"
)

// app is the dispatcher, started once with some arguments.
type app struct{ *cli.App }

// Run runs the dispatcher's command line and returns its exit code.
func Run(ctx context.Context, args []string, sys cli.IO) int {
	a := newApp(sys)
	return a.Execute(ctx, a.root(), args)
}

// Root is the dispatcher with all its commands, for documentation and tests.
func Root(sys cli.IO) *cobra.Command {
	a := newApp(sys)
	return a.Prepare(a.root())
}

func newApp(sys cli.IO) *app { return &app{&cli.App{IO: sys, CodeOf: codeOf}} }

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use: "dispatcher", Short: "Run the steps of AI agents so that they fail safely",
		Long: "Submits plans, moves their runs on, and lets people watch and decide.\n\n" +
			"Flags can also be set as BELAY_<FLAG> in the environment, and in a settings file: see `dispatcher config view --help`.\n" +
			"The manual is in `dispatcher docs`, and at /docs of every program that has --listen; the exit codes are in `dispatcher help exit-codes`.",
		Example: "  dispatcher run examples/basic.yaml     # everything in this process\n" +
			"  dispatcher dev --tools tools.yaml      # a server, a worker and the console on this machine\n" +
			"  dispatcher serve --server nats://...   # a dispatcher on a NATS server",
	}
	root.AddCommand(
		a.runCommand(), a.runsCommand(), a.escCommand(),
		a.devCommand(), a.serveCommand(), a.mcpCommand(),
		a.lintCommand(), a.proveCommand(), a.drillCommand(), a.rehearseCommand(),
		a.toolsCommand(), a.workersCommand(),
		a.keysCommand(), a.passkeysCommand(), a.permissionsCommand(), a.tokenCommand(), a.auditCommand(), a.storeCommand(), a.doctorCommand(),
		a.schedulesCommand(), a.gateCommand(), a.breakersCommand(), a.limitsCommand(), a.sloCommand(), a.causesCommand(), a.faultCommand(), a.notifyCommand(),
		a.schemaCommand(), a.benchCommand(), a.conformanceCommand(), a.docsCommand(), a.scriptedModelCommand(),
	)
	a.complete(root)
	return root
}
