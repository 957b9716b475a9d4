package dispatch

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"belay/internal/steps"
	"belay/internal/wire"
)

// ofTenant submits runs of a tenant.
func (r *rig) ofTenant(tenant string, n int) (ids []string) {
	r.Helper()
	for n := range n {
		id := fmt.Sprintf("%s-%d", tenant, n)
		created, err := r.log.Submit(r.Context(), id, steps.Submitted{Document: chain(1, nil), Input: json.RawMessage(`{}`), Labels: map[string]string{"tenant": tenant}})
		if err != nil || !created {
			r.Fatalf("submit %s: %v, %v", id, created, err)
		}
		ids = append(ids, id)
	}
	return ids
}

// waiting is how many attempts wait for their turn, and how many are inside.
func (d *running) waiting() (turns, inside int) {
	d.Helper()
	for _, p := range d.d.parts {
		if err := p.do(d.Context(), func() {
			for _, door := range p.doors {
				turns += door.turns.Len()
				inside += door.inside
			}
		}); err != nil {
			d.Fatal(err)
		}
	}
	return turns, inside
}

// manyRuns is how many one tenant has that another one's come behind.
var manyRuns = flag.Int("turns.many", 400, "runs of the tenant behind which another one's come; the full proof is 100000")

// patiently waits for a condition that nothing signals, for as long as the test may take.
func (r *rig) patiently(ok func() bool) {
	for r.Helper(); !ok(); pause(r.Context(), 20*time.Millisecond) {
		if r.Context().Err() != nil {
			r.Fatal("the time is up")
		}
	}
}

// TestATenantStandsInNobodysWay: of a tenant's many runs only some are in the queue. Another one's that come later go by turns with them,
// also with another dispatcher.
func TestATenantStandsInNobodysWay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	many, few, inside := *manyRuns, 100, testPartitions*doorUnknown
	d := r.dispatcher(nil)
	ids := r.ofTenant("many", many)
	r.patiently(func() bool { turns, in := d.waiting(); return turns+in == many })
	if n := len(r.queuedSteps()); n > inside {
		t.Errorf("%d are in the queue, at most %d may be", n, inside)
	}
	d.kill()
	d = r.dispatcher(nil)
	r.patiently(func() bool { turns, in := d.waiting(); return turns+in == many })
	ids = append(ids, r.ofTenant("few", few)...)
	r.patiently(func() bool { turns, in := d.waiting(); return turns+in == many+few })
	var mu sync.Mutex
	var done, of [testPartitions]map[string]int // by partition: how many of each tenant were executed, and there are
	var before [testPartitions]int              // of the first one's that were executed before the last of the other one's
	for p := range testPartitions {
		done[p], of[p] = map[string]int{}, map[string]int{}
	}
	for _, id := range ids {
		tenant, _, _ := strings.Cut(id, "-")
		of[wire.Partition(id, testPartitions)][tenant]++
	}
	w := r.worker(func(m steps.StepMessage) steps.Event {
		mu.Lock()
		defer mu.Unlock()
		tenant, _, _ := strings.Cut(m.Run, "-")
		p := wire.Partition(m.Run, testPartitions)
		if done[p][tenant]++; tenant == "few" {
			before[p] = done[p]["many"]
		}
		return succeed(m)
	})
	for _, id := range ids {
		r.end(id)
	}
	mu.Lock()
	for p, n := range before {
		if most := doorUnknown + of[p]["few"] + 1; n > most || of[p]["many"] <= most {
			t.Errorf("%d of %d of the first one's were before the last of %d of the other's, at most %d may be", n, of[p]["many"], of[p]["few"], most)
		}
	}
	mu.Unlock()
	t.Logf("%v of %d were before the last of the other's, by partition", before, many)
	w.onlyOnce(many + few)
	r.eventually("nothing is inside any more", func() bool { turns, in := d.waiting(); return turns == 0 && in == 0 })
}

// TestWhatPeopleResumeGoesFirst, although many wait that are new.
func TestWhatPeopleResumeGoesFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const many = 400
	d := r.dispatcher(nil)
	open, failed := make(chan struct{}), false
	var mu sync.Mutex
	var order []string
	r.worker(func(m steps.StepMessage) steps.Event {
		if mu.Lock(); !failed {
			failed = true
			mu.Unlock()
			return steps.Failed{Attempt: m.Attempt, Worker: "w", Fault: steps.Fault{Class: steps.ToolError, Acted: steps.ActedNo, Message: "no"}}
		}
		mu.Unlock()
		<-open
		mu.Lock()
		defer mu.Unlock()
		order = append(order, m.Run)
		return succeed(m)
	})
	asks := r.ofTenant("asks", 1)[0]
	s := r.until(asks, "asking", func(s *steps.State) bool { return len(s.Escalations) > 0 })
	ids := r.ofTenant("new", many)
	if _, err := r.log.Submit(t.Context(), "again", steps.Submitted{Document: chain(1, nil), Input: json.RawMessage(`{}`), RetryOf: "new-0"}); err != nil {
		t.Fatal(err)
	}
	r.eventually("all are wanted", func() bool { turns, in := d.waiting(); return turns+in == many+1 })
	if _, err := r.log.Append(t.Context(), asks, steps.Decided{Escalation: s.Escalations[0].ID, Verb: steps.VerbRetry, By: "mia"}); err != nil {
		t.Fatal(err)
	}
	r.eventually("it is wanted too", func() bool { turns, in := d.waiting(); return turns+in == many+2 })
	close(open)
	for _, id := range append(ids, asks, "again") {
		r.end(id)
	}
	mu.Lock()
	defer mu.Unlock()
	at := func(run string) int { return slices.Index(order, run) }
	if at(asks) > many*3/4 { // the other partition may be far ahead
		t.Errorf("of %d, what a person sent back was number %d", len(order), at(asks))
	}
}

// TestNothingStandsStill: whatever becomes of attempts that wait for their turn, of their runs and of the dispatcher, all others go on.
func TestNothingStandsStill(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := r.dispatcher(func(o *Options) { o.QueueEvery = 300 * time.Millisecond })
	rnd := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	tokens := make(chan struct{}, 10000)
	r.worker(func(m steps.StepMessage) steps.Event {
		<-tokens
		if rnd := len(m.Run) % 3; rnd == 0 && m.Try == 1 {
			return steps.Failed{Attempt: m.Attempt, Worker: "w", Fault: steps.Fault{Class: steps.ToolError, Acted: steps.ActedNo, Message: "no"}}
		}
		return succeed(m)
	})
	var ids []string
	for round := range 12 {
		ids = append(ids, r.ofTenant(fmt.Sprintf("t%d", round), 20+rnd.IntN(40))...)
		switch rnd.IntN(4) {
		case 0: // cancelled while they wait
			for range 10 {
				if _, err := r.log.Cancel(t.Context(), ids[rnd.IntN(len(ids))], steps.Cancelled{By: "mia", Reason: "not needed"}); err != nil {
					r.Log(err)
				}
			}
		case 1: // another dispatcher has the partitions
			d.kill()
			d = r.dispatcher(func(o *Options) { o.QueueEvery = 300 * time.Millisecond })
		case 2: // the queue is lost
			if err := r.bus.Purge(t.Context(), r.bus.Names().StepsStream(), r.bus.Names().StepsSubjects()); err != nil {
				t.Fatal(err)
			}
		case 3:
			for range 30 {
				tokens <- struct{}{}
			}
		}
	}
	close(tokens)
	for _, id := range ids {
		r.until(id, "ended, or asks", func(s *steps.State) bool { return s.Closed() || len(s.Escalations) > 0 })
	}
	r.eventually("nothing is inside any more", func() bool { turns, in := d.waiting(); return turns == 0 && in == 0 })
}
