package handoff

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"belay/internal/people"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// Belay stands in a trail for what no person did.
const Belay = "belay"

// Actions of a [TrailLine] that are not a person's.
const (
	ActNotified   people.Action = "told"       // people were notified of it
	ActExpired    people.Action = "expired"    // nobody decided in time
	ActSuperseded people.Action = "superseded" // events answered it
)

// TrailLine is one act on an escalation, of a person or of Belay itself.
type TrailLine struct {
	At     time.Time       `json:"at"`
	By     string          `json:"by"`            // a person, or [Belay]
	Via    string          `json:"via,omitempty"` // cli, console, api
	Action string          `json:"action"`
	To     string          `json:"to,omitempty"`     // whom, of assign and of a notice
	Until  time.Time       `json:"until,omitzero"`   // of claim and snooze
	Reason string          `json:"reason,omitempty"` // of a note: its text
	Over   string          `json:"over,omitempty"`   // whose claim it overruled
	Detail json.RawMessage `json:"detail,omitempty"` // what an edit changed, as a JSON Patch
}

var past = map[people.Action]string{
	people.Claim: "claimed it", people.Release: "released it", people.Assign: "assigned it", people.Snooze: "put it off", people.Note: "noted",
	ActNotified: "notified people", ActExpired: "let it expire: nobody decided in time", ActSuperseded: "closed it: later events answered it",
	people.Approve: "approved", people.Reject: "rejected", people.Retry: "sent it back", people.Edit: "edited",
	people.Answer: "answered", people.Skip: "skipped it", people.Verify: "had it verified", people.Extend: "gave it more", people.Finish: "told it to finish", people.Abort: "aborted",
}

// Did returns the act in words that follow the name of the person.
func (l TrailLine) Did() string {
	did := cmp.Or(past[people.Action(l.Action)], l.Action)
	if l.Over != "" {
		did += ", over the claim of " + l.Over
	}
	return did
}

// maxActs is how many acts that decide nothing are kept per item, the newest ones. The audit trail has all.
const maxActs = 100

// did adds an act that decides nothing; before is the claim that there was until then. Notes are kept separately.
func (r *record) did(who people.Actor, a people.Act, now time.Time, before *Claim) {
	if a.Verb == people.Note {
		return
	}
	l := TrailLine{At: now.UTC(), By: who.Name, Via: who.Via, Action: string(a.Verb)}
	switch a.Verb {
	case people.Claim:
		l.Until = r.Claim.Until
		if before != nil && !steps.SamePerson(before.By, who.Name) {
			l.Over = before.By
		}
	case people.Assign:
		l.To = a.To
	case people.Snooze:
		l.Until = r.Snoozed
	}
	r.Acts = append(r.Acts, l)
	r.Acts = r.Acts[max(0, len(r.Acts)-maxActs):]
}

// trail returns everything that was done about an escalation: from the run's log the decisions, also on earlier
// escalations about the same step, and what people did on the way.
func trail(s *steps.State, n int, r record, notified []TrailLine) []TrailLine {
	return inOrder(decisions(s, n), r, notified)
}

// inOrder adds what was done beside deciding, and sorts all of it, the oldest first.
func inOrder(lines []TrailLine, r record, notified []TrailLine) []TrailLine {
	all := make([]TrailLine, 0, len(lines)+len(r.Acts)+len(notified)+len(r.Notified)+len(r.Notes))
	all = append(append(append(all, r.Acts...), notified...), r.Notified...)
	for _, note := range r.Notes {
		all = append(all, TrailLine{At: note.At, By: note.By, Via: note.Via, Action: string(people.Note), Reason: note.Text})
	}
	all = append(all, lines...) // last: within a millisecond, the precision of a grant, people claim first and decide then
	slices.SortStableFunc(all, func(a, b TrailLine) int {
		return a.At.Truncate(time.Millisecond).Compare(b.At.Truncate(time.Millisecond))
	})
	return all
}

// decisions returns from the run's log how the escalations about the same step ended.
func decisions(s *steps.State, n int) []TrailLine {
	lines := []TrailLine{}
	for k := range s.Escalations[:n+1] {
		e := &s.Escalations[k]
		if e.Unit != s.Escalations[n].Unit {
			continue
		}
		for _, d := range e.Approvals {
			lines = append(lines, TrailLine{At: d.Grant.Issued, By: d.By, Via: d.Via, Action: string(d.Verb), Reason: d.Reason, Over: d.Over})
		}
		switch d := view.Decision(e.Decision); {
		case d != nil && d.Verb != steps.VerbApprove:
			lines = append(lines, TrailLine{At: e.Ended, By: d.By, Via: d.Via, Action: string(d.Verb), Reason: d.Reason, Detail: d.Patch, Over: d.Over})
		case e.State == steps.EscalationExpired:
			lines = append(lines, TrailLine{At: e.Ended, By: Belay, Action: string(ActExpired)})
		case e.State == steps.EscalationSuperseded:
			lines = append(lines, TrailLine{At: e.Ended, By: Belay, Action: string(ActSuperseded), Reason: view.SupersededBy(s, k)})
		}
	}
	return lines
}

// Decided returns when the escalation was decided; the zero time if it was not.
func (c *Card) Decided() time.Time {
	d := c.Dossier.Decision
	for _, l := range slices.Backward(c.Trail) {
		if d != nil && l.By == d.By && l.Action == string(d.Verb) {
			return l.At
		}
	}
	return time.Time{}
}
