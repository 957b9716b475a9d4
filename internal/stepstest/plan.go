package stepstest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"belay/internal/steps"
)

// Expression compiles the small expressions of tests: json:<value>, out:<step>, state:<step>, param:<name>, item, untrusted, fail.
func Expression(src string) steps.Expr {
	if src == "" {
		return nil
	}
	kind, arg, _ := strings.Cut(src, ":")
	return func(c steps.Scope) (json.RawMessage, error) {
		switch kind {
		case "json":
			return json.RawMessage(arg), nil
		case "out":
			return json.Marshal(c.Step(arg)["output"])
		case "state":
			return json.Marshal(c.Step(arg)["state"])
		case "untrusted":
			return json.Marshal(c.Untrusted())
		case "param":
			v, _ := c.Params().(map[string]any)
			return json.Marshal(v[arg])
		case "params":
			return json.Marshal(c.Params())
		case "output":
			return json.Marshal(c.Output())
		case "output-is":
			v, err := json.Marshal(c.Output())
			return json.RawMessage(strconv.FormatBool(string(v) == arg)), err
		case "rejection":
			return json.Marshal(c.Step(arg)["rejection"])
		case "item":
			v, i, _ := c.Item()
			return json.Marshal(map[string]any{"item": v, "index": i})
		}
		return nil, fmt.Errorf("expression %q failed", src)
	}
}

// Plan is a definition with its expressions in the small language, by step.
type Plan struct {
	steps.Definition
	When, With, ForEach, UndoWith map[string]string // expressions by step; empty = none
	ToolUndo                      map[string]string // by tool: its undo's parameters
	Output                        string            // of the run
}

// NewPlan is an empty plan.
func NewPlan() *Plan {
	return &Plan{Definition: steps.Definition{Tools: map[string]steps.Tool{}}, When: map[string]string{}, With: map[string]string{}, ForEach: map[string]string{}, UndoWith: map[string]string{}, ToolUndo: map[string]string{}}
}

// Program compiles the plan.
func (p *Plan) Program() *steps.Program {
	prog := &steps.Program{Digest: "test", Definition: p.Definition, Nodes: make([]steps.Node, len(p.Plan.Steps)), Output: Expression(p.Output)}
	for i, st := range p.Plan.Steps {
		prog.Nodes[i] = steps.Node{
			When: Expression(p.When[st.ID]), With: Expression(p.With[st.ID]), ForEach: Expression(p.ForEach[st.ID]),
			CompensateWith: Expression(p.UndoWith[st.ID]), Agent: p.agent(st.Agent),
		}
	}
	prog.Asks, prog.Undos = map[string]steps.Asks{}, map[string]steps.Expr{}
	for name, t := range p.Tools {
		prog.Asks[name] = asksOf(t)
		if t.Undo != nil {
			prog.Undos[name] = Expression(p.ToolUndo[name])
		}
	}
	return steps.Link(prog)
}

// Objection is what a worker says whose tools file has t.
func Objection(a steps.Attempt, worker string, t steps.Tool) steps.Objected {
	p := t.Policy()
	asks := asksOf(t)
	return steps.Objected{Attempt: a, Worker: worker, Policy: p, Asks: &asks}
}

func asksOf(t steps.Tool) steps.Asks {
	asks := steps.Asks{}
	if t.Approval != nil {
		asks.Approval = Expression(t.Approval.When)
	}
	if target := t.Rungs[0].Target; target != "" {
		asks.Targets = map[int]steps.Expr{0: Expression(target)}
	}
	if t.Verify != nil {
		asks.Happened = Expression(t.Verify.Happened)
	}
	return asks
}

// ParseTool reads effects=, trust=, timeout=, rungs=a,b, target=, max=, initial=, cap=, undo=<tool>, breaker=<max_hold>.
func ParseTool(name string, o map[string]string) steps.Tool {
	t := steps.Tool{Name: name, Effects: steps.EffectsNone, Timeout: steps.Duration(time.Minute)}
	t.Trust = steps.Trust(o["trust"])
	if o["effects"] != "" {
		t.Effects = steps.Effects(o["effects"])
	}
	if o["timeout"] != "" {
		t.Timeout = steps.Duration(Duration(o["timeout"]))
	}
	p := steps.RetryPolicy{MaxAttempts: 3, Initial: steps.Duration(time.Second), Factor: 2, Max: steps.Duration(time.Minute), RetryAfterMax: steps.Duration(5 * time.Minute)}
	if o["max"] != "" {
		p.MaxAttempts, _ = strconv.Atoi(o["max"])
	}
	if o["named"] != "" {
		p.MaxNamedWaits, _ = strconv.Atoi(o["named"])
	}
	if o["initial"] != "" {
		p.Initial = steps.Duration(Duration(o["initial"]))
	}
	for _, r := range strings.Split(cmp.Or(o["rungs"], "primary"), ",") {
		t.Rungs = append(t.Rungs, steps.Rung{Name: r, Executor: "http", Timeout: steps.Duration(5 * time.Second), Retry: p})
		rung := &t.Rungs[len(t.Rungs)-1]
		switch r {
		case "cached":
			rung.Executor = "cache"
		case "human":
			rung.Executor, rung.Human = "human", &steps.Human{Question: "which one?", Deadline: optional(o["ask"]), OnDeadline: steps.OnExpiry(o["on_ask"])}
		}
	}
	t.Rungs[0].Target = o["target"]
	if o["verify"] != "" {
		t.Verify = &steps.Verify{Rung: steps.Rung{Name: steps.VerifyRung, Executor: "http", Retry: p}, Happened: o["verify"]}
	}
	if o["price"] != "" { // dollars for a million tokens, read and written alike
		price, _ := strconv.ParseFloat(o["price"], 64)
		for k := range t.Rungs {
			t.Rungs[k].Price = &steps.Price{Input: price, Output: price}
		}
	}
	if o["approval"] != "" {
		t.Approval = parseApproval(o)
	}
	if o["breaker"] != "" { // how long it holds a step that has no other rung
		t.Breaker = &steps.Breaker{Failures: 0.5, Min: 20, Window: steps.Duration(10 * time.Second), Open: steps.Duration(30 * time.Second), MaxHold: steps.Duration(Duration(o["breaker"])), Retries: 0.2}
	}
	if o["undo"] != "" {
		t.Undo = &steps.Compensate{Tool: o["undo"]}
	}
	return t
}

// parseApproval reads approval=always or an expression, approvers=, deadline=, on_deadline=, on_reject=, others=yes, proof=passkey.
func parseApproval(o map[string]string) *steps.Approval {
	a := &steps.Approval{
		Decisions: []steps.Verb{steps.VerbApprove, steps.VerbReject, steps.VerbEdit, steps.VerbAbort}, Approvers: 1, OnReject: steps.OnReject(o["on_reject"]),
		Deadline: optional(o["deadline"]), OnDeadline: steps.OnExpiry(cmp.Or(o["on_deadline"], string(steps.ExpiryEscalate))), NotSubmitter: o["others"] == "yes",
		Proof: steps.ApprovalProof(o["proof"]),
	}
	if o["decisions"] != "" {
		a.Decisions = nil
		for _, v := range strings.Split(o["decisions"], ",") {
			a.Decisions = append(a.Decisions, steps.Verb(v))
		}
	}
	if o["approval"] != "always" {
		a.When = o["approval"]
	}
	if o["approvers"] != "" {
		a.Approvers, _ = strconv.Atoi(o["approvers"])
	}
	return a
}

func optional(s string) steps.Duration {
	if s == "" {
		return 0
	}
	return steps.Duration(Duration(s))
}

func (plan *Plan) set(o map[string]string) {
	p := &plan.Plan
	if o["deadline"] != "" {
		p.Deadline = steps.Duration(Duration(o["deadline"]))
	}
	p.OnDeadline = steps.OnDeadline(cmp.Or(o["on_deadline"], string(steps.DeadlineEscalate)))
	p.EscalateAfter, _ = strconv.Atoi(o["escalate_after"])
}

func (p *Plan) addStep(id string, o map[string]string) {
	s := steps.Step{ID: id, Tool: o["tool"], OnFailure: steps.OnFailure(cmp.Or(o["on_failure"], string(steps.OnFailureEscalate)))}
	if needs, ok := o["needs"]; ok {
		s.Needs = strings.FieldsFunc(needs, func(r rune) bool { return r == ',' })
	} else if n := len(p.Plan.Steps); n > 0 {
		s.Needs = []string{p.Plan.Steps[n-1].ID}
	}
	s.MaxParallel, _ = strconv.Atoi(o["max_parallel"])
	if s.Stays = o["compensate"] == "none"; o["compensate"] != "" && !s.Stays {
		s.Compensate = &steps.Compensate{Tool: o["compensate"]}
	}
	if o["agent"] != "" {
		s.Agent = parseAgent(o)
	}
	p.When[id], p.With[id], p.ForEach[id], p.UndoWith[id] = o["when"], o["with"], o["for_each"], o["undo_with"]
	p.Plan.Steps = append(p.Plan.Steps, s)
}

// parseAgent reads agent=<tool>,... prompt=, turns=, calls=, tokens=, usd=, time=, repeats=, refusals=, on_limit=, keep_turns=,
// keep_output=, summary=<tool>, answer=<JSON that its answer must be>.
func parseAgent(o map[string]string) *steps.Agent {
	number := func(name string, none int) int {
		if o[name] == "" {
			return none
		}
		n, _ := strconv.Atoi(o[name])
		return n
	}
	usd, _ := strconv.ParseFloat(o["usd"], 64)
	prompt, _ := json.Marshal(cmp.Or(o["prompt"], `json:"do_it"`)) // a text is always JSON
	var summary *steps.Summary
	if o["summary"] != "" {
		summary = &steps.Summary{Model: o["summary"], MaxOutputTokens: 100}
	}
	return &steps.Agent{
		KeepTurns: number("keep_turns", 0), KeepOutput: number("keep_output", 0), Summary: summary,
		Prompt: prompt, Tools: strings.Split(o["agent"], ","), MaxOutputTokens: 1000,
		OnLimit: steps.OnLimit(cmp.Or(o["on_limit"], string(steps.LimitEscalate))), OutputSchema: json.RawMessage(o["answer"]),
		Limits: steps.AgentLimits{
			Turns: number("turns", steps.DefaultTurns), Calls: number("calls", steps.DefaultCalls), Tokens: int64(number("tokens", 0)),
			USD: steps.Dollars(usd), Time: optional(o["time"]), Repeats: number("repeats", steps.DefaultRepeats), Refusals: number("refusals", steps.DefaultRefusals),
		},
	}
}

// agent compiles an agent. The input of its tools must be an object without the key "bad".
func (p *Plan) agent(a *steps.Agent) *steps.AgentNode {
	if a == nil {
		return nil
	}
	var prompt string
	_ = json.Unmarshal(a.Prompt, &prompt) // parseAgent has written it
	n := &steps.AgentNode{Agent: a, Prompt: Expression(prompt)}
	if a.Summary != nil {
		t := p.Tools[a.Summary.Model]
		n.Summary = &steps.SummaryNode{Summary: a.Summary, Tool: &t}
	}
	for _, name := range a.Tools {
		t := p.Tools[name]
		n.Tools = append(n.Tools, steps.AgentTool{Call: steps.CallName(name), Tool: &t, CheckInput: func(raw json.RawMessage) error {
			if strings.Contains(string(raw), `"bad"`) {
				return errors.New("unknown key bad")
			}
			return nil
		}})
	}
	if len(a.OutputSchema) > 0 {
		n.CheckOutput = func(raw json.RawMessage) error {
			if string(raw) != string(a.OutputSchema) {
				return fmt.Errorf("it is %s", raw)
			}
			return nil
		}
	}
	return n
}

func Duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return d
}

func options(words []string) map[string]string {
	m := map[string]string{}
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		m[k] = v
	}
	return m
}
