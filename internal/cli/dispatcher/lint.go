package dispatcher

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"belay/internal/cli"
	"belay/internal/plan"
	"belay/internal/schema"
	"belay/internal/text"
	"belay/internal/yamldoc"
)

func (a *app) lintCommand() *cobra.Command {
	var tools string
	var printed bool
	c := &cobra.Command{
		Use: "lint PLAN...", Short: "Check plans and their tools file, and list all mistakes with their positions",
		Long: "Checks plans and their tools file, and lists all mistakes with their positions (exit code 65). What is valid but may not be\n" +
			"intended is a warning, which does not change the exit code.",
		Example: "  dispatcher lint plans/*.yaml --tools tools.yaml",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if printed {
				return a.printDocument(args, tools)
			}
			return a.lint(args, tools)
		},
	}
	c.Flags().StringVar(&tools, "tools", "", "tools `file` (default tools.yaml beside the plan)")
	c.Flags().BoolVar(&printed, "print", false, "print the plan with the policies of its tools as one JSON document: what a program that speaks plain NATS submits")
	return c
}

// printDocument prints what is pinned into a run of the plan.
func (a *app) printDocument(paths []string, toolsPath string) error {
	if len(paths) != 1 {
		return cli.WithCode(cli.ExitUsage, errors.New("--print prints the document of one plan"))
	}
	doc, tools, err := loadPlan(paths[0], toolsPath)
	if err != nil {
		return err
	}
	a.warn(doc.LintedWith(tools))
	_, err = a.Out.Write(append(doc.JSON, '\n'))
	return err
}

// linted is what lint says about a plan without mistakes.
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
	Code    string `json:"code,omitempty"`
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
			l.Warnings = append(l.Warnings, lintWarning{w.File, w.Line, w.Col, w.Message, w.Hint, w.Code})
		}
		list = append(list, l)
		fmt.Fprintf(a.Err, "%s: plan %s, %d steps, %d tools: no mistakes%s\n", path, l.Plan, l.Steps, l.Tools, counted(len(warnings)))
	}
	if a.JSON() && len(errs) == 0 {
		return a.PrintJSON(list)
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

// warn prints what may not be intended.
func (a *app) warn(warnings yamldoc.Problems) {
	for _, w := range warnings {
		fmt.Fprintln(a.Err, "warning: "+text.Line(w.String()))
	}
}

func (a *app) schemaCommand() *cobra.Command {
	const written = "plan|tools|settings"
	read := strings.Join(schema.Kinds(), "|")
	long := "Of what people write, for editors: plans, tools files and settings files (draft-07). Of what the programs write, for other programs (2020-12):\n"
	for _, d := range schema.Documents {
		long += fmt.Sprintf("\n  %-8s  %s", d.Kind, d.Title)
	}
	return &cobra.Command{Use: "schema [" + written + "|" + read + "]", Short: "Print the JSON Schema of a kind of document", Long: long, Args: cobra.MaximumNArgs(1),
		Example: "  dispatcher schema tools > belay-tools.schema.json\n  dispatcher schema run", RunE: func(_ *cobra.Command, args []string) error {
			return a.printSchema(cmp.Or(strings.Join(args, ""), "plan"), written+"|"+read)
		}}
}

func (a *app) printSchema(kind, kinds string) error {
	var b []byte
	var err error
	switch {
	case kind == "settings":
		return a.PrintJSON(cli.SettingsSchema())
	case slices.Contains(schema.Kinds(), kind):
		b, err = schema.Of(kind)
	case slices.Contains([]string{"plan", "tools"}, kind):
		b, err = plan.Schema(kind)
	default:
		return cli.Usage("there is no schema of %q; there are %s", kind, strings.ReplaceAll(kinds, "|", ", "))
	}
	if err != nil {
		return err
	}
	_, err = a.Out.Write(append(b, '\n'))
	return err
}

func (a *app) toolsCommand() *cobra.Command {
	c := &cobra.Command{Use: "tools", Short: "List the tools of a tools file, call one, or import those of a server", RunE: cli.NeedSubcommand}
	var file string
	ls := &cobra.Command{Use: "ls", Short: "List the tools of a tools file with their effects and ladders", Example: "  dispatcher tools ls --tools examples/tools.yaml", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		t, err := plan.LoadTools(file)
		if err != nil {
			return err
		}
		return a.listTools(t)
	}}
	ls.Flags().StringVar(&file, "tools", "tools.yaml", "tools `file`")
	c.AddCommand(ls, a.toolsCall(), a.toolsImport())
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
		Undo     string `json:"undo,omitempty"`     // the tool that undoes a call
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
		if def.Undo != nil {
			r.Undo = def.Undo.Tool
		}
		rows = append(rows, r)
	}
	if a.JSON() {
		return a.PrintJSON(rows)
	}
	var lines [][]any
	for _, r := range rows {
		for i, rung := range r.Rungs {
			if i == 0 {
				lines = append(lines, []any{text.Cut(r.Name, 30), r.Effects, text.Line(rung)})
				continue
			}
			lines = append(lines, []any{"", "", text.Line(rung)})
		}
		if r.Approval != "" {
			lines = append(lines, []any{"", "", "approval: " + text.Line(r.Approval)})
		}
		if r.Verify != "" {
			lines = append(lines, []any{"", "", "verify: " + text.Line(r.Verify)})
		}
		if r.Undo != "" {
			lines = append(lines, []any{"", "", "undo: " + r.Undo})
		}
	}
	return a.List([]any{"TOOL", "EFFECTS", "LADDER"}, lines)
}
