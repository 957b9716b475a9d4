package steps

import "encoding/json"

// Question is what a human rung asks.
type Question struct {
	Text    string
	Options []string        // answers to pick from; empty = any that fits the schema
	Schema  json.RawMessage // JSON Schema of the answer
}

// question asks a person for the result of unit i: that is what its rung is.
func (c *change) question(i int, h *Human) {
	u := &c.Units[i]
	u.Try++
	u.Attempts = append(u.Attempts, AttemptRecord{Round: u.Round, Rung: u.Rung, Try: u.Try, State: AttemptAsked, Queued: c.Now, Started: c.Now})
	q := Question{Text: c.questionText(i, h), Options: h.Options, Schema: h.Schema}
	c.put(Escalation{
		Kind: KindQuestion, Unit: i, Fault: Fault{Class: NeedsHuman, Acted: ActedNo, Message: q.Text}, Question: &q,
		Deadline: c.in(h.Deadline), OnExpiry: h.OnDeadline,
	})
}

// questionText fills the question in. One that cannot be is asked as it was written: a person makes something of it.
func (c *change) questionText(i int, h *Human) string {
	ask := c.asks(i).Questions[c.Units[i].Rung]
	if ask == nil {
		return h.Question
	}
	v, err := ask(c.about(i, nil))
	var text string
	if err != nil || json.Unmarshal(v, &text) != nil {
		return h.Question
	}
	return text
}

// asked ends the wait for a person, if unit i stands on a human rung.
func (c *change) asked(i int, st AttemptState) {
	u := &c.Units[i]
	if len(u.Attempts) == 0 {
		return
	}
	if rec := u.record(); rec.State == AttemptAsked {
		rec.State, rec.Ended, rec.Took = st, c.Now, Duration(c.Now.Sub(rec.Queued))
	}
}

// maxTier is how often a question is asked again with a deadline; then it waits without one.
const maxTier = 3

// expire ends escalation n because nobody decided in time. That is never consent: the step fails, goes on with what
// needs none, or is asked about again.
func (c *change) expire(n int) {
	e := c.Escalations[n] // the list may grow
	i, wait := e.Unit, e.Deadline.Sub(e.Opened)
	c.close(&c.Escalations[n], EscalationExpired)
	late := Fault{Class: DeadlineExceeded, Acted: ActedNo, Message: "nobody decided within " + wait.String()}
	switch {
	case e.OnExpiry == ExpiryFail:
		c.asked(i, AttemptGivenUp)
		c.Units[i].Fault = &late
		c.set(i, StepFailed)
		if c.Units[i].kind != undo {
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
	c.put(next)
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
	c.asked(i, AttemptFailed)
	u.record().Fault = &late
	c.newBudget(i)
	c.onRung(i, k)
	return true
}
