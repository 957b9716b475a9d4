package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/toolbox"
	"belay/internal/wire"
)

// job is one message on its way through the worker.
type job struct {
	*Worker
	*held
	m       steps.StepMessage
	rung    toolbox.Rung
	worker  string // who signs what the log is told: the worker's name, for unsafe tools with a token of this delivery
	awaited bool   // Started is in the log already
	start   string // the name of that start, where it is counted

	heard    bool // the log has heard of a start of the attempt
	executed bool // it was begun here, and its outcome is not stored yet

	word  *word     // what is said of the attempt while it is in hand
	taken time.Time // when it came into hand
	conn  time.Time // the connection that it came by
	back  bool      // it was in hand here before, and in no other since
}

// take takes a message in hand. It must not block: the next message comes through the same goroutine.
func (w *Worker) take(k toolbox.Key, rung toolbox.Rung, d bus.Delivery) {
	if !w.hands.take() {
		_ = d.Park(0) // it is for others now; lost, it comes to them only later
		return
	}
	conn := w.Bus.ConnectedAt()
	j := &job{Worker: w, held: w.hold.take(d), rung: rung, worker: w.Name, taken: time.Now(), conn: conn, back: w.parks.back(d, conn)}
	m, err := wire.DecodeStep(d.Data)
	if err != nil {
		j.unreadable(k, err)
		return
	}
	if a := j.stranger(k, m); a != "" {
		j.unreadable(k, fmt.Errorf("its body is about %s", a))
		return
	}
	j.m = m
	j.word = w.stops.listen(j.attempt())
	go j.handle()
}

// stranger is what a message is about, if that is not what its subject says: the subject is what this worker serves and
// what the queue keeps apart.
func (j *job) stranger(k toolbox.Key, m steps.StepMessage) string {
	tool, rung, run, a, ok := j.names.ParseStep(j.Subject)
	if ok && tool == k.Tool && rung == k.Rung && m.Tool == tool && m.RungName == rung && m.Run == run && m.Attempt == a {
		return ""
	}
	return steps.AttemptName(m.Run, m.Attempt) + " of " + m.Tool + "/" + m.RungName
}

// release ends the work on a message.
func (j *job) release() {
	if j.word != nil {
		j.stops.leave(j.attempt(), j.word)
	}
	j.hold.drop(j.held)
	j.hands.put()
}

// park hands the message back, to come again after a pause.
func (j *job) park(pause time.Duration) {
	if !j.again() && !j.executed {
		j.parks.put(j.Delivery, j.conn, pause)
	}
	j.handOn(pause)
}

// handOn hands the message back as one that somebody may have begun: when it comes again, that is a redelivery.
func (j *job) handOn(pause time.Duration) {
	if err := j.Park(pause); err != nil {
		j.Log.Debug("could not hand a message back; it comes again after the ack wait", "attempt", j.name(), "error", err)
	}
	j.release()
}

func (j *job) attempt() attempt { return attempt{j.m.Run, j.m.Attempt} }

func (j *job) name() string { return steps.AttemptName(j.m.Run, j.m.Attempt) }

func (j *job) handle() {
	if !j.waitForTime() || !j.rest() {
		return
	}
	free, ok := j.slot()
	if !ok {
		j.giveUpWaiting()
		return
	}
	defer free()
	if !j.mayExecute() || !j.mayBegin() {
		return
	}
	if mutant("ack-first") {
		_ = j.Ack()
	}
	outcome := j.execute()
	j.report(outcome)
}

// early is how far before its time a message is waited for in hand rather than handed back.
const early = time.Second

// waitForTime waits until the message may be executed. One that is far too early is handed back.
func (j *job) waitForTime() bool {
	wait := time.Until(j.m.NotBefore)
	if j.m.NotBefore.IsZero() || wait <= 0 {
		return true
	}
	if wait > early {
		j.park(wait)
		return false
	}
	return j.wait(wait)
}

// rest lets a message that has ended its worker before wait in hand, and takes no slot for that.
func (j *job) rest() bool { return j.m.Claimed() || j.fresh() || j.ask() }

// slot waits for a free slot of the tool and of the worker; free gives them back.
func (j *job) slot() (free func(), ok bool) {
	tool := j.tools[j.m.Tool]
	if tool != nil && !j.enter(tool) {
		return nil, false
	}
	if !j.enter(j.slots) {
		if tool != nil {
			<-tool
		}
		return nil, false
	}
	return func() {
		<-j.slots
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
	case <-j.stops.heard(j.word):
	}
	return false
}

// giveUpWaiting deals with a message that waits for a slot no longer.
func (j *job) giveUpWaiting() {
	select {
	case <-j.stops.heard(j.word):
		j.putDown()
	default:
		j.park(0)
	}
}

// mayExecute settles whether this delivery may execute the attempt. If not, the message has been dealt with.
func (j *job) mayExecute() bool {
	if j.objects() {
		return false
	}
	if j.rung.Effects.Unsafe() {
		j.m.Effects = steps.EffectsUnsafe // the message cannot say less than the worker's own tools file
	}
	held := j.approvalNeeded()
	if held && !j.asApproved(nil) {
		return false
	}
	if (held || !j.fresh()) && !j.ask() {
		return false
	}
	if j.m.Effects.Unsafe() && !mutant("no-wanted") && !j.wanted() {
		return false
	}
	switch {
	case held:
		return j.claim() && j.approvalUnused()
	case j.m.Claimed():
		return j.claim()
	case !j.fresh(): // of what is claimed, the claim says that it starts
		return j.tellStarted() && j.ask() // what ended it before the log knew of this start is found there
	}
	return true
}

// fresh reports whether nobody can have begun the attempt before: the run's log need not be read.
func (j *job) fresh() bool { return steps.Fresh(j.redelivered(), j.anew()) }

// redelivered reports whether this may not be the first delivery, anew whether the message stands for one that may have
// been lost with the queue.
func (j *job) redelivered() bool { return j.again() || j.Time.Before(j.conn) }
func (j *job) anew() bool        { return len(j.Header[wire.HeaderAgain]) > 0 }

// delivered is what is known of the message in hand.
func (j *job) delivered() steps.Delivered {
	return steps.Delivered{
		StepMessage: j.m, Again: j.redelivered(), Anew: j.anew(),
		Claim: j.worker, Start: j.start, Taken: j.taken, Now: time.Now(), AckWait: j.AckWait,
	}
}

// again reports whether the message was in another hand before.
func (j *job) again() bool { return j.Count > 1 && !j.back }

// unheard reports whether an earlier delivery may have been lost with its worker before the log heard of it: the message comes so late that it was
// not just handed back, as one is that is too early.
func (j *job) unheard() bool {
	from := j.Time
	if t := j.m.NotBefore.Add(-early); t.After(from) {
		from = t
	}
	return j.again() && !j.heard && j.taken.Sub(from) >= j.AckWait
}

// ask reads the run's log and does what [steps.Redelivered] says; true means execute.
func (j *job) ask() bool {
	log, err := j.readLog()
	if err != nil {
		j.Log.Warn("cannot read the run's log; the message comes again", "attempt", j.name(), "error", err)
		j.park(time.Second)
		return false
	}
	j.heard = steps.Heard(log, j.m.Attempt)
	verdict, pause := steps.Redelivered(steps.SinceGrant(log, j.m), j.delivered())
	switch verdict {
	case steps.Execute:
		return true
	case steps.Rest:
		return j.wait(pause)
	case steps.Drop:
		j.ack()
	case steps.PutDown:
		j.putDown()
	case steps.ParkIt:
		j.handOn(pause)
	case steps.ReportUnknown:
		j.report(j.failed(steps.Fault{Class: steps.Unknown, Acted: steps.ActedMaybe, Message: "the worker that had claimed it ended without a word: it may have happened"}, 0))
	case steps.ReportCrashed:
		j.report(j.failed(steps.Fault{Class: steps.Crashed, Acted: steps.ActedMaybe, Message: j.crashes()}, 0))
	}
	return false
}

func (j *job) crashes() string {
	if j.m.Claimed() {
		return "the worker that had claimed it ended without a word"
	}
	return fmt.Sprintf("its worker ended under it %d times", steps.CrashBudget)
}

// claim wins the right to execute an attempt of an unsafe tool. The log stores only the first claim.
func (j *job) claim() bool {
	j.worker = j.Name + "#" + uuid.NewString()[:8] // two deliveries to one worker are two claimants
	if mutant("no-claim") {
		return true
	}
	_, err := j.append(steps.Claimed{Attempt: j.m.Attempt, Worker: j.worker})
	switch {
	case err == nil:
		return true
	case errors.Is(err, bus.ErrConflict), errors.Is(err, bus.ErrUncertain):
		return j.claimSurely()
	}
	j.Log.Warn("cannot claim the attempt; the message comes again", "attempt", j.name(), "error", err)
	j.park(time.Second)
	return false
}

// tellStarted stores that a message that may have been executed before is executed now; crashes are counted by it.
func (j *job) tellStarted() bool {
	start := uuid.NewString()
	_, err := j.append(steps.Started{Attempt: j.m.Attempt, Worker: j.worker, Delivery: start, Unheard: j.unheard()})
	if err != nil {
		j.Log.Warn("cannot store that the attempt starts; the message comes again", "attempt", j.name(), "error", err)
		j.park(time.Second)
		return false
	}
	j.awaited, j.start = true, start
	return true
}

// append adds an event to the run's log and waits for it; a claim only if it is the first.
func (j *job) append(e steps.Event) (uint64, error) {
	ctx, cancel := context.WithTimeout(j.life, 10*time.Second)
	defer cancel()
	m, stream, err := j.message(e)
	if err != nil {
		return 0, err
	}
	return j.Bus.PublishWait(ctx, stream, m)
}

func (j *job) message(e steps.Event) (bus.Message, string, error) {
	kind, body, err := wire.EncodeEvent(e)
	if err != nil {
		return bus.Message{}, "", err
	}
	p := wire.Partition(j.m.Run, j.Bus.Partitions())
	m := bus.Message{Subject: j.names.Log(p, j.m.Run, kind), Data: body}
	if kind == wire.KindClaim {
		m.Subject, m.Expect = j.names.Claim(p, j.m.Run, j.m.Attempt), new(uint64)
	}
	return m, j.names.RunsStream(p), nil
}
