package people

import (
	"encoding/json"
	"time"

	"belay/internal/steps"
)

// Act is what an actor wants done about an escalation. It crosses NATS and HTTP: its JSON names are a contract.
type Act struct {
	Verb   Action          `json:"verb,omitempty"`   // what to do; one of the actions of a role
	Reason string          `json:"reason,omitempty"` // in the words of the actor; reject and reopen need one
	Scope  string          `json:"scope,omitempty"`  // reject: what it covers beside exactly this call, tool or target; empty = nothing
	Params json.RawMessage `json:"params,omitempty"` // edit: the whole new parameters, a JSON object
	Answer json.RawMessage `json:"answer,omitempty"` // answer: the output, any JSON
	To     string          `json:"to,omitempty"`     // assign: whom
	Until  time.Time       `json:"until,omitzero"`   // snooze: when it is shown again
	Text   string          `json:"text,omitempty"`   // note
	// Digest is of what the actor saw, for approve: another one is refused.
	Digest string `json:"digest,omitempty"`
	// Passkey is what the passkey of the actor has signed, for approve where the tool asks for it.
	Passkey *steps.Assertion `json:"passkey,omitempty"`
	// TakeOver does it although somebody else has claimed it; they are notified.
	TakeOver bool `json:"take,omitempty"`
	// Many says that it is one of a redrive: nobody has looked at each, so it approves nothing along the way.
	Many bool `json:"many,omitempty"`
	// Revision is of the dossier that the actor saw; 0 = whatever it is now.
	Revision uint64 `json:"revision,omitempty"`
}
