package dispatcher

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"belay/internal/cli"
	"belay/internal/dlq"
	"belay/internal/exactjson"
	"belay/internal/gates"
	"belay/internal/ladder"
	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// runFlags are the flags of `run`.
type runFlags struct {
	tools, inputFile, id string
	at, in               string
	input, labels        []string
	wait, detach, strict bool
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use: "run PLAN", Short: "Submit a plan and follow its run",
		Long: "Submits a plan and follows its run until it ends, or until only a person can move it on (exit code 11). If no server is\n" +
			"named or running, everything happens in this process, with its state in --data-dir. A run that begins later (--at, --in) is\n" +
			"accepted, and the command ends; where no server is running, it begins once somebody follows it at that time.",
		Example: "  dispatcher run examples/basic.yaml\n  dispatcher run refund.yaml --input order=A-1009 --id refund-A-1009 -o json\n  dispatcher run report.yaml --in 2h",
		Args:    cobra.ExactArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return a.run(c.Context(), args[0], f) },
	}
	fl := c.Flags()
	f.addInput(fl)
	fl.StringVar(&f.id, "id", "", "`id` of the run; submitting the same plan and input twice under one id starts one run (default: a new id)")
	fl.StringArrayVarP(&f.labels, "label", "l", nil, "a label of the run, `key=value`")
	fl.BoolVar(&f.wait, "wait", false, "do not exit while the run waits for a person, or for its time to begin")
	fl.StringVar(&f.at, "at", "", "begin at this `time`, such as 2026-11-30T09:00:00+01:00, and not now")
	fl.StringVar(&f.in, "in", "", "begin in this `duration` from when it is accepted: 90s, 10m, 2h or 7d")
	fl.BoolVar(&f.strict, "strict", false, "do not start a plan of which prove has a warning that is not waived")
	fl.BoolVar(&f.detach, "detach", false, "print the run's id and exit; needs a server")
	return c
}

// addInput defines the flags that say which tools and inputs a plan has.
func (f *runFlags) addInput(fl *pflag.FlagSet) {
	fl.StringVar(&f.tools, "tools", "", "tools `file` (default tools.yaml beside the plan)")
	fl.StringArrayVarP(&f.input, "input", "i", nil, "an input of the plan, `name=value`; it takes the type of the default")
	fl.StringVarP(&f.inputFile, "input-file", "f", "", "`file` with a JSON object of inputs; - = stdin")
}

func (a *app) run(ctx context.Context, path string, f runFlags) error {
	sub, tools, err := a.submission(path, f)
	if err != nil {
		return err
	}
	if f.id == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("make an id: %w", err)
		}
		f.id = id.String()
	}
	s, err := a.open(ctx, carry{dispatch: true, tools: tools, server: f.detach})
	if err != nil {
		return err
	}
	defer s.close()
	for _, k := range s.Missing {
		if usesTool(sub, k.Tool) {
			fmt.Fprintf(a.Err, "nobody here serves %s: %s; start `dispatcher dev`, and a worker that can\n", k, ladder.Lacks(tools, k))
		}
	}
	var submitted func(error)
	sub.Trace, submitted = a.Traces.Submit(ctx, f.id, definition(sub).Plan.Name)
	created, err := s.Runs.Submit(ctx, f.id, sub)
	submitted(err)
	if err != nil {
		return err
	}
	if f.detach {
		return a.printID(f.id)
	}
	if !created {
		fmt.Fprintf(a.Err, "run %s was submitted before; following it\n", f.id)
	}
	return a.follow(ctx, s, f.id, f.wait)
}

// usesTool reports whether a plan names a tool.
func usesTool(sub steps.Submitted, tool string) bool {
	_, ok := definition(sub).Tools[tool]
	return ok
}

// definition decodes what was pinned a moment ago, so it cannot fail.
func definition(sub steps.Submitted) (def steps.Definition) {
	_ = exactjson.Unmarshal(sub.Document, &def)
	return def
}

func (a *app) printID(id string) error {
	if a.JSON() {
		return a.PrintJSON(map[string]string{"id": id})
	}
	_, err := fmt.Fprintln(a.Out, id)
	return err
}

// submission reads and checks all that a run starts with.
func (a *app) submission(path string, f runFlags) (steps.Submitted, *plan.Tools, error) {
	var none steps.Submitted
	doc, tools, err := loadPlan(path, f.tools)
	if err != nil {
		return none, nil, err
	}
	if err := a.refused(doc, tools, f); err != nil {
		return none, nil, err
	}
	given, err := a.inputs(doc, f)
	if err != nil {
		return none, nil, err
	}
	input, err := doc.CheckInput(given)
	if err != nil {
		return none, nil, cli.WithCode(cli.ExitInvalid, err)
	}
	labels, err := pairs("label", f.labels)
	if err != nil {
		return none, nil, err
	}
	for k, v := range doc.Definition.Plan.Labels {
		if _, ok := labels[k]; !ok {
			labels[k] = v
		}
	}
	at, in, err := plan.ParseStart(f.at, f.in)
	if err != nil {
		if start, ok := errors.AsType[*plan.StartError](err); ok {
			err = cli.Usage("--%s: %s", start.Field, start.Text)
		}
		return none, nil, err
	}
	toolsFile, err := filepath.Abs(tools.File)
	if err != nil {
		toolsFile = tools.File
	}
	return steps.Submitted{Document: doc.JSON, Input: input, Labels: labels, ToolsFile: toolsFile, By: me(), At: at, In: in}, tools, nil
}

// loadPlan reads a plan and its tools file.
func loadPlan(path, toolsPath string) (*plan.Document, *plan.Tools, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("there is no plan %s: %w", path, fs.ErrNotExist)
	}
	if toolsPath == "" {
		toolsPath = plan.FindTools(path)
	}
	tools, err := plan.LoadTools(toolsPath)
	if err != nil {
		return nil, nil, err
	}
	doc, err := plan.LoadPlan(path, tools)
	return doc, tools, err
}

func (a *app) inputs(doc *plan.Document, f runFlags) (map[string]json.RawMessage, error) {
	given := map[string]json.RawMessage{}
	if f.inputFile != "" {
		if err := a.readJSON(f.inputFile, &given); err != nil {
			return nil, err
		}
	}
	texts, err := pairs("input", f.input)
	if err != nil {
		return nil, err
	}
	for k, v := range texts {
		if given[k], err = doc.ParseInput(k, v); err != nil {
			return nil, cli.WithCode(cli.ExitInvalid, err)
		}
	}
	return given, nil
}

func (a *app) readJSON(path string, v any) error {
	var data []byte
	var err error
	if path == "-" {
		data, err = io.ReadAll(a.In)
	} else {
		data, err = os.ReadFile(path)
	}
	if err != nil {
		return fmt.Errorf("--input-file: %w", err)
	}
	if err := steps.CheckDepth(data); err != nil {
		return cli.WithCode(cli.ExitInvalid, fmt.Errorf("%s: %w", path, err))
	}
	if err := exactjson.Unmarshal(withoutMark(data), v); err != nil {
		return cli.WithCode(cli.ExitInvalid, fmt.Errorf("%s is not a JSON object: %w", path, err))
	}
	return nil
}

// withoutMark removes the byte order mark that some editors on Windows put before a text.
func withoutMark(text []byte) []byte { return bytes.TrimPrefix(text, []byte("\ufeff")) }

func pairs(what string, list []string) (map[string]string, error) {
	m := make(map[string]string, len(list))
	for _, p := range list {
		k, v, ok := strings.Cut(p, "=")
		if !ok || k == "" {
			return nil, cli.Usage("--%s %q: write it as name=value", what, p)
		}
		m[k] = v
	}
	return m, nil
}

// me is the user name of the person at this terminal, who submits and decides.
func me() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "unknown"
}

// follow prints what happens to a run until it ends or waits for a person, and returns its exit code as an error.
func (a *app) follow(ctx context.Context, s *session, id string, wait bool) error {
	p := a.newProgress(id)
	var last *steps.State
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-s.Failed():
			cancel(s.Err())
		case <-ctx.Done():
		}
	}()
	asking, stopAsking := context.WithCancel(ctx)
	defer stopAsking()
	go a.watchServed(asking, s, p)
	// A run that waits may be about to go on, because a decision is in the log beyond what is folded. So only a state
	// that was folded up to the head counts.
	head, err := s.Runs.Load(ctx, id)
	if err != nil {
		return err
	}
	err = s.Runs.Follow(ctx, id, func(st *steps.State, r steps.Record, touched []int) bool {
		last = st
		p.record(st, touched)
		if (s.embedded || st.GoesOnAs() != "") && st.Status().Ended() && !st.Closed() {
			return true // the end follows in a moment: only this process can write it, or the run that it goes on as is submitted before
		}
		return !rests(st, wait) || r.Seq < head.Seq || gates.Of(s.Bus).Released(ctx, st)
	})
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
			return cause
		}
		if ctx.Err() != nil {
			if s.embedded { // closing the session waits for what is executed here
				fmt.Fprintln(a.Err, "stopping: finishing what is under way (interrupt once more to leave at once)")
			}
			return a.left(id, s.embedded)
		}
		return err
	}
	if to := last.GoesOnAs(); to != "" {
		fmt.Fprintf(a.Err, "run %s goes on as %s; following that\n", id, to)
		return a.follow(ctx, s, to, wait)
	}
	dlq.New(s.Bus).AwaitOpen(ctx, last) // an embedded dispatcher ends with this command
	if err := a.finish(last, p); err != nil || last.Status() != steps.RunScheduled {
		return err
	}
	a.sayScheduled(s, id)
	return nil
}

// rests reports whether following a run ends in this state: nothing moves it on by itself, or not for a time.
func rests(s *steps.State, wait bool) bool {
	st := s.Status()
	return st.Ended() || (st == steps.RunWaiting || st == steps.RunScheduled) && !wait
}

// sayScheduled says how a run whose time has not come is followed and called off.
func (a *app) sayScheduled(s *session, id string) {
	follow := a.Named("dispatcher runs watch ") + short(id) + " --wait" + a.Flags()
	if s.embedded {
		fmt.Fprintf(a.Err, "no dispatcher is running, so it begins only while somebody follows it: %s\n", follow)
		return
	}
	fmt.Fprintf(a.Err, "follow it with: %s; call it off with: %s\n", follow, a.Named("dispatcher runs cancel ")+short(id)+a.Flags())
}

func (a *app) left(id string, embedded bool) error {
	how := a.Named("dispatcher runs watch ") + short(id) + a.Flags()
	if embedded {
		return cli.WithCode(cli.ExitInterrupted, fmt.Errorf("interrupted; the run is stored, and goes on only when you start: %s", how))
	}
	return cli.WithCode(cli.ExitInterrupted, fmt.Errorf("interrupted; the run goes on without this command; follow it with: %s", how))
}

func (a *app) finish(s *steps.State, p *progress) error {
	doc := view.Show(s)
	if a.JSON() {
		if err := a.PrintJSON(doc); err != nil {
			return err
		}
	} else {
		p.end(s, doc)
	}
	return cli.Quiet(exitOf(doc.State))
}
