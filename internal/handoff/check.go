package handoff

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/wI2L/jsondiff"

	"belay/internal/exactjson"
	"belay/internal/plan"
	"belay/internal/steps"
)

// check refuses a decision that the fold would accept and the tool would not.
func check(s *steps.State, n int, d steps.Decided) (steps.Decided, error) {
	e := &s.Escalations[n]
	if err := checkScope(s, e, d); err != nil {
		return d, err
	}
	switch d.Verb {
	case steps.VerbEdit:
		return checkEdit(s, e, d)
	case steps.VerbExtend:
		return d, checkLimits(d.Params)
	case steps.VerbAnswer:
		return d, checkAnswer(s, e, d.Answer)
	}
	return d, nil
}

// checkScope refuses what a rejection cannot cover.
func checkScope(s *steps.State, e *steps.Escalation, d steps.Decided) error {
	possible := s.Scopes(e)
	switch {
	case d.Scope == "" || d.Verb == steps.VerbReject && slices.Contains(possible, d.Scope):
		return nil
	case d.Verb != steps.VerbReject:
		return fmt.Errorf("%w: scope belongs to reject, not to %s", ErrInvalid, d.Verb)
	case possible == nil:
		return fmt.Errorf("%w: scope %q: there are no other calls that a rejection of this one could cover; leave it out", ErrInvalid, d.Scope)
	}
	return fmt.Errorf("%w: scope %q is not possible here; leave it out, or give one of %v", ErrInvalid, d.Scope, possible)
}

// checkEdit puts the new parameters into their canonical form and adds what has changed.
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

// patch returns the JSON Patch from before to after. It contains tests, so that it can be undone.
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

// checkLimits checks what a person gives an agent; nothing means as much again.
func checkLimits(params json.RawMessage) error {
	if len(params) == 0 {
		return nil
	}
	var l steps.AgentLimits
	if err := exactjson.Strict(params, &l); err != nil {
		return fmt.Errorf("%w: extend takes an object of turns, calls, tokens, usd, time (seconds), repeats, refusals: %w", ErrInvalid, err)
	}
	if l.Turns < 0 || l.Calls < 0 || l.Tokens < 0 || l.USD < 0 || l.Time < 0 || l.Repeats < 0 || l.Refusals < 0 || l == (steps.AgentLimits{}) {
		return fmt.Errorf("%w: extend gives more than nothing", ErrInvalid)
	}
	return nil
}

// checkAnswer checks an answer as what it replaces: the tool's output.
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
	if e.Kind == steps.KindLimit {
		return fits(s.Program.Nodes[s.Units[e.Unit].Node].Agent.OutputSchema, answer, "the answer does not fit the agent's output schema")
	}
	if e.Unit == steps.RunUnit || s.Items(e.Unit) != nil || len(s.Units[e.Unit].Attempts) == 0 && e.Kind != steps.KindApproval {
		return nil // the output of the run, or of a step before it was fanned out: no tool has a schema of that
	}
	tool := s.Tool(e.Unit)
	return fits(tool.OutputSchema, answer, "the answer does not fit the output schema of "+tool.Name)
}

// checkReply checks the answer to a question against what was asked, and what the rung makes of it against the tool's
// output schema.
func checkReply(s *steps.State, e *steps.Escalation, answer json.RawMessage) error {
	if err := fits(e.Question.Schema, answer, "the answer does not fit what is asked"); err != nil {
		return err
	}
	if e.Resume != nil {
		return nil // it goes back to the server, and is no output
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
