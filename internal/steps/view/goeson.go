package view

import "belay/internal/steps"

// What people are told of calls that go on with what an attempt before has left.

// effectOnServer says what a decision does where a server has asked, or where a call goes on; empty for all others.
func (s run) effectOnServer(e *steps.Escalation, v steps.Verb) string {
	t, next := s.Tool(e.Unit).Name, s.Onward(e.Unit)
	switch {
	case e.Resume != nil && e.Resume.Anew && v == steps.VerbAnswer:
		return "calls " + t + " once more, with the same idempotency key; when the server asks the same, it gets your answer, and what it then gives is the result"
	case e.Resume != nil && e.Resume.Anew && v == steps.VerbReject:
		return "calls " + t + " once more, with the same idempotency key; when the server asks the same, it is told that you decline"
	case e.Resume != nil && v == steps.VerbAnswer:
		return "your answer goes to the server, and " + t + " goes on with " + e.Resume.About + "; what the server then gives is the result"
	case e.Resume != nil && v == steps.VerbReject:
		return "the server is told that you decline; it goes on with " + e.Resume.About + " without an answer, and what it then gives is the result"
	case e.Resume != nil && v == steps.VerbRetry:
		return "drops the question: calls " + t + " anew from its first rung, same parameters, same idempotency key" + s.thenApproval(s.Tool(e.Unit))
	case e.Resume != nil && v == steps.VerbSkip && s.Tool(e.Unit).Effects.Unsafe():
		return s.effectOfSkip(e, &s.Units[e.Unit]) + "; the server is not told, and may have acted before it asked"
	case v == steps.VerbVerify && s.Standing(e.Unit) != nil:
		return "looks after " + s.Standing(e.Unit).About + " once more; nothing is called anew"
	case next != nil && v == steps.VerbRetry && e.State == steps.EscalationOpen:
		return t + " goes on with " + next.About + "; nothing is called anew"
	}
	return ""
}

// didOnServer says what a decision has done where a server has asked; empty for all others.
func (s run) didOnServer(e *steps.Escalation, d steps.Decided) string {
	t := s.Tool(e.Unit).Name
	switch {
	case e.Resume != nil && e.Resume.Anew && (d.Verb == steps.VerbAnswer || d.Verb == steps.VerbReject):
		return s.queued(e.Unit, t+" is queued once more; the server gets your answer when it asks the same")
	case e.Resume != nil && d.Verb == steps.VerbAnswer:
		return s.queued(e.Unit, "your answer goes to the server; "+t+" is queued to go on with "+e.Resume.About)
	case e.Resume != nil && d.Verb == steps.VerbReject:
		return s.queued(e.Unit, "the server is told that you decline; "+t+" is queued to go on with "+e.Resume.About)
	case d.Verb == steps.VerbVerify && s.Onward(e.Unit) != nil:
		return s.queued(e.Unit, t+" is queued to look after "+s.Onward(e.Unit).About+" once more; nothing is called anew")
	case d.Verb == steps.VerbRetry && s.Onward(e.Unit) != nil:
		return s.queued(e.Unit, t+" is queued to go on with "+s.Onward(e.Unit).About+"; nothing is called anew")
	}
	return ""
}
