package steps

import (
	"slices"
	"time"
)

// Act is what a worker does next with a message in hand.
type Act uint8

// The acts. After the first group the worker says what came of it and asks for the next one; the second group ends the
// handling.
const (
	ActRead        Act = iota + 1 // read what the run's log says about the step, then [Handling.Read]
	ActReadAll                    // the same, and nothing of it from a cache
	ActSlot                       // wait for a free slot, then [Handling.Slot]
	ActCompare                    // fold the run's log and compare, see [Wanted], then [Handling.Compared]
	ActClaim                      // store a claim that must be the first one, then [Handling.ClaimStored] or [Handling.ClaimInDoubt]
	ActClaimBehind                // store it once more behind what [ActReadAll] has read; the rest is as for [ActClaim]
	ActStart                      // store that the attempt starts, under a name of its own, then [Handling.Started]
	ActWait                       // keep the message in hand for that long

	ActBegin      // execute the attempt, unless it is too late
	ActDrop       // acknowledge the message: nothing is left to do
	ActPark       // hand it back for that long, unbegun
	ActHandOn     // hand it back for that long, as one that somebody may have begun
	ActNeverBegun // report that it was never begun and is not wanted any more
	ActObject     // report the worker's own policy, of which the run has not heard
	ActFail       // report the fault
	ActRefuse     // report the fault: a call that must not be made, whatever the message says
)

func (a Act) String() string {
	return [...]string{
		"none", "read", "read all", "slot", "compare", "claim", "claim behind", "start", "wait",
		"begin", "drop", "park", "hand on", "never begun", "object", "fail", "refuse",
	}[a]
}

// Next is an act with what belongs to it.
type Next struct {
	Act   Act
	For   time.Duration // of [ActWait], [ActPark] and [ActHandOn]
	Fault *Fault        // of [ActFail] and [ActRefuse]
}

// Own is what a worker's own tools file says about the call in hand.
type Own struct {
	Heard  bool   // the run has heard of the worker's policy for the tool, or does not ask for it
	Unsafe bool   // the tool must be claimed, whatever the message says
	Guard  *Guard // what its approvals are checked against; nil where the call needs none
	Beside bool   // it claims where claims of this tool alone go, so one of all tools may be in the log before its own
}

// Handling is how a worker handles a message in hand until the attempt begins: which checks are made, in which order, and
// what follows from each. It does nothing itself. [Handling.Next] names an act; the worker does it, says what came of it,
// and asks for the next one.
type Handling struct {
	Delivered     // kept up to date by the worker
	own       Own // known from the slot on

	at, then stage
	log      []Record
	want     Want
	inDoubt  bool // the claim is stored or not, or another one is
	failed   Next // where the log cannot be read
}

type stage uint8

const (
	atRest       stage = iota // before a slot is waited for, because a message that has ended its worker before is tried ever more slowly
	atSlot                    // waits for a slot
	atPolicy                  // the worker's policy
	atHistory                 // what the log says about the step
	atMessage                 // the approvals, as far as the message shows them
	atWanted                  // whether the run wants an unsafe call
	atCompared                // what came of that
	atRight                   // the exclusive right to act, or that it starts
	atDoubt                   // the claim is stored or not, or another one is
	atFirst                   // the claim is stored; the log says whether it is the first
	atClaimed                 // the claim is stored
	atUsed                    // whether another attempt has acted on the approvals
	atStarted                 // the start is stored
	atEnd                     // begin
	atVerdict                 // the log was read, and decides whether it goes on
	atNotNow                  // the run is about to take the attempt back, and its log does not say so yet
	atUnreadable              // the log could not be read
)

// Next says what to do now.
func (h *Handling) Next() Next {
	for {
		if n := h.step(); n.Act != 0 {
			return n
		}
	}
}

func (h *Handling) step() Next {
	switch h.at {
	case atRest:
		return h.unless(h.Claimed() || h.fresh(), atSlot)
	case atSlot:
		return Next{Act: ActSlot}
	case atPolicy:
		return h.policy()
	case atHistory:
		return h.unless(h.own.Guard == nil && h.fresh(), atMessage)
	case atMessage:
		h.at = atWanted
		return h.approvals()
	case atWanted:
		if h.at = atRight; h.Effects.Unsafe() {
			return Next{Act: ActCompare}
		}
	case atCompared:
		return h.compared()
	case atRight:
		return h.right()
	case atDoubt:
		return h.read(atWanted) // the log may have lost what the attempt follows from
	case atFirst:
		return h.read(atClaimed)
	case atClaimed:
		h.inDoubt = false
		if h.at = atEnd; h.own.Guard != nil {
			h.at = atUsed // if two attempts use one approval, at least one of them sees the other's claim
			return Next{Act: ActRead}
		}
	case atUsed:
		h.at = atEnd
		return refused(h.own.Guard.Refuse(h.StepMessage, h.log))
	case atStarted:
		return h.read(atEnd) // it says whether something had ended the attempt before this start was stored
	case atVerdict:
		return h.verdict()
	case atNotNow:
		return Next{Act: ActNeverBegun}
	case atUnreadable:
		return h.failed
	case atEnd:
		return Next{Act: ActBegin}
	}
	return Next{}
}

// unless goes on to a stage, and has the log read before that unless known is true.
func (h *Handling) unless(known bool, then stage) Next {
	if !known {
		return h.read(then)
	}
	h.at = then
	return Next{}
}

func (h *Handling) fresh() bool { return Fresh(h.Redelivered, h.Requeued) }

// Continues reports whether the attempt may go on with what an attempt or an execution before it has left: then the worker asks
// [State.Continuation] before it begins.
func (h *Handling) Continues() bool { return h.StepMessage.Continues || LeftOff(h.log, h.Attempt) }

// read has the log read, and goes on from then if that says so.
func (h *Handling) read(then stage) Next {
	h.at, h.then = atVerdict, then
	if h.inDoubt {
		return Next{Act: ActReadAll}
	}
	return Next{Act: ActRead}
}

// Read takes what the run's log says about the step, and about the run as a whole.
func (h *Handling) Read(log []Record) { h.log = log }

// Unreadable says that the run's log could not be read, so that nothing was learned. What is claimed is nobody else's: it is
// reported.
func (h *Handling) Unreadable(err error) {
	switch h.at {
	case atUsed:
		h.failed = Next{Act: ActFail, Fault: &Fault{Class: Unavailable, Acted: ActedNo, Message: "the run's log cannot be read, so the approval cannot be checked: " + err.Error()}}
	case atRight: // it was being folded: a run that this worker cannot read is no better in a moment
		h.failed = Next{Act: ActPark, For: 5 * time.Second}
	default:
		h.failed = Next{Act: ActPark, For: time.Second}
	}
	h.at = atUnreadable
}

// Slot says that there is a slot, and what the worker's own tools file says.
func (h *Handling) Slot(own Own) { h.own, h.at = own, atPolicy }

// policy compares the message with the worker's own tools file.
func (h *Handling) policy() Next {
	if !h.own.Heard {
		return Next{Act: ActObject}
	}
	if h.own.Unsafe {
		h.Effects = EffectsUnsafe // a message cannot weaken it
	}
	if h.at = atHistory; h.fresh() {
		return h.approvals()
	}
	return Next{}
}

// approvals checks what the message shows: of one that may have been executed before only after the log was read. If another
// worker has claimed the call, it may have happened, and that is to be said, also if its approval is over by now.
func (h *Handling) approvals() Next {
	if h.own.Guard == nil {
		return Next{}
	}
	return refused(h.own.Guard.Refuse(h.StepMessage, nil))
}

func refused(f *Fault) Next {
	if f == nil {
		return Next{}
	}
	return Next{Act: ActRefuse, Fault: f}
}

// Compared takes what the run's own log says about the call in hand.
func (h *Handling) Compared(w Want) { h.want, h.at = w, atCompared }

// A server of a cluster that is cut off from the others, or was stopped, answers for the log for up to ten seconds without knowing of its
// end. What it says that the run never wanted is looked at again so many times before somebody is accused of it.
const (
	settled     = 6
	settlePause = 2 * time.Second
)

// compared: a message in the queue alone proves nothing.
func (h *Handling) compared() Next {
	switch h.want {
	case WantsThis:
		h.at = atRight
		return Next{}
	case WantsNot:
		return h.read(atNotNow)
	}
	if h.inDoubt { // it was wanted a moment ago, by a log that has lost its end
		return Next{Act: ActPark, For: 5 * time.Second}
	}
	if h.Replicated && h.Deliveries <= settled {
		return Next{Act: ActPark, For: settlePause}
	}
	return Next{Act: ActRefuse, Fault: &Fault{
		Class: PolicyDenied, Acted: ActedNo,
		Message: "not executed: the log of the run has never wanted this call of " + h.Tool + "; somebody has put a message into the queue",
	}}
}

// right acquires what the attempt needs before it begins: the claim, or a start in the log where it may not be the first.
func (h *Handling) right() Next {
	switch {
	case h.inDoubt:
		return Next{Act: ActClaimBehind}
	case h.own.Guard != nil || h.Claimed():
		return Next{Act: ActClaim}
	case !h.fresh(): // for claimed attempts the claim says that it starts
		return Next{Act: ActStart}
	}
	h.at = atEnd
	return Next{}
}

// ClaimStored says that the server has confirmed the claim. One that was in doubt may still not be the first: what it was
// put behind may have been lost since, and its sequence given to another worker's claim. So may one that was stored beside those of all
// tools: the dispatcher takes back there.
func (h *Handling) ClaimStored() {
	h.at = atClaimed
	if h.inDoubt || h.own.Beside {
		h.at = atFirst
	}
}

// Recheck has everything checked once more, right before a claimed attempt begins: where the worker has lost its server
// meanwhile, another one may have got the message and reported that nobody knows what became of it, or the log may have lost
// what the attempt follows from.
func (h *Handling) Recheck() { h.at, h.inDoubt = atDoubt, true }

// ClaimInDoubt says that the claim may or may not be stored, or that the attempt has one already. A readable claim proves
// nothing, even if it has this delivery's name, so it is stored once more, behind itself.
func (h *Handling) ClaimInDoubt() {
	h.at, h.inDoubt = atDoubt, true
}

// Started says under which name it is stored that the attempt starts.
func (h *Handling) Started(name string) { h.Start, h.at = name, atStarted }

// verdict does what [VerdictOn] says of the log that was read.
func (h *Handling) verdict() Next {
	if h.then == atClaimed && !h.inDoubt && !h.sees() { // whoever answered is behind, and says nothing of what is before the claim
		h.ClaimInDoubt()
		return Next{}
	}
	verdict, pause := VerdictOn(SinceGrant(h.log, h.StepMessage), h.Delivered)
	switch verdict {
	case Execute:
		h.at = h.then
		return Next{}
	case Rest:
		h.at = h.then
		return Next{Act: ActWait, For: pause}
	case Park:
		return Next{Act: ActHandOn, For: pause}
	case Decline:
		return Next{Act: ActNeverBegun}
	case ReportUnknown:
		return Next{Act: ActFail, Fault: &Fault{Class: Unknown, Acted: ActedMaybe, Message: "the worker that had claimed it is silent: it may have happened"}}
	case ReportCrashed:
		return Next{Act: ActFail, Fault: &Fault{Class: Crashed, Acted: ActedMaybe, Message: h.crashed()}}
	}
	return Next{Act: ActDrop}
}

// sees reports whether the log that was read has the claim of this delivery.
func (h *Handling) sees() bool {
	return slices.ContainsFunc(h.log, func(r Record) bool {
		c, is := r.Event.(Claimed)
		return is && c.Attempt == h.Attempt && c.Worker == h.Claim
	})
}
