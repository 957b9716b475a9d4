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
	c := &cobra.Command{
		Use: "lint PLAN...", Short: "Check plans and their tools file; every mistake with its position",
		Long: "Checks plans and their tools file, and names every mistake with its position (exit code 65). What is no mistake and may still\n" +
			"not be meant is a warning, and the exit code is 0.",
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.lint(args, tools) },
	}
	c.Flags().StringVar(&tools, "tools", "", "tools file (default tools.yaml beside the plan)")
	return c
}

// linted is what lint says of a plan without mistakes.
type linted struct {
	File     string        `json:"file"`
	Plan     string        `json:"plan"`
	Steps    int           `json:"steps"`
	Tools    int           `json:"tools"`
	Warnings []lintWarning `json:"warnings"`
}

type lintWarning struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Col     int    `json:"col"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func (a *app) lint(paths []string, toolsPath string) error {
	var errs []error
	list := []linted{}
	for _, path := range paths {
		doc, tools, err := loadPlan(path, toolsPath)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		warnings := doc.LintedWith(tools)
		a.warn(warnings)
		d := doc.Definition
		l := linted{path, d.Plan.Name, len(d.Plan.Steps), len(d.Tools), []lintWarning{}}
		for _, w := range warnings {
			l.Warnings = append(l.Warnings, lintWarning{w.File, w.Line, w.Col, w.Message, w.Hint})
		}
		list = append(list, l)
		fmt.Fprintf(a.Err, "%s: plan %s, %d steps, %d tools: no mistakes%s\n", path, l.Plan, l.Steps, l.Tools, counted(len(warnings)))
	}
	if a.json() && len(errs) == 0 {
		return a.printJSON(list)
	}
	return errors.Join(errs...)
}

func counted(warnings int) string {
	switch warnings {
	case 0:
		return ""
	case 1:
		return ", 1 warning"
	}
	return fmt.Sprintf(", %d warnings", warnings)
}

// warn shows what may not be meant.
func (a *app) warn(warnings plan.Problems) {
	for _, w := range warnings {
		fmt.Fprintln(a.Err, "warning: "+plain(w.String()))
	}
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
