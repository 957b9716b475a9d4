package dispatcher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"belay/internal/cli"
	"belay/internal/conformance"
	"belay/internal/exactjson"
	"belay/internal/text"
	"belay/internal/wire"
)

// conformanceFlags are those of `conformance worker`.
type conformanceFlags struct {
	tool, rung, params, listen string
	wait                       time.Duration
}

func (a *app) conformanceCommand() *cobra.Command {
	c := &cobra.Command{Use: "conformance", Short: "Check programs that others have written against the protocol", RunE: cli.NeedSubcommand}
	var f conformanceFlags
	w := &cobra.Command{
		Use: "worker", Short: "Say what a worker that speaks plain NATS does wrong", Args: cobra.NoArgs,
		Long: "Starts a NATS server with Belay's streams and no dispatcher, waits for your worker to connect, queues calls of the tool, some of them\n" +
			"redelivered, stopped, late or claimed by others, and compares what the worker does with docs/protocol.md. The tool is executed\n" +
			"several times with --params. The exit code is 1 when a rule is broken.",
		Example: "  dispatcher conformance worker --tool notes.search --nats-listen 127.0.0.1:4333",
		RunE:    func(c *cobra.Command, _ []string) error { return a.conformance(c.Context(), f) },
	}
	fl := w.Flags()
	fl.StringVar(&f.tool, "tool", "", "`name` of the tool that the worker serves")
	fl.StringVar(&f.rung, "rung", "primary", "`name` of its rung")
	fl.StringVar(&f.params, "params", "{}", "what the tool is called with, a JSON `object`")
	fl.StringVar(&f.listen, "nats-listen", "127.0.0.1:4222", "`address` for the worker to connect to")
	fl.DurationVar(&f.wait, "wait", 10*time.Second, "how long to wait for the worker, and for each of its answers")
	c.AddCommand(w)
	return c
}

func (a *app) conformance(ctx context.Context, f conformanceFlags) error {
	var params map[string]any
	if !wire.ValidTool(f.tool) || !wire.ValidName(f.rung) || exactjson.Unmarshal([]byte(f.params), &params) != nil {
		return cli.WithCode(cli.ExitUsage, errors.New("give the name of a tool with --tool, and with --params a JSON object"))
	}
	o := conformance.Options{Tool: f.tool, Rung: f.rung, Params: json.RawMessage(f.params), Wait: f.wait, Found: a.finding,
		Waits: func(what string) { fmt.Fprintln(a.Err, what) }}
	found, err := conformance.Serve(ctx, f.listen, a.Prefix, o, func(url string) {
		fmt.Fprintf(a.Err, "waiting for a worker of %s/%s at %s, up to %s; each answer has as long, and each rule a line here once it is known\n", f.tool, f.rung, url, f.wait)
	})
	if err != nil {
		return err
	}
	return a.findings(found)
}

// finding says at once what is known of a rule, because a worker that keeps silent makes the next one take long.
func (a *app) finding(f conformance.Finding) {
	if a.JSON() {
		return
	}
	line := "ok     " + f.Rule
	if !f.OK {
		line = "WRONG  " + f.Rule + ": " + f.Detail
	}
	fmt.Fprintln(a.Out, text.Line(line))
}

func (a *app) findings(found []conformance.Finding) error {
	if a.JSON() {
		if err := a.PrintJSON(found); err != nil {
			return err
		}
	}
	broken := 0
	for _, f := range found {
		if !f.OK {
			broken++
		}
	}
	if broken > 0 {
		return fmt.Errorf("the worker breaks %d of %d rules of docs/protocol.md", broken, len(found))
	}
	return nil
}
