package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/ladder"
	"belay/internal/steps"
	"belay/internal/wire"
)

// TestAClaimIsLookedAtAfterAReconnect: the server may have given the message to another worker, which reported that nobody
// knows what became of the call. Then it is not made.
func TestAClaimIsLookedAtAfterAReconnect(t *testing.T) {
	t.Parallel()
	for name, reported := range map[string]bool{"nobody has reported it": false, "it was reported as unknown": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.submit(steps.EffectsUnsafe)
			m := message(steps.EffectsUnsafe)
			r.log(steps.Claimed{Attempt: m.Attempt, Worker: "w#me"})
			if reported {
				r.log(steps.Failed{Attempt: m.Attempt, Worker: "other", Fault: steps.Fault{Class: steps.Unknown, Acted: steps.ActedMaybe}})
			}
			w := New(Options{Bus: r.Bus, Tools: map[ladder.Key]ladder.Rung{tool: {}}, Name: "w", AckWait: ackWait})
			w.pending.add()
			j := &job{Worker: w, inHand: w.keeper.keep(bus.Delivery{Entry: bus.Entry{Time: time.Now()}, Count: 1}), worker: "w#me", claimed: time.Now()}
			j.handling.StepMessage, j.m = m, &j.handling.StepMessage
			if may := j.mayBegin(); may == reported {
				t.Errorf("it may begin: %t", may)
			}
		})
	}
}

// TestAnUncertainClaimIsWrittenAgain: a claim that can be read is not taken for one that is stored, even by the delivery
// that made it. Executing needs a write that the server has confirmed.
func TestAnUncertainClaimIsWrittenAgain(t *testing.T) {
	t.Parallel()
	for name, claims := range map[string]int{"it is there": 1, "it is not there": 0, "it was written again before": 2} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.submit(steps.EffectsUnsafe)
			m := message(steps.EffectsUnsafe)
			for range claims {
				r.log(steps.Claimed{Attempt: m.Attempt, Worker: "w#me"})
			}
			w := New(Options{Bus: r.Bus, Tools: map[ladder.Key]ladder.Rung{tool: {}}, Name: "w", AckWait: ackWait})
			j := &job{Worker: w, inHand: &inHand{Delivery: bus.Delivery{Entry: bus.Entry{Time: time.Now()}, Count: 1}, by: w.keeper}, worker: "w#me"}
			j.handling.StepMessage, j.m = m, &j.handling.StepMessage
			j.behind.until = time.Now().Add(claimPatience)
			j.handling.ClaimInDoubt()
			if !j.proceed(steps.ActBegin) {
				t.Fatal("it was not claimed")
			}
			entries, err := r.ReadSubject(t.Context(), r.Names().RunsStream(0), r.Names().Claim(0, "r", m.Attempt), 0)
			if err != nil || len(entries) != claims+1 {
				t.Fatalf("%d claims, %v; want one more than %d", len(entries), err, claims)
			}
			for _, e := range entries {
				if ev, err := wire.DecodeEvent(wire.KindClaim, e.Data); err != nil || ev != (steps.Claimed{Attempt: m.Attempt, Worker: "w#me"}) {
					t.Errorf("claim %+v, %v", ev, err)
				}
			}
		})
	}
}

// away is a keyring that cannot be read.
type away struct{}

func (away) Check(context.Context, steps.Grant) error {
	return fmt.Errorf("read the key: %w", bus.ErrUnreachable)
}

// TestAKeyThatCannotBeReadRefusesNothing: whether an approval is genuine is not known then. The message comes again, and the
// run hears of nothing; a refusal would say that nothing happened in a call that another delivery may have claimed.
func TestAKeyThatCannotBeReadRefusesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.submit(steps.EffectsUnsafe)
	m := message(steps.EffectsUnsafe)
	gated := &steps.Tool{Name: m.Tool, Effects: steps.EffectsUnsafe, Approval: &steps.Approval{Approvers: 1}}
	digest, err := gated.CallDigest(m.Params)
	if err != nil {
		t.Fatal(err)
	}
	m.Grants = []steps.Grant{{Run: m.Run, Step: m.Step, Round: m.Round, Tool: m.Tool, Digest: digest, By: "mia", Nonce: "n", Issued: time.Now(), Expires: time.Now().Add(time.Hour)}}
	w := New(Options{Bus: r.Bus, Tools: map[ladder.Key]ladder.Rung{tool: {}}, Name: "w", AckWait: ackWait, Keys: away{}})
	w.pending.add()
	j := &job{Worker: w, inHand: w.keeper.keep(bus.Delivery{Entry: bus.Entry{Time: time.Now()}, Count: 1}), worker: "w"}
	j.rung = ladder.Rung{Tool: gated, Effects: steps.EffectsUnsafe, NeedsApproval: func(json.RawMessage, bool) bool { return true }}
	j.handling.StepMessage, j.m = m, &j.handling.StepMessage
	j.handling.Slot(j.own())
	if j.proceed(steps.ActBegin) || j.unchecked == nil {
		t.Errorf("it may begin, or was checked: %v", j.unchecked)
	}
	for _, e := range r.entries() {
		if strings.Contains(e.Subject, wire.KindOutcome) {
			t.Errorf("the log has %s", e.Data)
		}
	}
}
