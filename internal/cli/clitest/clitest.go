// Package clitest runs scripts that are the command line's contract, told as stories: what a person or a program types,
// and what comes back. They run the real programs as processes of their own, each script with a state directory of its
// own and nothing but the loopback.
//
// Beside testscript's own commands they use these:
//
//	exits CODE PROGRAM ARG...   runs a program to its end, which must be this exit code; JSON of a kind that has a schema must fit it
//	start NAME PROGRAM ARG...   starts a program in the background; it writes NAME.out and NAME.err
//	signal NAME INT|TERM|HUP|KILL  sends it a signal
//	ends NAME CODE              waits for its end, which must be this exit code
//	waitfor FILE PATTERN        waits until a line of the file matches
//	gone FILE                   waits until no process of the group that the file names is left
//	port VAR                    puts a port into a variable that is free, and that nobody else is given meanwhile
//	[!] json FILE PATH PATTERN  the value at a path (steps.0.state) of the JSON document, whole; stdout and stderr are files too
//	jsonlines FILE              every line is a JSON document
//	lines FILE N                the file has so many lines; a file that is not there has none
//	narrow FILE N               no line has more columns than that
//	publish URL SUBJECT TEXT    publishes a message to NATS, past Belay; a stream must take it
//	page URL CODE PATTERN       a GET is answered, sooner or later, with this code and a body that matches
//
// The condition [pidns] holds where a program can be made the first process of a namespace of its own, as in a
// container.
package clitest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rogpeppe/go-internal/testscript"

	"belay/internal/freeport"
)

// Run runs the scripts in a folder, in parallel; with -short every eighth of them. vars are variables of their environment,
// as NAME=VALUE.
func Run(t *testing.T, dir string, vars ...string) {
	testscript.Run(t, testscript.Params{
		Files:               scripts(t, dir),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, vars...)
			return setup(e)
		},
		Condition: condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "start": start, "signal": send, "ends": ends, "waitfor": waitFor, "gone": gone,
			"port": freePort, "json": jsonAt, "jsonlines": jsonLines, "lines": lines, "narrow": narrow, "page": page, "post": post, "publish": publish,
		},
	})
}

// scripts are the files in a folder, or every eighth.
func scripts(t *testing.T, dir string) (files []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	if err != nil || len(all) == 0 {
		t.Fatalf("there are no scripts in %s: %v", dir, err)
	}
	for i, name := range all {
		if !testing.Short() || i%8 == 0 {
			files = append(files, name)
		}
	}
	t.Logf("%d of %d scripts", len(files), len(all))
	return files
}

// Main lets a package's test binary be these programs.
func Main(m *testing.M, programs map[string]func()) { testscript.Main(m, programs) }

// patience is how long a script waits for something that happens in another process.
const patience = time.Minute

type processesKey struct{}

// processes are the programs that a script has started, by name.
type processes struct {
	names []string // of the environment's variables
	all   map[string]*process
}

type process struct {
	*exec.Cmd
	done chan struct{}
}

func condition(name string) (bool, error) {
	if name != "pidns" {
		return false, fmt.Errorf("unknown condition %s", name)
	}
	return exec.Command("unshare", "--pid", "--fork", "--mount-proc", "true").Run() == nil, nil
}

func setup(e *testscript.Env) error {
	e.Setenv("XDG_STATE_HOME", filepath.Join(e.WorkDir, "state"))
	e.Setenv("HOME", e.WorkDir)
	e.Setenv("ESC", "\x1b")
	e.Setenv("CANARY", "")
	e.Setenv("SHOP_TASKS", "")
	e.Setenv("WEBHOOK_SECRET", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	p := &processes{all: map[string]*process{}}
	for _, v := range e.Vars {
		name, _, _ := strings.Cut(v, "=")
		p.names = append(p.names, name)
	}
	e.Values[processesKey{}] = p
	e.Defer(p.killAll)
	return nil
}

func (p *processes) killAll() {
	for _, c := range p.all {
		_ = c.Process.Kill()
		<-c.done
	}
}

func arguments(ts *testscript.TestScript, neg bool, args []string, least int, usage string) {
	if neg || len(args) < least {
		ts.Fatalf("usage: %s", usage)
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "exits CODE PROGRAM ARG...")
	err := ts.Exec(args[1], args[2:]...)
	ts.Check(codeIs(err, args[0]))
	ts.Check(fits(args[1:], ts.ReadFile("stdout")))
}

func codeIs(err error, want string) error {
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		return err
	}
	if strconv.Itoa(code) != want {
		return fmt.Errorf("it exited with %d, not with %s", code, want)
	}
	return nil
}

func started(ts *testscript.TestScript) *processes {
	return ts.Value(processesKey{}).(*processes)
}

func start(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "start NAME PROGRAM ARG...")
	p := started(ts)
	if p.all[args[0]] != nil {
		ts.Fatalf("%s has been started before", args[0])
	}
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	c := &process{exec.Command(path, args[2:]...), make(chan struct{})}
	c.Dir = ts.MkAbs(".")
	for _, name := range p.names {
		c.Env = append(c.Env, name+"="+ts.Getenv(name))
	}
	out, err := os.Create(ts.MkAbs(args[0] + ".out"))
	ts.Check(err)
	defer out.Close()
	errs, err := os.Create(ts.MkAbs(args[0] + ".err"))
	ts.Check(err)
	defer errs.Close()
	c.Stdout, c.Stderr = out, errs
	ts.Check(c.Start())
	p.all[args[0]] = c
	go func() {
		_ = c.Wait() // its exit code is read by ends
		close(c.done)
	}()
}

func named(ts *testscript.TestScript, name string) *process {
	c := started(ts).all[name]
	if c == nil {
		ts.Fatalf("nothing was started as %s", name)
	}
	return c
}

func send(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "signal NAME INT|TERM|HUP|KILL")
	sig, ok := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL}[args[1]]
	if !ok {
		ts.Fatalf("unknown signal %s", args[1])
	}
	ts.Check(named(ts, args[0]).Process.Signal(sig))
}

func ends(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "ends NAME CODE")
	c := named(ts, args[0])
	select {
	case <-c.done:
	case <-time.After(patience):
		_ = c.Process.Signal(syscall.SIGQUIT) // with all its goroutines into NAME.err
		<-c.done
		ts.Fatalf("%s has not ended\n%s", args[0], ts.ReadFile(args[0]+".err"))
	}
	ts.Check(fits(slices.Concat([]string{filepath.Base(c.Path)}, c.Args[1:]), ts.ReadFile(args[0]+".out")))
	if got := strconv.Itoa(c.ProcessState.ExitCode()); got != args[1] {
		ts.Fatalf("%s ended with %s (%s), not with %s\n%s", args[0], got, c.ProcessState, args[1], ts.ReadFile(args[0]+".err"))
	}
}

// Eventually asks until the answer is yes: what another process does can only be looked at.
func Eventually(is func() bool) bool {
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			return false
		}
	}
	return true
}

func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "waitfor FILE PATTERN")
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	var data []byte
	if !Eventually(func() bool {
		data, _ = os.ReadFile(ts.MkAbs(args[0])) // may not be there yet
		return pattern.Match(data)
	}) {
		ts.Fatalf("%s never had %q:\n%s%s", args[0], args[1], data, started(ts).said(ts))
	}
}

// said is the end of what the started programs have written for people.
func (p *processes) said(ts *testscript.TestScript) string {
	var all strings.Builder
	for name := range p.all {
		data, _ := os.ReadFile(ts.MkAbs(name + ".err")) // empty if it cannot be read
		fmt.Fprintf(&all, "\n== %s.err\n%s", name, data[max(0, len(data)-2000):])
	}
	return all.String()
}

func gone(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1, "gone FILE")
	group, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[0])))
	ts.Check(err)
	if !Eventually(func() bool { return errors.Is(syscall.Kill(-group, 0), syscall.ESRCH) }) {
		ts.Fatalf("processes of group %d are still there", group)
	}
}

func freePort(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1, "port VAR")
	port, release, err := freeport.Take()
	ts.Check(err)
	ts.Defer(release)
	ts.Setenv(args[0], port)
}

func jsonAt(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: json FILE PATH PATTERN")
	}
	text := ts.ReadFile(args[0])
	if args[0] == "stderr" {
		text = logged.ReplaceAllString(text, "")
	}
	doc, err := document(text)
	if err != nil {
		ts.Fatalf("%s is not one JSON document: %v", args[0], err)
	}
	value, err := at(doc, args[1])
	if err != nil {
		ts.Fatalf("%s: %v", args[0], err)
	}
	pattern, err := regexp.Compile("^(?:" + args[2] + ")$")
	ts.Check(err)
	if pattern.MatchString(value) == neg {
		ts.Fatalf("%s: %s is %s", args[0], args[1], value)
	}
}

// logged is a line of the log, which may stand before an error: a slow machine is warned about.
var logged = regexp.MustCompile(`(?m)^\{"time":.*\n`)

// document reads exactly one document, keeping numbers as they are written.
func document(text string) (doc any, err error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows it")
	}
	return doc, nil
}

// at walks down a path; len is the length of a list. Texts come without quotes, all else as compact JSON.
func at(doc any, path string) (string, error) {
	for _, part := range strings.Split(path, ".") {
		switch v := doc.(type) {
		case map[string]any:
			inner, ok := v[part]
			if !ok {
				return "", fmt.Errorf("there is no %s of %s", part, path)
			}
			doc = inner
		case []any:
			if part == "len" {
				doc = json.Number(strconv.Itoa(len(v)))
				continue
			}
			i, err := strconv.Atoi(part)
			if err != nil || i >= len(v) {
				return "", fmt.Errorf("there is no item %s of %s", part, path)
			}
			doc = v[i]
		default:
			return "", fmt.Errorf("nothing is below %v for %s", v, path)
		}
	}
	if text, ok := doc.(string); ok {
		return text, nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(doc)
	return strings.TrimSpace(b.String()), err
}

func jsonLines(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 1, "jsonlines FILE")
	text := ts.ReadFile(args[0])
	if text == "" {
		ts.Fatalf("%s is empty", args[0])
	}
	for line := range strings.Lines(text) {
		if !json.Valid([]byte(line)) {
			ts.Fatalf("no JSON: %s", line)
		}
	}
}

func lines(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "lines FILE N")
	data, err := os.ReadFile(ts.MkAbs(args[0]))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		ts.Fatalf("%v", err)
	}
	if n := strconv.Itoa(bytes.Count(data, []byte("\n"))); n != args[1] {
		ts.Fatalf("%s has %s lines, not %s:\n%s", args[0], n, args[1], data)
	}
}

func narrow(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 2, "narrow FILE N")
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	all := slices.Collect(strings.Lines(ts.ReadFile(args[0])))
	if i := slices.IndexFunc(all, func(line string) bool { return len([]rune(strings.TrimRight(line, "\n"))) > n }); i >= 0 {
		ts.Fatalf("a line has more than %d columns:\n%s", n, all[i])
	}
}

func page(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 3, "page URL CODE PATTERN")
	var err error
	Eventually(func() bool {
		res, gone := http.Get(args[0])
		err = answers(res, gone, args)
		return err == nil
	})
	ts.Check(err)
}

func post(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 4, "post URL CODE PATTERN JSON")
	res, err := http.Post(args[0], "application/json", strings.NewReader(args[3]))
	ts.Check(answers(res, err, args))
}

// answers holds what came back against the arguments URL CODE PATTERN.
func answers(res *http.Response, err error, args []string) error {
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	pattern, err := regexp.Compile("(?m)" + args[2])
	if err == nil && (strconv.Itoa(res.StatusCode) != args[1] || !pattern.Match(body)) {
		err = fmt.Errorf("%s answers %s\n%s", args[0], res.Status, body)
	}
	return err
}

func publish(ts *testscript.TestScript, neg bool, args []string) {
	arguments(ts, neg, args, 3, "publish URL SUBJECT TEXT")
	nc, err := nats.Connect(args[0])
	ts.Check(err)
	defer nc.Close()
	_, err = nc.Request(args[1], []byte(args[2]), patience)
	ts.Check(err)
}
