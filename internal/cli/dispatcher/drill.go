package dispatcher

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"belay/internal/cli"
	"belay/internal/drill"
)

// drillFlags are the flags of `drill`.
type drillFlags struct {
	runFlags
	outputs, cell, story string
	baseline, write      string
	html, junit          string
	pairs                bool
	budget               time.Duration
	width                int
}

func (a *app) drillCommand() *cobra.Command {
	var f drillFlags
	c := &cobra.Command{
		Use: "drill PLAN|STORY...", Short: "Play a plan under every fault that it can meet, and show how each ends",
		Long: "Plays a plan on a virtual clock under every single fault of its steps, of what undoes them, of workers, dispatcher and people, with\n" +
			"the real core and the worker's real handling of messages; nothing is called and nothing is stored. Effects are counted in the\n" +
			"world that is played, not taken from the run. Exit code 1 if an effect is lost or happens twice, if a run is stuck, or if a cell is worse than in\n" +
			"the baseline.\n\n" +
			"Stories (NAME.story.yaml) are plays that were written down, with --cell and --story or by `runs export --story`; each is played, and\n" +
			"exit code 1 says that one does not end as it should.",
		Example: "  dispatcher drill refund.yaml --baseline refund.drill.json\n  dispatcher drill refund.yaml --cell refund/503\n  dispatcher drill refund.yaml --html drill.html --junit drill.xml\n" +
			"  dispatcher drill refund.yaml --cell refund/503 --story testdata/refund-503.story.yaml\n  dispatcher drill testdata/*.story.yaml",
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if isStory(args[0]) {
				return a.tellStories(args)
			}
			if len(args) > 1 {
				return cli.Usage("one plan at a time; several stories (NAME.story.yaml) are played one after the other")
			}
			return a.drill(args[0], f)
		},
	}
	fl := c.Flags()
	f.addInput(fl)
	fl.StringVar(&f.outputs, "outputs", "", "YAML `file` with what tools give, by step or tool; what is not in it is made up")
	fl.StringVar(&f.cell, "cell", "", "play one `TARGET/FAULT` and print what happens, such as refund/timeout or refund/503")
	fl.StringVar(&f.story, "story", "", "with --cell: write its worst play to this `file`, as a test that can be committed (NAME.story.yaml)")
	fl.StringVar(&f.baseline, "baseline", "", "compare with a baseline `file`; worse cells give exit code 1")
	fl.StringVar(&f.write, "write-baseline", "", "write the baseline `file`, to be committed")
	fl.StringVar(&f.html, "html", "", "write the matrix as a page to this `file`")
	fl.StringVar(&f.junit, "junit", "", "write the cells as JUnit test results to this `file`")
	fl.BoolVar(&f.pairs, "pairs", false, "play every pair of faults too")
	fl.DurationVar(&f.budget, "budget", time.Minute, "how long --pairs may take")
	fl.IntVar(&f.width, "width", 110, "`columns` of the matrix as text")
	return c
}

func (a *app) drill(path string, f drillFlags) error {
	d, err := a.prepareDrill(path, f)
	if err != nil {
		return err
	}
	if f.cell != "" {
		return a.drillCell(d, f)
	}
	if f.story != "" {
		return cli.Usage("--story writes one cell down: say which with --cell")
	}
	r := d.Run()
	if f.pairs {
		d.PlayPairs(r, f.budget)
	}
	changes, err := a.changes(r, f.baseline)
	if err != nil {
		return err
	}
	if err := writeDrill(r, changes, f); err != nil {
		return err
	}
	if a.JSON() {
		if err := a.PrintJSON(drilled{r.Headline(), r, changes}); err != nil {
			return err
		}
	} else {
		r.Text(a.Out, f.width)
	}
	return a.verdict(r, changes, f)
}

// drilled is what drill prints as JSON.
type drilled struct {
	Headline string `json:"headline"`
	*drill.Report
	Changes []drill.Change `json:"changes"`
}

func (a *app) prepareDrill(path string, f drillFlags) (*drill.Drill, error) {
	doc, tools, err := loadPlan(path, f.tools)
	if err != nil {
		return nil, err
	}
	given, err := a.inputs(doc, f.runFlags)
	if err != nil {
		return nil, err
	}
	input, err := doc.CheckInput(given)
	if err != nil {
		return nil, cli.WithCode(cli.ExitInvalid, err)
	}
	d := &drill.Drill{Doc: doc, Tools: tools, Input: input}
	if d.Outputs, err = outputsOf(f.outputs); err != nil {
		return nil, err
	}
	if err := d.Prepare(); err != nil {
		return nil, cli.WithCode(cli.ExitInvalid, fmt.Errorf("%s: %w", path, err))
	}
	if err := d.PrepareUndo(); err != nil {
		return nil, cli.WithCode(cli.ExitInvalid, fmt.Errorf("%s: %w", path, err))
	}
	return d, nil
}

// outputsOf reads a file of outputs.
func outputsOf(path string) (map[string]json.RawMessage, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--outputs: %w", err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(data, &values); err != nil {
		return nil, cli.WithCode(cli.ExitInvalid, fmt.Errorf("--outputs: %s is not a mapping from steps or tools to outputs: %w", path, err))
	}
	all, err := encoded(values)
	if err != nil {
		return nil, cli.WithCode(cli.ExitInvalid, fmt.Errorf("--outputs: %w", err))
	}
	return all, nil
}

// encoded are outputs as JSON.
func encoded(values map[string]any) (map[string]json.RawMessage, error) {
	all := make(map[string]json.RawMessage, len(values))
	for name, v := range values {
		var err error
		if all[name], err = json.Marshal(v); err != nil {
			return nil, fmt.Errorf("the output of %s is not JSON: %w", name, err)
		}
	}
	return all, nil
}

func (a *app) drillCell(d *drill.Drill, f drillFlags) error {
	c, err := d.Cell(f.cell)
	if err != nil {
		return cli.WithCode(cli.ExitUsage, err)
	}
	if f.story != "" {
		if err := writeStoryOf(d, c, f.story); err != nil {
			return err
		}
	}
	if a.JSON() {
		err = a.PrintJSON(c)
	} else {
		c.Timeline(a.Out)
	}
	if err == nil && c.Outcome.Bad() {
		err = cli.Quiet(cli.ExitUnexpected)
	}
	return err
}

// changes compares with a baseline.
func (a *app) changes(r *drill.Report, path string) ([]drill.Change, error) {
	if path == "" {
		return []drill.Change{}, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--baseline: %w", err)
	}
	b, err := drill.ParseBaseline(data, r.Name)
	if err != nil {
		return nil, cli.WithCode(cli.ExitInvalid, fmt.Errorf("--baseline %s: %w", path, err))
	}
	return r.Against(b), nil
}

// writeDrill writes the files that are asked for.
func writeDrill(r *drill.Report, changes []drill.Change, f drillFlags) error {
	files := map[string]func(io.Writer) error{
		f.html:  func(w io.Writer) error { return r.HTML(w, changes) },
		f.junit: func(w io.Writer) error { return r.JUnit(w, changes) },
		f.write: func(w io.Writer) error {
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			return e.Encode(r.Baseline())
		},
	}
	var errs []error
	for path, write := range files {
		if path == "" {
			continue
		}
		var b bytes.Buffer
		if err := write(&b); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, os.WriteFile(path, b.Bytes(), 0o644))
	}
	return errors.Join(errs...)
}

// verdict says what must not be, and gives the exit code.
func (a *app) verdict(r *drill.Report, changes []drill.Change, f drillFlags) error {
	worse := drill.Changes(a.Err, changes)
	summarizeDrill(r, changes)
	switch {
	case r.Bad():
		return cli.WithCode(cli.ExitUnexpected, errors.New("the drill found what must never be"))
	case worse:
		return cli.WithCode(cli.ExitUnexpected, fmt.Errorf("the drill is worse than %s; if that is meant, write it anew with --write-baseline", filepath.Base(f.baseline)))
	}
	return nil
}

// summarizeDrill adds the headline, and only what is bad or has changed, to the summary of a job at GitHub.
func summarizeDrill(r *drill.Report, changes []drill.Change) {
	path := os.Getenv("GITHUB_STEP_SUMMARY")
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return
	}
	defer f.Close()
	r.Markdown(f, changes)
}
