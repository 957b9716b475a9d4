package worker

import (
	"encoding/json"
	"time"

	"belay/internal/steps"
)

// converse puts together what a turn of an agent, or a summary of some, asks the model. The message does not have it: each part of a conversation
// stands on the run's log once, and this worker reads on there. False: the message has been handled.
func (j *job) converse() bool {
	if !steps.IsTurn(j.m.Step) && !steps.IsSummary(j.m.Step) {
		return true
	}
	var asks steps.Conversation
	var found bool
	err := j.withState(func(s *steps.State) {
		if s != nil {
			asks, found = s.Conversation(j.m.Attempt)
		}
	})
	switch {
	case err != nil:
		j.Logger.Warn("cannot read the conversation in the run's log; the message is redelivered", "attempt", j.name(), "error", err)
		j.park(time.Second)
		return false
	case !found:
		f := steps.Fault{Class: steps.PolicyDenied, Acted: steps.ActedNo, Message: "the run has no such turn or summary of an agent"}
		j.refused(f)
		j.report(j.failed(f, 0))
		return false
	}
	params, err := json.Marshal(asks)
	if err != nil {
		j.report(j.notExecuted(steps.BadExpression, "the conversation cannot be written: "+err.Error()))
		return false
	}
	j.asks = params
	return true
}

// params are the parameters of the call: those in the message or, of a turn or summary of an agent, the conversation.
func (j *job) params() json.RawMessage {
	if j.asks != nil {
		return j.asks
	}
	return j.m.Params
}
