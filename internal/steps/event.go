package steps

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Record is one entry of a run's log: an event with the sequence and the time that the log gave it.
type Record struct {
	Seq   uint64    // the log's sequence; grows within a run
	Time  time.Time // the log's own timestamp, never a sender's
	Run   string    // the run's id
	Event Event     // one of the types in this file

	// Tool is the one whose workers can have written it, where the server lets them report of no other; empty = anybody who reports or claims.
	Tool string
}

// Event is something that happened to a run. The set is closed: only the types in this file are events.
type Event interface{ event() }

// Attempt names one execution of one rung within a run.
type Attempt struct {
	Step  string `json:"step"`  // the unit's id: a plan step, `<step>~<i>` for an item of for_each, `<unit>~undo` for a compensation
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
		n, ok := Number(parts[i])
		if !ok {
			return Attempt{}, false
		}
		*p = n
	}
	return a, true
}

// Number reads a number that stands in a name, as it is written there: without a sign, without zeros before it. Otherwise
// one thing would have several names.
func Number(text string) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && (text == "0" || text[0] > '0')
}

// Submitted starts a run. Whoever decodes the record compiles Document and sets Program: the core compiles nothing.
type Submitted struct {
	Epoch     int               `json:"epoch,omitempty"`      // the core's rules that the log is folded by, up to [Epoch]; 0 is 1
	Document  json.RawMessage   `json:"document"`             // a [Definition]
	Input     json.RawMessage   `json:"input"`                // an object: the whole input, checked, with its defaults
	Labels    map[string]string `json:"labels,omitempty"`     // for people and filters; they change nothing
	ToolsFile string            `json:"tools_file,omitempty"` // where the tools came from, for later commands
	At        time.Time         `json:"at,omitzero"`          // it begins then, by the log's clock; zero = see In
	In        Duration          `json:"in,omitempty"`         // without At: it begins so long after the log has it, in whole seconds; 0 = at once
	By        string            `json:"by,omitempty"`         // who submitted it
	Via       string            `json:"via,omitempty"`        // the way in, of a retry and through the API: cli, console, api, mcp
	Reason    string            `json:"reason,omitempty"`     // of a retry: why
	RetryOf   string            `json:"retry_of,omitempty"`   // the run that this one goes on from
	Replay    *ReplayOf         `json:"replay,omitempty"`     // the run that this one does again, from which steps on; nil = none
	Migrates  *MigrationOf      `json:"migrates,omitempty"`   // the run that goes on as this one, under another plan; nil = none
	KeyRun    string            `json:"key_run,omitempty"`    // the run named in idempotency keys; default this run
	// Keys are, of a retry, the runs named in idempotency keys in place of KeyRun, by what such a key names: what was done under
	// the other key has been undone, and whoever keeps to it would not do it again.
	Keys     map[string]string `json:"keys,omitempty"`
	Request  string            `json:"request,omitempty"` // digest of what a caller of the API sent; two requests with it are the same
	Token    string            `json:"token,omitempty"`   // id of the API token that By showed; empty = none
	Proof    *Proof            `json:"proof,omitempty"`   // that Token was shown for it; none: nobody has proven who By is
	Carried  []Carried         `json:"carried,omitempty"` // steps already done by the run that it goes on from, or does again
	Program  *Program          `json:"-"`                 // Document, compiled
	Trace    string            `json:"-"`                 // traceparent of the submitter, from the message's header; empty = none
	ReportTo string            `json:"-"`                 // token of a program that waits for the end, from the message's header; empty = none
}

// Carried is a finished step that a retry, a replay or a migrated run takes over from the run before it.
type Carried struct {
	Step     string          `json:"step"`               // the unit's id
	State    StepState       `json:"state"`              // succeeded or skipped
	Rung     int             `json:"rung,omitempty"`     // that gave the result
	Params   json.RawMessage `json:"params,omitempty"`   // for what its tool says undoes it; nil where nothing reads them
	Output   json.RawMessage `json:"output,omitempty"`   // nil for a skipped step
	Degraded *Degraded       `json:"degraded,omitempty"` // how the result came about, where not as meant
	Tainted  bool            `json:"tainted,omitempty"`  // what is made from the result is degraded too
	// Untrusted is the unit that brought in the untrusted output which the result is made from; empty = none.
	Untrusted string `json:"untrusted,omitempty"`
	// From is the run that did it, where it stays that run's: a replay takes it over, and nothing of the replay or of its retries
	// undoes it. Empty: it is the new run's own, as in a retry.
	From     string   `json:"from,omitempty"`
	AnswerBy string   `json:"answer_by,omitempty"` // not of a retry: the person whose answer is the output
	Rejected *Decided `json:"rejected,omitempty"`  // likewise: the rejection that ended it
}

// Cancelled asks the run to stop: attempts end, completed steps are compensated.
type Cancelled struct {
	By     string `json:"by,omitempty"`     // who asked for it
	Via    string `json:"via,omitempty"`    // cli, console, api, mcp
	Reason string `json:"reason,omitempty"` // in that person's words
}

// Migrated ends the run by a person's decision: it goes on as another run, under another plan. It counts only on the log as the person's
// proof has seen it, so that nothing can happen in between.
type Migrated struct {
	To     string    `json:"to"`               // the run that it goes on as
	Next   Submitted `json:"next"`             // what that one is submitted with
	Seen   uint64    `json:"seen"`             // sequence of the last record before this one
	By     string    `json:"by,omitempty"`     // who decided it
	Via    string    `json:"via,omitempty"`    // cli, console, api
	Reason string    `json:"reason,omitempty"` // in that person's words
	Spare  *Spare    `json:"spare,omitempty"`  // where To has been taken by the time that it is submitted; nil = there is none
}

// Spare is another id that a migrated run may go on as.
type Spare struct {
	To    string `json:"to"`              // nobody can have guessed it
	Proof *Proof `json:"proof,omitempty"` // as in [Submitted], for this id
}

// Steered is what a person writes to an agent that is at work, or takes back of what it did. Its model reads it before it is
// asked the next time.
type Steered struct {
	ID       string `json:"id"`                  // of this message: a repeat changes nothing
	Step     string `json:"step"`                // the agent's
	Text     string `json:"text"`                // in that person's words; may be empty with TakeBack
	TakeBack int    `json:"take_back,omitempty"` // number of the first turn that is taken back, and all after it are; 0 = none
	By       string `json:"by,omitempty"`        // who wrote it
	Via      string `json:"via,omitempty"`       // cli, console, api
}

// Started says that a worker executes an attempt. For tools with unsafe effects [Claimed] says it instead.
type Started struct {
	Attempt
	Worker   string `json:"worker"`             // its name
	Delivery string `json:"delivery,omitempty"` // of a redelivery, its id: it counts towards the crash budget. Empty on a first delivery
	Unheard  bool   `json:"unheard,omitempty"`  // an earlier delivery was lost before the log had heard of it

	Company Company `json:"company,omitempty"` // what else its worker executes; a later one of the same delivery replaces it. Empty: it does not say
}

// Progress is what a running attempt tells people while it works. It changes nothing else.
type Progress struct {
	Attempt
	Worker  string `json:"worker"`
	Message string `json:"message"` // replaces the one before
}

// Resumable says, while an attempt runs, with what another one can go on if its worker is lost. Its worker waits until this
// is stored.
type Resumable struct {
	Attempt
	Worker string `json:"worker"`
	Resume Resume `json:"resume"` // must be harmless
}

// Succeeded is the outcome of an attempt that gave a result.
type Succeeded struct {
	Attempt
	Worker  string          `json:"worker"`
	Output  json.RawMessage `json:"output"`           // any JSON value
	Age     Duration        `json:"age,omitempty"`    // of a cached result
	Started time.Time       `json:"started,omitzero"` // the worker's clock, for people only
	Took    Duration        `json:"took,omitempty"`   // wall time of the execution
	Usage   *Usage          `json:"usage,omitempty"`  // of a model; nil for other calls
}

// Failed is the outcome of an attempt that failed.
type Failed struct {
	Attempt
	Worker  string    `json:"worker"`
	Fault   Fault     `json:"fault"`             // why
	Stopped bool      `json:"stopped,omitempty"` // its worker heard in time that nobody wants it, and never began it
	Start   string    `json:"start,omitempty"`   // with Stopped: the [Started.Delivery] that came to nothing because of that
	Started time.Time `json:"started,omitzero"`  // the worker's clock, for people only
	Took    Duration  `json:"took,omitempty"`    // wall time of the execution
	Usage   *Usage    `json:"usage,omitempty"`   // of a model that has answered nevertheless; nil where nothing was counted

	Resume   *Resume   `json:"resume,omitempty"`   // with what the next attempt goes on; nil: it leaves nothing more than before
	Question *Question `json:"question,omitempty"` // with Resume: what the other side asks a person before it goes on
	Spent    bool      `json:"spent,omitempty"`    // nothing goes on with what was left before: the other side knows it no more
}

// Objected says that a worker did not execute an attempt, because its own tools file says something about the tool that
// the run does not know yet. The worker decides nothing: whatever in it is stricter counts for the run from now on, and
// the attempt is queued again, held for approval or given to a person.
type Objected struct {
	Attempt
	Worker string     `json:"worker"`
	Policy ToolPolicy `json:"policy"` // of the worker's own tools file
	Asks   *Asks      `json:"-"`      // the policy's expressions, compiled by whoever decodes the record
}

// Claimed gives the exclusive right to execute an attempt of an unsafe tool. Only the first claim of an attempt can be
// stored.
type Claimed struct {
	Attempt
	Worker string `json:"worker,omitempty"` // with the delivery's token; empty: the dispatcher's, so the attempt will never run
}

// Fired says that the run's timer is due.
type Fired struct{}

// Unserved says that for a minute no worker has asked for the tool and rung of a queued attempt.
type Unserved struct{ Attempt }

// Withdrawn says that nobody executes an attempt that needs no claim, and that nobody will: its message is out of the
// queue, and every worker that might have it in hand has been told. For an attempt that must be claimed, the dispatcher's
// own [Claimed] says it.
type Withdrawn struct{ Attempt }

// Damaged says that the log has lost something that it had about the run, or may have had: what was done may not be in it. It
// is appended by the dispatcher, and each damage counts once.
type Damaged struct {
	Damage string    `json:"damage"`           // its id, see `dispatcher store check`
	What   string    `json:"what"`             // what has happened to the log, in words
	Found  time.Time `json:"found"`            // when that was found
	Hole   bool      `json:"hole,omitempty"`   // entries of the run are missing or changed: nothing of it goes on before a person says so
	By     string    `json:"by,omitempty"`     // who said that work may go on; empty = nobody has yet
	Reason string    `json:"reason,omitempty"` // in that person's words
}

// Held says that an attempt which no worker has begun is held back, without using up a try. By a person: it is taken back, and its
// unit waits. By a limit: it is only said what keeps it out of the queue.
type Held struct {
	Attempt
	Hold Hold `json:"hold"` // by what
}

// Released says that nothing holds a unit back any more: what a person held back is queued again, under another name, and what a limit
// held back under the same.
type Released struct {
	Attempt
	Gate   string `json:"gate,omitempty"`   // id of the gate that was opened, where one held it
	By     string `json:"by,omitempty"`     // who opened it; empty: its time was up
	Reason string `json:"reason,omitempty"` // in that person's words
}

// Junk is what workers of one tool have written on a subject of theirs, and this program cannot read. No program writes it: whoever reads a log
// makes it of what is there.
type Junk struct {
	Attempt        // that it names; without a step if it names none
	Newer   bool   // it may say something that later versions of this program know
	Claim   bool   // it is where a claim of the attempt belongs, not a report
	Policy  bool   // it can be read, and the policy that it asks for cannot be used
	Why     string // what is wrong with it
}

// Verb is what a person may decide.
type Verb string

const (
	VerbApprove Verb = "approve" // exactly these parameters, once
	VerbReject  Verb = "reject"  // not at all; needs a reason
	VerbRetry   Verb = "retry"   // same parameters, first rung, next round
	VerbEdit    Verb = "edit"    // other parameters, first rung, next round
	VerbAnswer  Verb = "answer"  // a person's output in place of the tool's
	VerbSkip    Verb = "skip"    // go on without it, output null
	VerbExtend  Verb = "extend"  // give an agent more of what it has used up
	VerbFinish  Verb = "finish"  // let an agent answer with what it knows
	VerbVerify  Verb = "verify"  // look with the tool's probe whether it happened
	VerbAbort   Verb = "abort"   // end the run
)

// Decided is a person's decision on an escalation. The first one in the log counts.
type Decided struct {
	Escalation string          `json:"escalation"`        // its id
	Verb       Verb            `json:"verb"`              // what to do
	By         string          `json:"by"`                // who decided
	Via        string          `json:"via,omitempty"`     // cli, console, api
	Reason     string          `json:"reason,omitempty"`  // in that person's words; a rejection must have one
	Scope      DenialScope     `json:"scope,omitempty"`   // reject: which other calls it covers; empty = none, but for exactly the same
	Params     json.RawMessage `json:"params,omitempty"`  // edit: the whole new parameters
	Patch      json.RawMessage `json:"patch,omitempty"`   // edit: what changes, as a JSON Patch with tests; for people
	Answer     json.RawMessage `json:"answer,omitempty"`  // answer: the output
	Reopens    string          `json:"reopens,omitempty"` // retry and edit: the escalation whose rejection of the same call it takes back
	Grant      *Grant          `json:"grant,omitempty"`   // approve: the signed approval; an approver's edit and retry carry one too
	Over       string          `json:"over,omitempty"`    // who had claimed it when somebody else decided

	Many     bool `json:"many,omitempty"`     // it was decided together with others
	Unproven bool `json:"unproven,omitempty"` // an approval under not_submitter, although nobody has proven who submitted the run
}

// Closed is the last event of a run. It publishes what the fold already says, and events after it change nothing.
type Closed struct {
	State    RunState   `json:"state"`              // how it ended
	Degraded []Degraded `json:"degraded,omitempty"` // which results are not the first choice's; [State.DegradedSteps]
	Reason   string     `json:"reason,omitempty"`   // why it failed, was aborted or cancelled

	GoesOnAs string `json:"goes_on_as,omitempty"` // of a migrated run: its spare id, because the other one belongs to another run
}

func (Submitted) event() {}
func (Cancelled) event() {}
func (Migrated) event()  {}
func (Steered) event()   {}
func (Started) event()   {}
func (Progress) event()  {}
func (Resumable) event() {}
func (Succeeded) event() {}
func (Failed) event()    {}
func (Objected) event()  {}
func (Claimed) event()   {}
func (Fired) event()     {}
func (Unserved) event()  {}
func (Withdrawn) event() {}
func (Damaged) event()   {}
func (Held) event()      {}
func (Released) event()  {}
func (Decided) event()   {}
func (Closed) event()    {}
func (Junk) event()      {}
