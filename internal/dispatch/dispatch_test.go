package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/dlq"
	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
	"belay/internal/wire"
)

// records counts what a dispatcher observed.
type records struct {
	mu   sync.Mutex
	seen map[string]int
}

func (o *records) Applied(s *steps.State, r steps.Record, _ []int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.seen == nil {
		o.seen = make(map[string]int)
	}
	o.seen[fmt.Sprintf("%s@%d %T", s.Run, r.Seq, r.Event)]++
}

// onlyOnce checks that every record of every log was observed once.
func (o *records) onlyOnce(t *testing.T, r *rig) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	total := 0
	for p := range testPartitions {
		runs, err := r.bus.Runs(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		for _, run := range runs {
			_, err := r.log.Read(t.Context(), run.Run, func(s *steps.State, rec steps.Record, _ []int) {
				total++
				if name := fmt.Sprintf("%s@%d %T", s.Run, rec.Seq, rec.Event); o.seen[name] != 1 {
					t.Errorf("%s was observed %d times", name, o.seen[name])
				}
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(o.seen) != total {
		t.Errorf("%d records were observed, the logs hold %d", len(o.seen), total)
	}
}

func TestRunsGoToTheEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	obs := &records{}
	r.dispatcher(func(o *Options) { o.Observer = obs })
	w := r.worker(nil)
	const runs, length = 40, 5
	doc := chain(length, nil)
	for i := range runs {
		r.submit(fmt.Sprintf("run-%d", i), doc)
	}
	for i := range runs {
		s := r.end(fmt.Sprintf("run-%d", i))
		if s.Status() != steps.RunSucceeded {
			t.Errorf("%s is %s", s.Run, s.Status())
		}
	}
	w.onlyOnce(runs * length)
	r.eventually("everything acknowledged", func() bool { return r.unacked() == 0 })
	obs.onlyOnce(t, r)
	if left := r.queuedSteps(); len(left) > 0 {
		t.Errorf("left in the queue: %v", left)
	}
}

func TestRunsSubmittedWhileNobodyDispatched(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range 10 {
		r.submit(fmt.Sprintf("run-%d", i), chain(2, nil))
	}
	obs := &records{}
	r.dispatcher(func(o *Options) { o.Observer = obs })
	w := r.worker(nil)
	for i := range 10 {
		r.end(fmt.Sprintf("run-%d", i))
	}
	w.onlyOnce(20)
	r.eventually("everything acknowledged", func() bool { return r.unacked() == 0 })
	obs.onlyOnce(t, r)
}

// The first dispatcher dies with steps in flight; the second takes over, and no step is executed twice.
func TestKilledDispatcherIsTakenOver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.dispatcher(nil)
	const runs, length = 20, 4
	inHand := make(chan struct{}, runs*length)
	release := make(chan struct{})
	w := r.worker(func(m steps.StepMessage) steps.Event {
		if m.Step == "s1" {
			inHand <- struct{}{}
			<-release
		}
		return succeed(m)
	})
	for i := range runs {
		r.submit(fmt.Sprintf("run-%d", i), chain(length, nil))
	}
	<-inHand
	first.kill()
	close(release)
	r.dispatcher(nil)
	for i := range runs {
		if s := r.end(fmt.Sprintf("run-%d", i)); s.Status() != steps.RunSucceeded {
			t.Errorf("%s is %s", s.Run, s.Status())
		}
	}
	w.handedOver(runs * length)
}

func TestTwoDispatchersAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.dispatcher(nil)
	second := r.dispatcher(nil)
	w := r.worker(nil)
	const runs, length = 30, 4
	for i := range runs {
		r.submit(fmt.Sprintf("run-%d", i), chain(length, nil))
		if i == runs/2 {
			second.stop()
		}
	}
	for i := range runs {
		r.end(fmt.Sprintf("run-%d", i))
	}
	w.handedOver(runs * length)
}

func TestStopFinishesWhatIsOnItsWay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := r.dispatcher(nil)
	w := r.worker(nil)
	r.submit("run", chain(3, nil))
	r.end("run")
	d.stop()
	w.onlyOnce(3)
	for _, p := range d.d.parts {
		if p.out != 0 || p.reads != 0 {
			t.Errorf("partition %d stopped with %d publishes and %d reads under way", p.p, p.out, p.reads)
		}
	}
}

// An operator purges the step queue: what is still wanted comes back, what is not does not.
func TestPurgedQueueHeals(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.dispatcher(func(o *Options) { o.QueueEvery = 50 * time.Millisecond })
	r.submit("run", chain(2, nil))
	r.eventually("the first step is queued", func() bool { return len(r.queuedSteps()) == 1 })
	n := r.bus.Names()
	if err := r.bus.Purge(t.Context(), n.StepsStream(), n.StepsSubjects()); err != nil {
		t.Fatal(err)
	}
	r.eventually("the purged step is queued again", func() bool { return len(r.queuedSteps()) == 1 })
	w := r.worker(nil)
	r.end("run")
	w.onlyOnce(2)
}

// Without its stream no step can be stored: the event is handed back until the stream is there again.
func TestFailedPublishIsDoneAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	said := make(words, 64)
	r.dispatcher(func(o *Options) { o.Logger = slog.New(said) })
	r.submit("before", chain(1, nil))
	r.eventually("the dispatcher works", func() bool { return len(r.queuedSteps()) == 1 })
	n := r.bus.Names()
	if err := r.bus.JetStream().DeleteStream(t.Context(), n.StepsStream()); err != nil {
		t.Fatal(err)
	}
	r.submit("run", chain(2, nil))
	said.hear("could not store")
	if err := r.bus.Setup(t.Context(), bus.SetupOptions{Partitions: testPartitions, Replicas: 1}); err != nil {
		t.Fatal(err)
	}
	w := r.worker(nil)
	if s := r.end("run"); s.Status() != steps.RunSucceeded {
		t.Errorf("the run is %s", s.Status())
	}
	w.onlyOnce(2)
}

// words are a log that a test can wait for.
type words chan string

func (w words) Enabled(context.Context, slog.Level) bool { return true }
func (w words) WithAttrs([]slog.Attr) slog.Handler       { return w }
func (w words) WithGroup(string) slog.Handler            { return w }
func (w words) Handle(_ context.Context, r slog.Record) error {
	select {
	case w <- r.Message:
	default:
	}
	return nil
}

// hear waits until something is said that contains part.
func (w words) hear(part string) {
	for !strings.Contains(<-w, part) {
	}
}

func TestPoisonFreezesOnlyItsRun(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.dispatcher(nil)
	n := r.bus.Names()
	r.submit("bad", chain(2, nil))
	r.eventually("the first step is queued", func() bool { return len(r.queuedSteps()) == 1 })
	p := wire.Partition("bad", testPartitions)
	seq, err := r.bus.PublishWait(t.Context(), n.RunsStream(p), bus.Message{Subject: n.Log(p, "bad", wire.KindOutcome), Header: map[string][]string{}, Data: []byte("\x00garbage")})
	if err != nil {
		t.Fatal(err)
	}
	id := steps.DeadLetterID("bad", seq)
	r.eventually("a dead letter", func() bool { _, err := r.box.Get(t.Context(), id); return err == nil })
	dead, err := r.box.Get(t.Context(), id)
	if err != nil || dead.Kind != steps.KindDeadLetter || dead.Run != "bad" || string(dead.Origin.Raw) != "\x00garbage" {
		t.Errorf("dead letter %+v, %v", dead, err)
	}
	w := r.worker(nil)
	for i := range 10 { // of both partitions
		run := fmt.Sprintf("good-%d", i)
		r.submit(run, chain(1, nil))
		r.end(run)
	}
	if _, err := r.log.Load(t.Context(), "bad"); !errors.Is(err, runlog.ErrFrozen) {
		t.Errorf("the run is not frozen: %v", err)
	}
	desk, mia := handoff.NewDesk(r.log, r.box, handoff.NewClaims(r.bus), nil), people.Trusted("mia", "")
	if _, err := desk.Act(t.Context(), mia, id, people.Act{Verb: "retry"}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.box.Get(t.Context(), id); err != nil {
		t.Errorf("a retry that helped nothing removed the dead letter: %v", err)
	}
	if _, err := desk.Act(t.Context(), mia, id, people.Act{Verb: "skip"}); err != nil {
		t.Fatal(err)
	}
	if s := r.end("bad"); s.Status() != steps.RunSucceeded {
		t.Errorf("the run is %s", s.Status())
	}
	w.onlyOnce(12)
	r.eventually("the dead letter is removed", func() bool {
		_, err := r.box.Get(t.Context(), id)
		return errors.Is(err, dlq.ErrNotFound)
	})
}

func TestUnservedToolReachesAPerson(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.dispatcher(func(o *Options) { o.UnservedAfter = 200 * time.Millisecond })
	r.submit("run", chain(2, nil))
	s := r.until("run", "waiting for a person", func(s *steps.State) bool { return len(s.Escalations) > 0 })
	if got := s.Escalations[0].Fault.Class; got != steps.NoWorker {
		t.Errorf("class %s, want no_worker", got)
	}
	r.eventually("a dead letter, and the step is out of the queue", func() bool {
		_, err := r.box.Get(t.Context(), "run-1")
		return err == nil && len(r.queuedSteps()) == 0
	})
	r.worker(nil)
	if _, err := handoff.NewDesk(r.log, r.box, handoff.NewClaims(r.bus), nil).Act(t.Context(), people.Trusted("mia", ""), "run-1", people.Act{Verb: "retry"}); err != nil {
		t.Fatal(err)
	}
	if s := r.end("run"); s.Status() != steps.RunSucceeded {
		t.Errorf("the run is %s", s.Status())
	}
	r.eventually("the dead letter is removed", func() bool {
		_, err := r.box.Get(t.Context(), "run-1")
		return errors.Is(err, dlq.ErrNotFound)
	})
}

// TestUnservedIsSaidLongBeforePeopleAreAsked, and no more once a worker serves it.
func TestUnservedIsSaidLongBeforePeopleAreAsked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := New(Options{Bus: r.bus, Log: r.log, UnservedAfter: 40 * time.Second})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	defer func() { stop(); <-ended }()
	r.submit("run", chain(1, nil))
	began := time.Now()
	r.eventually("it is said", func() bool { return len(d.Unserved()) == 1 })
	if u := d.Unserved()[0]; u.Steps != 1 || u.Tool == "" || u.Rung == "" || u.Asks.Sub(u.Since) != 40*time.Second || u.Asks.Before(began.Add(30*time.Second)) {
		t.Errorf("%+v", u)
	}
	if s, err := r.log.Load(t.Context(), "run"); err != nil || len(s.Escalations) > 0 {
		t.Errorf("people are asked already: %v", err)
	}
	r.worker(nil)
	r.end("run")
	r.eventually("it is said no more", func() bool { return len(d.Unserved()) == 0 })
}

func TestCancelWithdrawsWhatNobodyExecutes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.dispatcher(nil)
	r.submit("run", chain(2, tool(func(t *steps.Tool) { t.Effects = steps.EffectsUnsafe })))
	r.eventually("the step is queued", func() bool { return len(r.queuedSteps()) == 1 })
	if _, err := r.log.Cancel(t.Context(), "run", steps.Cancelled{By: "mia", Reason: "not needed"}); err != nil {
		t.Fatal(err)
	}
	s := r.end("run")
	if s.Status() != steps.RunCancelled || !strings.Contains(s.Reason, "mia") {
		t.Errorf("%s: %s", s.Status(), s.Reason)
	}
	n, p := r.bus.Names(), wire.Partition("run", testPartitions)
	claim := n.Claim(p, "run", steps.Attempt{Step: "s0", Try: 1})
	if _, ok, err := r.bus.Last(t.Context(), n.RunsStream(p), claim); err != nil || !ok {
		t.Errorf("the claim was not withdrawn: %v", err)
	}
	if left := r.queuedSteps(); len(left) > 0 {
		t.Errorf("left in the queue: %v", left)
	}
	if _, err := r.log.Cancel(t.Context(), "run", steps.Cancelled{By: "mia", Reason: "again"}); !errors.Is(err, runlog.ErrEnded) {
		t.Errorf("cancelling an ended run: %v", err)
	}
}

func TestCancelTellsWhoExecutes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.dispatcher(nil)
	heard := make(chan string, 16)
	stop, err := r.bus.Hear(r.bus.Names().StopAll(), func(subject string, _ []byte) { heard <- subject })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	r.submit("run", chain(1, nil))
	a := steps.Attempt{Step: "s0", Try: 1}
	if _, err := r.log.Append(t.Context(), "run", steps.Started{Attempt: a, Worker: "w"}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.log.Cancel(t.Context(), "run", steps.Cancelled{By: "mia", Reason: ""}); err != nil {
		t.Fatal(err)
	}
	if got, want := <-heard, r.bus.Names().Stop("run", a); got != want {
		t.Errorf("heard %s, want %s", got, want)
	}
	f := steps.Failed{Attempt: a, Worker: "w", Fault: steps.Fault{Class: steps.Timeout, Message: "stopped"}}
	if _, err := r.log.Append(t.Context(), "run", f); err != nil {
		t.Fatal(err)
	}
	if s := r.end("run"); s.Status() != steps.RunCancelled {
		t.Errorf("the run is %s", s.Status())
	}
}

func TestTimerSurvivesARestart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.dispatcher(func(o *Options) { o.TimerDelay = time.Millisecond })
	r.submit("run", chain(1, tool(func(t *steps.Tool) { t.Timeout = steps.Duration(8 * time.Second) })))
	n := r.bus.Names()
	r.eventually("a durable schedule", func() bool { return len(r.subjects(n.TimersStream(), n.TimersSubjects())) == 1 })
	first.kill()
	r.dispatcher(nil)
	s := r.until("run", "asking a person", func(s *steps.State) bool { return len(s.Escalations) > 0 })
	if got := s.Escalations[0].Fault.Class; got != steps.DeadlineExceeded {
		t.Errorf("class %s, want deadline_exceeded", got)
	}
	if waited := s.Escalations[0].Opened.Sub(s.Submitted); waited < 8*time.Second || waited > 2*time.Minute {
		t.Errorf("the budget of 8 s ended after %v", waited)
	}
}

// The dispatcher dies before the timer was made durable, and nothing else ever happens in the log.
func TestTimerInMemoryOnlySurvivesInASilentLog(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := r.dispatcher(func(o *Options) { o.TimerDelay = time.Hour })
	r.submit("run", chain(1, tool(func(t *steps.Tool) { t.Timeout = steps.Duration(8 * time.Second) })))
	r.eventually("the step is queued, its event acknowledged", func() bool { return len(r.queuedSteps()) == 1 && r.unacked() == 0 })
	first.kill()
	r.dispatcher(func(o *Options) { o.TimerDelay = time.Hour })
	s := r.until("run", "asking a person", func(s *steps.State) bool { return len(s.Escalations) > 0 })
	if got := s.Escalations[0].Fault.Class; got != steps.DeadlineExceeded {
		t.Errorf("class %s, want deadline_exceeded", got)
	}
}

func TestStandbyLeavesAHeldPartitionAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.dispatcher(nil)
	r.submit("run", chain(1, nil))
	r.eventually("the step is queued", func() bool { return len(r.queuedSteps()) == 1 })
	standby := r.dispatcher(nil)
	for _, p := range standby.d.parts {
		if err := p.wake(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := r.bus.ReadLog(t.Context(), "run", 0)
	if err != nil || len(entries) != 1 {
		t.Errorf("%d entries, %v; want the submission alone", len(entries), err)
	}
}

func TestTimersOfRunsThatEndAreTakenBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.dispatcher(func(o *Options) { o.TimerDelay = time.Millisecond })
	r.submit("run", chain(1, tool(func(t *steps.Tool) { t.Timeout = steps.Duration(time.Hour) })))
	n := r.bus.Names()
	timers := func() int { return len(r.subjects(n.TimersStream(), n.TimersSubjects())) }
	r.eventually("a durable schedule", func() bool { return timers() == 1 })
	r.worker(nil)
	r.end("run")
	r.eventually("no schedule", func() bool { return timers() == 0 })
}

func TestLateAndForeignEventsAreAcknowledged(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.dispatcher(nil)
	w := r.worker(nil)
	r.submit("run", chain(2, nil))
	r.end("run")
	for _, run := range []string{"run", "never-submitted"} {
		if _, err := r.log.Append(t.Context(), run, succeed(steps.StepMessage{Attempt: steps.Attempt{Step: "s0", Try: 1}})); err != nil {
			t.Fatal(err)
		}
	}
	n := r.bus.Names()
	r.eventually("everything acknowledged", func() bool { return r.unacked() == 0 })
	if left := r.queuedSteps(); len(left) > 0 {
		t.Errorf("queued again: %v", left)
	}
	w.onlyOnce(2)
	// There is a dead letter about the one that belongs to no run, and only of that.
	if got := r.subjects(n.EscalationsStream(), n.EscalationsSubjects()); len(got) != 1 || !strings.Contains(got[0], "dead_letter.none.never-submitted-dl") {
		t.Errorf("escalations %v", got)
	}
}

// A submission that was stored without the condition that there was none starts nothing anew.
func TestSecondSubmissionStartsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.dispatcher(nil)
	w := r.worker(nil)
	r.submit("run", chain(2, nil))
	r.end("run")
	m, stream, err := r.log.Message("run", steps.Submitted{Document: chain(2, nil), Input: json.RawMessage(`{}`)})
	if err != nil {
		t.Fatal(err)
	}
	m.Expect = nil
	if _, err := r.bus.PublishWait(t.Context(), stream, m); err != nil {
		t.Fatal(err)
	}
	r.eventually("everything acknowledged", func() bool { return r.unacked() == 0 })
	w.onlyOnce(2)
}

// What comes late about a run that was removed is nobody's question, and goes with what is left of the run.
func TestLateEventsOfARemovedRunAskNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.dispatcher(func(o *Options) { o.Retention = time.Second })
	r.worker(nil)
	r.submit("gone", chain(1, nil))
	r.end("gone")
	n, p := r.bus.Names(), wire.Partition("gone", testPartitions)
	log := func() []string { return r.subjects(n.RunsStream(p), n.LogOf(p, "gone")) }
	r.eventually("the run is removed but for its mark", func() bool { return slices.Equal(log(), []string{n.Log(p, "gone", wire.KindClock)}) })
	if known, err := r.log.Known(t.Context(), "gone"); !known || err != nil {
		t.Errorf("known: %v, %v", known, err)
	}
	if _, err := r.log.Append(t.Context(), "gone", succeed(steps.StepMessage{Attempt: steps.Attempt{Step: "s0", Try: 1}})); err != nil {
		t.Fatal(err)
	}
	r.eventually("everything acknowledged", func() bool { return r.unacked() == 0 })
	r.eventually("nothing of it is left", func() bool { return len(log()) == 0 })
	if got := r.subjects(n.EscalationsStream(), n.EscalationsSubjects()); len(got) != 0 {
		t.Errorf("escalations %v", got)
	}
	r.submit("gone", chain(1, nil)) // its id is free again
	r.end("gone")
}

func TestJanitorRemovesOnlyWhatIsOverForLong(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.dispatcher(func(o *Options) { o.Retention = 100 * time.Millisecond })
	r.submit("open", chain(2, tool(func(t *steps.Tool) { t.Name = "t" })))
	r.eventually("the step is queued", func() bool { return len(r.queuedSteps()) == 1 })
	if _, err := r.log.Cancel(t.Context(), "open", steps.Cancelled{By: "", Reason: ""}); err != nil {
		t.Fatal(err)
	}
	r.end("open")
	r.submit("stays", chain(1, nil))
	n := r.bus.Names()
	r.eventually("the ended run is removed", func() bool {
		p := wire.Partition("open", testPartitions)
		return len(r.subjects(n.RunsStream(p), n.LogOf(p, "open"))) == 0
	})
	if _, err := r.log.Load(t.Context(), "stays"); err != nil {
		t.Errorf("a run that is open: %v", err)
	}
}
