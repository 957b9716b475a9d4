package handoff

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"belay/internal/people"
	"belay/internal/steps"
)

// denied submits a run whose one call mia has rejected, and which came back to people since.
func denied(t *testing.T, l *office, run string, rule steps.Approval) string {
	t.Helper()
	rule.Decisions, rule.OnReject = []steps.Verb{steps.VerbApprove, steps.VerbReject, steps.VerbEdit}, steps.RejectFallback
	one := steps.RetryPolicy{MaxAttempts: 1, Factor: 2}
	doc, err := json.Marshal(steps.Definition{
		Plan: steps.Plan{Name: "pay", Steps: []steps.Step{{ID: "s", Tool: "t", With: json.RawMessage(`{"amount":5}`), OnFailure: steps.OnFailureEscalate}}},
		Tools: map[string]steps.Tool{"t": {
			Name: "t", Effects: steps.EffectsUnsafe, Approval: &rule, Definition: map[string]string{"effects": "x"},
			Rungs: []steps.Rung{{Name: "primary", Executor: "http", Retry: one}, {Name: "cached", Executor: "cache", Retry: one}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Submit(t.Context(), run, steps.Submitted{Document: doc, Input: json.RawMessage(`{}`), By: "sue"}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.act(t, "mia", run+"-1", people.Act{Verb: "reject", Reason: "too much"}); err != nil {
		t.Fatal(err)
	}
	gone := steps.Failed{Attempt: steps.Attempt{Step: "s", Rung: 1, Try: 1}, Worker: "w", Fault: steps.Fault{Class: steps.NotFound, Acted: steps.ActedNo, Message: "nothing cached"}}
	if _, err := l.Append(t.Context(), run, gone); err != nil {
		t.Fatal(err)
	}
	return run + "-2"
}

func TestARejectionIsReopenedByAnApproverWithAReason(t *testing.T) {
	t.Parallel()
	l, _ := newLog(t)
	retry, because := people.Act{Verb: "retry"}, people.Act{Verb: "retry", Reason: "the customer called"}
	for n, c := range []struct {
		name string
		rule steps.Approval
		who  people.Actor
		act  people.Act
		want error
		then steps.StepState
	}{
		{"no reason", steps.Approval{}, people.Trusted("bo", ""), retry, ErrInvalid, steps.StepEscalated},
		{"no approver", steps.Approval{}, people.Actor{Name: "bo", Role: people.Operator}, because, people.ErrForbidden, steps.StepEscalated},
		{"many at once", steps.Approval{}, people.Trusted("bo", ""), people.Act{Verb: "retry", Reason: "all", Many: true}, ErrNotAllowed, steps.StepEscalated},
		{"edited back to it", steps.Approval{}, people.Trusted("bo", ""), people.Act{Verb: "edit", Params: json.RawMessage(`{ "amount": 5 }`)}, ErrInvalid, steps.StepEscalated},
		{"edited to another call", steps.Approval{}, people.Trusted("bo", ""), people.Act{Verb: "edit", Params: json.RawMessage(`{"amount":4}`)}, nil, steps.StepQueued},
		{"her own, two eyes", steps.Approval{}, people.Trusted("mia", ""), because, nil, steps.StepQueued},
		{"her own, four eyes", steps.Approval{Approvers: 2}, people.Trusted("mia", ""), because, people.ErrForbidden, steps.StepEscalated},
		{"another, four eyes", steps.Approval{Approvers: 2}, people.Trusted("bo", ""), because, nil, steps.StepHeld},
		{"the submitter", steps.Approval{NotSubmitter: true}, people.Trusted("sue", ""), because, people.ErrForbidden, steps.StepEscalated},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := fmt.Sprintf("run%d", n)
			id := denied(t, l, run, c.rule)
			_, err := l.desk.Act(t.Context(), c.who, id, c.act)
			if !errors.Is(err, c.want) || c.want != nil && !strings.Contains(err.Error(), "mia has rejected exactly this call ("+run+"-1: too much)") {
				t.Errorf("%v; want %v, and whose rejection it is", err, c.want)
			}
			s := l.state(t, run)
			if got := s.Units[0].State(); got != c.then {
				t.Errorf("the step is %s, want %s", got, c.then)
			}
		})
	}
}
