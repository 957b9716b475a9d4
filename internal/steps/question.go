package steps

import "encoding/json"

// Question is what a human rung asks, or what the other side of a call asks before it goes on.
type Question struct {
	Text    string          `json:"text"`              // with its parameters filled in
	Options []string        `json:"options,omitempty"` // answers to pick from; empty = any that fits the schema
	Schema  json.RawMessage `json:"schema,omitempty"`  // JSON Schema of the answer
	URL     string          `json:"url,omitempty"`     // a page, http or https, on which it is to be answered; empty: there is none
}

// askQuestion asks a person for the result of unit i, whose rung is a person.
func (c *change) askQuestion(i int, h *Human) {
	u := &c.Units[i]
	u.Try++
	u.Attempts = append(u.Attempts, AttemptRecord{Round: u.Round, Rung: u.Rung, Try: u.Try, State: AttemptAsked, Queued: c.Now, Started: c.Now})
	q := Question{Text: c.questionText(i, h), Options: h.Options, Schema: h.Schema}
	c.raise(Escalation{
		Kind: KindQuestion, Unit: i, Fault: Fault{Class: NeedsHuman, Acted: ActedNo, Message: q.Text}, Question: &q,
		Deadline: c.in(h.Deadline), OnExpiry: h.OnDeadline,
	})
}

// questionText fills the question in. If that fails, it is asked as it was written, and a person can still understand it.
func (c *change) questionText(i int, h *Human) string {
	ask := c.Asks(i).Questions[c.Units[i].Rung]
	if ask == nil {
		return h.Question
	}
	v, err := ask(c.CallScope(i, nil))
	var text string
	if err != nil || json.Unmarshal(v, &text) != nil {
		return h.Question
	}
	return text
}

// endQuestion ends the wait for a person, if unit i stands on a human rung.
func (c *change) endQuestion(i int, st AttemptState) {
	u := &c.Units[i]
	if len(u.Attempts) == 0 {
		return
	}
	if rec := u.Current(); rec.State == AttemptAsked {
		rec.State, rec.Ended, rec.Took = st, c.Now, Duration(c.Now.Sub(rec.Queued))
	}
}

// maxTier is how often the same is asked with a deadline; after that it is asked without one.
const maxTier = 3

// expire ends escalation n because nobody decided in time. That is never consent: the step fails, falls back to a rung
// that needs none, or people are asked once more.
func (c *change) expire(n int) {
	e := c.Escalations[n] // the list may grow
	i, wait := e.Unit, e.Deadline.Sub(e.Opened)
	c.close(&c.Escalations[n], EscalationExpired)
	late := Fault{Class: DeadlineExceeded, Acted: ActedNo, Message: "nobody decided within " + wait.String()}
	switch {
	case e.OnExpiry == ExpiryFail:
		c.endQuestion(i, AttemptGivenUp)
		c.Units[i].Fault = &late
		if c.tellsModel(i, late) {
			c.done(i, PhaseFailed)
			return
		}
		c.become(i, PhaseFailed)
		if c.Units[i].origin.kind != undo {
			c.startEnding(RunFailed, c.Units[i].ID+": "+late.Message)
		}
		return
	case e.OnExpiry == ExpiryFallback && c.fallBack(i, &e, late):
		return
	}
	next := Escalation{
		Kind: e.Kind, Unit: i, Fault: e.Fault, Digest: e.Digest, Needed: e.Needed, Question: e.Question,
		OnExpiry: e.OnExpiry, Tier: e.Tier + 1, Follows: e.ID,
	}
	if e.OnExpiry == ExpiryEscalate && next.Tier < maxTier {
		next.Deadline = c.Now.Add(wait)
	}
	c.raise(next)
}

// fallBack leaves the rung on which nobody has decided.
func (c *change) fallBack(i int, e *Escalation, late Fault) bool {
	u := &c.Units[i]
	if e.Kind == KindApproval {
		return c.harmless(i, late.Message)
	}
	k, ok := c.below(i, u.Rung+1)
	if e.Question == nil || !ok {
		return false
	}
	c.endQuestion(i, AttemptFailed)
	u.Current().Fault = &late
	c.newBudget(i)
	c.onRung(i, k)
	return true
}
