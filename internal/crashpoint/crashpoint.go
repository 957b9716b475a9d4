// Package crashpoint names the places in the programs between which a crash makes a difference. In programs that are built
// with -tags mutants a process can be told to end at one of them, so that a test hits each of them many times; in all others
// they are nothing.
package crashpoint

// The places, by what the process has just done or is about to do.
const (
	WorkerReceived = "worker/received"       // a message is in hand
	WorkerClaimed  = "worker/claimed"        // the claim of an attempt is stored
	WorkerBefore   = "worker/before-call"    // the tool is called next
	WorkerAfter    = "worker/after-call"     // the tool has answered
	WorkerStored   = "worker/outcome-stored" // the message is acknowledged next
	WorkerAcked    = "worker/acknowledged"   //
	EventInHand    = "dispatcher/event"      // an event of the log is in hand
	Published      = "dispatcher/published"  // one thing that an event caused is stored
	BeforeAck      = "dispatcher/before-ack" // all that an event caused is stored
	Acked          = "dispatcher/acknowledged"
	BeforeResult   = "dispatcher/before-result"
	BeforeGoingOn  = "dispatcher/before-going-on" // the run that another one goes on as is submitted next
	TimerFired     = "dispatcher/timer-fired"     // in the log, and its schedule is not acknowledged
	DecisionSigned = "handoff/signed"             // a decision is stored next
	DecisionStored = "handoff/stored"             // whoever decided is answered next
)

// Points are all of them, by the role of the process that passes them.
var Points = map[string][]string{
	"worker":     {WorkerReceived, WorkerClaimed, WorkerBefore, WorkerAfter, WorkerStored, WorkerAcked},
	"dispatcher": {EventInHand, Published, BeforeAck, Acked, BeforeResult, BeforeGoingOn, TimerFired, DecisionSigned, DecisionStored},
}
