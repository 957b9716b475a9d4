package view

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"

	"belay/internal/steps"
)

// Document is a run as programs read it: what `runs show -o json` prints. Field names are a contract.
type Document struct {
	ID          string             `json:"id"`                   // the run's id
	Workflow    string             `json:"workflow"`             // the plan's name
	State       steps.RunState     `json:"state"`                // where it stands
	Ending      steps.RunState     `json:"ending,omitempty"`     // how it will end, once nothing of it executes any more and all is undone
	Reason      string             `json:"reason,omitempty"`     // why it failed, was aborted, cancelled or migrated
	Labels      map[string]string  `json:"labels"`               // never null
	RetryOf     string             `json:"retry_of,omitempty"`   // the run that it goes on from
	Replay      *steps.ReplayOf    `json:"replay,omitempty"`     // the run that it does again; null: none
	Migrates    *steps.MigrationOf `json:"migrates,omitempty"`   // the run that goes on as this one, under this plan; null: none
	GoesOnAs    string             `json:"goes_on_as,omitempty"` // the run that this one goes on as, under another plan
	Started     time.Time          `json:"started"`              // when it was submitted, by the log
	Ended       *time.Time         `json:"ended"`                // null while it goes on
	Input       json.RawMessage    `json:"input"`                // an object
	Degraded    []steps.Degraded   `json:"degraded"`             // never null
	Steps       []Step             `json:"steps"`                // every unit: steps, items, compensations
	Output      json.RawMessage    `json:"output"`               // null before the end
	Escalations []string           `json:"escalations"`          // ids of the open ones
	Asked       []Asked            `json:"asked"`                // every question to people, the first one first
	Agents      []Agent            `json:"agents,omitempty"`     // steps with an agent that have begun

	ScheduledFor *time.Time `json:"scheduled_for,omitempty"` // when it begins, or was to; null: when it was submitted

	Stricter []steps.PolicyDifference `json:"stricter,omitempty"` // what workers' tools files ask beyond the submitted one
	Spent    *Spent                   `json:"spent,omitempty"`    // what its models took; null: it has called none
}

// Took is how long a run took, or has taken until now, with the time that people took; 0 where it never began.
func Took(submitted time.Time, scheduled, ended *time.Time, now time.Time) time.Duration {
	if ended != nil {
		now = *ended
	}
	return max(0, now.Sub(begins(submitted, scheduled)))
}

func begins(submitted time.Time, scheduled *time.Time) time.Time {
	if scheduled == nil {
		return submitted
	}
	return later(submitted, *scheduled)
}

// Begins is when the run began, or is to begin.
func (d *Document) Begins() time.Time { return begins(d.Started, d.ScheduledFor) }

// StartText says when a run of a submission begins.
func StartText(e steps.Submitted) string {
	switch {
	case !e.At.IsZero():
		return "at " + e.At.UTC().Format(time.RFC3339)
	case e.In > 0:
		return "in " + e.In.String()
	}
	return "at once"
}

// ScheduledFor says in words when a run begins whose time has not come.
func ScheduledFor(at *time.Time, now time.Time) string {
	return string(steps.RunScheduled) + " for " + Clock(*at, now) + " UTC"
}

// Standing says in words where a run stands: its state, and how a live run is ending.
func Standing(state, ending steps.RunState) string {
	words := map[steps.RunState]string{steps.RunCancelled: "cancelling", steps.RunAborted: "aborting", steps.RunFailed: "failing"}
	if w := words[ending]; w != "" {
		return string(state) + " (" + w + ")"
	}
	return string(state)
}

// Step is one unit of a run.
type Step struct {
	ID        string          `json:"id"`                   // the unit's id
	Tool      string          `json:"tool"`                 // its name
	State     steps.StepState `json:"state"`                // where it stands
	Rung      string          `json:"rung"`                 // that it stands on
	Round     int             `json:"round"`                // grows when a person sends it back
	Class     steps.Class     `json:"class,omitempty"`      // of the fault that it was given up for
	Message   string          `json:"message,omitempty"`    // of that fault
	AnswerBy  string          `json:"answer_by,omitempty"`  // the person who gave the output
	ResultOf  string          `json:"result_of,omitempty"`  // the call, in a turn taken back, whose output it shows; nothing was made again
	TakenOver string          `json:"taken_over,omitempty"` // the run that did it, in a retry or a replay of that one
	Held      *Held           `json:"held,omitempty"`       // what holds it back; null where it is not held back
	Output    json.RawMessage `json:"output"`               // null before it is done
	Attempts  []Attempt       `json:"attempts"`             // oldest first
}

// HeldBack says what holds attempt n of the step back, where that is known by unit beside what the log says; empty: nothing does.
func (s *Step) HeldBack(n int, by map[string]string) string {
	if at := s.Attempts[n].State; n != len(s.Attempts)-1 || at != steps.AttemptQueued && at != steps.AttemptWithdrawn {
		return ""
	}
	if brief := by[s.ID]; brief != "" || s.Held == nil {
		return brief
	}
	return s.Held.Text()
}

// Attempt is one attempt. Times are the log's; Took is what the worker measured.
type Attempt struct {
	Round   int                `json:"round"`             // of its step
	Rung    string             `json:"rung"`              // its name
	Try     int                `json:"try"`               // from 1 on each rung
	State   steps.AttemptState `json:"state"`             // where it stands, or how it ended
	Class   steps.Class        `json:"class,omitempty"`   // of its fault
	Message string             `json:"message,omitempty"` // of its fault
	Detail  string             `json:"detail,omitempty"`  // evidence, as far as it was kept
	Status  int                `json:"status,omitempty"`  // HTTP status, exit code or service error code
	Worker  string             `json:"worker,omitempty"`  // the last one that executed it
	Queued  time.Time          `json:"queued"`            // the log's time
	Started *time.Time         `json:"started"`           // null before it runs
	Ended   *time.Time         `json:"ended"`             // null while it is out
	Took    steps.Duration     `json:"took,omitempty"`    // wall time, in seconds
	Wait    steps.Duration     `json:"wait"`              // before it, in seconds
	Crashes int                `json:"crashes,omitempty"` // executions that ended with their worker
	Lost    []Lost             `json:"lost,omitempty"`    // executions whose worker ended under them
	Note    string             `json:"note,omitempty"`    // its progress, or what became of a late outcome

	Continues string `json:"continues,omitempty"` // what it goes on with that an attempt before it left; empty: it began the call
	Left      string `json:"left,omitempty"`      // what it left for another one to go on with

	Injected string       `json:"injected,omitempty"` // id of the fault on purpose that its fault is; empty = it is real
	Reason   steps.Reason `json:"reason,omitempty"`   // what its fault is beside its class, of a model's call
	Usage    *steps.Usage `json:"usage,omitempty"`    // what its model took; null for other calls, and where nothing was counted
	Cost     steps.Money  `json:"cost,omitempty"`     // of that, in US dollars; 0 where no price is known
}

// OnPurpose says what was injected into the attempt that is no fault: a delay, a death or a partition; empty = nothing.
func (a *Attempt) OnPurpose() string {
	if strings.HasPrefix(a.Note, steps.InjectedBy) {
		return a.Note
	}
	return ""
}

// Lost is an execution whose worker ended without an outcome.
type Lost struct {
	Worker  string     `json:"worker"`  // empty where it ended before the log had heard of it
	Started *time.Time `json:"started"` // null likewise
	Found   time.Time  `json:"found"`   // when that was clear
}

// Words say which execution was lost, and when.
func (l Lost) Words() string {
	const layout = "15:04:05"
	if l.Started == nil {
		return "one before that was lost as well; its worker ended before the log had heard of it (found " + l.Found.Format(layout) + ")"
	}
	return "begun " + l.Started.Format(layout) + " by " + cmp.Or(l.Worker, "a worker") + ", which ended under it (found " + l.Found.Format(layout) + ")"
}

func lostViews(list []steps.Lost) []Lost {
	var views []Lost
	for _, l := range list {
		views = append(views, Lost{Worker: l.Worker, Started: moment(l.Started), Found: l.Found.UTC()})
	}
	return views
}

// Show is the document of a run.
func Show(s *steps.State) Document {
	r := run{s}
	d := Document{
		ID: s.Run, Workflow: s.Program.Plan.Name, State: s.Status(), Ending: s.Ending(), Reason: s.Reason, Labels: s.Labels, RetryOf: s.RetryOf, Replay: s.Replay, Migrates: s.Migrates, GoesOnAs: s.GoesOnAs(),
		Started: s.Submitted.UTC(), Ended: moment(s.Ended), Input: Value(s.Input), Degraded: s.DegradedSteps(),
		Steps: make([]Step, 0, len(s.Units)), Output: Value(s.Output), Escalations: []string{}, Asked: r.askedViews(), Stricter: s.Differences(),
		Spent: spentOf(s), ScheduledFor: moment(s.Scheduled),
		Agents: r.agentViews(),
	}
	if d.Labels == nil {
		d.Labels = map[string]string{}
	}
	if d.Degraded == nil {
		d.Degraded = []steps.Degraded{}
	}
	for i := range s.Units {
		d.Steps = append(d.Steps, r.stepView(i))
	}
	for n := range s.Escalations {
		if s.Escalations[n].State == steps.EscalationOpen {
			d.Escalations = append(d.Escalations, s.Escalations[n].ID)
		}
	}
	return d
}

func (s run) stepView(i int) Step {
	u := &s.Units[i]
	v := Step{
		ID: u.ID, Tool: s.Tool(i).Name, State: u.State(), Rung: s.RungName(i), Round: u.Round, AnswerBy: u.AnswerBy,
		Output: Value(u.Output), Attempts: s.attemptViews(i), Held: s.held(i), TakenOver: s.TakenOverFrom(i),
	}
	if u.Fault != nil {
		v.Class, v.Message = u.Fault.Class, u.Fault.Message
	}
	if of := u.ResultOf(); of >= 0 {
		v.ResultOf = s.Units[of].ID
	}
	return v
}

func (s run) attemptViews(i int) []Attempt {
	list := make([]Attempt, 0, len(s.Units[i].Attempts))
	for _, rec := range s.Units[i].Attempts {
		v := Attempt{
			Round: rec.Round, Rung: s.Tool(i).Rung(rec.Rung).Name, Try: rec.Try, State: rec.State, Worker: rec.Worker,
			Queued: rec.Queued.UTC(), Started: began(&rec), Ended: moment(rec.Ended), Took: rec.Took, Wait: rec.Wait,
			Crashes: max(rec.Crashes, len(rec.Lost)), Lost: lostViews(rec.Lost), Note: rec.Note, Usage: rec.Usage, Cost: rec.Cost,
		}
		if f := rec.Fault; f != nil {
			v.Class, v.Message, v.Detail, v.Status, v.Injected, v.Reason = f.Class, f.Message, f.Detail, f.Status, f.Injected, f.Reason
		}
		if rec.Continues != nil {
			v.Continues = rec.Continues.About
		}
		if rec.Left != nil {
			v.Left = rec.Left.About
		}
		list = append(list, v)
	}
	return list
}

// began is when the execution began: when the log learned of it, otherwise reckoned back from the end.
func began(rec *steps.AttemptRecord) *time.Time {
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

// Escalation is an escalation as lists show it; also the body of its message on the escalation stream.
type Escalation struct {
	ID       string                `json:"id"`                    // `<run>-<n>`
	Kind     steps.EscalationKind  `json:"kind"`                  // what people are asked
	State    steps.EscalationState `json:"state"`                 // whether it is still open
	Run      string                `json:"run"`                   // the run's id
	Workflow string                `json:"workflow"`              // the plan's name
	Step     string                `json:"step"`                  // empty: the run itself
	Tool     string                `json:"tool"`                  // empty likewise
	Rung     string                `json:"rung"`                  // that the step stands on
	Class    steps.Class           `json:"class"`                 // of the fault; empty for an approval
	Message  string                `json:"message"`               // what it is about, in words
	Opened   time.Time             `json:"opened"`                // the log's time
	Deadline *time.Time            `json:"deadline"`              // for a decision; null = none
	OnExpiry steps.OnExpiry        `json:"on_deadline,omitempty"` // what happens at the deadline
	Target   string                `json:"target,omitempty"`      // what the rung talks to, as it is called
	Pattern  string                `json:"pattern,omitempty"`     // the target as the tools file has it, where that is another text; escalations with the same one are alike
	Summary  string                `json:"summary,omitempty"`     // what the call does, in one line, as the tools file words it
	Allowed  []steps.Verb          `json:"allowed"`               // what may be decided
	Decision *steps.Decided        `json:"decision,omitempty"`    // null while nobody has decided

	Needed    int      `json:"needed,omitempty"`    // how many people must approve, where more than one must
	Approvals []string `json:"approvals,omitempty"` // who has approved so far
	Approved  string   `json:"approved,omitempty"`  // both in words: "1 of 2 approved, mia"
	Follows   string   `json:"follows,omitempty"`   // the expired escalation that asked the same before
	Tier      int      `json:"tier,omitempty"`      // how often the same was asked before without a decision
	Facts     []Fact   `json:"facts,omitempty"`     // the step's parameters, as far as a list shows them
}

// EscalationOf shows escalation n of s.
func EscalationOf(s *steps.State, n int) Escalation {
	r, e := run{s}, &s.Escalations[n]
	v := Escalation{
		ID: e.ID, Kind: e.Kind, State: e.State, Run: s.Run, Workflow: s.Program.Plan.Name, Rung: e.Rung,
		Class: e.Fault.Class, Message: e.Fault.Message, Opened: e.Opened.UTC(), Allowed: e.Allowed, Decision: Decision(e.Decision),
		Deadline: moment(e.Deadline), Follows: e.Follows, Tier: e.Tier,
	}
	if e.Needed > 1 {
		v.Needed = e.Needed
	}
	v = v.WithApprovals(e.ApprovedBy())
	if v.Deadline != nil {
		v.OnExpiry = e.OnExpiry
	}
	if e.Unit != steps.RunUnit {
		v.Target, v.Pattern = r.target(e.Unit)
		v.Summary = r.summaryOf(e)
		v.Step, v.Tool = s.Units[e.Unit].ID, s.Tool(e.Unit).Name
		v.Facts = r.factsOf(e.Unit)
	}
	return v
}

// WithApprovals is v once these people have approved.
func (v Escalation) WithApprovals(by []string) Escalation {
	v.Approvals, v.Approved = by, approved(v.Needed, by)
	return v
}
