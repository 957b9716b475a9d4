package examples

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"belay/internal/freeport"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// program is the dispatcher, built once, with a state directory, a ledger and a shop of its own.
type program struct {
	t         *testing.T
	bin, home string
	tools     string // the tools file with the port of its shop
}

func TestExamples(t *testing.T) {
	// In BELAY_PROGRAMS it may stand already: Go looks whether it is that of these sources, and links it only if not.
	p := &program{t: t, bin: filepath.Join(cmp.Or(os.Getenv("BELAY_PROGRAMS"), t.TempDir()), "dispatcher"), home: t.TempDir()}
	if out, err := exec.Command("go", "build", "-o", p.bin, "belay/cmd/dispatcher").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, test := range map[string]func(*program){"basic": basic, "retry": retry, "fallback": fallback, "handoff": handoff, "approve": approve, "undo": undo, "agent": agent, "goworker": goworker, "natsworker": natsworker, "remote": remote,
		"openai-agents": withNode("openai-agents.mjs"), "langgraph": withNode("langgraph.mjs"), "ai-sdk": withNode("ai-sdk.mjs"), "loop": loop} {
		t.Run(name, func(t *testing.T) {
			own := &program{t: t, bin: p.bin, home: t.TempDir()}
			own.ownShop()
			test(own)
		})
	}
}

// ownShop copies the tools of the examples, with a free port for the shop: nothing else on this machine, another test or
// somebody's own shop, has to do with it.
func (p *program) ownShop() {
	p.t.Helper()
	here, err := os.Getwd()
	if err != nil {
		p.t.Fatal(err)
	}
	text, err := os.ReadFile("tools.yaml")
	if err != nil {
		p.t.Fatal(err)
	}
	shop := freeport.Address(p.t)
	const start, address = "[go, run, ./shop]", "127.0.0.1:8391"
	if !bytes.Contains(text, []byte(start)) || !bytes.Contains(text, []byte(address)) {
		p.t.Fatalf("tools.yaml does not start the shop at %s with %s any more", address, start)
	}
	text = bytes.ReplaceAll(text, []byte(address), []byte(shop))
	text = bytes.ReplaceAll(text, []byte(start), fmt.Appendf(nil, "[go, run, ./shop, -listen, %q], dir: %q", shop, here))
	p.tools = filepath.Join(p.home, "tools.yaml")
	if err := os.WriteFile(p.tools, text, 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(p.home, "data"), os.DirFS("data")); err != nil {
		p.t.Fatal(err)
	}
}

// environment is this process's without what would lead to somebody else's server, store or settings.
func (p *program) environment() []string {
	foreign := []string{"NATS_", "BELAY_", "XDG_STATE_HOME=", "XDG_CONFIG_HOME=", "OTEL_", "TMPDIR="}
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return slices.ContainsFunc(foreign, func(f string) bool { return strings.HasPrefix(v, f) })
	})
	return append(env, "XDG_STATE_HOME="+p.home, "XDG_CONFIG_HOME="+p.home, "TMPDIR="+p.home) // TMPDIR is where the shop keeps its ledger
}

// example runs a plan with the shop of this test.
func (p *program) example(exit int, plan string) view.Document {
	p.t.Helper()
	return p.run(exit, "run", plan, "--tools", p.tools)
}

// run runs a command line and returns the document that it prints.
func (p *program) run(exit int, args ...string) view.Document {
	p.t.Helper()
	var out, log bytes.Buffer
	cmd := exec.Command(p.bin, append(args, "-o", "json", "--data-dir", p.home)...)
	cmd.Stdout, cmd.Stderr = &out, &log
	cmd.Env = p.environment()
	err := cmd.Run()
	var e *exec.ExitError
	if err != nil && !errors.As(err, &e) {
		p.t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != exit {
		p.t.Fatalf("%v ended with %d, not %d\n%s\n%s", args, got, exit, out.Bytes(), log.Bytes())
	}
	var doc view.Document
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil {
		p.t.Fatalf("%v prints no document: %v\n%s", args, err, out.Bytes())
	}
	return doc
}

// ledger is what was really done, in order.
func (p *program) ledger() []string {
	p.t.Helper()
	b, err := os.ReadFile(filepath.Join(p.home, "belay-shop-ledger.jsonl"))
	if err != nil {
		p.t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(b)) {
		var l struct{ What string }
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			p.t.Fatal(err)
		}
		all = append(all, l.What)
	}
	return all
}

func (p *program) did(want ...string) {
	p.t.Helper()
	if got := p.ledger(); !slices.Equal(got, want) {
		p.t.Errorf("the shop did %q, not %q", got, want)
	}
}

func (p *program) step(doc view.Document, id string) view.Step {
	p.t.Helper()
	i := slices.IndexFunc(doc.Steps, func(s view.Step) bool { return s.ID == id })
	if i < 0 {
		p.t.Fatalf("no step %s", id)
	}
	return doc.Steps[i]
}

// classes are the faults of a step's attempts, "" for one without.
func classes(s view.Step) []steps.Class {
	var all []steps.Class
	for _, a := range s.Attempts {
		all = append(all, a.Class)
	}
	return all
}

func basic(p *program) {
	doc := p.example(0, "basic.yaml")
	if doc.State != steps.RunSucceeded || !strings.Contains(string(doc.Output), `"told"`) {
		p.t.Errorf("%s %s", doc.State, doc.Output)
	}
	p.did("refunded", "message sent")
}

func retry(p *program) {
	doc := p.example(0, "retry.yaml")
	for id, want := range map[string][]steps.Class{
		"stock": {steps.Unavailable, steps.Unavailable, ""}, "shelf": {steps.Timeout, ""}, "delivery": {steps.RateLimited, ""},
	} {
		if got := classes(p.step(doc, id)); !slices.Equal(got, want) {
			p.t.Errorf("%s failed as %q, not as %q", id, got, want)
		}
		if n := p.step(doc, id).Attempts[0].Crashes; n != 0 {
			p.t.Errorf("%s has %d crashes, and nothing crashed", id, n)
		}
	}
	if wait := p.step(doc, "delivery").Attempts[1].Wait; wait.String() != "1s" {
		p.t.Errorf("Retry-After: 1 was waited for %s", wait)
	}
	if doc.State != steps.RunSucceeded {
		p.t.Errorf("the run is %s", doc.State)
	}
}

func fallback(p *program) {
	doc := p.example(0, "fallback.yaml")
	if doc.State != steps.RunDegraded || len(doc.Degraded) != 2 {
		p.t.Fatalf("%s %+v", doc.State, doc.Degraded)
	}
	first, second := doc.Degraded[0], doc.Degraded[1]
	if first.Rung != "readonly" || !strings.Contains(first.Cause, "unavailable") {
		p.t.Errorf("%+v does not say which rung answered and why", first)
	}
	if second.Step != "tell" || second.Cause != "input from recommend" {
		p.t.Errorf("%+v does not say that its input was degraded", second)
	}
}

func handoff(p *program) {
	doc := p.example(11, "handoff.yaml")
	if doc.State != steps.RunWaiting || len(doc.Escalations) != 1 {
		p.t.Fatalf("%s, %d escalations", doc.State, len(doc.Escalations))
	}
	doc = p.run(0, "esc", "decide", doc.Escalations[0], "edit", "--set", "zip=10115", "--reason", "customer called")
	if doc.State != steps.RunSucceeded || p.step(doc, "ship").Round != 1 {
		p.t.Errorf("%s, round %d", doc.State, p.step(doc, "ship").Round)
	}
	p.did("shipped", "message sent")
}

func approve(p *program) {
	doc := p.example(11, "approve.yaml")
	if s := p.step(doc, "payout"); s.State != steps.StepHeld || len(doc.Escalations) != 1 {
		p.t.Fatalf("%s, %v", s.State, doc.Escalations)
	}
	doc = p.run(0, "esc", "decide", doc.Escalations[0], "approve", "--reason", "agreed")
	if doc.State != steps.RunSucceeded || !strings.Contains(string(doc.Output), `"succeeded"`) {
		p.t.Errorf("%s %s", doc.State, doc.Output)
	}
	p.did("refunded", "message sent")
	doc = p.example(11, "approve.yaml")
	doc = p.run(0, "esc", "decide", doc.Escalations[0], "reject", "--reason", "twice in a week")
	if doc.State != steps.RunSucceeded || p.step(doc, "payout").State != steps.StepSkipped {
		p.t.Errorf("%s", doc.State)
	}
	p.did("refunded", "message sent", "message sent")
}

func undo(p *program) {
	doc := p.example(10, "undo.yaml")
	if doc.State != steps.RunFailed || !strings.Contains(doc.Reason, "ship: invalid_input") {
		p.t.Errorf("%s, %s", doc.State, doc.Reason)
	}
	p.did("reserved", "reserved", "reserved", "charged", "charge undone", "reservation undone", "reservation undone", "reservation undone")
}

// goworker runs a worker with a tool in Go as a process of its own.
func goworker(p *program) {
	bin := filepath.Join(p.home, "goworker")
	if out, err := exec.Command("go", "build", "-o", bin, "./goworker").CombinedOutput(); err != nil {
		p.t.Fatalf("%v\n%s", err, out)
	}
	p.background(p.bin, "dev", "--no-worker", "--nats-listen", "127.0.0.1:0", "--listen", "")
	p.background(bin, "--tools", "goworker/tools.yaml")
	if doc := p.run(0, "run", "goworker/plan.yaml"); string(doc.Output) != "1649" {
		p.t.Errorf("%s %s", doc.State, doc.Output)
	}
	doc := p.run(11, "run", "goworker/plan.yaml", "--input", `lines=[{"cents": -5}]`)
	if s := p.step(doc, "total"); s.Class != steps.NeedsHuman || !strings.Contains(s.Message, "line 1 of invoice 2026-17 is a credit of 5 cents") {
		p.t.Errorf("%s %s", s.Class, s.Message)
	}
}

// agent runs a model's loop: a refund waits for its approval, and once it is given the agent answers.
func agent(p *program) {
	p.ownModel("agent")
	doc := p.run(11, "run", "agent/plan.yaml", "--tools", p.tools, "--id", "ticket")
	if len(doc.Agents) != 1 || len(doc.Agents[0].Turns) != 3 || doc.Spent == nil || doc.Spent.USD == 0 {
		p.t.Errorf("%+v, spent %+v", doc.Agents, doc.Spent)
	}
	doc = p.run(0, "esc", "decide", doc.Escalations[0], "approve")
	if string(doc.Output) != `"We have refunded order A-1009."` {
		p.t.Errorf("%s %s", doc.State, doc.Output)
	}
	p.did("refunded")
}

// natsworker runs workers without a line of Belay in them. Each refund happens once; when a worker is killed after it has
// booked one, the next worker says that the outcome is unknown.
func natsworker(p *program) {
	bin := filepath.Join(p.home, "natsworker")
	if out, err := exec.Command("go", "build", "-o", bin, "./natsworker").CombinedOutput(); err != nil {
		p.t.Fatalf("%v\n%s", err, out)
	}
	p.conforms(bin)
	address := freeport.Address(p.t)
	p.background(p.bin, "dev", "--no-worker", "--nats-listen", address, "--listen", "")
	foreign := []string{bin, "-server", "nats://" + address, "-ledger", filepath.Join(p.home, "refunds.txt"), "-ack-wait", "4s"}
	slow, booked := p.foreign(append(foreign, "-name", "slow", "-pause", "1h")...)
	go func() {
		booked.Scan()
		_ = slow.Kill()
		quick, booked := p.foreign(append(foreign, "-name", "quick")...)
		p.t.Cleanup(func() { _ = quick.Signal(syscall.SIGTERM) })
		for booked.Scan() { // or it would wait for a reader
		}
	}()
	doc := p.run(11, "run", "natsworker/plan.yaml")
	if s := p.step(doc, "refund"); s.Class != steps.Unknown || len(s.Attempts) != 1 {
		p.t.Errorf("%s after %d attempts: %s", s.Class, len(s.Attempts), s.Message)
	}
	doc = p.run(0, "run", "natsworker/plan.yaml")
	if got := strings.Join(strings.Fields(string(doc.Output)), ""); got != `{"notes":3,"refunded":4200}` {
		p.t.Errorf("%s %s", doc.State, got)
	}
	if got := classes(p.step(doc, "find")); !slices.Equal(got, []steps.Class{""}) && !slices.Equal(got, []steps.Class{steps.Unavailable, ""}) {
		p.t.Errorf("the search ended as %q", got)
	}
	p.submitOverNATS(foreign)
	b, err := os.ReadFile(filepath.Join(p.home, "refunds.txt"))
	if err != nil || strings.Count(string(b), "\n") != 3 {
		p.t.Errorf("3 refunds are in the ledger as %q, %v", b, err)
	}
}

// conforms lets the program itself say whether the example keeps the rules.
func (p *program) conforms(bin string) {
	p.t.Helper()
	address := freeport.Address(p.t)
	check := exec.Command(p.bin, "conformance", "worker", "--tool", "notes.search", "--nats-listen", address)
	check.Env = p.environment()
	log, err := check.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	var out bytes.Buffer
	check.Stdout = &out
	if err := check.Start(); err != nil {
		p.t.Fatal(err)
	}
	lines := bufio.NewScanner(log)
	lines.Scan() // it listens
	worker, _ := p.foreign(bin, "-server", "nats://"+address)
	for lines.Scan() {
	}
	err = check.Wait()
	_ = worker.Signal(syscall.SIGTERM)
	if err != nil || strings.Count(out.String(), "ok     ") < 19 {
		p.t.Errorf("%v\n%s", err, out.String())
	}
}

// submitOverNATS starts a run with nothing but NATS, once: to repeat it is refused.
func (p *program) submitOverNATS(foreign []string) {
	p.t.Helper()
	lint := exec.Command(p.bin, "lint", "natsworker/plan.yaml", "--print")
	lint.Env = p.environment()
	document, err := lint.Output()
	if err != nil {
		p.t.Fatal(err)
	}
	file := filepath.Join(p.home, "document.json")
	if err := os.WriteFile(file, document, 0o600); err != nil {
		p.t.Fatal(err)
	}
	args := append(foreign[1:], "-submit", "refund-1009", "-document", file, "-input", `{"order": "A-9", "cents": 1}`)
	if out, err := exec.Command(foreign[0], args...).CombinedOutput(); err != nil {
		p.t.Fatalf("%v\n%s", err, out)
	}
	if out, err := exec.Command(foreign[0], args...).CombinedOutput(); err == nil || !strings.Contains(string(out), "wrong last sequence") {
		p.t.Errorf("submitted twice: %v, %s", err, out)
	}
	if doc := p.run(0, "runs", "watch", "refund-1009"); doc.State != steps.RunSucceeded {
		p.t.Errorf("%s %s", doc.State, doc.Reason)
	}
}

// foreign starts a program that is not of Belay, and reads what it prints.
func (p *program) foreign(args ...string) (*os.Process, *bufio.Scanner) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env, cmd.Stderr = p.environment(), p.t.Output()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		p.t.Error(err)
		return &os.Process{}, bufio.NewScanner(strings.NewReader(""))
	}
	p.t.Cleanup(func() { _ = cmd.Wait() })
	return cmd.Process, bufio.NewScanner(out)
}

func remote(p *program) {
	python, err := exec.LookPath("python3")
	if err != nil {
		p.t.Skip("python3 is missing")
	}
	work := freeport.Address(p.t)
	p.background(p.bin, "dev", "--tools", "remote/tools.yaml", "--nats-listen", "127.0.0.1:0", "--listen", "", "--work-listen", work)
	token, err := os.ReadFile(filepath.Join(p.home, "work-token"))
	if err != nil {
		p.t.Fatal(err)
	}
	worker := exec.Command(python, "remote/worker.py")
	worker.Env = append(p.environment(), "BELAY_WORK_URL=http://"+work, "BELAY_WORK_TOKEN="+strings.TrimSpace(string(token)))
	if err := worker.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		_ = worker.Process.Kill()
		_ = worker.Wait()
	})
	if doc := p.run(0, "run", "remote/plan.yaml"); string(doc.Output) != "1649" {
		p.t.Errorf("%s %s", doc.State, doc.Output)
	}
	doc := p.run(11, "run", "remote/plan.yaml", "--input", `lines=[{"cents": -5}]`)
	if s := p.step(doc, "total"); s.Class != steps.NeedsHuman || !strings.Contains(s.Message, "it has a credit in it") {
		p.t.Errorf("%s %s", s.Class, s.Message)
	}
}

// background starts a program that keeps running, waits until it is ready, and drains it when the test ends.
func (p *program) background(bin string, args ...string) (ready string) {
	p.t.Helper()
	cmd := exec.Command(bin, append(args, "--data-dir", p.home, "--log-format", "json")...)
	cmd.Env = p.environment()
	log, err := cmd.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			p.t.Errorf("%s did not drain: %v", filepath.Base(bin), err)
		}
	})
	lines := bufio.NewScanner(log)
	for ready == "" && lines.Scan() {
		if strings.Contains(lines.Text(), " ready\"") {
			ready = lines.Text()
		}
	}
	if ready == "" {
		p.t.Fatalf("%s ended before it was ready: %v", filepath.Base(bin), lines.Err())
	}
	go func() {
		for lines.Scan() { // or it would wait for a reader
		}
	}()
	return ready
}
