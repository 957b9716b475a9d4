package ladder

import (
	"encoding/json"
	"fmt"
	"sync"

	"belay/internal/plan"
)

// Schemas tests values against schemas that come with step messages. It keeps what it has compiled.
type Schemas struct {
	mu  sync.Mutex
	all map[string]func(json.RawMessage) error
}

// maxSchemas bounds what is kept; a worker meets few, unless somebody floods it.
const maxSchemas = 256

// Check says how value does not fit schema; no schema fits everything.
func (s *Schemas) Check(schema, value json.RawMessage) error {
	if len(schema) == 0 {
		return nil
	}
	s.mu.Lock()
	check, ok := s.all[string(schema)]
	s.mu.Unlock()
	if !ok {
		var err error
		if check, err = plan.CompileSchema(schema); err != nil {
			return fmt.Errorf("the submitted schema: %w", err)
		}
		s.keep(schema, check)
	}
	return check(value)
}

func (s *Schemas) keep(schema json.RawMessage, check func(json.RawMessage) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil || len(s.all) >= maxSchemas {
		s.all = map[string]func(json.RawMessage) error{}
	}
	s.all[string(schema)] = check
}
