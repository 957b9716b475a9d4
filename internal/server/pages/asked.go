package pages

import (
	"context"
	"slices"
	"strings"
	"time"

	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// mostAsked bounds for how many escalations of a run the page looks up who claimed them.
const mostAsked = 50

// acts returns what people did about the escalations of a run, by escalation. One that cannot be read is left out: the
// run's log has its end anyway.
func (c *Console) acts(ctx context.Context, d view.Document) map[string][]handoff.TrailLine {
	all := map[string][]handoff.TrailLine{}
	for _, q := range d.Asked[max(0, len(d.Asked)-mostAsked):] {
		if card, err := c.o.Desk.Card(ctx, q.ID); err == nil {
			all[q.ID] = card.Trail
		}
	}
	return all
}

// askedBars are the bars of the escalations of a step, or of the run as a whole.
func (w *waterfall) askedBars(step string) []bar {
	var list []bar
	for _, q := range w.doc.Asked {
		if q.Step == step {
			list = append(list, w.askedBar(q))
		}
	}
	return list
}

func (w *waterfall) askedBar(q view.Asked) bar {
	over := w.end
	if q.Ended != nil {
		over = *q.Ended
	}
	b := bar{
		Step: q.Step, Person: true, Name: "people: " + string(q.Kind), Took: took(over.Sub(q.Opened)), At: q.Opened, Queue: at(q.Opened, w.end),
		Path: cardPath(q.ID), Short: shortID(q.ID), State: steps.AttemptState("asked"), Queued: between(w.scale(q.Opened), w.scale(over)),
	}
	b.Class, b.Message = w.answerTo(q)
	for _, c := range claims(w.acts[q.ID], q.Opened, over) {
		b.Claims = append(b.Claims, claim{c.by, between(w.scale(c.from), w.scale(c.to))})
		if !slices.Contains(b.Claimed, c.by) {
			b.Claimed = append(b.Claimed, c.by)
		}
	}
	return b
}

// answerTo says what was decided about an escalation, by whom and why; or since when it waits, and until when.
func (w *waterfall) answerTo(q view.Asked) (what, why string) {
	switch q.State {
	case steps.EscalationOpen:
		what = "waiting since " + view.Clock(q.Opened, w.now) + " UTC"
		if q.Deadline != nil {
			what += ", until " + view.Clock(*q.Deadline, w.now)
		}
		if len(q.Approvals) > 0 {
			why = "approved so far by " + strings.Join(q.Approvals, ", ")
		}
		return what, why
	case steps.EscalationExpired:
		return "nobody decided in time", ""
	case steps.EscalationSuperseded:
		return "closed by other events", ""
	}
	who := []string{q.By}
	if len(q.Approvals) > 1 {
		who = q.Approvals
	}
	line := handoff.TrailLine{Action: string(q.Verb)}
	return line.Did() + " by " + strings.Join(who, ", "), q.Reason
}

// claimed is a time in which somebody had claimed an escalation.
type claimed struct {
	by       string
	from, to time.Time
}

// claims are the times in which somebody had claimed an escalation, from what people did about it.
func claims(trail []handoff.TrailLine, opened, over time.Time) (list []claimed) {
	for _, l := range trail {
		if l.At.Before(opened) || l.At.After(over) {
			continue
		}
		if n := len(list); n > 0 && list[n-1].to.After(l.At) && (l.Action == string(people.Claim) || l.Action == string(people.Release)) {
			list[n-1].to = l.At
		}
		if l.Action == string(people.Claim) {
			to := over
			if !l.Until.IsZero() && l.Until.Before(over) {
				to = l.Until
			}
			list = append(list, claimed{l.By, l.At, to})
		}
	}
	return list
}
