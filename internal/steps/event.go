package steps

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Record is one entry of a run's log: an event with the place and time that the log gave it.
type Record struct {
	Seq   uint64    // the log's sequence; grows within a run
	Time  time.Time // the log's own timestamp, never a sender's
	Run   string    // the run's id
	Event Event
}

// Event is something that happened to a run. The set is closed.
type Event interface{ event() }

// Attempt names one execution of one rung, within a run. Step is the unit's id: a plan step, `<step>~<i>` for an item
// of for_each, `<unit>~undo` for a compensation.
type Attempt struct {
	Step  string `json:"step"`
	Round int    `json:"round"` // from 0; grows when a person sends the step back
	Rung  int    `json:"rung"`  // index in the tool's ladder
	Try   int    `json:"try"`   // from 1 on each rung
}

// Token is the attempt's name without run and step: `<round>-<rung>-<try>`.
func (a Attempt) Token() string {
	b := make([]byte, 0, 12)
	b = strconv.AppendInt(b, int64(a.Round), 10)
	b = append(b, '-')
	b = strconv.AppendInt(b, int64(a.Rung), 10)
	b = append(b, '-')
	b = strconv.AppendInt(b, int64(a.Try), 10)
	return string(b)
}

// ParseAttempt is the reverse of [Attempt.Token].
func ParseAttempt(step, token string) (Attempt, bool) {
	a := Attempt{Step: step}
	parts := strings.Split(token, "-")
	if len(parts) != 3 || step == "" {
		return Attempt{}, false
	}
	for i, p := range []*int{&a.Round, &a.Rung, &a.Try} {
		n, err := strconv.Atoi(parts[i])
		if err != nil || n < 0 {
			return Attempt{}, false
		}
		*p = n
	}
	return a, true
}

// Submitted starts a run. Document is the JSON of a [Definition]; whoever decodes the record compiles it and sets
// Program, because the core compiles nothing.
type Submitted struct {
	Epoch     int               `json:"epoch,omitempty"` // the core's rules that the log is folded by, up to [Epoch]; 0 is 1
	Document  json.RawMessage   `json:"document"`
	Input     json.RawMessage   `json:"input"` // the whole input, checked, an object
	Labels    map[string]string `json:"labels,omitempty"`
	ToolsFile string            `json:"tools_file,omitempty"` // where the tools came from, for later commands
	By        string            `json:"by,omitempty"`
	Via       string            `json:"via,omitempty"`      // of a retry: cli, console, api
	Reason    string            `json:"reason,omitempty"`   // of a retry: why
	RetryOf   string            `json:"retry_of,omitempty"` // the run that this one goes on from
	KeyRun    string            `json:"key_run,omitempty"`  // the run named in idempotency keys; default this run
	Carried   []Carried         `json:"carried,omitempty"`  // steps already done by the run it goes on from
	Program   *Program          `json:"-"`
	Trace     string            `json:"-"` // the trace context beside the event, traceparent; empty = none
}

// Carried is a finished step taken over from an earlier run, so that a retry goes on from where that run stood.
type Carried struct {
	Step     string          `json:"step"`
	State    StepState       `json:"state"` // succeeded or skipped
	Rung     int             `json:"rung,omitempty"`
	Output   json.RawMessage `json:"output,omitempty"`
	Degraded *Degraded       `json:"degraded,omitempty"`
	Tainted  bool            `json:"tainted,omitempty"`
}

// Cancelled asks the run to stop: attempts end, completed steps are compensated.
type Cancelled struct {
	By     string `json:"by,omitempty"`
	Via    string `json:"via,omitempty"` // cli, console, api
	Reason string `json:"reason,omitempty"`
}

// Started says that a worker executes an attempt. For tools with unsafe effects [Claimed] says so instead.
type Started struct {
	Attempt
	Worker   string `json:"worker"`
	Delivery string `json:"delivery,omitempty"` // set on a redelivery: counts towards the crash budget
	Unheard  bool   `json:"unheard,omitempty"`  // an earlier delivery came to no end before the log had heard of it
}

// Progress is a word from a running attempt, for people.
type Progress struct {
	Attempt
	Worker  string `json:"worker"`
	Message string `json:"message"`
}

// Succeeded is the outcome of an attempt that gave a result.
type Succeeded struct {
	Attempt
	Worker  string          `json:"worker"`
	Output  json.RawMessage `json:"output"`
	Age     Duration        `json:"age,omitempty"`    // of a cached result
	Started time.Time       `json:"started,omitzero"` // the worker's clock, for people only
	Took    Duration        `json:"took,omitempty"`   // wall time of the execution
}

// Failed is the outcome of an attempt that failed.
type Failed struct {
	Attempt
	Worker  string    `json:"worker"`
	Fault   Fault     `json:"fault"`
	Stopped bool      `json:"stopped,omitempty"` // its worker heard in time that nobody wants it, and never began it
	Start   string    `json:"start,omitempty"`   // with Stopped: the [Started.Delivery] that came to nothing by that
	Started time.Time `json:"started,omitzero"`
	Took    Duration  `json:"took,omitempty"`
}

// Objected says that a worker did not execute an attempt, because its own tools file says something of the tool that the
// run has not heard yet. The worker decides nothing: whatever of it is stricter counts for the run from here on, and the
// attempt is queued again, held for approval or given to a person.
type Objected struct {
	Attempt
	Worker string     `json:"worker"`
	Policy ToolPolicy `json:"policy"`
	Asks   *Asks      `json:"-"` // the policy's expressions; whoever decodes the record compiles them
}

// Claimed says who owns the right to execute an attempt of an unsafe tool. Only the first claim of an attempt can be
// stored. With Worker empty the dispatcher took it: the attempt is withdrawn and will never run.
type Claimed struct {
	Attempt
	Worker string `json:"worker,omitempty"`
}

// Fired is the run's timer.
type Fired struct{}

// Unserved says that no worker has asked for a queued attempt's tool and rung for a minute.
type Unserved struct{ Attempt }

// Withdrawn says that nobody executes an attempt that needs no claim, and nobody will: its message is out of the queue,
// and every worker that might have had it in hand has heard so. Of an attempt that must be claimed, the dispatcher's own
// [Claimed] says it.
type Withdrawn struct{ Attempt }

// Verb is what a person may decide.
type Verb string

const (
	VerbApprove Verb = "approve" // exactly these parameters, once
	VerbReject  Verb = "reject"  // not at all; needs a reason
	VerbRetry   Verb = "retry"   // same parameters, first rung, next round
	VerbEdit    Verb = "edit"    // other parameters, first rung, next round
	VerbAnswer  Verb = "answer"  // a person's output in place of the tool's
	VerbSkip    Verb = "skip"    // go on without it, output null
	VerbVerify  Verb = "verify"  // look with the tool's probe whether it happened
	VerbAbort   Verb = "abort"   // end the run
)

// Hold says that somebody is at a question, for the time of a lease. One that has run out counts for nothing.
type Hold struct {
	By    string    `json:"by"`
	Until time.Time `json:"until"`
}

// Decided is a person's decision on an escalation. The first one in the log counts.
type Decided struct {
	Escalation string          `json:"escalation"`
	Verb       Verb            `json:"verb"`
	By         string          `json:"by"`
	Via        string          `json:"via,omitempty"` // cli, console, api
	Reason     string          `json:"reason,omitempty"`
	Params     json.RawMessage `json:"params,omitempty"`  // edit: the whole new parameters
	Patch      json.RawMessage `json:"patch,omitempty"`   // edit: what is different, a JSON Patch with tests; for people
	Answer     json.RawMessage `json:"answer,omitempty"`  // answer: the output
	Reopens    string          `json:"reopens,omitempty"` // retry and edit: the escalation whose rejection of the same call is taken back
	Grant      *Grant          `json:"grant,omitempty"`   // approve: the signed approval; edit and retry of an approver carry one too
	Over       string          `json:"over,omitempty"`    // who had claimed it when somebody else decided it all the same
}

// Closed is the last event of a run. It publishes what the fold already says; events after it change nothing.
type Closed struct {
	State    RunState   `json:"state"`
	Degraded []Degraded `json:"degraded,omitempty"`
	Reason   string     `json:"reason,omitempty"`
}

func (Submitted) event() {}
func (Cancelled) event() {}
func (Started) event()   {}
func (Progress) event()  {}
func (Succeeded) event() {}
func (Failed) event()    {}
func (Objected) event()  {}
func (Claimed) event()   {}
func (Fired) event()     {}
func (Unserved) event()  {}
func (Withdrawn) event() {}
func (Decided) event()   {}
func (Closed) event()    {}
