package steps

import (
	"encoding/json"
	"fmt"
)

// Reshaped is the output that an answer to e gives: what the `output` template of the human rung makes of it. Without such
// a template, and for any other escalation, it is the answer itself.
func Reshaped(s *State, e *Escalation, answer json.RawMessage) (json.RawMessage, error) {
	if e.Unit == RunUnit || e.Question == nil {
		return answer, nil
	}
	reshape := s.Program.Reshapes[s.Tool(e.Unit).Name][s.Units[e.Unit].Rung]
	if reshape == nil {
		return answer, nil
	}
	c := s.scope(e.Unit)
	c.params, c.output = s.Units[e.Unit].Params, answer
	output, err := reshape(c)
	if err != nil {
		return nil, fmt.Errorf("the rung's output: %w", err)
	}
	return output, nil
}

// AnswersFitOutput reports whether an answer must also fit the tool's output schema. Runs of epoch 1 may ask for answers
// that never do.
func (s *State) AnswersFitOutput() bool { return s.since(2) }
