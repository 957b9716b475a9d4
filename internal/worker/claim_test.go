package worker

import (
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/toolbox"
	"belay/internal/wire"
)

// TestAnUncertainClaimIsWrittenAgain: a claim that can be read is not taken for one that is stored, even by the delivery
// that made it. Executing needs a write that the server has confirmed.
func TestAnUncertainClaimIsWrittenAgain(t *testing.T) {
	for name, claims := range map[string]int{"it is there": 1, "it is not there": 0, "it was written again before": 2} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			m := message(steps.EffectsUnsafe)
			for range claims {
				r.log(steps.Claimed{Attempt: m.Attempt, Worker: "w#me"})
			}
			w := New(Options{Bus: r.Bus, Tools: map[toolbox.Key]toolbox.Rung{tool: {}}, Name: "w", AckWait: ackWait})
			j := &job{Worker: w, held: &held{Delivery: bus.Delivery{Entry: bus.Entry{Time: time.Now()}, Count: 1}, of: w.hold}, m: m, worker: "w#me"}
			if !j.claimSurely() {
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
