package belaytype

import (
	"encoding/json"
	"time"
)

// Document is everything about a run: what `dispatcher runs show -o json` prints. All times are UTC.
type Document struct {
	ID          string            `json:"id"`                   // the run's id
	Workflow    string            `json:"workflow"`             // the plan's name
	State       RunState          `json:"state"`                // where it stands
	Ending      RunState          `json:"ending,omitempty"`     // how it will end, once attempts have stopped and compensations are done
	Reason      string            `json:"reason,omitempty"`     // why it failed, was aborted or was cancelled
	Labels      map[string]string `json:"labels"`               // the plan's, and those of its submitter; never nil
	RetryOf     string            `json:"retry_of,omitempty"`   // the run that this one goes on from
	Replay      *ReplayOf         `json:"replay,omitempty"`     // the run that this one does again; nil: none
	Migrates    *MigrationOf      `json:"migrates,omitempty"`   // the run that goes on as this one, under this plan; nil: none
	GoesOnAs    string            `json:"goes_on_as,omitempty"` // the run that this one goes on as, under another plan
	Started     time.Time         `json:"started"`              // when it was submitted, by the log
	Ended       *time.Time        `json:"ended"`                // nil while it is open
	Input       json.RawMessage   `json:"input"`                // an object, with the plan's defaults
	Degraded    []DegradedStep    `json:"degraded"`             // the steps whose result came from a fallback
	Steps       []Step            `json:"steps"`                // in the plan's order, then items and compensations
	Output      json.RawMessage   `json:"output"`               // null until the run has succeeded
	Escalations []string          `json:"escalations"`          // ids of the open ones
	Asked       []Question        `json:"asked"`                // every question to people, the first one first
	Agents      []Agent           `json:"agents,omitempty"`     // steps with an agent that have begun

	ScheduledFor *time.Time `json:"scheduled_for,omitempty"` // when it begins, or was to; nil: when it was submitted

	Stricter []StricterDifference `json:"stricter,omitempty"` // where workers' tools files are stricter than the submitted one
	Spent    *Spent               `json:"spent,omitempty"`    // what its models took; nil: it has called none
}

// ReplayOf says what a replay does again.
type ReplayOf struct {
	Run       string   `json:"run"`             // the other run
	From      []string `json:"from"`            // steps that are done again, and all behind them
	Confirmed []string `json:"again,omitempty"` // steps of which somebody has said that calls are made again which had been made, or may have been
}

// MigrationOf says which run goes on as another one, and what follows from its log.
type MigrationOf struct {
	Run        string   `json:"run"`                  // the other run
	Submitters []string `json:"submitters,omitempty"` // who submitted that one, and those that went on as it
	Spent      Duration `json:"spent,omitempty"`      // of its work clock
	More       Duration `json:"more,omitempty"`       // that people have given it beyond its plan's deadline
	Dropped    []string `json:"dropped,omitempty"`    // steps that it had done and the plan does not have
}

// DegradedStep says that a step succeeded, but on a later rung than the first, or on degraded input.
type DegradedStep struct {
	Step  string   `json:"step"`          // the step's id
	Rung  string   `json:"rung"`          // the rung that gave the result
	Cause string   `json:"cause"`         // class and message of the fault above it, or "input from <step>"
	Age   Duration `json:"age,omitempty"` // of a cached result
}

// Step is one step of a run, one item of a for_each step, or a compensation.
type Step struct {
	ID        string          `json:"id"`                   // the step's id
	Tool      string          `json:"tool"`                 // its name
	State     StepState       `json:"state"`                // where it stands
	Rung      string          `json:"rung"`                 // the current one
	Round     int             `json:"round"`                // goes up when a person sends the step back; from 0
	Class     Class           `json:"class,omitempty"`      // of the fault, until that is resolved
	Message   string          `json:"message,omitempty"`    // of the fault, likewise
	AnswerBy  string          `json:"answer_by,omitempty"`  // the person whose answer is the output
	ResultOf  string          `json:"result_of,omitempty"`  // the call, in a turn taken back, whose output it shows; nothing was made again
	TakenOver string          `json:"taken_over,omitempty"` // the run that did it, in a retry or a replay of that one
	Held      *Held           `json:"held,omitempty"`       // what holds it back; nil where it is not held back
	Output    json.RawMessage `json:"output"`               // null until it has one
	Attempts  []Attempt       `json:"attempts"`             // the first one first
}

// Held is what holds a step back: nothing of it begins before that ends. What a person holds back has the state held; what a
// limit holds back stays queued or retrying, and goes on by itself.
type Held struct {
	Why    string    `json:"why"`              // gate: a gate that a person has closed; rate, concurrency, retry_after, breaker: a limit
	Gate   string    `json:"gate,omitempty"`   // id of the gate
	Covers string    `json:"covers,omitempty"` // what the gate or the limit holds back, as people write it
	By     string    `json:"by,omitempty"`     // who has closed it; empty for a limit
	Reason string    `json:"reason,omitempty"` // in that person's words; of a limit, what it is
	Since  time.Time `json:"since,omitzero"`   // when the gate was closed; since when the limit holds the attempt back
	Until  time.Time `json:"until,omitzero"`   // when it opens by itself, if that is known; a gate without it somebody opens
	From   time.Time `json:"from"`             // since when this step waits for that
}

// Attempt is one execution of one rung by one worker. Times are the log's, but Took was measured by the worker.
type Attempt struct {
	Round   int          `json:"round"`             // of its step
	Rung    string       `json:"rung"`              // its name
	Try     int          `json:"try"`               // from 1 on this rung
	State   AttemptState `json:"state"`             // where it stands, or how it ended
	Class   Class        `json:"class,omitempty"`   // of its fault
	Message string       `json:"message,omitempty"` // of its fault
	Detail  string       `json:"detail,omitempty"`  // evidence: the end of stderr or of a response body
	Status  int          `json:"status,omitempty"`  // HTTP status or exit code
	Worker  string       `json:"worker,omitempty"`  // the last one that executed it
	Queued  time.Time    `json:"queued"`            // the log's time
	Started *time.Time   `json:"started"`           // nil before it runs
	Ended   *time.Time   `json:"ended"`             // nil until it has ended
	Took    Duration     `json:"took,omitempty"`    // wall time, by the worker
	Wait    Duration     `json:"wait"`              // the backoff before it
	Crashes int          `json:"crashes,omitempty"` // executions lost with their worker
	Lost    []Lost       `json:"lost,omitempty"`    // these executions
	Note    string       `json:"note,omitempty"`    // its last progress message, or what was done with a late outcome

	Continues string `json:"continues,omitempty"` // what it goes on with that an attempt before it left; empty: it began the call
	Left      string `json:"left,omitempty"`      // what it left for another one to go on with

	Injected string `json:"injected,omitempty"` // id of the fault on purpose that its fault is; empty = it is real
	Reason   Reason `json:"reason,omitempty"`   // more than its class, of a model's call
	Usage    *Usage `json:"usage,omitempty"`    // what its model took; nil for other calls, and where nothing was counted
	Cost     Money  `json:"cost,omitempty"`     // of that; 0 where no price is known
}

// Lost is an execution whose worker ended before it reported an outcome.
type Lost struct {
	Worker  string     `json:"worker"`  // empty if it ended before it reported that it had started
	Started *time.Time `json:"started"` // nil likewise
	Found   time.Time  `json:"found"`   // when the loss was noticed
}

// Question is one question that a run has asked people, and its answer.
type Question struct {
	ID        string          `json:"id"`                  // of the escalation
	Kind      Kind            `json:"kind"`                // what people were asked
	State     EscalationState `json:"state"`               // whether it is still open
	Step      string          `json:"step"`                // empty: it is about the run as a whole
	Rung      string          `json:"rung,omitempty"`      // that the step stood on
	Message   string          `json:"message"`             // what it is about, in words
	Opened    time.Time       `json:"opened"`              // the log's time
	Ended     *time.Time      `json:"ended"`               // nil while it is open
	Deadline  *time.Time      `json:"deadline"`            // nil = none
	Needed    int             `json:"needed,omitempty"`    // how many people must approve
	Approvals []string        `json:"approvals,omitempty"` // who has approved
	Verb      Verb            `json:"decision,omitempty"`  // what was decided; empty = nothing
	By        string          `json:"by,omitempty"`        // who decided
	Via       string          `json:"via,omitempty"`       // cli, console, api
	Reason    string          `json:"reason,omitempty"`    // in that person's words
}

// StricterDifference says that a worker's tools file differs from the one that the run was submitted with.
type StricterDifference struct {
	Tool    string   `json:"tool"`    // its name
	Worker  string   `json:"worker"`  // the first one that said so
	Changes []string `json:"changes"` // parts of the tool that are stricter on the worker; empty: the submitted ones are stricter
}

// Summary is a run in a list: what `dispatcher runs ls -o json` prints.
type Summary struct {
	ID       string            `json:"id"`               // the run's id
	Workflow string            `json:"workflow"`         // the plan's name
	State    RunState          `json:"state"`            // where it stands
	Ending   RunState          `json:"ending,omitempty"` // how it will end, once attempts have stopped and compensations are done
	Labels   map[string]string `json:"labels"`           // the plan's, and those of its submitter
	Started  time.Time         `json:"started"`          // when it was submitted, by the log
	Ended    *time.Time        `json:"ended"`            // nil while it is open

	ScheduledFor *time.Time `json:"scheduled_for,omitempty"` // when it begins, or was to; nil: when it was submitted
}

// Filter says which runs to list: those that match every field. The zero value matches all runs.
type Filter struct {
	State      RunState          `json:"state,omitempty"`      // empty = any
	Workflow   string            `json:"workflow,omitempty"`   // the plan's name; empty = any
	Since      time.Time         `json:"since,omitzero"`       // submitted at or after
	Until      time.Time         `json:"until,omitzero"`       // submitted before; zero = whenever
	Labels     map[string]string `json:"labels,omitempty"`     // all of these
	Input      map[string]string `json:"input,omitempty"`      // values of the input by their paths (order, customer.id), as text; all of these
	Tool       string            `json:"tool,omitempty"`       // its plan uses it; empty = any
	Class      Class             `json:"class,omitempty"`      // an attempt failed with such a fault; empty = any, or none
	Reason     Reason            `json:"reason,omitempty"`     // with such a one, the same as that of Class and Text
	Text       string            `json:"text,omitempty"`       // with one that says this, in letters of either case
	Owner      string            `json:"owner,omitempty"`      // started over HTTP with a token of this person; empty = any
	EndedSince time.Time         `json:"ended_since,omitzero"` // ended at or after
	EndedUntil time.Time         `json:"ended_until,omitzero"` // ended before; zero = whenever, or not yet
	After      string            `json:"after,omitempty"`      // goes on behind the run with this id: [Page.Next]; empty = from the newest
	Limit      int               `json:"limit,omitempty"`      // the newest so many; 0 = all
}

// Page is a part of a list of runs, the newest first.
type Page struct {
	Items []Summary // at most Filter.Limit
	Total int       // how many match on all pages; where State is running or waiting: how many of the open ones may
	Next  string    // the id of the last run here, for Filter.After; empty = there are no more
	Short string    // why runs may be missing, as a sentence (no dispatcher answers); empty = none is
	Read  int       // runs whose whole log was read because they may have met the fault that is asked for
}

// Problem is one mistake in a plan or a tools file: what `dispatcher lint -o json` prints. Line and Col count from 1;
// 0 means that the place is not known.
type Problem struct {
	File    string `json:"file"`           // as it was named
	Line    int    `json:"line"`           // from 1; 0 = not known
	Col     int    `json:"col"`            // from 1; 0 = not known
	Message string `json:"message"`        // what is wrong, without the place
	Hint    string `json:"hint,omitempty"` // what to do instead
	Code    string `json:"code,omitempty"` // of a finding, as in docs/findings.md; empty for a plain mistake
}
