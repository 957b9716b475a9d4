package cli

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
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"belay/internal/dlq"
	"belay/internal/plan"
	"belay/internal/steps"
)

// runFlags are the flags of `run`.
type runFlags struct {
	tools, inputFile, id string
	input, labels        []string
	wait, detach         bool
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use: "run PLAN", Short: "Submit a plan and follow the run",
		Long: "Submits a plan and follows the run until it ends, or until only a person can move it on (exit code 11).\n" +
			"Where no server is named or running, everything runs inside this process, with its state in --data-dir.",
		Example: "  dispatcher run examples/basic.yaml\n  dispatcher run refund.yaml --input order=A-1009 --id refund-A-1009 -o json",
		Args:    cobra.ExactArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return a.run(c.Context(), args[0], f) },
	}
	fl := c.Flags()
	fl.StringVar(&f.tools, "tools", "", "tools file (default tools.yaml beside the plan)")
	fl.StringArrayVarP(&f.input, "input", "i", nil, "an input, name=value; takes the type of the plan's default")
	fl.StringVarP(&f.inputFile, "input-file", "f", "", "JSON object with inputs, - for stdin")
	fl.StringVar(&f.id, "id", "", "the run's id; submitting twice with the same id is once")
	fl.StringArrayVarP(&f.labels, "label", "l", nil, "a label, key=value")
	fl.BoolVar(&f.wait, "wait", false, "wait for people too")
	fl.BoolVar(&f.detach, "detach", false, "print the id and leave; needs a server")
	return c
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
			fmt.Fprintf(a.Err, "nobody here serves %s: its handler is Go code; start the worker binary that has it against a server that both share\n", k)
		}
	}
	var submitted func(error)
	sub.Trace, submitted = a.traces.Submit(ctx, f.id, definition(sub).Plan.Name)
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

// definition reads back what was pinned; it was written a moment ago.
func definition(sub steps.Submitted) (def steps.Definition) {
	_ = json.Unmarshal(sub.Document, &def)
	return def
}

func (a *app) printID(id string) error {
	if a.json() {
		return a.printJSON(map[string]string{"id": id})
	}
	_, err := fmt.Fprintln(a.Out, id)
	return err
}

// submission reads and checks everything that a run is made of.
func (a *app) submission(path string, f runFlags) (steps.Submitted, *plan.Tools, error) {
	var none steps.Submitted
	doc, tools, err := loadPlan(path, f.tools)
	if err != nil {
		return none, nil, err
	}
	a.warn(doc.Warnings)
	given, err := a.inputs(doc, f)
	if err != nil {
		return none, nil, err
	}
	input, err := doc.CheckInput(given)
	if err != nil {
		return none, nil, &exitError{exitInvalid, err}
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
	toolsFile, err := filepath.Abs(tools.File)
	if err != nil {
		toolsFile = tools.File
	}
	return steps.Submitted{Document: doc.JSON, Input: input, Labels: labels, ToolsFile: toolsFile, By: me()}, tools, nil
}

// loadPlan reads a plan and its tools. Mistakes in either are reported together where that is possible.
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
			return nil, &exitError{exitInvalid, err}
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
		return fmt.Errorf("read input: %w", err)
	}
	if err := steps.CheckDepth(data); err != nil {
		return &exitError{exitInvalid, fmt.Errorf("%s: %w", path, err)}
	}
	if err := json.Unmarshal(withoutMark(data), v); err != nil {
		return &exitError{exitInvalid, fmt.Errorf("%s: not a JSON object: %w", path, err)}
	}
	return nil
}

// withoutMark is a file's text without the byte order mark that editors of Windows origin put before it.
func withoutMark(text []byte) []byte { return bytes.TrimPrefix(text, []byte("\ufeff")) }

func pairs(what string, list []string) (map[string]string, error) {
	m := make(map[string]string, len(list))
	for _, p := range list {
		k, v, ok := strings.Cut(p, "=")
		if !ok || k == "" {
			return nil, usage("--%s %q: it is written name=value", what, p)
		}
		m[k] = v
	}
	return m, nil
}

// me is who submits and decides, as the operating system knows them.
func me() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "unknown"
}

// follow prints what happens to a run until it ends or rests, and ends with its exit code.
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
	asking, told := context.WithCancel(ctx)
	defer told()
	go a.watchServed(asking, s, p)
	// A waiting run may be about to go on: a decision is in the log, and the fold is not through. The log tells in order,
	// so only a state that was folded to the head counts.
	head, err := s.Runs.Load(ctx, id)
	if err != nil {
		return err
	}
	err = s.Runs.Follow(ctx, id, func(st *steps.State, r steps.Record, touched []int) bool {
		last = st
		p.record(st, touched)
		if s.embedded && st.Status().Ended() && !st.Closed() {
			return true // a moment, and the log holds the end too: nobody else is there to write it
		}
		return !rests(st, wait) || r.Seq < head.Seq
	})
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
			return cause
		}
		if ctx.Err() != nil {
			if s.embedded { // closing the session takes as long as what is executed here
				fmt.Fprintln(a.Err, "stopping: finishing what is under way (again to leave at once)")
			}
			return a.left(id, s.embedded)
		}
		return err
	}
	s.listed(ctx, last)
	return a.finish(last, p)
}

// listTime bounds how long a command that ends at a waiting run holds on until the list of escalations has what the run
// waits for.
const listTime = 5 * time.Second

// listed waits until the list of escalations has what a run waits for: the next command is `esc ls`, and an embedded
// dispatcher ends with this one. Where nobody puts it there in time, the next dispatcher does.
func (s *session) listed(ctx context.Context, st *steps.State) {
	if st.Status() != steps.RunWaiting {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	box := dlq.New(s.Bus)
	for n := range st.Escalations {
		if st.Escalations[n].State != steps.EscalationOpen {
			continue
		}
		if err := box.Await(ctx, steps.ViewEscalation(st, n)); err != nil || ctx.Err() != nil {
			return
		}
	}
}

// rests reports whether following ends here.
func rests(s *steps.State, wait bool) bool {
	st := s.Status()
	return st.Ended() || st == steps.RunWaiting && !wait
}

func (a *app) left(id string, embedded bool) error {
	how := a.named("dispatcher runs watch ") + short(id) + a.flags()
	if embedded {
		return &exitError{exitInterrupted, fmt.Errorf("interrupted; the run is kept and goes on with: %s (nothing moves until then)", how)}
	}
	return &exitError{exitInterrupted, fmt.Errorf("interrupted; the run goes on without this command; follow it again with: %s", how)}
}

func (a *app) finish(s *steps.State, p *progress) error {
	doc := steps.Show(s)
	if a.json() {
		if err := a.printJSON(doc); err != nil {
			return err
		}
	} else {
		p.end(s, doc)
	}
	return quiet(exitOf(doc.State))
}
