// Package handoff carries what people decide to the run that asked for it.
//
// A decision is one event in the run's log, and only the order of the log says who was first, of two people as well as
// of a person and a deadline. So [Desk.Act] checks what can be checked beforehand, appends the decision, and then reads
// the log to learn whether it is the one that counts. The check beforehand spares people decisions that the fold would
// ignore; the fold checks once more. An approval is signed before it is appended, and workers believe no other
// signature.
//
// An act reads its run once: what is shown, checked and answered comes from one snapshot of the log, which is read on
// from there once the decision is in it.
//
// Where to start reading: card.go (what people are shown), desk.go (what they do), decide.go (how a decision comes to
// count), claim.go (who is at it), remote.go (the same from another process).
package handoff

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"belay/internal/bus"
	"belay/internal/people"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// Errors that callers tell apart with errors.Is.
var (
	ErrNoEscalation  = errors.New("no such escalation")
	ErrNotAllowed    = errors.New("this cannot be decided here")
	ErrDecidedBefore = errors.New("already decided")
	ErrInvalid       = errors.New("the decision is incomplete or does not fit")
	ErrChanged       = errors.New("it has changed since it was shown to you")
	ErrClaimed       = errors.New("somebody else has claimed it")
	ErrApproved      = errors.New("you have approved already")
)

// DecidedBefore is an [ErrDecidedBefore] with details: somebody decided first, or events answered the question.
type DecidedBefore struct {
	Decision *steps.Decided        `json:"decision,omitempty"` // nil: nobody decided
	State    steps.EscalationState `json:"state"`              // how it ended
	At       time.Time             `json:"at"`
	Next     string                `json:"again,omitempty"` // the escalation that asks the same again, when nobody had decided in time
	Text     string                `json:"text,omitempty"`  // all of it in words
}

func (d *DecidedBefore) Error() string {
	if d.Text == "" && d.Decision != nil {
		return "already decided: " + cmp.Or(d.Decision.By, "somebody") + " chose " + string(d.Decision.Verb)
	}
	return cmp.Or(d.Text, "already settled")
}

// Is makes errors.Is(err, ErrDecidedBefore) true.
func (d *DecidedBefore) Is(target error) bool { return target == ErrDecidedBefore }

// refused returns the error for an act that does not count; nil if it counts, or an earlier one like it did.
func refused(w view.Reply) error {
	switch w.Outcome {
	case view.OutcomeCounts, view.OutcomePart, view.OutcomeRepeated:
		return nil
	case view.OutcomeDecided, view.OutcomeExpired, view.OutcomeSuperseded, view.OutcomeRunOver:
		return &DecidedBefore{Decision: w.Decision, State: w.State, At: w.At, Next: w.Next, Text: w.Text}
	}
	return fmt.Errorf("%w: %s", sentinels[w.Outcome], w.Text)
}

// sentinels are the errors for acts that are refused whatever has happened before.
var sentinels = map[view.Outcome]error{
	view.OutcomeApproved: ErrApproved, view.OutcomeSubmitter: people.ErrForbidden, view.OutcomeNotAllowed: ErrNotAllowed, view.OutcomeNoReason: ErrInvalid,
	view.OutcomeChanged: ErrChanged, view.OutcomeClaimed: ErrClaimed, view.OutcomeNoPasskey: ErrPasskey, view.OutcomeNoQuestion: ErrNoEscalation, view.OutcomeUncertain: bus.ErrUncertain,
}
