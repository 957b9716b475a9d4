package belaytype

import (
	"encoding/json"
	"time"
)

// Escalation is a question to people, as lists show it. All times are UTC.
type Escalation struct {
	ID         string          `json:"id"`                    // `<run>-<n>`
	Kind       Kind            `json:"kind"`                  // what people are asked
	State      EscalationState `json:"state"`                 // whether it is still open
	Run        string          `json:"run"`                   // the run's id
	Workflow   string          `json:"workflow"`              // the plan's name
	Step       string          `json:"step"`                  // empty: it is about the run as a whole
	Tool       string          `json:"tool"`                  // empty likewise
	Rung       string          `json:"rung"`                  // the step's current rung
	Class      Class           `json:"class"`                 // of the fault; empty for an approval
	Message    string          `json:"message"`               // what it is about, in words
	Opened     time.Time       `json:"opened"`                // the log's time
	Deadline   *time.Time      `json:"deadline"`              // when it expires undecided; nil = never
	OnDeadline OnDeadline      `json:"on_deadline,omitempty"` // what happens then
	Target     string          `json:"target,omitempty"`      // what the rung calls, with parameters filled in
	Pattern    string          `json:"pattern,omitempty"`     // the target as the tools file has it, if that differs
	Summary    string          `json:"summary,omitempty"`     // what the call in question does, in one line
	Allowed    []Verb          `json:"allowed"`               // what may be decided
	Decision   *Decided        `json:"decision,omitempty"`    // nil until somebody has decided
	Needed     int             `json:"needed,omitempty"`      // how many people must approve, if more than one
	Approvals  []string        `json:"approvals,omitempty"`   // who has approved so far
	Approved   string          `json:"approved,omitempty"`    // both as a text: "1 of 2 approved, mia"
	Follows    string          `json:"follows,omitempty"`     // the expired escalation that asked the same
	Tier       int             `json:"tier,omitempty"`        // how often it expired before
	Facts      []Fact          `json:"facts,omitempty"`       // the step's parameters, as far as a list shows them
}

// Fact is one parameter of the step in question.
type Fact struct {
	Name  string `json:"name"`  // of the parameter
	Value string `json:"value"` // a string as it is, anything else as JSON; one line, cut if long
}

// Dossier is everything that a person needs to decide about one escalation: what `dispatcher esc show -o json` prints.
type Dossier struct {
	Escalation
	Revision   uint64            `json:"revision"`                  // a decision may name it, and is refused if it has changed
	Input      json.RawMessage   `json:"input"`                     // of the run
	Labels     map[string]string `json:"labels"`                    // the run's
	By         string            `json:"by,omitempty"`              // who submitted the run
	Submitted  string            `json:"submitted,omitempty"`       // the same in words, and whether it is proven
	Plan       []PlanLine        `json:"plan"`                      // every step and where it stands
	Done       []DoneLine        `json:"done"`                      // the steps done so far, with their effects
	Failing    *Failing          `json:"failing"`                   // nil: it is about the run as a whole
	Attempts   []Attempt         `json:"attempts"`                  // of the step in question
	FirstError *Fault            `json:"first_error"`               // of its first attempt that failed
	LastError  *Fault            `json:"last_error"`                // the one that people are asked about
	Digest     string            `json:"digest"`                    // of the plan and its pinned policies
	Approval   *Approval         `json:"approval,omitempty"`        // set if an approval is asked for
	Question   *AskedQuestion    `json:"question,omitempty"`        // set if a `human` rung asks
	Agent      *Agent            `json:"agent,omitempty"`           // whose call, turn or limit is in question, with its last turns
	Rejected   []Rejection       `json:"rejected_before,omitempty"` // earlier rejections of the same call in this run
	Offers     []Offer           `json:"offers"`                    // the possible decisions, each with its effect
	Settled    string            `json:"settled,omitempty"`         // why it is no longer open, in words
	Suggestion *Suggestion       `json:"suggestion,omitempty"`      // nil if Belay suggests none
	Followed   *Aftermath        `json:"followed,omitempty"`        // what the decision led to; nil before it

	SubmitterProven bool   `json:"submitter_proven"` // a token of By was shown for the run, and the server that saw it has signed that
	Spent           *Spent `json:"spent,omitempty"`  // what the run's models took so far; nil: it has called none
}

// Approval is what a person approves: exactly the parameters that Failing shows.
type Approval struct {
	Digest       string   `json:"digest"`                  // of tool, tool definition and parameters; repeat it in the decision
	Needed       int      `json:"needed"`                  // people who must approve
	Given        []string `json:"given"`                   // who has approved so far
	NotSubmitter bool     `json:"not_submitter,omitempty"` // whoever submitted the run cannot approve
	Proof        string   `json:"proof,omitempty"`         // passkey: whoever approves needs theirs, so it takes a browser
	Unproven     bool     `json:"unproven,omitempty"`      // NotSubmitter counts on who submitted the run, and nobody has proven that
	Refused      string   `json:"refused,omitempty"`       // why nobody's approval counts, by a setting of the server; empty = it may
}

// AskedQuestion is what a `human` rung asks.
type AskedQuestion struct {
	Text    string          `json:"text"`              // with its parameters filled in
	Options []string        `json:"options,omitempty"` // answers to choose from; empty = any that fits the schema
	Schema  json.RawMessage `json:"schema,omitempty"`  // JSON Schema of the answer
	URL     string          `json:"url,omitempty"`     // a page, http or https, on which it is to be answered
	Back    bool            `json:"back,omitempty"`    // the answer goes back to the server, which goes on with the call; else it is the output
}

// Rejection is an earlier rejection of the same call in this run.
type Rejection struct {
	Escalation string    `json:"escalation"`            // the one that asked
	Step       string    `json:"step"`                  // where it was asked
	By         string    `json:"by"`                    // who rejected it
	Reason     string    `json:"reason"`                // in that person's words
	At         time.Time `json:"at"`                    // the log's time
	Scope      string    `json:"scope,omitempty"`       // what it covers beside exactly this call, tool or target; empty = nothing
	Covers     string    `json:"covers,omitempty"`      // the same in words, with a scope
	ReopenedBy string    `json:"reopened_by,omitempty"` // the approver who allowed the call to be proposed again; empty: the rejection stands
	ReopenedAs string    `json:"reopened_as,omitempty"` // that approver's reason
}

// Offer is one decision that is possible.
type Offer struct {
	Verb        Verb            `json:"verb"`                   // what to send
	Effect      string          `json:"effect"`                 // what it does, in words
	NeedsReason bool            `json:"needs_reason,omitempty"` // it is refused without a reason
	Scopes      []string        `json:"scopes,omitempty"`       // reject: what it may cover beside exactly this call
	Grave       bool            `json:"grave,omitempty"`        // ask for confirmation before sending it
	Schema      json.RawMessage `json:"schema,omitempty"`       // of the new parameters (edit), the output (answer), or what the agent gets (extend)
}

// Suggestion is the decision that Belay would make, and why. Belay never makes it by itself.
type Suggestion struct {
	Verb   Verb   `json:"verb"`   // one of the offers
	Ground string `json:"ground"` // why, in words
}

// PlanLine is a step of the plan and its state.
type PlanLine struct {
	Step  string    `json:"step"`  // the step's id
	Tool  string    `json:"tool"`  // its name
	State StepState `json:"state"` // where it stands
}

// DoneLine is a step that was done, and what it did to the world.
type DoneLine struct {
	Step       string          `json:"step"`                // the step's id
	Tool       string          `json:"tool"`                // its name
	Output     json.RawMessage `json:"output"`              // any JSON value
	SideEffect Effects         `json:"side_effect"`         // what the tool does to the world
	Key        string          `json:"idempotency_key"`     // that its calls were made with
	Rung       string          `json:"rung"`                // that gave the output
	Degraded   *DegradedStep   `json:"degraded,omitempty"`  // how it came about, where not as meant
	AnswerBy   string          `json:"answer_by,omitempty"` // the person who gave the output
}

// Failing is the step in question, with the exact parameters that its tool was called with.
type Failing struct {
	Step    string          `json:"step"`            // the step's id
	Tool    string          `json:"tool"`            // its name
	Rung    string          `json:"rung"`            // that it stands on
	Params  json.RawMessage `json:"params"`          // exactly as they were sent, or will be
	Target  string          `json:"target"`          // what the rung talks to
	Effects Effects         `json:"side_effect"`     // what the tool does to the world
	Key     string          `json:"idempotency_key"` // that its calls are made with
}

// Aftermath is what came of a decision, by the run as it stands.
type Aftermath struct {
	Fate     Fate     `json:"fate"`              // in one word
	Text     string   `json:"text"`              // in words: "ship succeeded on try 3; the run goes on"
	Next     string   `json:"next,omitempty"`    // the first escalation that it led to
	Step     string   `json:"step,omitempty"`    // where that one asks; empty: about the run as a whole
	Message  string   `json:"message,omitempty"` // what it asks
	RunState RunState `json:"run_state"`         // where the run stands now
}

// Decided is a decision that counts.
type Decided struct {
	Escalation string          `json:"escalation"`        // its id
	Verb       Verb            `json:"verb"`              // what to do
	By         string          `json:"by"`                // who decided
	Via        string          `json:"via,omitempty"`     // cli, console, api
	Reason     string          `json:"reason,omitempty"`  // in that person's words; a rejection must have one
	Scope      string          `json:"scope,omitempty"`   // reject: what it covers beside exactly the same call, tool or target
	Params     json.RawMessage `json:"params,omitempty"`  // edit: the whole new parameters
	Patch      json.RawMessage `json:"patch,omitempty"`   // edit: what is different, a JSON Patch with tests
	Answer     json.RawMessage `json:"answer,omitempty"`  // answer: the output
	Reopens    string          `json:"reopens,omitempty"` // the escalation whose rejection of the same call is taken back
	Grant      *Grant          `json:"grant,omitempty"`   // the signed approval, where there is one
	Over       string          `json:"over,omitempty"`    // who had claimed it when somebody else decided it all the same
	Many       bool            `json:"many,omitempty"`    // it was decided together with others

	Unproven bool `json:"unproven,omitempty"` // an approval under not_submitter, although nobody has proven who submitted the run
}

// Grant is one person's signed approval of one call, to be used once.
type Grant struct {
	Run        string    `json:"run"`                 // the run's id
	Step       string    `json:"step"`                // the step's id
	Round      int       `json:"round"`               // a later round needs another approval
	Tool       string    `json:"tool"`                // its name
	Digest     string    `json:"digest"`              // of tool, tool definition and parameters
	Escalation string    `json:"escalation"`          // the one that was approved
	By         string    `json:"by"`                  // who approved
	CallKey    string    `json:"call_key,omitempty"`  // the idempotency key that the call is made under; empty in older runs
	Nonce      string    `json:"nonce"`               // makes two approvals of the same call different
	Issued     time.Time `json:"issued"`              // the signer's clock
	Expires    time.Time `json:"expires"`             // the worker refuses it afterwards
	Key        string    `json:"key"`                 // id of the key that signs
	Signature  []byte    `json:"signature,omitempty"` // by the dispatcher's Ed25519 key, over all the rest but Passkey

	Passkey *Assertion `json:"passkey,omitempty"` // what the approver's passkey has signed, where the tool asks for it
}

// Assertion is what somebody's passkey has signed in a browser (WebAuthn).
type Assertion struct {
	Credential    string `json:"credential"`         // id of the passkey, in base64url
	Client        []byte `json:"client_data"`        // what the browser says it asked for, JSON
	Authenticator []byte `json:"authenticator_data"` // what the device says, and whether it has checked who holds it
	Signature     []byte `json:"signature"`          // of both
}

// Decision is what somebody decides about an escalation.
type Decision struct {
	Verb   Verb   // one that the escalation allows
	By     string // who decides; required
	Reason string // reject needs one
	Scope  string // reject: what it covers beside exactly this call, one of Offer.Scopes: tool or target; empty = nothing
	Digest string // approve: of what was shown, Dossier.Approval.Digest
	Params any    // edit: the whole new parameters, anything that is a JSON object
	Answer any    // answer: what stands for the tool's output
}
