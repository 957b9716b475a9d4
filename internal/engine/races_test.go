package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/steps"
)

// race lets mia approve and bo reject the same thing at the same moment, and checks that exactly one of them counts, or
// neither where the deadline was first, and that the others are told who, what and when.
func (b *bank) race(t *testing.T, run string, at time.Time) (approved bool) {
	id := run + "-1"
	errs := make([]error, 2)
	var wg sync.WaitGroup
	shown, err := b.Desk.Card(t.Context(), id)
	if err != nil {
		t.Error(err)
		return false
	}
	for i, who := range []string{"mia", "bo"} {
		a := people.Act{Verb: []people.Action{"approve", "reject"}[i], Reason: "because"}
		if i == 0 {
			a.Digest = shown.Dossier.Approval.Digest
		}
		wg.Go(func() {
			// In real time: the race is with the deadline on the server's clock.
			<-time.After(time.Until(at) + time.Duration(rand.IntN(60_000))*time.Microsecond)
			_, errs[i] = b.People.Act(t.Context(), people.Trusted(who, "test"), id, a)
		})
	}
	wg.Wait()
	s, err := b.Runs.Load(t.Context(), run)
	if err != nil {
		t.Error(err)
		return false
	}
	e := s.Escalations[0]
	winners := 0
	for i, who := range []string{"mia", "bo"} {
		before, lost := errors.AsType[*handoff.DecidedBefore](errs[i])
		won := e.Decision != nil && e.Decision.By == who
		switch {
		case won && errs[i] == nil:
			winners++
		case won || errs[i] == nil || !lost:
			t.Errorf("%s: %s is told %v, but the log has %+v", run, who, errs[i], e.Decision)
		case before.State != e.State || before.At.IsZero() || e.Decision != nil && before.Decision.By != e.Decision.By:
			t.Errorf("%s: %s is told %+v, but it is %s by %+v", run, who, before, e.State, e.Decision)
		}
	}
	if winners > 1 || winners == 0 && e.State != steps.EscalationExpired {
		t.Errorf("%s: %d decisions count, it is %s", run, winners, e.State)
	}
	return winners == 1 && e.Decision.Verb == steps.VerbApprove
}

// TestAThousandRaces: two people, half of the time against a deadline too; nothing is paid twice. How long before the
// deadline people act follows from who won the batch before: on a slow machine they need more time to be a match for it.
func TestAThousandRaces(t *testing.T) {
	b := startBank(t)
	var approvals, late int64
	var mu sync.Mutex
	early := 60 * time.Millisecond
	batches, each := 10, 100
	if testing.Short() {
		batches, each = 5, 40
	}
	for batch := range batches {
		before := late
		var wg sync.WaitGroup
		for n := range each {
			run := fmt.Sprintf("race-%d-%d", batch, n)
			text := heldPlan
			if n%2 == 0 {
				text = `{name: p, steps: [{id: s, tool: paysoon}]}`
			}
			wg.Go(func() {
				b.run(t, run, text)
				s, err := b.Runs.Load(t.Context(), run)
				if err != nil {
					t.Error(err)
					return
				}
				at := time.Now()
				if d := s.Escalations[0].Deadline; !d.IsZero() {
					at = d.Add(-early)
				}
				approved := b.race(t, run, at)
				end := b.rest(t, run)
				mu.Lock()
				defer mu.Unlock()
				if approved {
					approvals++
				}
				if end.Escalations[0].State == steps.EscalationExpired {
					late++
				}
				if want := map[bool]steps.RunState{true: steps.RunSucceeded, false: steps.RunFailed}[approved]; end.Status() != want {
					t.Errorf("%s is %s, approved: %v", run, end.Status(), approved)
				}
			})
		}
		wg.Wait()
		switch late - before {
		case int64(each / 2):
			early = min(2*max(early, 20*time.Millisecond), 1500*time.Millisecond)
		case 0:
			early = early/2 - 20*time.Millisecond // behind it, where deadlines come late
		}
	}
	if got := b.paid.Load(); got != approvals {
		t.Errorf("paid %d times on %d approvals", got, approvals)
	}
	all := int64(batches * each)
	t.Logf("%d races: %d approvals, %d deadlines, %d payments", all, approvals, late, b.paid.Load())
	if approvals == 0 || approvals == all || late == 0 {
		t.Error("that was no race")
	} else if late == all/2 {
		t.Log("no race with the deadlines: on this machine people need longer than a deadline lasts")
	}
}
