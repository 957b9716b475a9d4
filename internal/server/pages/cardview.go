package pages

import (
	"time"

	"belay/internal/people"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// head is what every page shows of an escalation: which one it is, and how long it has waited and may.
type head struct {
	ID, Short, Path string
	Kind            steps.EscalationKind
	Due             due
	Opened          moment
	Age             string
}

func headOf(v view.Escalation, now time.Time) head {
	return head{
		ID: v.ID, Short: shortID(v.ID), Path: cardPath(v.ID), Kind: v.Kind,
		Due: dueAt(v, now), Opened: at(v.Opened, now), Age: age(now.Sub(v.Opened)),
	}
}

// cardView is everything about one escalation, in the order in which a person needs it.
type cardView struct {
	head
	Open     bool
	Summary  string // what is at stake; outside text
	Sentence string // what is asked
	Clue     string // the other side's own words, the part that matters; outside text
	Message  string // of the fault; outside text
	People   peopleView
	Decided  *decidedView
	Followed *followedView // set once it was decided
	Said     *said         // what the reader's own act has just done

	Workflow, RunPath, RunShort string
	Submitted                   string // by whom the run was submitted, and whether that is proven
	Spent                       string // what the run's models took so far; empty = it has called none
	Labels                      []row
	Input                       value
	Plan                        []planStep
	Done                        []doneView
	Subject                     *subjectView
	Agent                       *agentView // whose call, turn or limit it is about
	Approval                    *approvalView
	Rejected                    []string // earlier rejections of the same call
	Question                    *view.Question
	Page                        string // address of the page on which a server wants its question answered; empty: there is none
	History                     []rungHistory
	Fault                       *faultView // of an escalation about the run as a whole
	Hidden                      hidden

	Decisions decisions
	Acts      []offerView
	Trail     []trailView
	Similar   int
	Alike     string // path of the similar ones
	Redrives  bool   // they can be redriven
	Why       *whyView
	Runbook   string // address of the operator's own page about it; empty = there is none
}

// hidden counts what a page has no room for.
type hidden struct{ Attempts, Done, Acts int }

// peopleView says who has claimed an escalation, to whom it is assigned, and until when it is snoozed.
type peopleView struct {
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

// followedView is what a decision led to, and the page that shows it.
type followedView struct {
	Text string // may hold outside text
	Path string // of the next escalation, or else of the run
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
	view.Failing
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
	So     string // who has approved so far, in words
	Other  bool   // whoever started the run cannot approve

	Unproven bool // and nobody has proven who that was
	Passkey  bool // whoever approves needs theirs
}

// offerView is a button that opens the form of a decision.
type offerView struct {
	Verb    people.Action
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
