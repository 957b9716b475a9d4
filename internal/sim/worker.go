package sim

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"belay/internal/steps"
)

// hand is a message in a worker's hand.
type hand struct {
	p      *play
	it     *item
	m      steps.StepMessage
	worker string
	doing  steps.Handling

	early, late time.Duration // how far what it takes for the log's time is wrong at most
	life        int           // of the server's disk when it last looked
	claimedAt   time.Time     // when it sent its claim
	unapproved  bool          // the call has no approval, or not any more

	clock string // whose clock it goes by: the worker's, however often it has claimed

	done    bool // it is out of hand, or its worker is gone
	stopped bool // it was told that nobody wants it
	awaited bool // the log has its start
	busy    bool // it executes
	read    int  // claims of the attempt when the log was read
	ending  func(*steps.Fault)
	call    Call
}

func (p *play) newHand(it *item) *hand {
	p.workers++
	h := &hand{p: p, it: it, m: it.m, worker: fmt.Sprintf("w%d", p.workers)}
	h.life = p.disk.life
	h.clock, h.early, h.late = h.worker, -p.hop(), p.hop()
	h.doing.Delivered = steps.Delivered{
		StepMessage: it.m, Redelivered: it.deliveries > 1 && !it.unbegun, Requeued: it.requeued, InHandSince: h.ownTime(), AckWait: p.AckWait,
	}
	if p.Broken == NoLog {
		h.doing.Redelivered = false
	}
	p.hands = append(p.hands, h)
	return h
}

// arrive hands a message back that is too early.
func (h *hand) arrive() {
	if early := h.m.NotBefore.Sub(h.logTime(h.early)); early > 0 && !h.m.NotBefore.IsZero() && !h.done {
		h.p.handBack(h, early, true)
		return
	}
	h.proceed()
}

// proceed does one act of the handling after another, each of them a moment later.
func (h *hand) proceed() {
	if h.done {
		return
	}
	h.doing.Now, h.doing.Claim = h.ownTime(), h.worker
	n := h.doing.Next()
	switch n.Act {
	case steps.ActRead, steps.ActReadAll:
		h.doing.Read(h.p.Log)
		h.read = h.p.claimsOf(h.m.Attempt)
	case steps.ActSlot:
		h.doing.Slot(h.own())
	case steps.ActCompare:
		h.doing.Compared(h.wanted())
	case steps.ActClaim:
		h.claim()
		return
	case steps.ActClaimBehind:
		h.claimBehind()
		return
	case steps.ActStart:
		h.start()
		return
	case steps.ActWait:
		h.p.in(n.For, h.proceed)
		return
	default:
		h.conclude(n)
		return
	}
	h.p.in(h.p.hop(), h.proceed)
}

// conclude ends the handling: the attempt begins, or the message is done with.
func (h *hand) conclude(n steps.Next) {
	switch n.Act {
	case steps.ActBegin:
		if h.p.Pause != nil {
			h.p.in(h.p.Pause(), h.lastCheck)
			return
		}
		h.lastCheck()
	case steps.ActDrop:
		h.ack()
	case steps.ActPark:
		h.p.handBack(h, n.For, true)
	case steps.ActHandOn:
		h.p.handBack(h, n.For, false)
	case steps.ActNeverBegun:
		h.neverBegun()
	default:
		h.report(h.failed(*n.Fault, 0))
	}
}

func (h *hand) wanted() steps.Want {
	if h.p.Broken == NoCompare || h.p.Broken == NoFence {
		return steps.WantsThis
	}
	return steps.Wanted(h.p.truth, h.m)
}

// ownTime is the worker's own clock.
func (h *hand) ownTime() time.Time { return h.p.now.Add(h.p.ahead(h.clock)) }

// logTime is what the worker takes for the log's time: it asks the server, whose answer takes a moment, and so is wrong by no
// more than that.
func (h *hand) logTime(wrong time.Duration) time.Time {
	if h.p.Broken == OwnClock {
		return h.ownTime()
	}
	return h.p.now.Add(wrong)
}

// lastCheck begins the attempt, unless the server was started anew since it was looked at: then it has lost who had the
// message, and perhaps more.
func (h *hand) lastCheck() {
	switch {
	case h.done:
	case h.life == h.p.disk.life:
		h.begin()
	case h.m.Claimed():
		h.life = h.p.disk.life
		h.doing.Recheck()
		h.p.in(h.p.hop(), h.proceed)
	default:
		h.done = true // its message is lost with the queue
	}
}

func (h *hand) own() steps.Own {
	own := steps.Own{Heard: true}
	tool := h.p.Program.Tools[h.m.Tool]
	own.Unsafe = tool.Effects.Unsafe() && h.m.RungName != steps.VerifyRung
	if h.needsApproval() && h.p.Broken != NoGuard {
		own.Guard = &steps.Guard{Tool: &tool, Needed: true, Check: h.genuine, Passkey: h.passkey, Now: h.logTime(h.early), Within: h.late - h.early}
	}
	return own
}

// needsApproval reports whether the call needs an approval by the tools file, which is the same for the worker and the run.
func (h *hand) needsApproval() bool {
	t := h.p.Program.Tools[h.m.Tool]
	if h.p.NeedsApproval == nil || h.m.RungName == steps.VerifyRung || t.Rung(h.m.Rung).Harmless() {
		return false
	}
	return h.p.NeedsApproval(h.m.Tool, h.m.Params, h.p.truth.Untrusted(h.m.Step))
}

var errForged = errors.New("nobody has signed it")

func (h *hand) genuine(g steps.Grant) error {
	if !h.p.nonces[g.Nonce] {
		return errForged
	}
	return nil
}

var errNotSigned = errors.New("something else was signed than this")

// passkey is what a worker makes of an approver's passkey: whoever signs exactly the challenge has it.
func (h *hand) passkey(g steps.Grant, challenge []byte) error {
	if h.p.Broken != NoPasskey && !bytes.Equal(g.Passkey.Signature, challenge) {
		return errNotSigned
	}
	return nil
}

func (h *hand) claim() {
	h.claimedAt = h.p.now
	h.worker += "#1" // two deliveries are two claimants
	if h.p.Broken == NoClaim || h.p.Broken == NoLog {
		h.claimed(true)
		return
	}
	if !h.p.append(steps.Claimed{Attempt: h.m.Attempt, Worker: h.worker}) {
		h.claimed(false)
		return
	}
	h.p.answered(h.claimed)
}

// claimBehind stores the claim once more, behind what can be read.
func (h *hand) claimBehind() {
	h.claimedAt = h.p.now
	if h.p.Broken == Readable {
		h.claimed(true)
		return
	}
	if h.p.claimsOf(h.m.Attempt) != h.read { // another one is there since it was read
		h.claimed(false)
		return
	}
	h.p.store(steps.Claimed{Attempt: h.m.Attempt, Worker: h.worker})
	h.p.answered(h.claimed)
}

// claimed goes on with a claim that is stored, or in doubt.
func (h *hand) claimed(stored bool) {
	if stored {
		h.doing.ClaimStored()
	} else {
		h.doing.ClaimInDoubt()
	}
	h.p.in(h.p.hop(), h.proceed)
}

func (h *hand) start() {
	name := fmt.Sprintf("d%d", len(h.p.Log))
	h.p.append(steps.Started{Attempt: h.m.Attempt, Worker: h.worker, Delivery: name})
	h.p.answered(func(stored bool) {
		if h.done {
			return
		}
		if !stored {
			h.p.handBack(h, time.Second, false)
			return
		}
		h.awaited = true
		h.doing.Started(name)
		h.p.in(h.p.hop(), h.proceed)
	})
}

// stop tells the hand that nobody wants the attempt any more.
func (h *hand) stop(unbegunOnly bool) {
	if h.done || h.stopped {
		return
	}
	if h.stopped = !h.busy || !unbegunOnly; !h.busy {
		return // it is noticed before the attempt begins
	}
	if !h.awaited && !h.m.Claimed() {
		h.awaited = true
		h.p.append(steps.Started{Attempt: h.m.Attempt, Worker: h.worker})
	}
	if unbegunOnly {
		return
	}
	h.ending(&steps.Fault{Class: steps.Unavailable, Acted: steps.ActedMaybe, Message: "stopped, because the run is ending or has given this attempt up"})
}

func (h *hand) neverBegun() {
	h.report(steps.Failed{
		Attempt: h.m.Attempt, Worker: h.worker, Start: h.doing.Start, Stopped: !h.p.claims[steps.AttemptName(Run, h.m.Attempt)],
		Fault: steps.Fault{Class: steps.Unavailable, Acted: steps.ActedNo, Message: "never begun, because the run is ending or has given this attempt up"},
	})
}

func (h *hand) failed(f steps.Fault, took time.Duration) steps.Failed {
	return steps.Failed{Attempt: h.m.Attempt, Worker: h.worker, Fault: f, Started: h.p.now.Add(-took), Took: steps.Duration(took)}
}

// report stores an outcome, and acknowledges the message after that.
func (h *hand) report(e steps.Event) {
	if f, failed := e.(steps.Failed); failed && h.p.Broken == BlindRepeat {
		f.Fault.Acted = steps.ActedNo
		if f.Fault.Class == steps.Unknown {
			f.Fault.Class = steps.Unavailable
		}
		e = f
	}
	if h.p.Broken == LostReport {
		h.ack()
		return
	}
	h.done = true // nothing is begun any more, and heartbeats keep the message until the outcome is stored
	h.p.surely(e, h.ack)
}

func (h *hand) ack() {
	h.done = true
	if h.p.there(h.it) {
		h.p.remove(h.m)
	}
}
