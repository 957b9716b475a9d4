package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"belay/internal/executor"
	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/toolbox"
)

type callFlags struct {
	tools, rung, args string
	yes               bool
}

func (a *app) toolsCall() *cobra.Command {
	var f callFlags
	c := &cobra.Command{
		Use: "call TOOL", Short: "Execute one rung of a tool here, once, outside any run", Args: cobra.ExactArgs(1),
		Long: "Executes a rung as a worker would, with its schemas, its timeout and its real effects, and prints the output or the\n" +
			"fault. Nothing is retried, nothing is stored.",
		Example: `  dispatcher tools call orders.lookup --args '{"order": "A-1009"}'`,
		RunE:    func(c *cobra.Command, args []string) error { return a.call(c.Context(), args[0], f) },
	}
	fl := c.Flags()
	fl.StringVar(&f.tools, "tools", "tools.yaml", "tools file")
	fl.StringVar(&f.rung, "rung", "", "the rung (default the first)")
	fl.StringVar(&f.args, "args", "{}", "the parameters, a JSON object")
	fl.BoolVarP(&f.yes, "yes", "y", false, "execute a tool that is not declared harmless")
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
		return &exitError{exitInvalid, fmt.Errorf("--args: %w", err)}
	}
	var params map[string]json.RawMessage
	if err := json.Unmarshal([]byte(f.args), &params); err != nil || params == nil {
		return &exitError{exitInvalid, fmt.Errorf("--args: a JSON object is needed: %w", err)}
	}
	if def.Effects.Unsafe() && rung != def.Probe && !f.yes {
		return usage("%s has effects: %s, and this executes it for real: say --yes", name, def.Effects)
	}
	o := toolbox.Options{Only: []string{name}, Version: Version, Handlers: a.handlers, Log: a.logger(0)}
	if needsNATS(def) {
		s, err := a.open(ctx, carry{})
		if err != nil {
			return err
		}
		defer s.close()
		o.Bus = s.Bus
	}
	rungs, _, err := toolbox.Build(ctx, tools, o)
	if err != nil {
		return err
	}
	r, ok := rungs[toolbox.Key{Tool: name, Rung: rung.Name}]
	if rung.Human != nil {
		return usage("%s/%s is a person's to answer: a run asks them", name, rung.Name)
	}
	if !ok {
		return usage("%s/%s is Go code, and this program does not have it: use the worker binary that does", name, rung.Name)
	}
	return a.callRung(ctx, r, rung, executor.Request{
		Run: "call", Step: "call", Attempt: "0-0-1", Tool: name, Rung: rung.Name, Params: json.RawMessage(f.args), Key: "call/" + uuid.NewString(), Try: 1,
		Progress: func(text string) { fmt.Fprintln(a.Err, plain(text)) },
	})
}

func pick(tools *plan.Tools, name, rung string) (*plan.ToolDef, *plan.RungDef, error) {
	def := tools.Tools[name]
	if def == nil {
		return nil, nil, &exitError{exitNotFound, fmt.Errorf("%s has no tool %q (dispatcher tools ls lists them)", tools.File, name)}
	}
	for i := range def.Rungs {
		if rung == "" || def.Rungs[i].Name == rung {
			return def, &def.Rungs[i], nil
		}
	}
	if rung == steps.VerifyRung && def.Probe != nil {
		return def, def.Probe, nil
	}
	return nil, nil, &exitError{exitNotFound, fmt.Errorf("tool %s has no rung %q", name, rung)}
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
func (a *app) callRung(ctx context.Context, r toolbox.Rung, def *plan.RungDef, req executor.Request) error {
	if r.CheckInput != nil {
		if err := r.CheckInput(req.Params); err != nil {
			return &exitError{exitInvalid, fmt.Errorf("the parameters do not fit the tool's input_schema: %w", err)}
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
	if a.json() {
		return a.printJSON(res.Output)
	}
	_, err = fmt.Fprintln(a.Out, plainJSON(res.Output))
	return err
}

func (a *app) printFault(err error, took time.Duration) error {
	f, ok := errors.AsType[steps.Fault](err)
	if !ok {
		f = steps.Fault{Class: steps.ToolError, Acted: steps.ActedMaybe, Message: err.Error()}
	}
	if a.json() {
		if err := a.printJSON(f); err != nil {
			return err
		}
		return quiet(exitRunFailed)
	}
	acted := "may have acted"
	if !f.MayHaveActed() {
		acted = "surely did not act"
	}
	fmt.Fprintf(a.Out, "%s: %s\n  it %s, and took %s; by default: %s\n", f.Class, plain(f.Message), acted, took.Round(100*time.Microsecond), reactions[f.Class.Reaction()])
	if f.Detail != "" {
		fmt.Fprintf(a.Out, "  %s\n", cutMiddle(plain(f.Detail), 1500))
	}
	return quiet(exitRunFailed)
}

var reactions = map[steps.Reaction]string{
	steps.Retry: "it is tried again, then the next rung", steps.NextRung: "it is never repeated; the next rung", steps.Ask: "a person is asked at once",
}
