package handoff

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"belay/internal/steps"
)

// Belay is who did what no person did.
const Belay = "belay"

// What a [TrailLine] says beside the decisions and what else people do.
const (
	ActTold       Action = "told"       // people were told of it
	ActExpired    Action = "expired"    // nobody decided in time
	ActSuperseded Action = "superseded" // events answered it
)

// TrailLine is one act about an escalation: a person's, or Belay's own.
type TrailLine struct {
	At     time.Time       `json:"at"`
	By     string          `json:"by"`            // a person, or [Belay]
	Via    string          `json:"via,omitempty"` // cli, console, api
	Action string          `json:"action"`
	To     string          `json:"to,omitempty"`     // whom: of assign and told
	Until  time.Time       `json:"until,omitzero"`   // of claim and snooze
	Reason string          `json:"reason,omitempty"` // of a note, its text
	Over   string          `json:"over,omitempty"`   // who had claimed it when somebody else did this
	Detail json.RawMessage `json:"detail,omitempty"` // what was changed, a JSON Patch
}

var past = map[Action]string{
	ActClaim: "claimed it", ActRelease: "released it", ActAssign: "assigned it", ActSnooze: "put it off", ActNote: "noted",
	ActTold: "told", ActExpired: "waited in vain: nobody decided in time", ActSuperseded: "settled it",
	Action(steps.VerbApprove): "approved", Action(steps.VerbReject): "rejected", Action(steps.VerbRetry): "sent it back", Action(steps.VerbEdit): "edited",
	Action(steps.VerbAnswer): "answered", Action(steps.VerbSkip): "skipped it", Action(steps.VerbVerify): "had it verified", Action(steps.VerbAbort): "aborted",
}

// Did is the act in words, as they follow the name of who did it.
func (l TrailLine) Did() string {
	did := cmp.Or(past[Action(l.Action)], l.Action)
	if l.Over != "" {
		did += ", over the claim of " + l.Over
	}
	return did
}

// maxActs is how many acts beside decisions are kept of one item, the newest: the audit trail has all.
const maxActs = 100

// did adds an act that is no decision, and whose claim there was before it. Notes are kept apart, as notes.
func (r *record) did(who Person, a Act, now time.Time, before *Claim) {
	if a.Verb == ActNote {
		return
	}
	l := TrailLine{At: now.UTC(), By: who.Name, Via: who.Via, Action: string(a.Verb)}
	switch a.Verb {
	case ActClaim:
		l.Until = r.Claim.Until
		if before != nil && !steps.SamePerson(before.By, who.Name) {
			l.Over = before.By
		}
	case ActAssign:
		l.To = a.To
	case ActSnooze:
		l.Until = r.Snoozed
	}
	r.Acts = append(r.Acts, l)
	r.Acts = r.Acts[max(0, len(r.Acts)-maxActs):]
}

// trail is everything that was done about a question: decisions and what became of earlier questions about the same
// thing, as the run's log has them, and what people did on the way.
func trail(s *steps.State, n int, r record, told []TrailLine) []TrailLine {
	return inOrder(decisions(s, n), r, told)
}

// inOrder adds to lines what was done beside deciding, and sorts them: the oldest first.
func inOrder(lines []TrailLine, r record, told []TrailLine) []TrailLine {
	lines = append(append(append(lines, r.Acts...), told...), r.Told...)
	for _, note := range r.Notes {
		lines = append(lines, TrailLine{At: note.At, By: note.By, Via: note.Via, Action: string(ActNote), Reason: note.Text})
	}
	slices.SortStableFunc(lines, func(a, b TrailLine) int { return a.At.Compare(b.At) })
	return lines
}

// decisions is what the run's log tells of how questions about the same thing ended.
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
		switch d := steps.ViewedDecision(e.Decision); {
		case d != nil && d.Verb != steps.VerbApprove:
			lines = append(lines, TrailLine{At: e.Ended, By: d.By, Via: d.Via, Action: string(d.Verb), Reason: d.Reason, Detail: d.Patch, Over: d.Over})
		case e.State == steps.EscalationExpired:
			lines = append(lines, TrailLine{At: e.Ended, By: Belay, Action: string(ActExpired)})
		case e.State == steps.EscalationSuperseded:
			lines = append(lines, TrailLine{At: e.Ended, By: Belay, Action: string(ActSuperseded), Reason: s.SupersededBy(k)})
		}
	}
	return lines
}

// Decided is when a card was decided; the zero time when it was not.
func (c *Card) Decided() time.Time {
	d := c.Dossier.Decision
	for _, l := range slices.Backward(c.Trail) {
		if d != nil && l.By == d.By && l.Action == string(d.Verb) {
			return l.At
		}
	}
	return time.Time{}
}
