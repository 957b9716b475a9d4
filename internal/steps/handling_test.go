package steps

import (
	"testing"
	"time"
)

// TestAClaimedCallIsNotRefusedUnread: its approval is over when the message comes again, and it may have happened.
func TestAClaimedCallIsNotRefusedUnread(t *testing.T) {
	t.Parallel()
	x := newGuarded(t)
	x.g.Now = start.Add(time.Hour)
	h := Handling{Delivered: Delivered{StepMessage: x.m, Redelivered: true, Claim: "me"}}
	if n := h.Next(); n.Act != ActSlot {
		t.Fatal(n.Act)
	}
	h.Slot(Own{Heard: true, Unsafe: true, Guard: &x.g})
	if n := h.Next(); n.Act != ActRead {
		t.Fatal(n.Act)
	}
	h.Read(append(x.log, Record{Event: Claimed{x.m.Attempt, "gone"}}))
	if n := h.Next(); n.Act != ActFail || n.Fault.Class != Unknown || !n.Fault.MayHaveActed() {
		t.Errorf("%v %+v", n.Act, n.Fault)
	}
}

// TestAfterAReconnectTheLogIsAskedOnceMore: it may have lost what the attempt follows from, and have its claim all the same.
func TestAfterAReconnectTheLogIsAskedOnceMore(t *testing.T) {
	t.Parallel()
	m := StepMessage{Run: "r", Attempt: Attempt{Step: "s", Try: 1}, Tool: "pay", Effects: EffectsUnsafe}
	h := Handling{Delivered: Delivered{StepMessage: m, Claim: "me"}}
	h.Slot(Own{Heard: true, Unsafe: true})
	h.Recheck()
	if n := h.Next(); n.Act != ActReadAll {
		t.Fatal(n.Act)
	}
	h.Read([]Record{{Event: Claimed{m.Attempt, "me"}}})
	if n := h.Next(); n.Act != ActCompare {
		t.Fatal(n.Act)
	}
	h.Compared(NeverDid)
	if n := h.Next(); n.Act != ActPark {
		t.Errorf("%v %+v", n.Act, n.Fault)
	}
}

// TestALogThatMayBeBehindAccusesNobody: a server of a cluster that was cut off does not know yet that the run wants the call.
func TestALogThatMayBeBehindAccusesNobody(t *testing.T) {
	t.Parallel()
	m := StepMessage{Run: "r", Attempt: Attempt{Step: "s", Try: 1}, Tool: "pay", Effects: EffectsUnsafe}
	for _, x := range []struct {
		replicated bool
		deliveries uint64
		act        Act
	}{{false, 1, ActRefuse}, {true, 1, ActPark}, {true, settled, ActPark}, {true, settled + 1, ActRefuse}} {
		h := Handling{Delivered: Delivered{StepMessage: m, Replicated: x.replicated, Deliveries: x.deliveries}}
		h.Slot(Own{Heard: true, Unsafe: true})
		if n := h.Next(); n.Act != ActCompare {
			t.Fatal(n.Act)
		}
		h.Compared(NeverDid)
		if n := h.Next(); n.Act != x.act {
			t.Errorf("%+v: %v", x, n.Act)
		}
	}
	if settled*settlePause < 10*time.Second {
		t.Error("a server that is cut off may answer for longer")
	}
}

// TestAClaimBesideOthers: a worker that claims where those of its tool alone go reads the log before it begins, and goes by the first claim,
// whoever made it; a log without its own claim says nothing.
func TestAClaimBesideOthers(t *testing.T) {
	t.Parallel()
	a := Attempt{Step: "s", Try: 1}
	mine, back, other := Record{Event: Claimed{Attempt: a, Worker: "me"}}, Record{Event: Claimed{Attempt: a}}, Record{Event: Claimed{Attempt: a, Worker: "other"}}
	for name, tt := range map[string]struct {
		log  []Record
		want Act
	}{
		"its own":                    {[]Record{mine}, ActBegin},
		"its own, then taken back":   {[]Record{mine, back}, ActBegin},
		"taken back before":          {[]Record{back, mine}, ActDrop},
		"somebody else's before":     {[]Record{other, mine}, ActHandOn},
		"somebody else's after":      {[]Record{mine, other}, ActBegin},
		"a log that is behind":       {nil, ActReadAll},
		"a log with another's alone": {[]Record{other}, ActReadAll},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := Handling{Delivered: Delivered{StepMessage: StepMessage{Run: "r", Attempt: a, Tool: "t", Effects: EffectsUnsafe}, Claim: "me"}}
			does := func(want Act) {
				t.Helper()
				if n := h.Next(); n.Act != want {
					t.Fatalf("%s, want %s", n.Act, want)
				}
			}
			does(ActSlot)
			h.Slot(Own{Heard: true, Unsafe: true, Beside: true})
			does(ActCompare)
			h.Compared(WantsThis)
			does(ActClaim)
			h.ClaimStored()
			does(ActRead)
			h.Read(tt.log)
			does(tt.want)
		})
	}
}
