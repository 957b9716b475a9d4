package steps

import (
	"encoding/json"
	"strings"
	"time"
)

// WantList is what must exist outside the core because of a state. Everything in it may be made again without harm.
// The dispatcher publishes it in any order, and acknowledges the event only when all of it is stored.
type WantList struct {
	Steps       []StepMessage // in the queue, unless their outcome is in the log
	Withdraw    []StepMessage // make sure that nobody begins them, then say so in the log; what follows waits for that event
	Gone        []StepMessage // given up: purge their step messages
	Stop        []StepMessage // executed by somebody: tell them to stop
	Timer       time.Time     // the next moment at which Fired changes something; zero = none
	Escalations []int         // indexes of open escalations
	Closed      []int         // indexes of escalations that are no longer open: remove them
	Next        *Migrated     // the run that it goes on as is submitted; before Result
	Result      *Closed       // the run's end, until it is in the log
}

// StepMessage is what a worker gets: everything to execute one attempt, and nothing to decide about it.
type StepMessage struct {
	Run       string          `json:"run"` // the run's id
	Attempt                   // step, round, rung, try
	Workflow  string          `json:"workflow"`            // the plan's name
	Tool      string          `json:"tool"`                // its name
	RungName  string          `json:"rung_name"`           // in the tool's ladder, or `verify`
	Effects   Effects         `json:"effects"`             // of this attempt; a probe has none
	Continues bool            `json:"continues,omitempty"` // it goes on with what an earlier attempt left, see [State.Continuation]
	Params    json.RawMessage `json:"params"`              // an object
	Key       string          `json:"key"`                 // idempotency key: `<run>/<step>/<edit>`
	Timeout   Duration        `json:"timeout,omitempty"`   // of this attempt; 0 = none
	NotBefore time.Time       `json:"not_before,omitzero"` // do not execute earlier
	Deadline  time.Time       `json:"deadline,omitzero"`   // end of the step's budget; zero = none
	Lane      Lane            `json:"lane,omitempty"`      // of an attempt whose unit has ended workers before; empty: beside whatever else there is
	Grants    []Grant         `json:"grants,omitempty"`    // the approvals that it acts on
	// Definition is the tool's as it was pinned into the run, beside Grants, so that a worker can say what is different.
	Definition map[string]string `json:"definition,omitempty"`
	// Policies are what the run goes by; nil for runs of epoch 1.
	Policies *Policies `json:"policies,omitempty"`
}

// Policies tell a worker which policies of its tool a run knows.
type Policies struct {
	// Heard are the digests of each [ToolPolicy]: the submitter's, then those that workers brought up. A worker whose own is
	// not among them says so before it acts.
	Heard []string `json:"heard"`
	// The submitted schemas, where a worker's policy is another one: inputs and outputs must fit them and the worker's own.
	InputSchema  json.RawMessage `json:"input_schema,omitempty"`
	OutputSchema json.RawMessage `json:"output_schema,omitempty"`
}

// Claimed reports whether a worker must win the attempt's claim before it executes it: whatever may not happen twice.
func (m *StepMessage) Claimed() bool { return m.Effects.Unsafe() || len(m.Grants) > 0 }

// End is when an attempt that begins now must end: after its own timeout, or with the step's budget if that is sooner. False
// means that nothing bounds it.
func (m *StepMessage) End(now time.Time) (end time.Time, bounded bool) {
	end = m.Deadline
	if m.Timeout > 0 {
		if t := now.Add(time.Duration(m.Timeout)); end.IsZero() || t.Before(end) {
			end = t
		}
	}
	return end, !end.IsZero()
}

// Withdrawal is the event that says that m is taken back.
func Withdrawal(m StepMessage) Event {
	if m.Claimed() {
		return Claimed{Attempt: m.Attempt}
	}
	return Withdrawn{m.Attempt}
}

// AttemptName is the full name `<run>/<step>/<round>-<rung index>-<try>`.
func AttemptName(run string, a Attempt) string { return run + "/" + a.Step + "/" + a.Token() }

// ParseAttemptName is the reverse of [AttemptName].
func ParseAttemptName(run, name string) (Attempt, bool) {
	rest, ok := strings.CutPrefix(name, run+"/")
	cut := strings.LastIndexByte(rest, '/')
	if !ok || cut < 0 {
		return Attempt{}, false
	}
	return ParseAttempt(rest[:cut], rest[cut+1:])
}

// Wants says what must exist because of s: for the given units, or for all of them when touched is nil. The union over
// all units and [RunUnit] is the same as asking for all.
func Wants(s *State, touched []int) WantList {
	var w WantList
	if s == nil || s.closed {
		return w
	}
	if touched == nil {
		w.addRun(s)
		for i := range s.Units {
			w.addUnit(s, i)
		}
		return w
	}
	for _, i := range touched {
		if i == RunUnit {
			w.addRun(s)
			continue
		}
		w.addUnit(s, i)
	}
	w.addTimer(s.RunDue()) // the work clock moves with every event
	w.addResult(s)
	return w
}

func (w *WantList) addRun(s *State) {
	w.addTimer(s.RunDue())
	w.addResult(s)
	for n := range s.Escalations {
		if s.Escalations[n].Unit == RunUnit {
			w.addEscalation(s, n)
		}
	}
}

func (w *WantList) addResult(s *State) {
	w.Next = s.migrated
	if s.final != "" && w.Result == nil {
		w.Result = &Closed{State: s.final, Degraded: s.DegradedSteps(), Reason: s.Reason}
	}
}

func (w *WantList) addUnit(s *State, i int) {
	u := &s.Units[i]
	w.addTimer(s.UnitDue(i))
	for n := u.question.index(); n >= 0; n = s.Escalations[n].before.index() {
		w.addEscalation(s, n)
	}
	w.addGivenUp(s, i)
	if !u.phase.out() {
		return
	}
	stopping := s.ending != "" && u.origin.kind != undo
	switch {
	case u.Recalled():
		w.Withdraw = append(w.Withdraw, s.message(i))
	case stopping && u.State() == StepRunning:
		w.Stop = append(w.Stop, s.message(i))
	case !stopping:
		w.Steps = append(w.Steps, s.message(i))
	}
}

// addGivenUp names the attempts whose messages nobody should execute any more.
func (w *WantList) addGivenUp(s *State, i int) {
	u := &s.Units[i]
	for n := range u.Attempts {
		rec := &u.Attempts[n]
		if rec.State != AttemptWithdrawn && rec.State != AttemptGivenUp {
			continue
		}
		m := StepMessage{Run: s.Run, Attempt: Attempt{u.ID, rec.Round, rec.Rung, rec.Try}, Tool: s.Tool(i).Name, RungName: s.Tool(i).Rung(rec.Rung).Name}
		w.Gone = append(w.Gone, m)
		if rec.State == AttemptWithdrawn && s.since(2) {
			continue // nobody has it in hand
		}
		if !s.Tool(i).Effects.Unsafe() || rec.Rung == len(s.Tool(i).Rungs) {
			w.Stop = append(w.Stop, m) // somebody may execute it without having said so yet
		}
	}
}

func (w *WantList) addEscalation(s *State, n int) {
	if s.Escalations[n].State == EscalationOpen {
		w.Escalations = append(w.Escalations, n)
		return
	}
	w.Closed = append(w.Closed, n)
}

func (w *WantList) addTimer(at time.Time) {
	if !at.IsZero() && (w.Timer.IsZero() || at.Before(w.Timer)) {
		w.Timer = at
	}
}

// message is the current attempt of unit i, as its worker gets it.
func (s *State) message(i int) StepMessage {
	u, t := &s.Units[i], s.Tool(i)
	m := StepMessage{
		Run: s.Run, Attempt: s.Attempt(i), Workflow: s.Program.Plan.Name, Tool: t.Name, RungName: t.Rung(u.Rung).Name,
		Effects: s.effects(i), Params: u.Params, Key: s.Key(i), Timeout: t.Rung(u.Rung).Timeout,
		NotBefore: u.out.notBefore, Deadline: u.Deadline, Continues: u.Current().Continues != nil,
		Lane: s.lane(i),
	}
	s.addPolicies(&m, i)
	if s.claimed(i) {
		m.Grants = u.permit.grants
		if len(u.permit.grants) > 0 {
			m.Definition = t.Definition
		}
	}
	return m
}

// DegradedSteps lists every unit that succeeded, but not as meant; in the order of the units.
func (s *State) DegradedSteps() []Degraded {
	var list []Degraded
	for i := range s.Units {
		if u := &s.Units[i]; u.Degraded != nil && u.phase == PhaseSucceeded {
			list = append(list, *u.Degraded)
		}
	}
	return list
}
