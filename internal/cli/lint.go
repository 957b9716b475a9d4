package cli

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"belay/internal/plan"
)

func (a *app) lintCommand() *cobra.Command {
	var tools string
	c := &cobra.Command{Use: "lint PLAN...", Short: "Check plans and their tools file; every mistake with its position", Args: cobra.MinimumNArgs(1), RunE: func(_ *cobra.Command, args []string) error {
		var errs []error
		for _, path := range args {
			doc, _, err := loadPlan(path, tools)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			fmt.Fprintf(a.Err, "%s: plan %s, %d steps, %d tools: no mistakes\n", path, doc.Definition.Plan.Name, len(doc.Definition.Plan.Steps), len(doc.Definition.Tools))
		}
		return errors.Join(errs...)
	}}
	c.Flags().StringVar(&tools, "tools", "", "tools file (default tools.yaml beside the plan)")
	return c
}

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{Use: "schema [plan|tools|settings]", Short: "Print the JSON Schema of plans, tools files or settings files, for editors", Args: cobra.MaximumNArgs(1), RunE: func(_ *cobra.Command, args []string) error {
		kind := "plan"
		if len(args) > 0 {
			kind = args[0]
		}
		if kind == "settings" {
			return a.printJSON(settingsJSONSchema())
		}
		b, err := plan.Schema(kind)
		if err != nil {
			return &exitError{exitUsage, err}
		}
		_, err = a.Out.Write(append(b, '\n'))
		return err
	}}
}

func (a *app) toolsCommand() *cobra.Command {
	c := &cobra.Command{Use: "tools", Short: "List the tools of a tools file, and call one", RunE: needSubcommand}
	var file string
	ls := &cobra.Command{Use: "ls", Short: "List tools with effects and ladders", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		t, err := plan.LoadTools(file)
		if err != nil {
			return err
		}
		return a.listTools(t)
	}}
	ls.Flags().StringVar(&file, "tools", "tools.yaml", "tools file")
	c.AddCommand(ls, a.toolsCall())
	return c
}

func (a *app) listTools(t *plan.Tools) error {
	type row struct {
		Name    string   `json:"name"`
		Effects string   `json:"effects"`
		Timeout float64  `json:"timeout"`
		Rungs   []string `json:"rungs"`

		Approval string `json:"approval,omitempty"` // when a call waits for a person
		Verify   string `json:"verify,omitempty"`   // the probe for unknown outcomes
	}
	rows := []row{}
	for _, name := range slices.Sorted(maps.Keys(t.Tools)) {
		def := t.Tools[name]
		r := row{Name: name, Effects: string(def.Effects), Timeout: float64(def.Timeout) / 1e9}
		for _, rung := range def.Rungs {
			r.Rungs = append(r.Rungs, rung.Name+": "+rung.Executor+" "+rung.Target)
		}
		if def.Approval != nil {
			r.Approval = cmp.Or(def.Approval.When, "always")
		}
		if def.Probe != nil {
			r.Verify = def.Probe.Executor + " " + def.Probe.Target
		}
		rows = append(rows, r)
	}
	if a.json() {
		return a.printJSON(rows)
	}
	var lines [][]any
	for _, r := range rows {
		for i, rung := range r.Rungs {
			if i == 0 {
				lines = append(lines, []any{cut(r.Name, 30), r.Effects, plain(rung)})
				continue
			}
			lines = append(lines, []any{"", "", plain(rung)})
		}
		if r.Approval != "" {
			lines = append(lines, []any{"", "", "approval: " + plain(r.Approval)})
		}
		if r.Verify != "" {
			lines = append(lines, []any{"", "", "verify: " + plain(r.Verify)})
		}
	}
	return a.list([]any{"TOOL", "EFFECTS", "LADDER"}, lines)
}
