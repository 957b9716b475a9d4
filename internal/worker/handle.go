package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"belay/internal/bus"
	"belay/internal/crashpoint"
	"belay/internal/ladder"
	"belay/internal/steps"
	"belay/internal/wire"
)

// job is one message that the worker handles.
type job struct {
	*Worker
	*inHand
	handling  steps.Handling
	m         *steps.StepMessage // of handling
	rung      ladder.Rung
	worker    string              // the worker in its events: the worker's name, for unsafe tools with a token of this delivery
	awaited   bool                // Started is in the log already
	unchecked error               // why an approval could not be checked
	trust     trust               // of what the call is made from
	asks      json.RawMessage     // the conversation that a turn of an agent goes on with; nil for other calls
	onward    *steps.Continuation // what the attempt goes on with; nil: it begins the call
	claimed   time.Time           // when its claim was last sent
	behind    behind              // where a claim is to be stored that is in doubt

	seated   bool // its executor is an executor.Seat
	stored   bool // its outcome is stored
	heard    bool // the log has a start of this attempt
	executed bool // it was begun here, and its outcome is not stored yet

	turn     *turn     // of an attempt of the crash lane; nil for others
	signal   *signal   // stops it while it is in hand
	received time.Time // when it was pulled
	conn     time.Time // when the connection that delivered it was made
	checked  time.Time // when the connection was made over which the log was read last, because it is another one
	back     bool      // it was in hand here before, and no other worker has had it since
}

// receive puts a message in hand for a new job. It must not block: the next message comes through the same goroutine.
func (w *Worker) receive(k ladder.Key, j *job, d bus.Delivery) {
	if !w.pending.add() {
		_ = d.Park(0) // for another worker; if this is lost, that gets it after the ack wait
		j.unseat()
		return
	}
	conn := w.Bus.ConnectedAt()
	j.Worker, j.inHand, j.worker, j.received, j.conn, j.back = w, w.keeper.keep(d), w.Name, time.Now(), conn, w.parks.back(d, conn)
	j.m = &j.handling.StepMessage
	m, err := wire.DecodeStep(d.Data)
	if err != nil {
		j.unreadable(k, err)
		return
	}
	if a := j.stranger(k, m); a != "" {
		j.unreadable(k, fmt.Errorf("its body is about %s", a))
		return
	}
	j.handling.Delivered = steps.Delivered{
		StepMessage: m, Redelivered: j.mayBeRedelivered(), Requeued: j.anew(), InHandSince: j.received, AckWait: j.AckWait,
		Replicated: w.Bus.Replicas() > 1, Deliveries: d.Count,
	}
	j.signal = w.stops.listen(j.attempt())
	crashpoint.At(crashpoint.WorkerReceived)
	go j.handle()
}

// stranger returns what a message is about, if that differs from its subject: this worker serves, and the queue
// distinguishes, subjects.
func (j *job) stranger(k ladder.Key, m steps.StepMessage) string {
	tool, rung, run, a, ok := j.names.ParseStep(j.Subject)
	if ok && tool == k.Tool && rung == k.Rung && m.Tool == tool && m.RungName == rung && m.Run == run && m.Attempt == a {
		return ""
	}
	return steps.AttemptName(m.Run, m.Attempt) + " of " + m.Tool + "/" + m.RungName
}

// release ends the work on a message.
func (j *job) release() {
	if j.signal != nil {
		j.stops.leave(j.attempt(), j.signal)
	}
	j.unseat()
	j.keeper.drop(j.inHand)
	j.pending.done()
}

// park hands the message back, to be redelivered after a pause.
func (j *job) park(pause time.Duration) {
	if !j.deliveredBefore() && !j.executed {
		j.parks.add(j.Delivery, j.conn, pause)
	}
	j.handOn(pause)
}

// handOn hands the message back as one that may have been begun: the next delivery counts as a redelivery.
func (j *job) handOn(pause time.Duration) {
	if err := j.Park(pause); err != nil {
		j.Logger.Debug("could not hand a message back; it is redelivered after the ack wait", "attempt", j.name(), "error", err)
	}
	j.release()
}

func (j *job) attempt() attempt { return attempt{j.m.Run, j.m.Attempt} }

func (j *job) name() string { return steps.AttemptName(j.m.Run, j.m.Attempt) }

func (j *job) handle() {
	if !j.waitForTime() || !j.proceed(steps.ActSlot) {
		return
	}
	free, ok := j.slot()
	if !ok {
		j.giveUpWaiting()
		return
	}
	defer free()
	if !j.waitedFor() {
		return
	}
	j.handling.Slot(j.own())
	if !j.proceed(steps.ActBegin) || !j.converse() || !j.findOnward() || !j.mayBegin() {
		return
	}
	if mutant("ack-first") {
		_ = j.Ack()
	}
	outcome := j.execute()
	j.report(outcome)
}

// proceed does what the handling of the message asks for, up to an act that is the caller's. False: the message has been
// handled.
func (j *job) proceed(until steps.Act) bool {
	for {
		j.handling.Now, j.handling.Claim = time.Now(), j.worker
		n := j.handling.Next()
		if n.Act == until {
			return true
		}
		if !j.do(n) {
			return false
		}
	}
}

// do does one act, and reports whether another one follows.
func (j *job) do(n steps.Next) bool {
	switch n.Act {
	case steps.ActRead:
		j.read()
		return true
	case steps.ActReadAll:
		return j.readBehind()
	case steps.ActCompare:
		j.compare()
		return true
	case steps.ActClaim:
		return j.claim()
	case steps.ActClaimBehind:
		return j.claimBehind()
	case steps.ActStart:
		return j.logStarted()
	case steps.ActWait:
		return j.wait(n.For)
	}
	j.conclude(n)
	return false
}

// conclude handles a message whose attempt does not begin.
func (j *job) conclude(n steps.Next) {
	switch n.Act {
	case steps.ActDrop:
		j.ack()
	case steps.ActPark:
		j.park(n.For)
	case steps.ActHandOn:
		j.handOn(n.For)
	case steps.ActNeverBegun:
		j.reportNeverBegun()
	case steps.ActObject:
		j.object()
	case steps.ActRefuse:
		if j.unchecked != nil {
			j.notNow()
			return
		}
		j.refused(*n.Fault)
		j.report(j.failed(*n.Fault, 0))
	case steps.ActFail:
		j.report(j.failed(*n.Fault, 0))
	}
}

// early is how long before its time a message is kept in hand rather than handed back.
const early = time.Second

// waitForTime waits until the message may be executed. One that is far too early is handed back.
func (j *job) waitForTime() bool {
	wait := j.notYet(j.m.NotBefore)
	if j.m.NotBefore.IsZero() || wait <= 0 {
		return true
	}
	if wait > early {
		j.park(wait)
		return false
	}
	return j.wait(wait)
}

// slot waits for a free slot of the tool and of the worker; free frees them.
func (j *job) slot() (free func(), ok bool) {
	tool := j.tools[j.m.Tool]
	if tool != nil && !j.enter(tool) {
		return nil, false
	}
	if !j.room() {
		if tool != nil {
			<-tool
		}
		return nil, false
	}
	return func() {
		j.giveRoom()
		if tool != nil {
			<-tool
		}
	}, true
}

func (j *job) enter(slots chan struct{}) bool {
	select {
	case <-j.stopping:
		return false
	default:
	}
	select {
	case slots <- struct{}{}:
		return true
	default:
	}
	select {
	case slots <- struct{}{}:
		return true
	case <-j.stopping:
	case <-j.stops.heard(j.signal):
	}
	return false
}

// giveUpWaiting handles a message that no longer waits for a slot.
func (j *job) giveUpWaiting() {
	select {
	case <-j.stops.heard(j.signal):
		j.reportNeverBegun()
		return
	default:
	}
	select {
	case <-j.stopping:
		j.park(0)
	default:
		j.park(handBackFor)
	}
}

// own returns what this worker's tools file says about the call in hand.
func (j *job) own() steps.Own {
	own := steps.Own{Heard: j.m.Policies == nil || slices.Contains(j.m.Policies.Heard, j.rung.Policy), Unsafe: j.rung.Effects.Unsafe()}
	if j.approvalNeeded() {
		g := j.guard()
		own.Guard = &g
	}
	own.Beside = j.Runs.ClaimsByTool(j.m.Run, j.m.Attempt)
	return own
}

// mayBeRedelivered reports whether this may not be the first delivery; anew, whether the message replaces one that may have
// been lost with the queue.
func (j *job) mayBeRedelivered() bool {
	return j.deliveredBefore() || j.Time.Before(j.latest(j.conn))
}
func (j *job) anew() bool { return len(j.Header[wire.HeaderRepeated]) > 0 }

// deliveredBefore reports whether another worker may have had the message before.
func (j *job) deliveredBefore() bool { return j.Count > 1 && !j.back }

// unheard reports whether an earlier delivery may have been lost with its worker before its start was stored: this one is so
// late that the message was not just handed back for being early.
func (j *job) unheard() bool {
	from := j.Time
	if t := j.m.NotBefore.Add(-early); t.After(from) {
		from = t
	}
	return j.deliveredBefore() && !j.heard && j.earliest(j.received).Sub(from) >= j.AckWait
}

// read reads the run's log for the handling.
func (j *job) read() {
	log, err := j.readLog()
	if err != nil {
		j.Logger.Warn("cannot read the run's log, so the attempt does not begin", "attempt", j.name(), "error", err)
		j.handling.Unreadable(err)
		return
	}
	j.heard = steps.Heard(log, j.m.Attempt)
	j.handling.Read(log)
}

// claim acquires the right to execute an attempt of an unsafe tool. The log stores only the first claim.
func (j *job) claim() bool {
	j.worker = j.Name + "#" + j.Bus.Signed(uuid.NewString()[:8]) // two deliveries to one worker are two claimants
	j.claimed = time.Now()
	var err error
	if !mutant("no-claim") {
		_, err = j.append(steps.Claimed{Attempt: j.m.Attempt, Worker: j.worker})
	}
	j.behind.until = time.Now().Add(claimPatience)
	switch {
	case err == nil:
		crashpoint.At(crashpoint.WorkerClaimed)
		j.handling.ClaimStored()
		return true
	case errors.Is(err, bus.ErrConflict), errors.Is(err, bus.ErrUncertain):
		j.handling.ClaimInDoubt()
		return true
	}
	j.Logger.Warn("cannot claim the attempt; the message is redelivered", "attempt", j.name(), "error", err)
	j.park(time.Second)
	return false
}

// logStarted stores that a message which may have been executed before is executed now; this counts crashes.
func (j *job) logStarted() bool {
	start := uuid.NewString()
	e := j.started()
	e.Delivery, e.Unheard = start, j.unheard()
	_, err := j.append(e)
	if err != nil {
		j.Logger.Warn("cannot store that the attempt starts; the message is redelivered", "attempt", j.name(), "error", err)
		j.park(time.Second)
		return false
	}
	j.awaited = true
	j.handling.Started(start)
	return true
}

// append adds an event to the run's log and waits for it; a claim only if it is the first.
func (j *job) append(e steps.Event) (uint64, error) {
	ctx, cancel := context.WithTimeout(j.life, 10*time.Second)
	defer cancel()
	m, stream, err := j.Runs.Report(j.m.Run, j.m.Tool, e)
	if err != nil {
		return 0, err
	}
	return j.Bus.PublishWait(ctx, stream, m)
}
