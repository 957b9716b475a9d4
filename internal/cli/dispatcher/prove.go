package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"belay/internal/cli"
	"belay/internal/plan"
	"belay/internal/prove"
	"belay/internal/text"
)

// proveFlags are the flags of `prove`.
type proveFlags struct {
	tools, against, seen  string
	strict, explain, live bool
}

func (a *app) proveCommand() *cobra.Command {
	var f proveFlags
	c := &cobra.Command{
		Use: "prove PLAN...", Short: "Check how plans fail before they run: the worst case, and ways that do not end well",
		Long: "Computes from plans and their tools file what a run may cost at worst, and finds ways on which it would not end as it should. Errors\n" +
			"(exit code 65) break an invariant, and such a plan is not started either; warnings may be meant, and can be waived in the plan.\n" +
			"With -o github in a job of GitHub Actions, the summary of the job gets what is new or bad.",
		Example: "  dispatcher prove examples/*.yaml --tools examples/tools.yaml\n  dispatcher prove refund.yaml --against origin/main",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return a.prove(c.Context(), args, f) },
	}
	fl := c.Flags()
	a.AddOutput(fl, "format of the data on stdout; sarif: for code scanning; github: annotations for GitHub Actions", "sarif", "github")
	fl.StringVar(&f.tools, "tools", "", "tools `file` (default tools.yaml beside the plan)")
	fl.StringVar(&f.against, "against", "", "say first what is different from another plan `file`, or from the state of a git commit, branch or tag")
	fl.BoolVar(&f.strict, "strict", false, "exit with 65 on warnings too")
	fl.BoolVar(&f.live, "live", false, "ask the server at hand, too: whether a running worker serves every tool and rung")
	fl.StringVar(&f.seen, "seen", "", "ask the server at hand, too: which faults of the plan's tools have led to people since `when` = 7d, 12h or a time")
	fl.BoolVar(&f.explain, "explain", false, "say what is proved, what is assumed, and what cannot be known")
	return c
}

// proved is a plan with what there is to say about it.
type proved struct {
	*prove.Report
	Difference *prove.Difference `json:"difference,omitempty"`
	AtHand     *atHand           `json:"at_hand,omitempty"` // with --live or --seen
}

func (a *app) prove(ctx context.Context, paths []string, f proveFlags) error {
	var errs []error
	list := []proved{}
	var docs []*plan.Document
	for _, path := range plansOf(paths, f.tools) {
		p, doc, err := a.proveOne(ctx, path, f)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		list, docs = append(list, p), append(docs, doc)
	}
	if len(list) == 0 && len(errs) == 0 {
		return cli.Usage("there is no plan among the files: the tools file is none")
	}
	if (f.live || f.seen != "") && len(list) > 0 {
		if err := a.ask(ctx, list, docs, f.seen); err != nil {
			return err
		}
	}
	if err := a.printProved(list, f); err != nil {
		return err
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	for _, p := range list {
		if p.Errors > 0 || f.strict && p.Warnings > 0 {
			return cli.Quiet(cli.ExitInvalid)
		}
	}
	return nil
}

// plansOf are the files without the tools file, which a pattern like *.yaml takes in too.
func plansOf(paths []string, tools string) (plans []string) {
	for _, path := range paths {
		file := tools
		if file == "" {
			file = plan.FindTools(path)
		}
		if len(paths) == 1 || filepath.Clean(path) != filepath.Clean(file) {
			plans = append(plans, path)
		}
	}
	return plans
}

func (a *app) proveOne(ctx context.Context, path string, f proveFlags) (proved, *plan.Document, error) {
	doc, tools, err := loadPlan(path, f.tools)
	if err != nil {
		return proved{}, nil, err
	}
	now := time.Now()
	p := proved{Report: prove.Check(doc, tools, now)}
	if f.against == "" {
		return p, doc, nil
	}
	before, err := provedBefore(ctx, path, tools.File, f.against, now)
	if err != nil {
		return proved{}, nil, err
	}
	p.Difference = prove.Compare(before, p.Report, f.against)
	return p, doc, nil
}

// provedBefore is the report of what a plan is compared with: another file with the tools beside it, or this one as it was
// in a commit; nil where it was not there yet.
func provedBefore(ctx context.Context, path, toolsFile, against string, now time.Time) (*prove.Report, error) {
	if info, err := os.Stat(against); err == nil && !info.IsDir() {
		beside := plan.FindTools(against)
		if _, err := os.Stat(beside); err != nil {
			beside = toolsFile
		}
		doc, tools, err := loadPlan(against, beside)
		if err != nil {
			return nil, fmt.Errorf("--against: %w", err)
		}
		return prove.Check(doc, tools, now), nil
	}
	planText, there, err := atCommit(ctx, against, path)
	if err != nil || !there {
		return nil, err
	}
	toolsText, there, err := atCommit(ctx, against, toolsFile)
	if err != nil || !there {
		return nil, err
	}
	tools, err := plan.ParseTools(toolsFile, toolsText)
	if err != nil {
		return nil, fmt.Errorf("--against: in %s: %w", against, err)
	}
	doc, err := plan.ParsePlan(path, planText, tools)
	if err != nil {
		return nil, fmt.Errorf("--against: in %s: %w", against, err)
	}
	return prove.Check(doc, tools, now), nil
}

// gitTime is how long git may take to show a file.
const gitTime = 30 * time.Second

// atCommit reads a file as it was in a commit. There is false where the commit does not have it.
func atCommit(ctx context.Context, ref, path string) (content []byte, there bool, err error) {
	if strings.HasPrefix(ref, "-") {
		return nil, false, cli.Usage("--against %q: neither a file nor the name of a git commit", ref)
	}
	dir, name := filepath.Split(path)
	git := func(args ...string) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, gitTime)
		defer cancel()
		c := exec.CommandContext(ctx, "git", args...)
		c.Dir = dir
		var said strings.Builder
		c.Stderr = &said
		out, err := c.Output()
		if err != nil && said.Len() > 0 {
			first, _, _ := strings.Cut(strings.TrimSpace(said.String()), "\n")
			err = errors.New(first)
		}
		return out, err
	}
	if _, err := git("rev-parse", "--verify", "--end-of-options", ref+"^{commit}"); err != nil {
		return nil, false, cli.WithCode(cli.ExitNotFound, fmt.Errorf("--against %s: there is no such file, and git knows no such commit where %s is (%w)", ref, path, err))
	}
	found, err := git("ls-tree", "--name-only", ref, "--", "./"+name)
	if err != nil || len(found) == 0 {
		return nil, false, err
	}
	content, err = git("show", ref+":./"+name)
	if err != nil {
		return nil, false, fmt.Errorf("--against %s: %w", ref, err)
	}
	return content, true, nil
}

func (a *app) printProved(list []proved, f proveFlags) error {
	switch a.Output() {
	case "json":
		return a.PrintJSON(list)
	case "sarif":
		reports := make([]*prove.Report, len(list))
		for i, p := range list {
			reports[i] = p.Report
		}
		return a.PrintJSON(prove.AsSARIF(reports, cli.Version))
	case "github":
		return a.annotate(list)
	}
	for i, p := range list {
		if i > 0 {
			fmt.Fprintln(a.Out)
		}
		if p.Difference != nil {
			p.Difference.Text(a.Out)
		}
		if err := p.Text(a.Out, f.explain); err != nil {
			return err
		}
		a.printAtHand(p.AtHand)
	}
	return nil
}

// annotate prints lines that GitHub shows beside the change, and adds to the summary of the job.
func (a *app) annotate(list []proved) error {
	for _, p := range list {
		p.Annotations(a.Out)
		fmt.Fprintln(a.Out, p.Headline)
		if p.Difference != nil {
			fmt.Fprintln(a.Out, p.Difference.Headline)
		}
	}
	path := a.Getenv("GITHUB_STEP_SUMMARY")
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("add to the summary of the job: %w", err)
	}
	return errors.Join(summarize(file, list), file.Close())
}

func summarize(w io.Writer, list []proved) error {
	var page strings.Builder
	for _, p := range list {
		p.Summary(&page, p.Difference)
	}
	_, err := io.WriteString(w, page.String())
	return err
}

// refused reports what keeps a plan from being started. What may be meant is counted in one line, and what the plan has
// accepted for too long is said.
func (a *app) refused(doc *plan.Document, tools *plan.Tools, f runFlags) error {
	report := prove.Check(doc, tools, time.Now())
	if f.strict {
		return report.Problems().Err()
	}
	a.warn(report.Unwaived(doc.Warnings))
	if refusals := report.Refusals(); len(refusals) > 0 {
		return refusals
	}
	a.warn(report.Expired())
	how := a.Named("dispatcher prove ") + doc.File
	if f.tools != "" {
		how += " --tools " + f.tools
	}
	switch n := report.Beyond(doc.Warnings); n {
	case 0:
	case 1:
		fmt.Fprintln(a.Err, text.Line("warning: 1 finding about how the plan fails; see it with: "+how))
	default:
		fmt.Fprintln(a.Err, text.Line(fmt.Sprintf("warning: %d findings about how the plan fails; see them with: %s", n, how)))
	}
	return nil
}
