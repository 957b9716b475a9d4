package view

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"belay/internal/steps"
	"belay/internal/text"
)

// Agent is an agent step as people and programs read it: what it was asked, what its model said and called, and how much of
// its limits that took. Long texts are cut, and end with …: whole, they are the outputs of the steps that are named here.
type Agent struct {
	Step         string            `json:"step"`                   // the unit's id
	Model        string            `json:"model"`                  // the tool that asks the model
	State        steps.StepState   `json:"state"`                  // where it stands
	Instructions string            `json:"instructions,omitempty"` // what the model is told first
	Prompt       string            `json:"prompt"`                 // its task
	Earlier      int               `json:"earlier,omitempty"`      // turns before the first one here
	Turns        []AgentTurn       `json:"turns"`                  // oldest first
	Summaries    []AgentSummary    `json:"summaries,omitempty"`    // of its first turns, oldest first
	Limits       steps.AgentLimits `json:"limits"`                 // with what people have added; none where there is no number
	Used         steps.AgentLimits `json:"used"`                   // of each limit; where nobody knows what a turn took, what was reserved for it counts
	Last         bool              `json:"last,omitempty"`         // it is asked for the last time, without tools
	People       []Asked           `json:"people,omitempty"`       // what people were asked about its limits
	MayNotSteer  string            `json:"-"`                      // why nobody can write to it; empty if people can
}

// AgentTurn is one time that an agent's model was asked.
type AgentTurn struct {
	Step     string          `json:"step"`                 // the unit's id
	Number   int             `json:"number"`               // from 1
	State    steps.StepState `json:"state"`                // where it stands
	Rung     string          `json:"rung"`                 // of the model's tool
	Said     string          `json:"said,omitempty"`       // what the model said; cut
	Wrong    string          `json:"wrong,omitempty"`      // why its answer was not taken; cut
	Calls    []AgentCall     `json:"calls,omitempty"`      // that it proposes
	Notes    []AgentNote     `json:"notes,omitempty"`      // that people wrote while it was the last turn; the next one begins with them
	Back     *TakenBack      `json:"taken_back,omitempty"` // who has taken it back; null while it counts
	Degraded string          `json:"degraded,omitempty"`   // why another rung than the first has answered
	AnswerBy string          `json:"answer_by,omitempty"`  // the person who answered in the model's place
	Class    steps.Class     `json:"class,omitempty"`      // of the fault that it was given up for
	Message  string          `json:"message,omitempty"`    // of that fault
	People   []Asked         `json:"people,omitempty"`     // what people were asked about it
	Took     steps.Duration  `json:"took,omitempty"`       // all its attempts, in seconds
	Tokens   int64           `json:"tokens,omitempty"`     // read and written; where nobody knows, those that were reserved
	Cost     steps.Money     `json:"cost,omitempty"`       // in US dollars
}

// AgentNote is what a person has written to an agent at work.
type AgentNote struct {
	By        string `json:"by"`                   // who wrote it
	Text      string `json:"text"`                 // in that person's words; cut
	TakesBack int    `json:"takes_back,omitempty"` // number of the first turn that it takes back, and all after it up to this one; 0 = none
	Unread    bool   `json:"unread,omitempty"`     // the model has not been asked since
}

// TakenBack says who has taken back a turn of an agent: its model hears of it only what was done in it.
type TakenBack struct {
	By     string    `json:"by"`               // who did
	Reason string    `json:"reason,omitempty"` // in that person's words; cut
	At     time.Time `json:"at"`               // the log's time
}

// AgentCall is a call that an agent has proposed, and what came of it.
type AgentCall struct {
	Step      string          `json:"step,omitempty"`      // the unit's id; empty: it was not begun, because a limit is reached
	Tool      string          `json:"tool"`                // its name; the model's word for it where there is no such tool
	Arguments json.RawMessage `json:"arguments"`           // as the model proposed them; a string where they are no JSON, or cut
	Changed   json.RawMessage `json:"changed,omitempty"`   // what a person made of them
	State     steps.StepState `json:"state,omitempty"`     // where it stands; empty: it was not begun
	Rung      string          `json:"rung,omitempty"`      // that it stands on
	Result    string          `json:"result,omitempty"`    // what the model is told of it; cut
	Failed    bool            `json:"failed,omitempty"`    // it is told that there is no result
	Stays     bool            `json:"stays,omitempty"`     // it is done, and stays done although its turn was taken back
	ResultOf  string          `json:"result_of,omitempty"` // the call, in a turn taken back, whose result it shows; nothing was made again
	Degraded  string          `json:"degraded,omitempty"`  // how the result came about, where not as meant
	AnswerBy  string          `json:"answer_by,omitempty"` // the person who gave the result
	People    []Asked         `json:"people,omitempty"`    // what people were asked about it
	Took      steps.Duration  `json:"took,omitempty"`      // all its attempts, in seconds
}

// How much of an agent is shown.
const (
	maxSaid     = 4000 // characters of what a model said, and of arguments
	maxResult   = 2000 // characters of a result
	maxAsked    = 2000 // characters of instructions and of a prompt in a dossier
	recentTurns = 3    // in a dossier
)

// agentViews are all agents of a run that have begun.
func (s run) agentViews() (list []Agent) {
	var asked map[string][]Asked
	for i := range s.Units {
		w, ok := s.AgentWork(i)
		if !ok {
			continue
		}
		if asked == nil {
			asked = s.askedByStep()
		}
		list = append(list, s.agentView(i, w, 0, asked))
	}
	return list
}

// agentOf is the agent that unit i is, or is a turn, a call or a summary of, with its last turns; nil where there is none.
func (s run) agentOf(i int) *Agent {
	if of := s.Units[i].Agent(); of >= 0 {
		i = of
	}
	w, ok := s.AgentWork(i)
	if !ok {
		return nil
	}
	v := s.agentView(i, w, max(0, len(w.Turns)-recentTurns), s.askedByStep())
	v.Instructions, v.Prompt = text.Cut(v.Instructions, maxAsked), text.Cut(v.Prompt, maxAsked)
	return &v
}

// TurnOf shows unit i, if it is a turn of an agent.
func TurnOf(s *steps.State, i int) (AgentTurn, bool) {
	w, _ := s.AgentWork(s.Units[i].Agent())
	for n, t := range w.Turns {
		if t.Unit == i {
			return run{s}.agentTurn(n+1, t, nil), true
		}
	}
	return AgentTurn{}, false
}

// AgentOf shows agent i without its turns: what it was asked, and how much of its limits it has used; false if unit i is no
// agent that has begun.
func AgentOf(s *steps.State, i int) (Agent, bool) {
	w, ok := s.AgentWork(i)
	if !ok {
		return Agent{}, false
	}
	return run{s}.agentView(i, w, len(w.Turns), nil), true
}

func (s run) askedByStep() map[string][]Asked {
	by := map[string][]Asked{}
	for _, a := range s.askedViews() {
		by[a.Step] = append(by[a.Step], a)
	}
	return by
}

// agentView shows agent i from turn number first on, counted from 0.
func (s run) agentView(i int, w steps.AgentWork, first int, asked map[string][]Asked) Agent {
	v := Agent{
		Step: s.Units[i].ID, Model: s.Tool(i).Name, State: s.Units[i].State(), Instructions: w.Instructions, Prompt: w.Prompt,
		Earlier: first, Turns: []AgentTurn{}, Limits: w.Limits, Used: w.Used, Last: w.Last,
		Summaries: s.agentSummaries(w, first, asked), People: asked[s.Units[i].ID], MayNotSteer: s.MayNotSteer(i),
	}
	for n := first; n < len(w.Turns); n++ {
		v.Turns = append(v.Turns, s.agentTurn(n+1, w.Turns[n], asked))
	}
	return v
}

func (s run) agentTurn(number int, t steps.AgentTurn, asked map[string][]Asked) AgentTurn {
	u := &s.Units[t.Unit]
	v := AgentTurn{
		Step: u.ID, Number: number, State: u.State(), Rung: s.RungName(t.Unit), Said: text.Cut(t.Said, maxSaid), Wrong: text.Cut(t.Wrong, maxResult),
		Degraded: causeOf(u), AnswerBy: u.AnswerBy, People: asked[u.ID], Took: tookAll(u),
	}
	if u.Fault != nil {
		v.Class, v.Message = u.Fault.Class, u.Fault.Message
	}
	for _, rec := range u.Attempts {
		v.Cost += rec.Cost
		v.Tokens += rec.Tokens()
	}
	for _, p := range t.Calls {
		v.Calls = append(v.Calls, s.agentCall(u.Node, p, asked))
	}
	for _, n := range t.Notes {
		v.Notes = append(v.Notes, AgentNote{n.By, text.Cut(n.Text, maxSaid), n.TakesBack, n.Unread})
	}
	if b := t.Back; b != nil {
		v.Back = &TakenBack{b.By, text.Cut(b.Reason, maxSaid), b.At.UTC()}
	}
	return v
}

func (s run) agentCall(node int, p steps.AgentProposal, asked map[string][]Asked) AgentCall {
	v := AgentCall{Tool: s.proposedTool(node, p.Name), Arguments: cutValue(p.Arguments), Result: text.Cut(p.Result, maxResult), Failed: p.Failed}
	if p.Unit < 0 {
		return v
	}
	u := &s.Units[p.Unit]
	v.Step, v.State, v.Rung, v.Degraded, v.AnswerBy = u.ID, u.State(), s.RungName(p.Unit), causeOf(u), u.AnswerBy
	v.People, v.Took, v.Stays = asked[u.ID], tookAll(u), p.Stays
	if of := u.ResultOf(); of >= 0 {
		v.ResultOf = s.Units[of].ID
	}
	if u.Edited() {
		v.Changed = cutValue(u.Params)
	}
	return v
}

// proposedTool is the tool that the model of a node means; its own word where there is no such tool.
func (s run) proposedTool(node int, name string) string {
	for _, t := range s.Program.Nodes[node].Agent.Tools {
		if t.Call == name {
			return t.Tool.Name
		}
	}
	return text.Cut(name, maxAsked)
}

// cutValue is a JSON value; where it is long, a string with its beginning.
func cutValue(raw json.RawMessage) json.RawMessage {
	if len(raw) <= maxSaid {
		return orNull(raw)
	}
	return jsonText(text.Cut(string(raw), maxSaid))
}

func causeOf(u *steps.Unit) string {
	if u.Degraded == nil {
		return ""
	}
	return u.Degraded.Cause
}

func tookAll(u *steps.Unit) (sum steps.Duration) {
	for _, rec := range u.Attempts {
		sum += rec.Took
	}
	return sum
}

// Spent says how much of its limits an agent has used: "turn 3 of 20, 5 of 40 calls, 12,400 tokens, $0.03 of $2.00".
func (a *Agent) Spent() string {
	u, l := a.Used, a.Limits
	parts := []string{fmt.Sprintf("turn %d of %d", u.Turns, l.Turns), fmt.Sprintf("%d of %d calls", u.Calls, l.Calls)}
	if a.Last && u.Turns > l.Turns {
		parts[0] = fmt.Sprintf("turn %d (%d, and the last one)", u.Turns, l.Turns)
	}
	if u.Tokens > 0 || l.Tokens > 0 {
		parts = append(parts, bounded(thousands(u.Tokens), thousands(l.Tokens), l.Tokens > 0)+" tokens")
	}
	if u.USD > 0 || l.USD > 0 {
		parts = append(parts, bounded(u.USD.String(), l.USD.String(), l.USD > 0))
	}
	if l.Time > 0 {
		parts = append(parts, time.Duration(u.Time).Round(time.Second).String()+" of "+l.Time.String())
	}
	if u.Repeats > 1 {
		parts = append(parts, fmt.Sprintf("proposes the same %d of %d times", u.Repeats, l.Repeats))
	}
	if u.Refusals > 0 {
		parts = append(parts, bounded(strconv.Itoa(u.Refusals), strconv.Itoa(l.Refusals), l.Refusals > 0)+" calls in a row rejected")
	}
	return strings.Join(parts, ", ")
}

func bounded(used, limit string, has bool) string {
	if has {
		return used + " of " + limit
	}
	return used
}

// Outcome says in words what came of a call, without its result: "succeeded, approved by mia", "not begun".
func (c *AgentCall) Outcome() string {
	if c.Step == "" {
		return "not begun: a limit is reached"
	}
	parts := []string{string(c.State)}
	if c.Degraded != "" {
		parts[0] += " by " + c.Rung + ", degraded: " + c.Degraded
	}
	if c.Stays {
		parts = append(parts, "and stays done")
	}
	if c.ResultOf != "" {
		parts = append(parts, "not made again: this is the result of "+c.ResultOf)
	}
	return strings.Join(append(parts, saidBy(c.People, c.AnswerBy)...), ", ")
}

// Words are a message as people read it that was written while turn `number` was the last one.
func (n *AgentNote) Words(number int) string {
	switch n.TakesBack {
	case 0:
		return n.Text
	case number:
		return fmt.Sprintf("takes back turn %d", number) + because(n.Text)
	}
	return fmt.Sprintf("takes back turns %d to %d", n.TakesBack, number) + because(n.Text)
}

// Outcome says in words how a turn went that is not simply done; empty where it is.
func (t *AgentTurn) Outcome() string {
	var parts []string
	if t.Back != nil {
		parts = append(parts, "taken back by "+cmp.Or(t.Back.By, "a person")+because(t.Back.Reason))
	}
	switch {
	case t.Back != nil && t.State == steps.StepFailed: // as said above
	case t.Degraded != "":
		parts = append(parts, "by "+t.Rung+", degraded: "+t.Degraded)
	case t.State != steps.StepSucceeded && t.Message != "":
		parts = append(parts, string(t.State)+": "+string(t.Class)+": "+t.Message)
	case t.State != steps.StepSucceeded:
		parts = append(parts, string(t.State))
	}
	return strings.Join(append(parts, saidBy(t.People, t.AnswerBy)...), ", ")
}

// Waits is the escalation that is open about a call; empty where there is none.
func (c *AgentCall) Waits() string {
	for _, q := range c.People {
		if q.State == steps.EscalationOpen {
			return q.ID
		}
	}
	return ""
}

// saidBy says what people decided about something, in the order in which they did.
func saidBy(asked []Asked, answered string) (list []string) {
	for _, q := range asked {
		who := q.By
		if q.Verb == steps.VerbApprove {
			who = strings.Join(q.Approvals, ", ")
		}
		switch {
		case q.State == steps.EscalationOpen:
			list = append(list, "waits for a person")
		case q.Verb != "":
			list = append(list, did[q.Verb]+" by "+who+because(q.Reason))
		}
	}
	if answered != "" && len(list) == 0 {
		list = append(list, "answered by "+answered)
	}
	return list
}

// did is what somebody has done who has decided something.
var did = map[steps.Verb]string{
	steps.VerbApprove: "approved", steps.VerbReject: "rejected", steps.VerbRetry: "sent back", steps.VerbEdit: "edited", steps.VerbAnswer: "answered",
	steps.VerbSkip: "skipped", steps.VerbVerify: "verified", steps.VerbExtend: "given more", steps.VerbFinish: "told to finish", steps.VerbAbort: "aborted",
}
