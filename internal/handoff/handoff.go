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
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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
)

// DecidedBefore is an [ErrDecidedBefore]: somebody, or the course of events, was first.
type DecidedBefore struct {
	Decision *steps.Decided        `json:"decision,omitempty"` // nil: nobody decided
	State    steps.EscalationState `json:"state"`              // how it ended
	At       time.Time             `json:"at"`
	Again    string                `json:"again,omitempty"` // the escalation that asks the same again, when nobody had decided in time
}

func (d *DecidedBefore) Error() string {
	at := d.At.UTC().Format(time.RFC3339)
	switch {
	case d.State == steps.EscalationExpired && d.Again != "":
		return "too late: nobody had decided by " + at + "; it is asked again as " + d.Again
	case d.State == steps.EscalationExpired:
		return "too late: nobody had decided by " + at + ", and what was to happen then has happened"
	case d.Decision == nil:
		return "already settled: events answered it at " + at + " before anybody decided"
	}
	return "already decided: " + who(d.Decision.By) + " chose " + string(d.Decision.Verb) + " at " + at
}

// Is makes errors.Is(err, ErrDecidedBefore) true.
func (d *DecidedBefore) Is(target error) bool { return target == ErrDecidedBefore }

func who(by string) string {
	if by == "" {
		return "somebody"
	}
	return by
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
		return "", fmt.Errorf("%w: %q: an escalation's id is its run's id, - and a number", ErrNoEscalation, suffix)
	}
	run, err := log.Find(ctx, part)
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

// carry appends a decision that was checked, and says what became of it.
func carry(ctx context.Context, log *runlog.Log, run string, d steps.Decided) (steps.Decided, error) {
	seq, err := log.Append(ctx, run, d)
	if errors.Is(err, bus.ErrUncertain) {
		return retell(ctx, log, run, d, err)
	}
	if err != nil {
		return d, err
	}
	return outcome(ctx, log, run, d, seq)
}

// outcome follows the log until the fold has passed the decision at seq, and says what became of it.
func outcome(ctx context.Context, log *runlog.Log, run string, d steps.Decided, seq uint64) (steps.Decided, error) {
	counted, verdictErr := d, error(nil)
	err := log.Follow(ctx, run, func(s *steps.State, r steps.Record, _ []int) bool {
		if r.Seq < seq && !s.Closed() {
			return true
		}
		counted, verdictErr = verdict(s, s.FindEscalation(d.Escalation), d)
		return false
	})
	if err != nil {
		return d, fmt.Errorf("it is stored, but whether it was the first is not known: %w", err)
	}
	return counted, verdictErr
}

// retell settles a decision of which nobody knows whether it is stored: it counts, or another one does, or it can be
// made again without harm.
func retell(ctx context.Context, log *runlog.Log, run string, d steps.Decided, cause error) (steps.Decided, error) {
	s, err := log.Load(ctx, run)
	if err == nil {
		if n := s.FindEscalation(d.Escalation); n >= 0 && (s.Escalations[n].State != steps.EscalationOpen || approvedBy(&s.Escalations[n], d.By) != nil) {
			return verdict(s, n, d)
		}
	}
	return d, fmt.Errorf("it may not be stored, and can be repeated without harm: %w", errors.Join(cause, err))
}

// verdict says whose decision counts on an escalation that is no longer open.
func verdict(s *steps.State, n int, d steps.Decided) (steps.Decided, error) {
	if n < 0 {
		return d, fmt.Errorf("%w: the run's log does not show it any more", ErrNoEscalation)
	}
	e := &s.Escalations[n]
	if d.Verb == steps.VerbApprove {
		if mine := approvedBy(e, d.By); mine != nil && (e.State == steps.EscalationOpen || e.State == steps.EscalationDecided && e.Decision.Verb == steps.VerbApprove) {
			return *mine, nil // it counts, perhaps as the first of two
		}
	}
	if e.State == steps.EscalationOpen {
		return d, fmt.Errorf("%w: the run did not accept it and still asks", ErrNotAllowed)
	}
	if e.Decision != nil && same(*e.Decision, d) {
		return *e.Decision, nil
	}
	before := &DecidedBefore{Decision: e.Decision, State: e.State, At: e.Ended}
	for k := n + 1; k < len(s.Escalations); k++ {
		if s.Escalations[k].Follows == e.ID {
			before.Again = s.Escalations[k].ID
		}
	}
	return d, before
}

// approvedBy is the approval that somebody has given.
func approvedBy(e *steps.Escalation, by string) *steps.Decided {
	for i := range e.Approvals {
		if e.Approvals[i].By == by {
			return &e.Approvals[i]
		}
	}
	return nil
}

func same(a, b steps.Decided) bool {
	return a.Verb == b.Verb && a.By == b.By && a.Via == b.Via && a.Reason == b.Reason &&
		sameJSON(a.Params, b.Params) && sameJSON(a.Answer, b.Answer)
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y bytes.Buffer
	if json.Compact(&x, a) != nil || json.Compact(&y, b) != nil {
		return bytes.Equal(a, b)
	}
	return bytes.Equal(x.Bytes(), y.Bytes())
}

// check refuses what the fold, or the tool, would refuse.
func check(s *steps.State, n int, d steps.Decided) (steps.Decided, error) {
	e := &s.Escalations[n]
	if !slices.Contains(e.Allowed, d.Verb) {
		return d, fmt.Errorf("%w: %q; allowed are %s", ErrNotAllowed, d.Verb, verbs(e.Allowed))
	}
	switch d.Verb {
	case steps.VerbReject:
		if strings.TrimSpace(d.Reason) == "" {
			return d, fmt.Errorf("%w: reject needs a reason: the plan, and whoever asked, will read it", ErrInvalid)
		}
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

func verbs(allowed []steps.Verb) string {
	words := make([]string, len(allowed))
	for i, v := range allowed {
		words[i] = string(v)
	}
	return strings.Join(words, ", ")
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
