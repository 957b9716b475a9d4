package steps

import (
	"encoding/json"
	"fmt"
)

// Reshaped is the output that an answer to e makes: the answer itself, or what the `output` of the human rung makes of
// it. A question whose rung has none, and a decision about anything else, takes the answer as it is.
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

// AnswersFitOutput reports whether an answer must also be an output that the tool could have given. Runs from before
// that rule may ask for answers that never are.
func (s *State) AnswersFitOutput() bool { return s.since(2) }
