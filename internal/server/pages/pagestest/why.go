package pagestest

import (
	"context"
	"time"

	"belay/internal/steps"
	"belay/internal/steps/view"
)

// Why says what the runs of [Morning] wait for: an escalation with tiers, and a fallback at its deadline.
func (w *World) Why(_ context.Context, run string) (view.Why, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.Now()
	since, until, notified := now.Add(-30*time.Second), now.Add(50*time.Minute), now.Add(10*time.Minute)
	why := view.Why{Run: run, Workflow: "handoff", State: steps.RunWaiting, At: now}
	for id := range w.cards {
		if w.cards[id].Dossier.Run == run {
			why.Waits = append(why.Waits, view.Wait{Step: "ship", Count: 1, Tool: "parcels.ship", For: view.ForPerson, Since: &since, Until: &until, Escalation: id, Claimed: "bo",
				Text: "a person's decision: invalid_input: 422 from courier.example.com: zip must have five digits"})
		}
	}
	why.Waits = append(why.Waits, view.Wait{Step: "tell", Count: 1, For: view.ForDependency, Needs: []string{"ship"}, Text: "ship to be done"})
	why.Then = []view.Happening{
		{At: &notified, In: steps.Duration(10 * time.Minute), Step: "ship", What: view.HappensNotified, Text: "lead is notified"},
		{At: &until, In: steps.Duration(50 * time.Minute), Step: "ship", What: view.HappensRung, Text: "nobody has decided by then: it goes on with rung cached, and is done if that works"},
		{At: &until, In: steps.Duration(50 * time.Minute), What: view.HappensEnd, State: steps.RunDegraded, Text: "the run ends degraded: ship from rung cached"},
	}
	return why, w.broken
}
