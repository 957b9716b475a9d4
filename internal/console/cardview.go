package console

import (
	"belay/internal/handoff"
	"belay/internal/steps"
)

// cardView is everything about one question, in the order in which a person needs it.
type cardView struct {
	ID, Short string
	Path      string
	Kind      steps.EscalationKind
	Open      bool
	Summary   string // what is at stake; outside text
	Sentence  string
	Clue      string // the other side's own words, the part that matters; outside text
	Message   string // what the tool said; outside text
	Due       due
	Opened    moment
	Age       string
	People    people
	Decided   *decidedView
	Followed  *followedView // of one that is settled
	Said      *said         // what the reader's own act has just done

	Workflow, RunPath, RunShort string
	By                          string
	Labels                      []row
	Input                       value
	Plan                        []planStep
	Done                        []doneView
	Subject                     *subjectView
	Approval                    *approvalView
	Rejected                    []string // earlier rejections of the same call
	Question                    *steps.QuestionView
	History                     []rungHistory
	Fault                       *faultView // of a question that is about no step
	Hidden                      hidden

	Decisions decisions
	Acts      []offerView
	Trail     []trailView
	Similar   int
	Alike     string // path of the similar ones
	Together  bool   // they may be decided together
	Why       *whyView
	Runbook   string // address of the operator's own page about it; empty = there is none
}

// hidden is how much more there is than a page has room for.
type hidden struct{ Attempts, Done, Acts int }

// people is who is at it.
type people struct {
	Holder   string
	Mine     bool
	Until    moment
	Left     string
	Assigned string
	Snoozed  moment
}

type decidedView struct {
	By, Verb, Reason string
	Answer, Params   value
}

// followedView is what came of a question, and where that is to be seen.
type followedView struct {
	Text string // may hold outside text
	Path string // of the next question, else of the run
	Bad  bool
}

type planStep struct {
	Step, Tool string
	State      steps.StepState
	Mark       string
	Here       bool
}

type doneView struct {
	Step, Tool, Rung string
	Effect           steps.Effects
	Key              string
	Output           value
	Degraded         string
	AnswerBy         string
}

// subjectView is the step in question, with exactly what its tool is called with.
type subjectView struct {
	steps.Failing
	Shown value
	Class string
	Hint  string
	Fault *faultView
}

type faultView struct {
	Class   string
	Status  int
	Message string
	Detail  string
	Hint    string
}

type approvalView struct {
	Digest string
	Needed int
	So     string // how many have approved, and who
	Other  bool   // the one who started the run does not count
}

// offerView is a button that opens the form of a decision.
type offerView struct {
	Verb    handoff.Action
	Label   string
	Key     string
	Effect  string
	Grave   bool
	Primary bool // it is suggested
	Path    string
}

type trailView struct {
	At           moment
	By, Via, Did string
	To           string
	Until        moment
	Reason       string
	Detail       value
}
