package dispatcher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"belay/internal/cli"
	"belay/internal/exactjson"
	"belay/internal/executor"
	"belay/internal/ladder"
	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/text"
)

type callFlags struct {
	tools, rung, args string
	yes               bool
}

func (a *app) toolsCall() *cobra.Command {
	var f callFlags
	c := &cobra.Command{
		Use: "call TOOL", Short: "Execute one rung of a tool once, here, outside any run", Args: cobra.ExactArgs(1),
		Long: "Executes a rung as a worker would, with its schemas, its timeout and its real effects, and prints the output, or the fault with\n" +
			"exit code 10. Nothing is retried and nothing is stored.",
		Example: `  dispatcher tools call orders.lookup --args '{"order": "A-1009"}'`,
		RunE:    func(c *cobra.Command, args []string) error { return a.call(c.Context(), args[0], f) },
	}
	fl := c.Flags()
	fl.StringVar(&f.tools, "tools", "tools.yaml", "tools `file`")
	fl.StringVar(&f.rung, "rung", "", "`name` of the rung (default the first; 'verify' is the probe)")
	fl.StringVar(&f.args, "args", "{}", "parameters, a `JSON` object")
	fl.BoolVarP(&f.yes, "yes", "y", false, "execute a tool whose effects are unsafe")
	return c
}

func (a *app) call(ctx context.Context, name string, f callFlags) error {
	tools, err := plan.LoadTools(f.tools)
	if err != nil {
		return err
	}
	def, rung, err := pick(tools, name, f.rung)
	if err != nil {
		return err
	}
	if err := steps.CheckDepth(f.args); err != nil {
		return cli.WithCode(cli.ExitInvalid, fmt.Errorf("--args: %w", err))
	}
	var params map[string]json.RawMessage
	if err := exactjson.Unmarshal([]byte(f.args), &params); err != nil || params == nil {
		return cli.WithCode(cli.ExitInvalid, fmt.Errorf("--args must be a JSON object: %w", err))
	}
	if def.Effects.Unsafe() && rung != def.Probe && !f.yes {
		return cli.Usage("%s has effects: %s, and this call executes it for real; give --yes if that is what you want", name, def.Effects)
	}
	o := ladder.Options{Only: []string{name}, Version: cli.Version, Outbound: a.Outbound(), Logger: a.Logger(0)}
	if needsNATS(def) {
		s, err := a.open(ctx, carry{})
		if err != nil {
			return err
		}
		defer s.close()
		o.Bus = s.Bus
	}
	rungs, _, err := ladder.Build(ctx, tools, o)
	if err != nil {
		return err
	}
	defer ladder.Close(rungs)
	r, ok := rungs[ladder.Key{Tool: name, Rung: rung.Name}]
	if rung.Human != nil {
		return cli.Usage("%s/%s is answered by a person, who is asked only by a run", name, rung.Name)
	}
	if rung.Spec.Remote != nil {
		return cli.Usage("%s/%s is executed by a program that polls a worker: a run calls it", name, rung.Name)
	}
	if !ok {
		return cli.Usage("%s/%s is Go code that is not in this program: submit a run, and start the worker program that has it", name, rung.Name)
	}
	return a.callRung(ctx, r, rung, executor.Request{
		Run: "call", Step: "call", Attempt: "0-0-1", Tool: name, Rung: rung.Name, Params: json.RawMessage(f.args), Key: "call/" + uuid.NewString(), Try: 1,
		Progress: func(said string) { fmt.Fprintln(a.Err, text.Line(said)) },
	})
}

func pick(tools *plan.Tools, name, rung string) (*plan.ToolDef, *plan.RungDef, error) {
	def := tools.Tools[name]
	if def == nil {
		return nil, nil, cli.WithCode(cli.ExitNotFound, fmt.Errorf("%s has no tool %q (dispatcher tools ls lists them)", tools.File, name))
	}
	for i := range def.Rungs {
		if rung == "" || def.Rungs[i].Name == rung {
			return def, &def.Rungs[i], nil
		}
	}
	if rung == steps.VerifyRung && def.Probe != nil {
		return def, def.Probe, nil
	}
	return nil, nil, cli.WithCode(cli.ExitNotFound, fmt.Errorf("tool %s has no rung %q (dispatcher tools ls lists them)", name, rung))
}

func needsNATS(def *plan.ToolDef) bool {
	for _, r := range def.Rungs {
		if r.Spec.NATS != nil || r.Spec.Cache != nil {
			return true
		}
	}
	return false
}

// callRung executes and prints; a fault is exit code 10, as a failed run is.
func (a *app) callRung(ctx context.Context, r ladder.Rung, def *plan.RungDef, req executor.Request) error {
	if r.CheckInput != nil {
		if err := r.CheckInput(req.Params); err != nil {
			return cli.WithCode(cli.ExitInvalid, fmt.Errorf("the parameters do not match the tool's input_schema: %w", err))
		}
	}
	if def.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(def.Timeout))
		defer cancel()
	}
	began := time.Now()
	res, err := r.Execute(ctx, req)
	took := time.Since(began)
	if err == nil {
		res.Output, err = r.Result(req.Params, res.Output)
	}
	if err != nil {
		return a.printFault(err, took)
	}
	fmt.Fprintf(a.Err, "%s/%s succeeded in %s\n", req.Tool, req.Rung, took.Round(100*time.Microsecond))
	if a.JSON() {
		return a.PrintJSON(res.Output)
	}
	_, err = fmt.Fprintln(a.Out, text.JSON(string(res.Output)))
	return err
}

func (a *app) printFault(err error, took time.Duration) error {
	f, ok := errors.AsType[steps.Fault](err)
	if !ok {
		f = steps.Fault{Class: steps.ToolError, Acted: steps.ActedMaybe, Message: err.Error()}
	}
	if a.JSON() {
		if err := a.PrintJSON(f); err != nil {
			return err
		}
		return cli.Quiet(cli.ExitRunFailed)
	}
	acted := "may have acted"
	if !f.MayHaveActed() {
		acted = "certainly did not act"
	}
	fmt.Fprintf(a.Out, "%s: %s\n  it %s, and took %s; in a run, by default: %s\n", f.Class, text.Line(f.Message), acted, took.Round(100*time.Microsecond), reactions[f.Class.Reaction()])
	if f.Detail != "" {
		fmt.Fprintf(a.Out, "  %s\n", text.CutMiddle(text.Line(f.Detail), 1500))
	}
	return cli.Quiet(cli.ExitRunFailed)
}

var reactions = map[steps.Reaction]string{
	steps.Retry: "it is retried, then the next rung is tried", steps.NextRung: "it is not retried; the next rung is tried", steps.Ask: "a person is asked at once",
}
