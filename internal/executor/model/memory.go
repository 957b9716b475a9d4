package modelexec

import (
	"crypto/sha256"
	"encoding/json"
	"sync"

	"belay/internal/executor"
)

const (
	maxMisfits  = 256     // that a rung remembers
	misfitBytes = 8 << 10 // of an answer that are shown again
)

// memory keeps answers that did not fit, so that the next try can show the model what was wrong. Only this worker has
// it: another one simply asks anew.
type memory struct {
	mu    sync.Mutex
	all   map[string]misfit
	order []string // the oldest first
}

// misfit is an answer that did not fit its schema.
type misfit struct {
	params [sha256.Size]byte // that it was the answer to
	answer string
	wrong  string
}

func stepOf(req executor.Request) string { return req.Run + "/" + req.Step }

// keep remembers what was wrong with the answer to an attempt.
func (m *memory) keep(req executor.Request, answer, wrong string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil {
		m.all = map[string]misfit{}
	}
	step := stepOf(req)
	if _, is := m.all[step]; !is {
		m.order = append(m.order, step)
	}
	m.all[step] = misfit{sha256.Sum256(req.Params), executor.Head([]byte(answer), misfitBytes), executor.Head([]byte(wrong), misfitBytes)}
	if len(m.order) > maxMisfits {
		delete(m.all, m.order[0])
		m.order = m.order[1:]
	}
}

// forget drops what is known of an attempt's step.
func (m *memory) forget(req executor.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	step := stepOf(req)
	if _, is := m.all[step]; !is {
		return
	}
	delete(m.all, step)
	for i, s := range m.order {
		if s == step {
			m.order = append(m.order[:i], m.order[i+1:]...)
			return
		}
	}
}

// remind adds to a conversation what was wrong with the last answer to the same parameters.
func (m *memory) remind(c *conversation, req executor.Request) {
	m.mu.Lock()
	last, is := m.all[stepOf(req)]
	m.mu.Unlock()
	if !is || last.params != sha256.Sum256(req.Params) {
		return
	}
	if last.answer != "" {
		c.messages = append(c.messages, message{Role: roleAssistant, Text: last.answer})
	}
	c.messages = append(c.messages, message{Role: roleUser, Text: "That answer cannot be used: " + last.wrong +
		"\n" + inWords(c.schema)})
}

// inWords asks for an object.
func inWords(schema json.RawMessage) string {
	return "Answer with nothing but one JSON object that fits this JSON Schema: " + string(schema)
}
