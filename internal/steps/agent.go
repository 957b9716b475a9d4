package steps

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Agent makes a step a loop: a model is asked, the calls that it proposes become units of the run, and it is asked again
// with what came of them, until it answers without a call or a limit is reached. What the model says is data: everything is
// decided by folding the log, and folding it once more asks no model again.
type Agent struct {
	Instructions    json.RawMessage `json:"instructions,omitempty"`      // template of what the model is told first, a string
	Prompt          json.RawMessage `json:"prompt"`                      // template of the task, a string
	Tools           []string        `json:"tools"`                       // that it may call
	OutputSchema    json.RawMessage `json:"output_schema,omitempty"`     // JSON Schema of its answer; none: the answer is {"text": ...}
	MaxOutputTokens int             `json:"max_output_tokens,omitempty"` // of one turn
	KeepTurns       int             `json:"keep_turns,omitempty"`        // that the model is shown in full, the last ones; 0 = all
	KeepOutput      int             `json:"keep_output,omitempty"`       // bytes of a call's result that the model is shown; 0 = all
	Summary         *Summary        `json:"summary,omitempty"`           // of the turns before those; nil: they are left out
	Limits          AgentLimits     `json:"limits"`                      // with the defaults filled in
	OnLimit         OnLimit         `json:"on_limit"`                    // what reaching one does
}

// AgentLimits bound an agent. 0 is none, but for Turns, Calls and Repeats, which always have a bound.
type AgentLimits struct {
	Turns    int      `json:"turns"`            // times that the model is asked
	Calls    int      `json:"calls"`            // calls that it proposes, those that do not fit included
	Tokens   int64    `json:"tokens,omitempty"` // read and written by the model
	USD      Money    `json:"usd,omitempty"`    // for the model; reserved before each turn
	Time     Duration `json:"time,omitempty"`   // of work: without what people take
	Repeats  int      `json:"repeats"`          // turns that propose the same
	Refusals int      `json:"refusals"`         // calls in a row that people have rejected
}

// Defaults of [AgentLimits], and of [Agent.MaxOutputTokens].
const (
	DefaultTurns     = 20
	DefaultCalls     = 40
	DefaultRepeats   = 3
	DefaultRefusals  = 3
	DefaultMaxTokens = 4096
)

// OnLimit says what happens to an agent that has reached a limit.
type OnLimit string

const (
	LimitEscalate OnLimit = "escalate" // ask a person
	LimitFinish   OnLimit = "finish"   // ask the model once more, without tools
	LimitFail     OnLimit = "fail"     // the step fails, and the run with it
)

// AskPerson is the tool with which an agent asks a person. It is there without a tools file.
const AskPerson = "ask_person"

// AgentNode is an [Agent] with its expressions compiled.
type AgentNode struct {
	*Agent
	Instructions Expr                        // gives a string; nil = none
	Prompt       Expr                        // gives a string
	Summary      *SummaryNode                // nil = none
	Tools        []AgentTool                 // in the order of the plan
	CheckOutput  func(json.RawMessage) error // against OutputSchema; nil without one
}

// AgentTool is a tool as an agent sees it.
type AgentTool struct {
	Call        string                      // its name for the model: letters, digits and _
	Description string                      // for the model
	Tool        *Tool                       // its pinned policy
	Undo        *Undo                       // what undoes one of its calls; nil = nothing
	CheckInput  func(json.RawMessage) error // against its input schema; nil without one
}

// CallName is a tool's name as models may write it.
func CallName(tool string) string { return strings.ReplaceAll(tool, ".", "_") }

// loop is the work of an agent step.
type loop struct {
	instructions, prompt string
	summarise            string // what is told whoever makes a summary; empty = the default
	turns                []turn
	summaries            []summary
	calls                int                 // proposed so far
	busy                 int                 // calls of the last turn that are not over
	extra                AgentLimits         // what people have added
	last                 bool                // it is asked for the last time: without tools
	refused              int                 // calls in a row that people have rejected
	hold                 reserve             // for each try of the turn that is out
	made                 map[string]int      // by what is called: how often
	unsettled            map[string][]string // by what is called: the calls that may have happened, and have no result
	kept                 []int               // calls done in turns taken back whose result no later proposal has got
	clock                workClock
	out                  int // turns and calls whose attempt is in the queue or with a worker
	asked                int // open escalations of the agent, its turns and calls
	held                 int // turns and calls that are held back
	notes                []note
}

// turn is one answer of the model, and what came of it.
type turn struct {
	unit   int    // that asked the model
	calls  []int  // units, in the order in which it proposed them
	digest string // of all of them
	wrong  string // why its answer was not taken; the model is told
	back   mark   // the note that has taken it back
}

// proposal is a call as a model proposes it.
type proposal struct {
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	Arguments  json.RawMessage `json:"arguments"`
	Unreadable string          `json:"unreadable"`
}

// said is what a model answers.
type said struct {
	Text   string          `json:"text"`
	Calls  []proposal      `json:"calls"`
	Object json.RawMessage `json:"object"`
}

// startAgent begins the loop of unit i.
func (c *change) startAgent(i int) {
	n := c.Program.Nodes[i].Agent
	prompt, err := c.text(i, n.Prompt)
	if err != nil {
		c.giveUp(i, badExpression("prompt", err))
		return
	}
	instructions, err := c.text(i, n.Instructions)
	if err != nil {
		c.giveUp(i, badExpression("instructions", err))
		return
	}
	summarise, err := c.summaryText(i)
	if err != nil {
		c.giveUp(i, badExpression("summary", err))
		return
	}
	if len(prompt)+len(instructions)+len(summarise) > MaxParams {
		c.giveUp(i, Fault{Class: BudgetExceeded, Acted: ActedNo, Message: "instructions and prompt are too long: pass a reference instead"})
		return
	}
	c.Units[i].loop = &loop{instructions: instructions, prompt: prompt, summarise: summarise, clock: workClock{from: c.Now}}
	c.become(i, PhaseLooping)
	c.nextTurn(i)
}

func (c *change) text(i int, e Expr) (text string, err error) {
	if e == nil {
		return "", nil
	}
	v, err := e(c.scope(i))
	if err != nil {
		return "", err
	}
	if json.Unmarshal(v, &text) != nil {
		text = string(v) // any other value is told as JSON
	}
	return text, nil
}

// nextTurn asks the model of agent i again, if its limits allow it: once there is a summary, where one is due.
func (c *change) nextTurn(i int) {
	l := c.Units[i].loop
	if c.summing(l) {
		return
	}
	was := l.hold
	l.hold = c.estimate(i)
	if why := c.limitReached(i); why != "" && !l.last {
		c.atLimit(i, why)
		return
	}
	if m, due := c.summaryDue(i); due {
		c.summarise(i, m, was)
		return
	}
	n := len(l.turns) + 1
	u := c.sub(i, agentTurn, turnID(c.Units[i].ID, n), int32(n))
	l.turns = append(l.turns, turn{unit: u})
	c.Units[u].Params = json.RawMessage(`{}`)
	c.firstTry(u)
}

// sub makes a unit of agent i.
func (c *change) sub(i int, kind unitKind, id string, item int32) int {
	c.Units = append(c.Units, Unit{ID: id, Node: c.Units[i].Node, Since: c.Seq, origin: origin{kind: kind, parent: int32(i), item: item}})
	c.left++
	return len(c.Units) - 1
}

// turnEnded takes in what the model of agent i has said, or that there will be no answer.
func (c *change) turnEnded(i, u int) {
	l := c.Units[i].loop
	if c.ending != "" || c.Units[i].Over() {
		return
	}
	t := &l.turns[len(l.turns)-1]
	if t.back != 0 {
		c.goOn(i)
		return
	}
	c.Units[i].tainted = c.Units[i].tainted || c.Units[u].tainted
	c.warn(i, c.Units[u].stranger)
	if c.Units[u].phase != PhaseSucceeded {
		c.skip(i)
		return
	}
	answer := c.Units[u].said()
	if len(answer.Calls) == 0 && c.mustRead(i) {
		c.nextTurn(i)
		return
	}
	if len(answer.Calls) == 0 || l.last {
		c.answered(i, t, answer)
		return
	}
	t.digest = c.digestOf(answer.Calls)
	c.proposeWithin(i, answer.Calls)
}

// proposeWithin makes units of what the model wants to call, if the agent's limits allow it.
func (c *change) proposeWithin(i int, calls []proposal) {
	l, limits := c.Units[i].loop, c.limits(i)
	switch {
	case l.calls+len(calls) > limits.Calls:
		c.atLimit(i, fmt.Sprintf("the agent wants to make %s, and has %d of %d left", plural(len(calls), "call"), limits.Calls-l.calls, limits.Calls))
	case c.stuck(l, limits.Repeats):
		c.atLimit(i, "the agent proposes the same again and again, and gets no further")
	default:
		c.propose(i, calls)
	}
}

// said is what the model has answered. A person may have answered in its place: with calls, as a model proposes them, or with
// any value, which is the answer.
func (u *Unit) said() said {
	var s said
	if json.Unmarshal(u.Output, &s) != nil || u.AnswerBy != "" && s.Calls == nil {
		s = said{Text: plain(u.Output), Object: u.Output}
	}
	return s
}

// answered ends agent i with the model's answer, or has the model asked again where that does not fit.
func (c *change) answered(i int, t *turn, answer said) {
	n := c.Program.Nodes[i].Agent
	out := answer.Object
	if n.CheckOutput == nil {
		out, _ = json.Marshal(map[string]string{"text": answer.Text})
	} else if err := n.CheckOutput(orNull(out)); err != nil {
		t.wrong = "this is not the answer that is asked for: " + err.Error()
		if c.Units[i].loop.last {
			c.Units[i].loop.last = false
			c.askAtLimit(i, "the agent's last answer does not fit: "+err.Error())
			return
		}
		c.nextTurn(i)
		return
	}
	c.Units[i].Output, c.Units[i].Fault = out, nil
	c.done(i, PhaseSucceeded)
}

// propose makes units of what the model wants to call. What does not fit ends at once, and the model is told.
func (c *change) propose(i int, calls []proposal) {
	l := c.Units[i].loop
	at := len(l.turns) - 1
	l.busy += len(calls)
	l.calls += len(calls)
	first := len(c.Units)
	for k := range calls {
		tool, _ := c.toolOf(i, calls[k].Name)
		u := c.sub(i, agentCall, callID(c.Units[l.turns[at].unit].ID, k+1), int32(tool))
		c.Units[u].tainted, c.Units[u].stranger = c.Units[i].tainted, c.Units[i].stranger
		l.turns[at].calls = append(l.turns[at].calls, u)
	}
	for k, p := range calls {
		c.begunCall(i, first+k, p)
	}
}

// begunCall queues a proposed call, or ends it where it does not fit.
func (c *change) begunCall(i, u int, p proposal) {
	tool, ok := c.toolOf(i, p.Name)
	wrong := "there is no tool " + short(p.Name) + "; there are " + c.toolNames(i)
	if ok {
		wrong = c.Program.Nodes[i].Agent.Tools[tool].misfit(p)
	}
	if wrong != "" {
		c.Units[u].Fault = &Fault{Class: InvalidInput, Acted: ActedNo, Message: wrong}
		c.done(u, PhaseFailed)
		return
	}
	c.Units[u].Params = p.Arguments
	if k := c.kept(i, p); k >= 0 {
		c.show(u, k)
		return
	}
	if !c.nameCall(u, p) {
		c.Units[u].Fault = &Fault{Class: Conflict, Acted: ActedNo, Message: "not called: the same call was made before, and nobody knows whether it has happened; do not repeat it"}
		c.done(u, PhaseFailed)
		return
	}
	c.firstTry(u)
}

// misfit says why a proposal is no call of the tool; empty when it is one.
func (t AgentTool) misfit(p proposal) string {
	switch {
	case p.Unreadable != "":
		return "the arguments are not a JSON object: " + short(p.Unreadable)
	case len(p.Arguments) > MaxParams:
		return "the arguments are too long: pass a reference instead"
	}
	canonical, err := Canonical(p.Arguments)
	if err != nil {
		return "the arguments cannot be read: " + err.Error()
	}
	if canonical[0] != '{' {
		return "the arguments are not a JSON object: " + short(string(canonical))
	}
	if t.CheckInput == nil {
		return ""
	}
	if err := t.CheckInput(p.Arguments); err != nil {
		return "the arguments do not fit: " + err.Error()
	}
	return ""
}

// callEnded asks the model again once all calls of its last turn are over.
func (c *change) callEnded(i, u int) {
	l := c.Units[i].loop
	l.busy--
	if rejected := c.Units[u].Rejected != nil; rejected {
		l.refused++
	} else if c.Units[u].phase == PhaseSucceeded {
		l.refused = 0
	}
	c.unsettle(u)
	if c.takenBackBy(u) != nil {
		c.keep(u)
	}
	c.Units[i].tainted = c.Units[i].tainted || c.Units[u].tainted && c.Units[u].phase == PhaseSucceeded
	c.warn(i, c.Units[u].stranger)
	if l.busy == 0 && c.ending == "" && !c.Units[i].Over() {
		c.nextTurn(i)
	}
}

func (c *change) toolOf(i int, name string) (int, bool) {
	for k, t := range c.Program.Nodes[i].Agent.Tools {
		if t.Call == name {
			return k, true
		}
	}
	return -1, false
}

func (c *change) toolNames(i int) string {
	var names []string
	for _, t := range c.Program.Nodes[i].Agent.Tools {
		names = append(names, t.Call)
	}
	return strings.Join(names, ", ")
}

// tellsModel reports whether the model can be told of fault f of its call, or that there is no summary, and go on: what a person
// must see goes to one.
func (c *change) tellsModel(i int, f Fault) bool {
	kind := c.Units[i].origin.kind
	if kind == agentSummary {
		return c.ending == ""
	}
	if kind != agentCall || c.ending != "" {
		return false
	}
	return f.Class.Reaction() != Ask || f.Class == DeadlineExceeded || f.Class == BudgetExceeded
}
