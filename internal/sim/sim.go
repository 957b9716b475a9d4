package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"belay/internal/steps"
)

// Start is when every play begins.
var Start = time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC)

// Run is the id of the run in every play.
const Run = "r"

// Options say what is played.
type Options struct {
	Program *steps.Program
	Input   json.RawMessage // an object, with its defaults
	By      string          // who submits it

	// World says what a call does; it is asked once for each execution.
	World func(Call) Happens
	// Looks says what befalls a worker that looks after the task of a call; nil: nothing.
	Looks func(steps.StepMessage) Trouble
	// Acted is called whenever a call has its effect; nil: not called.
	Acted func(Effect)
	// Ended is called whenever a call has ended, or its worker with it; nil: not called.
	Ended func(Call)
	// Forge reports whether somebody puts a message into the queue for a call that still waits for its approval; nil: nobody does.
	Forge func(unit string) bool
	// CheckInput is the worker's check of the parameters of a tool; nil where there is none.
	CheckInput func(tool string, params json.RawMessage) error
	// NeedsApproval is the worker's own question whether a call needs an approval; nil: none does.
	NeedsApproval func(tool string, params json.RawMessage, untrusted bool) bool
	// People say what is decided about an escalation that has just opened, the n-th of the state. Nil: nobody decides.
	People func(s *steps.State, n int) []Decision
	// Serves says whether workers serve the rung of a message; nil: they serve all.
	Serves func(m steps.StepMessage) bool
	// Crash reports whether the dispatcher is killed right before its publish with this number, the first being 0; another one
	// takes over. Nil: never.
	Crash func(publish int) bool
	// Freeze says for how long the dispatcher stands still right before its publish with this number; 0: it does not. One that
	// stands still for long is replaced, and goes on later: with what it wanted to publish, and with the events that it was
	// sent before. Nil: never.
	Freeze func(publish int) time.Duration
	// Ahead is how far the clock of a worker or a dispatcher is ahead of the server's; nil: all clocks are the same.
	Ahead func(who string, at time.Time) time.Duration
	// Pause is how long a worker stands still before it begins a call; nil: it does not.
	Pause func() time.Duration
	// In is in how long the run begins, in whole seconds; 0: at once.
	In time.Duration
	// Cancel is when somebody cancels the run; 0: nobody does.
	Cancel time.Duration
	// CancelWith is the unit with whose result somebody cancels the run, so that it is undone; empty: nobody does.
	CancelWith string
	// QueueLost is when the server loses its queue, which it has in memory.
	QueueLost []time.Duration
	// DiskFails is when the server's disk begins to fail: nothing is stored for a while, and what could be read meanwhile is lost
	// when the server is started anew, with its queue. The first is later than a second.
	DiskFails []time.Duration
	// Hop is how long a message is on its way; nil: a millisecond.
	Hop func() time.Duration

	AckWait time.Duration // how long a silent worker keeps a message; default 30 s
	Broken  Mutant        // breaks one rule, for tests which show that it is noticed
}

// Mutant is a rule that is broken on purpose.
type Mutant uint8

const (
	Whole       Mutant = iota
	NoClaim            // workers execute unsafe calls without a claim
	AckFirst           // workers acknowledge before they execute
	NoReconcile        // a dispatcher that takes over publishes nothing
	NoLog              // workers do not read the log when a message comes again, and take the claim of another worker for theirs
	BlindRepeat        // workers report of a call that may have happened that it certainly has not
	Readable           // workers take a claim that they can read for one that is stored
	NoGuard            // workers do not check approvals
	LostReport         // workers acknowledge, and the outcome is not stored
	NoUndo             // a run that ends before it is through undoes nothing
	NoCompare          // workers do not ask the log whether it wants an unsafe call
	NoFence            // the same, and the log takes any number of claims of an attempt
	OwnClock           // workers, and who signs approvals, take their own clocks for the server's
	Unhurried          // workers begin a call however long after its claim
	Forgetful          // workers begin calls anew that could be gone on with
	NoPasskey          // workers do not check what the passkeys of approvers have signed
	NoWait             // a probe and a retry do not wait until a silent worker's call must be over
)

// Call is one execution of an attempt, as the world sees it.
type Call struct {
	steps.StepMessage
	Execution int    // of this attempt, from 0: more than one where its worker died or was cut off
	Worker    string // that executes it
}

// Happens is what the world does with a call. Its effect, if it has one, comes half way through, or right before its end.
type Happens struct {
	Took   time.Duration   // how long the call takes; beyond the attempt's timeout it is cut off
	Output json.RawMessage // its result, where it has no fault
	Age    time.Duration   // of a cached result
	Fault  *steps.Fault    // how it fails
	Usage  *steps.Usage    // what a model took for it; nil: nothing is counted
	Acts   bool            // it has its effect
	Task   bool            // it is the server's own work, which goes on whatever becomes of the worker
	Asks   bool            // it asks a person instead, and acts only once it is gone on with
	AtEnd  bool            // the effect comes right before the end
	Worker Trouble         // what befalls its worker meanwhile
}

// Trouble befalls a worker while it executes an attempt.
type Trouble uint8

const (
	None           Trouble = iota
	KilledBefore           // before the call has its effect; another worker takes its place
	KilledAfter            // after the effect, before the outcome is reported
	KilledForGood          // after the effect, and nobody takes its place
	CutOff                 // it loses the server for longer than the ack wait, and reports late
	DeliveredTwice         // the server delivers the message to another worker too
	ReportedTwice          // the outcome is stored twice
	AckLost                // the outcome is stored, and the acknowledgement is lost
)

// Decision is what a person decides.
type Decision struct {
	After  time.Duration // since it was asked
	By     string
	Verb   steps.Verb
	Params json.RawMessage // of an edit
	Answer json.RawMessage
	Reason string
	// Proof is what the approver's passkey signs where the tool asks for that; nil, or if it returns nil: the approval comes without.
	Proof func(challenge []byte) *steps.Assertion
	// Choose decides only when the time has come, by what is known then, in place of Verb and what belongs to it. Nil: it is
	// decided already.
	Choose func(s *steps.State, n int) Decision
	// Blind stores it although it may be decided already: two people who decide in the same moment.
	Blind bool
}

// Effect is something that a call did to the world.
type Effect struct {
	Step    string // the unit
	Tool    string
	Effects steps.Effects
	Key     string // the call's idempotency key
	Attempt steps.Attempt
	At      time.Time

	Unapproved bool // it needed an approval, and its message had none, one whose time was over by the log's clock, or one that lacks the passkey that the tool asks for
}

// Line is one thing that happened in a play.
type Line struct {
	At   time.Time
	Who  string // log, dispatcher, a worker, the world, a person
	Text string
}

// Played is how a play went.
type Played struct {
	State     *steps.State
	Log       []steps.Record
	Calls     []Call
	Late      []Call // those that began although the log had the end of their attempt
	Effects   []Effect
	Lines     []Line
	Took      time.Duration // from the submission to the end, or to the last thing that happened
	Published int           // by dispatchers: what a crash can fall between
	Asked     []string      // the escalations that opened
	Restarts  int           // of a server whose disk had failed
	Cancelled int           // so much was published before somebody cancelled the run with the result of a unit
	Endless   bool          // it was still going on when the play was given up
}

// Play plays a run.
func Play(o Options) *Played {
	if o.AckWait <= 0 {
		o.AckWait = 30 * time.Second
	}
	if o.Broken == NoUndo {
		o.Program = withoutUndo(o.Program)
	}
	p := newPlay(o)
	p.append(steps.Submitted{Epoch: p.epoch(), Program: o.Program, Input: o.Input, By: o.By, In: steps.Duration(o.In)})
	if o.Cancel > 0 {
		p.in(o.Cancel, func() { p.surely(steps.Cancelled{By: "ann"}, func() {}) })
	}
	for _, at := range o.DiskFails {
		p.in(at, p.failDisk)
	}
	for _, at := range o.QueueLost {
		p.in(at, p.loseQueue)
	}
	p.Endless = !p.run()
	p.State, p.Took = p.truth, p.ended().Sub(Start)
	return &p.Played
}

// withoutUndo is a program that forgets what undoes its steps and the calls of its agents.
func withoutUndo(p *steps.Program) *steps.Program {
	forgets := *p
	forgets.Nodes = slices.Clone(p.Nodes)
	for i := range forgets.Nodes {
		n := &forgets.Nodes[i]
		if n.Undo = nil; n.Agent == nil {
			continue
		}
		agent := *n.Agent
		agent.Tools = slices.Clone(agent.Tools)
		for k := range agent.Tools {
			agent.Tools[k].Undo = nil
		}
		n.Agent = &agent
	}
	return &forgets
}

// epoch is the rules that the run goes by.
func (p *play) epoch() int {
	if p.Broken == NoWait {
		return 5 // it is what epoch 6 brought
	}
	return steps.Epoch
}

// ended is when the run ended; where it has not, when the last entry was stored.
func (p *play) ended() time.Time {
	if len(p.Log) == 0 {
		return p.now
	}
	return p.Log[len(p.Log)-1].Time
}

// play is a play that goes on.
type play struct {
	Options
	Played

	now    time.Time
	agenda agenda

	truth   *steps.State    // the fold of the log
	claims  map[string]bool // attempts that have a claim
	closed  bool
	queue   map[string]*item
	nonces  map[string]bool
	d       *dispatcher     // the one that the log is pinned to
	born    int             // so many dispatchers were started
	workers int             // so many were started
	gone    map[string]bool // rungs whose last worker is gone
	ran     map[string]int  // executions by attempt
	hands   []*hand
	tasks   map[string]*task // by their ids

	queuesLost int
	disk       disk
}

func newPlay(o Options) *play {
	p := &play{
		Options: o, now: Start, claims: map[string]bool{}, queue: map[string]*item{}, nonces: map[string]bool{},
		gone: map[string]bool{}, ran: map[string]int{}, tasks: map[string]*task{},
	}
	p.startDispatcher()
	return p
}

// say notes what happened.
func (p *play) say(who, format string, args ...any) {
	p.Lines = append(p.Lines, Line{p.now, who, fmt.Sprintf(format, args...)})
}
