package mcpexec

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"belay/internal/executor"
	"belay/internal/steps"
)

// A server of a version before 2026-07-28 asks in the middle of a call, in a session that ends with it. What a person answers is
// kept, and the call is made once more where it may be repeated: when the server asks the same then, it gets the answer at once.
// Nothing says which call of a session a question is about, so that such a call has a session of its own.

// given is the answer to a question that was asked before.
type given struct {
	asked
	Answer json.RawMessage `json:"answer,omitempty"` // nil: it was declined
}

// sign is what a question is known by.
func sign(q *mcp.ElicitParams) string {
	b, err := json.Marshal([]any{q.Message, q.RequestedSchema, q.URL})
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// givenTo is the answer to a question that the only call in the session has brought along; nil if it has none.
func (s *session) givenTo(q *mcp.ElicitParams) *mcp.ElicitResult {
	if len(s.calls) != 1 {
		return nil
	}
	for c := range s.calls {
		for _, g := range c.given {
			if g.ID != sign(q) {
				continue
			}
			if g.Answer == nil {
				return &mcp.ElicitResult{Action: "decline"}
			}
			all := mcp.InputResponseMap{}
			if accept(all, g.asked, g.Answer) != nil {
				return nil
			}
			r, _ := all[g.ID].(*mcp.ElicitResult)
			return r
		}
	}
	return nil
}

// openQuestion is the error of a call that waits for an answer. It can be made again with the answer if it was surely about this
// call.
func (c *call) openQuestion(acted steps.Acted) error {
	f := openQuestion(acted, c.wants)
	if !c.sole {
		return f
	}
	q := elicitation{Message: c.wants[0].Message, URL: c.wants[0].URL}
	if schema := c.wants[0].RequestedSchema; schema != nil {
		b, err := json.Marshal(schema)
		if err != nil {
			return f
		}
		q.Schema = b
	}
	k := kept{Older: true, Given: c.given, Asked: []asked{{ID: sign(c.wants[0]), Page: q.URL != ""}}}
	return executor.Unfinished{Fault: f, Resume: k.resume(), Question: questionOf([]string{k.Asked[0].ID}, []elicitation{q})}
}

// begin begins a call: with what was answered before, in a session of its own.
func (x *rung) begin(ctx context.Context, req executor.Request, k kept) (*call, error) {
	if !k.Older {
		return x.server.begin(ctx, req.Progress)
	}
	if x.spec.Strict || len(k.Asked) != 1 {
		return nil, steps.Fault{Class: steps.PolicyDenied, Acted: steps.ActedNo, Message: "not called once more: its effects are unsafe by this worker's tools file"}
	}
	c, err := x.server.alone(ctx, req.Progress)
	if err == nil {
		c.given = append(k.Given, given{k.Asked[0], req.Continues.Answer})
	}
	return c, err
}

// alone begins a call in a session that no other call gets.
func (v *server) alone(ctx context.Context, progress func(string)) (*call, error) {
	v.mu.Lock()
	closed := v.closed
	if !closed {
		v.ends.Add(1)
	}
	v.mu.Unlock()
	if closed {
		return nil, steps.Fault{Class: steps.Unavailable, Acted: steps.ActedNo, Message: "the worker is ending, and calls nothing any more"}
	}
	defer v.ends.Done()
	opening, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	s, err := v.connect(opening)
	if ctx.Err() != nil {
		if err == nil {
			s.retire()
		}
		return nil, executor.Stopped(ctx, steps.ActedNo)
	}
	if err != nil {
		return nil, err
	}
	c := s.begin(ctx, progress)
	s.retire()
	if c == nil {
		return nil, notConnected("the connection ended before the call was sent", s.said())
	}
	return c, nil
}
