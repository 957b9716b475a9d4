// Package handoff carries what people decide to the run that asked for it.
//
// A decision is one event in the run's log, and only the log's order settles who was first, against another person as
// against the clock. So [Desk.Act] checks what can be checked beforehand, appends, and then reads the log to learn
// whether its own decision is the one that counted. What it checks beforehand spares people from deciding something
// that the fold would ignore; the fold checks again. An approval is signed on its way; whoever may not sign is not
// believed by any worker.
//
// Where to start reading: inbox.go (what people are shown), desk.go (what they do), handoff.go (how a decision comes to
// count), claim.go (who is at it), remote.go (the same from another process).
package handoff

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/wI2L/jsondiff"

	"belay/internal/bus"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// What callers tell apart with errors.Is.
var (
	ErrNoEscalation  = errors.New("no such escalation")
	ErrNotAllowed    = errors.New("this cannot be decided here")
	ErrDecidedBefore = errors.New("already decided")
	ErrForbidden     = errors.New("you may not do this")
	ErrInvalid       = errors.New("the decision is not complete or does not fit")
	ErrChanged       = errors.New("it is not what you were shown any more")
	ErrClaimed       = errors.New("somebody else is at it")
	ErrApproved      = errors.New("you have approved already")
)

// DecidedBefore is an [ErrDecidedBefore]: somebody, or the course of events, was first.
type DecidedBefore struct {
	Decision *steps.Decided        `json:"decision,omitempty"` // nil: nobody decided
	State    steps.EscalationState `json:"state"`              // how it ended
	At       time.Time             `json:"at"`
	Again    string                `json:"again,omitempty"` // the escalation that asks the same again, when nobody had decided in time
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

// refused is the error of a deed that does not count; nil when it does, or had before.
func refused(w steps.Word) error {
	switch w.Outcome {
	case steps.OutcomeCounts, steps.OutcomePart, steps.OutcomeAgain:
		return nil
	case steps.OutcomeDecided, steps.OutcomeExpired, steps.OutcomeSuperseded, steps.OutcomeRunOver:
		return &DecidedBefore{Decision: w.Decision, State: w.State, At: w.At, Again: w.Next, Text: w.Text}
	}
	return fmt.Errorf("%w: %s", sentinels[w.Outcome], w.Text)
}

// sentinels are the errors of what is refused for what it is.
var sentinels = map[steps.Outcome]error{
	steps.OutcomeApproved: ErrApproved, steps.OutcomeSubmitter: ErrForbidden, steps.OutcomeNotAllowed: ErrNotAllowed, steps.OutcomeNoReason: ErrInvalid,
	steps.OutcomeChanged: ErrChanged, steps.OutcomeClaimed: ErrClaimed, steps.OutcomeNoQuestion: ErrNoEscalation, steps.OutcomeUncertain: bus.ErrUncertain,
}

// RunOf is the run that an escalation's id belongs to.
func RunOf(escalation string) (run string, ok bool) {
	if run, ok := runlog.LetterRun(escalation); ok {
		return run, true
	}
	i := strings.LastIndexByte(escalation, '-')
	if i <= 0 || strings.Trim(escalation[i+1:], "0123456789") != "" || i+1 == len(escalation) {
		return "", false
	}
	return escalation[:i], true
}

// Find gives the whole id of an escalation from the end of it: the end of the run's id with the number behind it.
func Find(ctx context.Context, log *runlog.Log, suffix string) (string, error) {
	part, ok := RunOf(suffix)
	if !ok {
		if id, err := log.FindLetter(ctx, suffix); err != nil || id != "" {
			return id, err
		}
		return "", fmt.Errorf("%w: %q: an escalation's id is its run's id, - and a number", ErrNoEscalation, suffix)
	}
	run, err := log.Find(ctx, part)
	if errors.Is(err, runlog.ErrNoRun) {
		if id, letterErr := log.FindLetter(ctx, suffix); letterErr != nil || id != "" {
			return id, letterErr
		}
	}
	if err != nil {
		return "", fmt.Errorf("look for escalation %s: %w", suffix, err)
	}
	return run + suffix[len(part):], nil
}

// find loads the run of an escalation, and finds it there.
func find(ctx context.Context, log *runlog.Log, id string) (s *steps.State, n int, err error) {
	run, ok := RunOf(id)
	if !ok {
		return nil, 0, fmt.Errorf("%w: %q: an escalation's id is its run's id, - and a number", ErrNoEscalation, id)
	}
	s, err = log.Load(ctx, run)
	if errors.Is(err, runlog.ErrNoRun) || errors.Is(err, runlog.ErrBadID) {
		return nil, 0, fmt.Errorf("%w: %w", ErrNoEscalation, err)
	}
	if err != nil {
		return nil, 0, err
	}
	if n = s.FindEscalation(id); n < 0 {
		return nil, 0, fmt.Errorf("%w: run %s has %d", ErrNoEscalation, run, len(s.Escalations))
	}
	return s, n, nil
}

// carry appends a decision that was checked, and says what came of it. One that can be read but was not confirmed is
// not taken for stored: it may be gone after a crash. The fold takes the same decision once.
func carry(ctx context.Context, log *runlog.Log, run string, d steps.Decided) (w steps.Word, err error) {
	seq, err := log.AppendSurely(ctx, run, d)
	switch {
	case err == nil:
		return outcome(ctx, log, run, d, seq)
	case errors.Is(err, bus.ErrUncertain):
		err = fmt.Errorf("it may not be stored, and can be repeated without harm: %w", err)
	case errors.Is(err, bus.ErrTooLarge):
		err = fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return w, err
}

// restate writes a decision again that is found in the log. Whoever made it may have been told that nobody knows whether
// it is stored, and asks for that now.
func restate(ctx context.Context, log *runlog.Log, run string, s *steps.State, n int, d steps.Decided) error {
	made := madeBy(&s.Escalations[n], d)
	if made == nil {
		return nil
	}
	if _, err := log.AppendSurely(ctx, run, *made); err != nil {
		return fmt.Errorf("it was decided so before, but whether that is stored is not known: repeat it: %w", err)
	}
	return nil
}

// madeBy is the decision or the approval of d's person that the log holds; nil when there is none.
func madeBy(e *steps.Escalation, d steps.Decided) *steps.Decided {
	for i := range e.Approvals {
		if d.Verb == steps.VerbApprove && steps.SamePerson(e.Approvals[i].By, d.By) {
			return &e.Approvals[i]
		}
	}
	if e.Decision != nil && e.Decision.Verb == d.Verb && steps.SamePerson(e.Decision.By, d.By) {
		return e.Decision
	}
	return nil
}

// outcome follows the log until the fold has passed the decision at seq, and says what came of it right then. What comes
// later is another story.
func outcome(ctx context.Context, log *runlog.Log, run string, d steps.Decided, seq uint64) (w steps.Word, err error) {
	err = log.Follow(ctx, run, func(s *steps.State, r steps.Record, _ []int) bool {
		if made, is := r.Event.(steps.Decided); is && twin(made, d) && !w.Counts() {
			w = steps.Tell(s, steps.Deed{Seq: r.Seq, Event: made})
		}
		if r.Seq < seq && !s.Closed() {
			return true
		}
		if w.Outcome == "" {
			w = steps.Tell(s, steps.Deed{Seq: seq, Event: d})
		}
		return false
	})
	if err != nil {
		return w, fmt.Errorf("it is stored, but whether it was the first is not known: %w", err)
	}
	return w, refused(w)
}

// twin reports whether two decisions are one that was appended twice: nobody makes another with the same grant, or, where
// there is none, the very same words.
func twin(a, b steps.Decided) bool {
	if a.Grant != nil && b.Grant != nil {
		return a.Grant.Nonce == b.Grant.Nonce
	}
	return a.Grant == nil && b.Grant == nil && a.Escalation == b.Escalation && a.Verb == b.Verb && a.By == b.By && a.Via == b.Via && a.Reason == b.Reason &&
		bytes.Equal(a.Params, b.Params) && bytes.Equal(a.Answer, b.Answer)
}

// check refuses what the fold would take and the tool would refuse.
func check(s *steps.State, n int, d steps.Decided) (steps.Decided, error) {
	e := &s.Escalations[n]
	switch d.Verb {
	case steps.VerbEdit:
		return checkEdit(s, e, d)
	case steps.VerbAnswer:
		return d, checkAnswer(s, e, d.Answer)
	}
	return d, nil
}

// checkEdit takes new parameters in their canonical form, and notes what is different.
func checkEdit(s *steps.State, e *steps.Escalation, d steps.Decided) (steps.Decided, error) {
	if err := checkParams(s, e, d.Params); err != nil {
		return d, err
	}
	var err error
	if d.Params, err = steps.Canonical(d.Params); err != nil {
		return d, fmt.Errorf("%w: the parameters: %w", ErrInvalid, err)
	}
	d.Patch, err = patch(s.Units[e.Unit].Params, d.Params)
	return d, err
}

// patch is what turns before into after, as a JSON Patch whose tests make it possible to turn it back.
func patch(before, after json.RawMessage) (json.RawMessage, error) {
	if len(before) == 0 {
		before = json.RawMessage("{}")
	}
	exact := jsondiff.UnmarshalFunc(func(b []byte, v any) error {
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		return d.Decode(v)
	})
	ops, err := jsondiff.CompareJSON(before, after, jsondiff.Invertible(), exact)
	if err != nil {
		return nil, fmt.Errorf("compare the parameters: %w", err)
	}
	if ops == nil {
		ops = jsondiff.Patch{}
	}
	return json.Marshal(ops)
}

func checkParams(s *steps.State, e *steps.Escalation, params json.RawMessage) error {
	if err := steps.CheckDepth(params); err != nil {
		return fmt.Errorf("%w: the parameters: %w", ErrInvalid, err)
	}
	if _, ok := steps.Decode(params).(map[string]any); !ok || !json.Valid(params) {
		return fmt.Errorf("%w: edit needs the whole new parameters, a JSON object", ErrInvalid)
	}
	if len(params) > steps.MaxParams {
		return fmt.Errorf("%w: the parameters have %d bytes, %d are allowed", ErrInvalid, len(params), steps.MaxParams)
	}
	tool := s.Tool(e.Unit)
	return fits(tool.InputSchema, params, "the parameters do not fit the input schema of "+tool.Name)
}

// checkAnswer: an answer stands in place of the tool's output, so it must be one that the tool could have given.
func checkAnswer(s *steps.State, e *steps.Escalation, answer json.RawMessage) error {
	if err := steps.CheckDepth(answer); err != nil {
		return fmt.Errorf("%w: the answer: %w", ErrInvalid, err)
	}
	if !json.Valid(answer) {
		return fmt.Errorf("%w: answer needs an output, any JSON", ErrInvalid)
	}
	if len(answer) > steps.MaxOutput {
		return fmt.Errorf("%w: the answer has %d bytes, %d are allowed", ErrInvalid, len(answer), steps.MaxOutput)
	}
	if e.Question != nil {
		return checkReply(s, e, answer)
	}
	if e.Unit == steps.RunUnit || s.Items(e.Unit) != nil || len(s.Units[e.Unit].Attempts) == 0 && e.Kind != steps.KindApproval {
		return nil // the output of the run, or of a step before it was fanned out: no tool says what that looks like
	}
	tool := s.Tool(e.Unit)
	return fits(tool.OutputSchema, answer, "the answer does not fit the output schema of "+tool.Name)
}

// checkReply: an answer to a question must be one that was asked for, and what the rung makes of it an output that the
// tool could have given.
func checkReply(s *steps.State, e *steps.Escalation, answer json.RawMessage) error {
	if err := fits(e.Question.Schema, answer, "the answer does not fit what is asked"); err != nil {
		return err
	}
	output, err := steps.Reshaped(s, e, answer)
	if err == nil {
		err = steps.CheckDepth(output)
	}
	if err != nil {
		return fmt.Errorf("%w: no output can be made of the answer: %w", ErrInvalid, err)
	}
	if len(output) > steps.MaxOutput {
		return fmt.Errorf("%w: what is made of the answer has %d bytes, %d are allowed", ErrInvalid, len(output), steps.MaxOutput)
	}
	if !s.AnswersFitOutput() {
		return nil
	}
	tool, what := s.Tool(e.Unit), "the answer"
	if !bytes.Equal(output, answer) {
		what = fmt.Sprintf("what is made of the answer, %.200s,", output)
	}
	return fits(tool.OutputSchema, output, what+" does not fit the output schema of "+tool.Name)
}

func fits(schema, value json.RawMessage, what string) error {
	if len(schema) == 0 {
		return nil
	}
	check, err := plan.CompileSchema(schema)
	if err != nil {
		return fmt.Errorf("%w: the schema pinned into the run is not valid: %w", ErrInvalid, err)
	}
	if err := check(value); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrInvalid, what, err)
	}
	return nil
}
