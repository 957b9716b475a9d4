package belaytype

import (
	"encoding/json"
	"time"
)

// Agent is an agent step of a run: what it was asked, what its model said and called, and how much of
// its limits that took. Long texts are cut, and end with …: whole, they are the outputs of the steps that are named here.
type Agent struct {
	Step         string         `json:"step"`                   // the step's id
	Model        string         `json:"model"`                  // the tool that asks the model
	State        StepState      `json:"state"`                  // where it stands
	Instructions string         `json:"instructions,omitempty"` // what the model is told first
	Prompt       string         `json:"prompt"`                 // its task
	Earlier      int            `json:"earlier,omitempty"`      // turns before the first one here
	Turns        []AgentTurn    `json:"turns"`                  // oldest first
	Summaries    []AgentSummary `json:"summaries,omitempty"`    // of its first turns, oldest first
	Limits       AgentLimits    `json:"limits"`                 // with what people have added; none where there is no number
	Used         AgentLimits    `json:"used"`                   // of each limit; where nobody knows what a turn cost, what was reserved for it counts
	Last         bool           `json:"last,omitempty"`         // it is asked for the last time, without tools
	People       []Question     `json:"people,omitempty"`       // what people were asked about its limits
}

// AgentTurn is one time that an agent's model was asked.
type AgentTurn struct {
	Step     string      `json:"step"`                 // the step's id
	Number   int         `json:"number"`               // from 1
	State    StepState   `json:"state"`                // where it stands
	Rung     string      `json:"rung"`                 // of the model's tool
	Said     string      `json:"said,omitempty"`       // what the model said; cut
	Wrong    string      `json:"wrong,omitempty"`      // why its answer was not taken; cut
	Calls    []AgentCall `json:"calls,omitempty"`      // that it proposes
	Notes    []AgentNote `json:"notes,omitempty"`      // that people wrote while it was the last turn; the next one begins with them
	Back     *TakenBack  `json:"taken_back,omitempty"` // who has taken it back; nil while it counts
	Degraded string      `json:"degraded,omitempty"`   // why another rung than the first has answered
	AnswerBy string      `json:"answer_by,omitempty"`  // the person who answered in the model's place
	Class    Class       `json:"class,omitempty"`      // of the fault that it was given up for
	Message  string      `json:"message,omitempty"`    // of that fault
	People   []Question  `json:"people,omitempty"`     // what people were asked about it
	Took     Duration    `json:"took,omitempty"`       // all its attempts, in seconds
	Tokens   int64       `json:"tokens,omitempty"`     // read and written
	Cost     Money       `json:"cost,omitempty"`       // in US dollars
}

// AgentSummary is what an agent's model reads in place of its first turns: another model has summarised them.
type AgentSummary struct {
	Step     string     `json:"step"`                // the step's id
	Number   int        `json:"number"`              // from 1
	State    StepState  `json:"state"`               // where it stands
	Rung     string     `json:"rung"`                // of the tool that makes it
	After    int        `json:"after"`               // turns that had begun when it was asked for
	First    int        `json:"first"`               // the first turn that it is made of, beside the summary before it
	Upto     int        `json:"upto"`                // the last turn that it stands for
	Missing  int        `json:"missing,omitempty"`   // turns up to that one which are in no summary
	Text     string     `json:"text,omitempty"`      // what it says; cut. None: the agent goes on without it
	Read     bool       `json:"read,omitempty"`      // it is the one that the agent's model reads now
	Degraded string     `json:"degraded,omitempty"`  // why another rung than the first has made it
	AnswerBy string     `json:"answer_by,omitempty"` // the person who answered in the model's place
	Class    Class      `json:"class,omitempty"`     // of the fault that it was given up for
	Message  string     `json:"message,omitempty"`   // of that fault
	People   []Question `json:"people,omitempty"`    // what people were asked about it
	Took     Duration   `json:"took,omitempty"`      // all its attempts, in seconds
	Tokens   int64      `json:"tokens,omitempty"`    // read and written
	Cost     Money      `json:"cost,omitempty"`      // in US dollars
}

// AgentNote is what a person has written to an agent at work.
type AgentNote struct {
	By        string `json:"by"`                   // who wrote it
	Text      string `json:"text"`                 // in that person's words; cut
	TakesBack int    `json:"takes_back,omitempty"` // number of the first turn that it takes back, and all after it up to this one; 0 = none
	Unread    bool   `json:"unread,omitempty"`     // the model has not been asked since
}

// TakenBack says who has taken back a turn of an agent: its model hears of it only what was done in it.
type TakenBack struct {
	By     string    `json:"by"`               // who did
	Reason string    `json:"reason,omitempty"` // in that person's words; cut
	At     time.Time `json:"at"`               // the log's time
}

// AgentCall is a call that an agent has proposed, and what came of it.
type AgentCall struct {
	Step      string          `json:"step,omitempty"`      // the step's id; empty: it was not begun, because a limit is reached
	Tool      string          `json:"tool"`                // its name; the model's word for it where there is no such tool
	Arguments json.RawMessage `json:"arguments"`           // as the model proposed them; a string where they are no JSON, or cut
	Changed   json.RawMessage `json:"changed,omitempty"`   // what a person made of them
	State     StepState       `json:"state,omitempty"`     // where it stands; empty: it was not begun
	Rung      string          `json:"rung,omitempty"`      // that it stands on
	Result    string          `json:"result,omitempty"`    // what the model is told of it; cut
	Failed    bool            `json:"failed,omitempty"`    // it is told that there is no result
	Stays     bool            `json:"stays,omitempty"`     // it is done, and stays done although its turn was taken back
	ResultOf  string          `json:"result_of,omitempty"` // the call, in a turn taken back, whose result it shows; nothing was made again
	Degraded  string          `json:"degraded,omitempty"`  // how the result came about, where not as meant
	AnswerBy  string          `json:"answer_by,omitempty"` // the person who gave the result
	People    []Question      `json:"people,omitempty"`    // what people were asked about it
	Took      Duration        `json:"took,omitempty"`      // all its attempts, in seconds
}

// AgentLimits bound an agent. 0 is none, where there may be none.
type AgentLimits struct {
	Turns    int      `json:"turns"`            // times that the model is asked
	Calls    int      `json:"calls"`            // calls that it proposes, those that do not fit included
	Tokens   int64    `json:"tokens,omitempty"` // read and written by the model
	USD      Money    `json:"usd,omitempty"`    // for the model
	Time     Duration `json:"time,omitempty"`   // since it began
	Repeats  int      `json:"repeats"`          // turns that propose the same
	Refusals int      `json:"refusals"`         // calls in a row that people have rejected
}
