package steps

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Document is a run as programs read it: what `runs show -o json` prints. Field names are a contract.
type Document struct {
	ID          string            `json:"id"`
	Workflow    string            `json:"workflow"`
	State       RunState          `json:"state"`
	Ending      RunState          `json:"ending,omitempty"` // how it will end, once nothing of it executes any more and all is undone
	Reason      string            `json:"reason,omitempty"`
	Labels      map[string]string `json:"labels"`
	RetryOf     string            `json:"retry_of,omitempty"`
	Started     time.Time         `json:"started"`
	Ended       *time.Time        `json:"ended"`
	Input       json.RawMessage   `json:"input"`
	Degraded    []Degraded        `json:"degraded"`
	Steps       []StepView        `json:"steps"`
	Output      json.RawMessage   `json:"output"`
	Escalations []string          `json:"escalations"` // ids of the open ones
	Asked       []AskedView       `json:"asked"`       // every question to people, the first one first

	Stricter []PolicyDifference `json:"stricter,omitempty"` // what workers' tools files ask beyond the submitted one
}

// Standing says in words where a run stands: its state, and how a live one is coming to its end.
func Standing(state, ending RunState) string {
	words := map[RunState]string{RunCancelled: "cancelling", RunAborted: "aborting", RunFailed: "failing"}
	if w := words[ending]; w != "" {
		return string(state) + " (" + w + ")"
	}
	return string(state)
}

// StepView is one unit of a run.
type StepView struct {
	ID       string          `json:"id"`
	Tool     string          `json:"tool"`
	State    StepState       `json:"state"`
	Rung     string          `json:"rung"`
	Round    int             `json:"round"`
	Class    Class           `json:"class,omitempty"`
	Message  string          `json:"message,omitempty"`
	AnswerBy string          `json:"answer_by,omitempty"`
	Output   json.RawMessage `json:"output"`
	Attempts []AttemptView   `json:"attempts"`
}

// AttemptView is one attempt. Times are the log's; Took is what the worker measured.
type AttemptView struct {
	Round   int          `json:"round"`
	Rung    string       `json:"rung"`
	Try     int          `json:"try"`
	State   AttemptState `json:"state"`
	Class   Class        `json:"class,omitempty"`
	Message string       `json:"message,omitempty"`
	Detail  string       `json:"detail,omitempty"`
	Status  int          `json:"status,omitempty"`
	Worker  string       `json:"worker,omitempty"`
	Queued  time.Time    `json:"queued"`
	Started *time.Time   `json:"started"`
	Ended   *time.Time   `json:"ended"`
	Took    Duration     `json:"took,omitempty"`
	Wait    Duration     `json:"wait"`
	Crashes int          `json:"crashes,omitempty"` // executions that ended with their worker
	Lost    []LostView   `json:"lost,omitempty"`    // executions whose worker ended under them
	Note    string       `json:"note,omitempty"`
}

// LostView is an execution whose worker ended without a word.
type LostView struct {
	Worker  string     `json:"worker"`  // empty where it ended before the log had heard of it
	Started *time.Time `json:"started"` // null likewise
	Found   time.Time  `json:"found"`   // when that was clear
}

// Words say which execution was lost, and when.
func (l LostView) Words() string {
	const layout = "15:04:05"
	if l.Started == nil {
		return "one before that was lost as well; its worker ended before the log had heard of it (found " + l.Found.Format(layout) + ")"
	}
	return "begun " + l.Started.Format(layout) + " by " + orElse(l.Worker, "a worker") + ", which ended under it (found " + l.Found.Format(layout) + ")"
}

func lostViews(list []Lost) []LostView {
	var views []LostView
	for _, l := range list {
		views = append(views, LostView{Worker: l.Worker, Started: moment(l.Started), Found: l.Found.UTC()})
	}
	return views
}

// Show makes the document of a run.
func Show(s *State) Document {
	d := Document{
		ID: s.Run, Workflow: s.Program.Plan.Name, State: s.Status(), Ending: s.Ending(), Reason: s.Reason, Labels: s.Labels, RetryOf: s.RetryOf,
		Started: s.Submitted.UTC(), Ended: moment(s.Ended), Input: Viewed(s.Input), Degraded: s.DegradedSteps(),
		Steps: make([]StepView, 0, len(s.Units)), Output: Viewed(s.Output), Escalations: []string{}, Asked: s.askedViews(), Stricter: s.Differences(),
	}
	if d.Labels == nil {
		d.Labels = map[string]string{}
	}
	if d.Degraded == nil {
		d.Degraded = []Degraded{}
	}
	for i := range s.Units {
		d.Steps = append(d.Steps, s.stepView(i))
	}
	for n := range s.Escalations {
		if s.Escalations[n].State == EscalationOpen {
			d.Escalations = append(d.Escalations, s.Escalations[n].ID)
		}
	}
	return d
}

func (s *State) stepView(i int) StepView {
	u := &s.Units[i]
	v := StepView{
		ID: u.ID, Tool: s.Tool(i).Name, State: u.State, Rung: s.RungName(i), Round: u.Round, AnswerBy: u.AnswerBy,
		Output: Viewed(u.Output), Attempts: s.attemptViews(i),
	}
	if u.Fault != nil {
		v.Class, v.Message = u.Fault.Class, u.Fault.Message
	}
	return v
}

func (s *State) attemptViews(i int) []AttemptView {
	list := make([]AttemptView, 0, len(s.Units[i].Attempts))
	for _, rec := range s.Units[i].Attempts {
		v := AttemptView{
			Round: rec.Round, Rung: s.Tool(i).Rung(rec.Rung).Name, Try: rec.Try, State: rec.State, Worker: rec.Worker,
			Queued: rec.Queued.UTC(), Started: rec.began(), Ended: moment(rec.Ended), Took: rec.Took, Wait: rec.Wait,
			Crashes: max(rec.Crashes, len(rec.Lost)), Lost: lostViews(rec.Lost), Note: rec.Note,
		}
		if f := rec.Fault; f != nil {
			v.Class, v.Message, v.Detail, v.Status = f.Class, f.Message, f.Detail, f.Status
		}
		list = append(list, v)
	}
	return list
}

// began is when the attempt was executed: as the log learned it, else reckoned back from its end.
func (rec *AttemptRecord) began() *time.Time {
	if rec.Started.IsZero() && rec.Took > 0 {
		return moment(rec.Ended.Add(-time.Duration(rec.Took)))
	}
	return moment(rec.Started)
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// EscalationView is an escalation as lists show it; also the body of its message on the escalation stream.
type EscalationView struct {
	ID       string          `json:"id"`
	Kind     EscalationKind  `json:"kind"`
	State    EscalationState `json:"state"`
	Run      string          `json:"run"`
	Workflow string          `json:"workflow"`
	Step     string          `json:"step"`
	Tool     string          `json:"tool"`
	Rung     string          `json:"rung"`
	Class    Class           `json:"class"`
	Message  string          `json:"message"`
	Opened   time.Time       `json:"opened"`
	Deadline *time.Time      `json:"deadline"`              // when nobody may have decided; null = never
	OnExpiry OnExpiry        `json:"on_deadline,omitempty"` // what happens then
	Target   string          `json:"target,omitempty"`      // what the rung talks to, as it is called
	Pattern  string          `json:"pattern,omitempty"`     // the target as the tools file has it, where that is another text; questions about the same are alike
	Summary  string          `json:"summary,omitempty"`     // what the call in question does, in one line; see [Program.Summary]
	Allowed  []Verb          `json:"allowed"`
	Decision *Decided        `json:"decision,omitempty"`

	Needed    int      `json:"needed,omitempty"`    // how many people must approve, where more than one must
	Approvals []string `json:"approvals,omitempty"` // who has approved so far
	Approved  string   `json:"approved,omitempty"`  // both in words: "1 of 2 approved, mia"
	Follows   string   `json:"follows,omitempty"`   // the expired escalation that asked the same
	Tier      int      `json:"tier,omitempty"`      // how often it was asked before, in vain
	Facts     []Fact   `json:"facts,omitempty"`     // the step's parameters, as far as a list shows them
}

// ViewEscalation shows escalation n of s.
func ViewEscalation(s *State, n int) EscalationView {
	e := &s.Escalations[n]
	v := EscalationView{
		ID: e.ID, Kind: e.Kind, State: e.State, Run: s.Run, Workflow: s.Program.Plan.Name, Rung: e.Rung,
		Class: e.Fault.Class, Message: e.Fault.Message, Opened: e.Opened.UTC(), Allowed: e.Allowed, Decision: ViewedDecision(e.Decision),
		Deadline: moment(e.Deadline), Follows: e.Follows, Tier: e.Tier,
	}
	if e.Needed > 1 {
		v.Needed = e.Needed
	}
	v = v.WithApprovals(e.givenBy())
	if v.Deadline != nil {
		v.OnExpiry = e.OnExpiry
	}
	if e.Unit != RunUnit {
		v.Target, v.Pattern = s.target(e.Unit)
		v.Summary = s.summaryOf(e)
		v.Step, v.Tool = s.Units[e.Unit].ID, s.Tool(e.Unit).Name
		v.Facts = s.factsOf(e.Unit)
	}
	return v
}

// WithApprovals is v once these people have approved.
func (v EscalationView) WithApprovals(by []string) EscalationView {
	v.Approvals, v.Approved = by, approved(v.Needed, by)
	return v
}

// FindEscalation is the index of an escalation by its id, -1 when there is none.
func (s *State) FindEscalation(id string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(id, s.Run+"-"))
	if err != nil || n < 1 || n > len(s.Escalations) || s.Escalations[n-1].ID != id {
		return -1
	}
	return n - 1
}

// Carry lists what a retry of the ended run s need not do again: units that are done and were not compensated.
func Carry(s *State) []Carried {
	undone := make(map[int]bool)
	for i := range s.Units {
		if of, ok := s.Undo(i); ok && s.Units[i].State == StepSucceeded {
			undone[of] = true
		}
	}
	var list []Carried
	for i := range s.Units {
		u := &s.Units[i]
		if u.kind == undo || !u.State.Done() || undone[i] || u.Fault != nil {
			continue
		}
		list = append(list, Carried{Step: u.ID, State: u.State, Rung: u.Rung, Output: u.Output, Degraded: carriedLabel(s, i), Tainted: u.tainted})
	}
	return list
}

// KeyRun is the run named in this run's idempotency keys; a retry keeps it.
func (s *State) KeyRun() string { return s.keyRun }

// carriedLabel is how a step's result came about. Items are not carried over by themselves, so the step takes the label
// of the first one that has one.
func carriedLabel(s *State, i int) *Degraded {
	u := &s.Units[i]
	if u.Degraded != nil || u.fan == nil {
		return u.Degraded
	}
	for n := range u.fan.items {
		if d := s.Units[u.fan.first+n].Degraded; d != nil {
			return &Degraded{Step: u.ID, Rung: d.Rung, Cause: "item " + strconv.Itoa(n) + ": " + d.Cause, Age: d.Age}
		}
	}
	return nil
}
