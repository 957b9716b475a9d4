package prove

import (
	"time"

	"belay/internal/plan"
	"belay/internal/steps"
)

// Severity says what a finding means for whoever submits the plan.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // it breaks an invariant: the plan is refused
	Warning Severity = "warning" // it may be meant: printed, and passes
)

// Report is everything that is to be said about one plan.
type Report struct {
	File     string    `json:"file"`     // the plan
	Tools    string    `json:"tools"`    // its tools file
	Plan     string    `json:"plan"`     // its name
	Steps    int       `json:"steps"`    // how many it has
	Headline string    `json:"headline"` // one sentence about all of it
	Errors   int       `json:"errors"`   // findings that refuse the plan; waived ones do not count
	Warnings int       `json:"warnings"` // findings that do not
	Waived   int       `json:"waived"`   // findings that the plan accepts
	Worst    Worst     `json:"worst"`    // what a run may cost until it has ended or people are asked
	Findings []Finding `json:"findings"` // errors first, then in the order of the documents
	Scope    Scope     `json:"scope"`    // what all this is worth
}

// Finding is one thing about a plan that its author should know.
type Finding struct {
	Code     string   `json:"code"`     // BLY0xx; what it means never changes
	Severity Severity `json:"severity"` // whether it refuses the plan
	Title    string   `json:"title"`    // of the code
	Message  string   `json:"message"`  // what is so here
	File     string   `json:"file"`
	Line     int      `json:"line"` // from 1
	Col      int      `json:"col"`
	Steps    []string `json:"steps,omitempty"`   // that it is about
	Tool     string   `json:"tool,omitempty"`    // that it is about
	Witness  []string `json:"witness,omitempty"` // a way on which it shows, stage by stage
	Fix      string   `json:"fix"`               // what can be done, or pasted
	Page     string   `json:"page"`              // where the manual explains it
	Waiver   *Waived  `json:"waiver,omitempty"`  // the plan accepts it
	Print    string   `json:"fingerprint"`       // the same as long as it is the same finding, wherever it stands
}

// Waived is how a plan accepts a finding.
type Waived struct {
	Reason string    `json:"reason"`
	Until  time.Time `json:"until"` // end of the last day on which it counts
}

// Counts reports whether the finding is not waived.
func (f *Finding) Counts() bool { return f.Waiver == nil }

// Worst is the worst case of a run, between two decisions of people: each decision to try once more may cost it again.
type Worst struct {
	Work         Span         `json:"work"`               // time at work until all steps have ended; waits for people are not in it
	Cut          bool         `json:"cut"`                // the run's deadline ends it before
	Deadline     float64      `json:"deadline,omitempty"` // of the run, in seconds
	Tail         float64      `json:"tail,omitempty"`     // how long attempts may go on after it, in seconds
	Undo         Span         `json:"undo"`               // the compensations, one after the other
	Attempts     Amount       `json:"attempts"`           // all of them, compensations included
	Dependencies []Dependency `json:"dependencies"`       // by calls, the most first
	Steps        []StepCost   `json:"steps"`              // in the order of the plan
	People       []Question   `json:"people"`             // what they may be asked on the way, with deadlines of its own
	Agents       []AgentCost  `json:"agents"`             // in the order of the plan
}

// Dependency is something outside that steps need.
type Dependency struct {
	Name     string   `json:"name"`
	Calls    Amount   `json:"calls"`          // attempts on it, and executions that are repeated because a worker was lost
	Time     Span     `json:"time"`           // spent on it, waits before retries included
	Amp      int      `json:"amplification"`  // calls in the worst case for each call where nothing fails
	Cost     *float64 `json:"cost,omitempty"` // in the currency of the tools file; of lists with one element. nil where nobody knows: a model has no cost
	Steps    []string `json:"steps"`          // that need it
	normal   int
	costless bool // a rung that asks it for a model has no cost
}

// StepCost is the worst case of one step.
type StepCost struct {
	Step     string `json:"step"`
	Tool     string `json:"tool"`
	Attempts Amount `json:"attempts"`
	Work     Span   `json:"work"`
	Undo     bool   `json:"undo,omitempty"` // it is the compensation of the step
	Rungs    int    `json:"rungs"`          // that may be tried
}

// Question is something that people may be asked on purpose, and not because something has failed.
type Question struct {
	Steps      []string       `json:"steps"`
	Tool       string         `json:"tool"`
	Kind       string         `json:"kind"`                // approval or question
	Deadline   steps.Duration `json:"deadline,omitempty"`  // 0 = none
	OnDeadline string         `json:"on_deadline"`         // what happens then
	Approvers  int            `json:"approvers,omitempty"` // of an approval
	agents     int            // of Steps: those whose model calls the tool, and is told what came of that
}

// Scope says what a report proves, what it takes for granted, and what no document can tell.
type Scope struct {
	Proves  []string `json:"proves"`
	Assumes []string `json:"assumes"`
	Cannot  []string `json:"cannot_know"`
}

// Check proves one plan with its tools. Now decides whether waivers still count.
func Check(doc *plan.Document, tools *plan.Tools, now time.Time) *Report {
	c := newChecker(doc, tools)
	c.findAll()
	r := &Report{
		File: doc.File, Tools: tools.File, Plan: doc.Definition.Plan.Name, Steps: len(doc.Definition.Plan.Steps),
		Worst: c.worst(), Findings: c.found, Scope: scope(c),
	}
	r.waive(doc, now)
	r.settle()
	r.Headline = r.headline()
	return r
}
