package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/bus"
	"belay/internal/steps"
	"belay/internal/wire"
)

// onTime is within what a lost attempt has begun again at the latest, where the machine is not busy. The tests wait for longer.
const onTime = 15 * time.Second

// looksOften starts a dispatcher that looks at the queue often; each attempt is left alone for as long as always.
func (r *rig) looksOften(change func(*Options)) *running {
	r.Helper()
	return r.dispatcher(func(o *Options) {
		o.UnservedAfter = 4 * time.Second
		if change != nil {
			change(o)
		}
	})
}

// consumer makes the consumer of the rung without a worker.
func (r *rig) consumer() {
	r.Helper()
	c, err := r.bus.ConsumeSteps(r.Context(), "t", "primary", bus.StepsOptions{AckWait: 30 * time.Second, Demand: bus.NewDemand()}, func(bus.Delivery) {})
	if err != nil {
		r.Fatal(err)
	}
	c.Stop()
	<-c.Done()
}

// skip has a consumer take all before a sequence for delivered and acknowledged.
func (r *rig) skip(stream, consumer string, to uint64) {
	r.Helper()
	m, err := r.bus.NATS().RequestWithContext(r.Context(), "$JS.API.CONSUMER.RESET."+stream+"."+consumer, fmt.Appendf(nil, `{"seq":%d}`, to))
	if err != nil {
		r.Fatal(err)
	}
	var answer struct{ Error *jetstream.APIError }
	if err := json.Unmarshal(m.Data, &answer); err != nil || answer.Error != nil {
		r.Fatal(err, answer.Error)
	}
}

func (r *rig) lastOf(stream string) uint64 {
	r.Helper()
	mark, err := r.bus.Mark(r.Context(), stream)
	if err != nil {
		r.Fatal(err)
	}
	return mark.Last
}

// TestWhatTheQueueHasLostIsQueuedAgain: behind Belay's back a queued message is removed, or its consumer passes over it, or is removed.
// No restart is needed, and no call is made twice.
func TestWhatTheQueueHasLostIsQueuedAgain(t *testing.T) {
	t.Parallel()
	for what, lose := range map[string]func(r *rig, stream, consumer string) error{
		"purged": func(r *rig, stream, _ string) error {
			return r.bus.Purge(r.Context(), stream, r.bus.Names().StepsSubjects())
		},
		"passed over": func(r *rig, stream, consumer string) error {
			r.skip(stream, consumer, r.lastOf(stream)+1)
			return nil
		},
		"without its consumer": func(r *rig, stream, consumer string) error {
			return r.bus.JetStream().DeleteConsumer(r.Context(), stream, consumer)
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.consumer()
			r.looksOften(nil)
			r.submit("run", chain(2, nil))
			r.eventually("the first step is queued", func() bool { return len(r.queuedSteps()) == 1 })
			n := r.bus.Names()
			if err := lose(r, n.StepsStream(), n.StepConsumer("t", "primary")); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			w := r.worker(nil)
			r.end("run")
			t.Logf("it went on after %s; it has to within %s", time.Since(began).Round(10*time.Millisecond), onTime)
			w.onlyOnce(2)
		})
	}
}

// TestOneIsLostAmongOthers: the rung is never idle.
func TestOneIsLostAmongOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.consumer()
	r.looksOften(nil)
	r.submit("lost", chain(1, nil))
	r.eventually("it is queued", func() bool { return len(r.queuedSteps()) == 1 })
	n := r.bus.Names()
	if err := r.bus.Purge(t.Context(), n.StepsStream(), n.StepsSubjects()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	w := &worker{rig: r, do: succeed, count: map[string]int{}}
	c, err := r.bus.ConsumeSteps(t.Context(), "t", "primary", bus.StepsOptions{Prefetch: 256, AckWait: 30 * time.Second}, func(d bus.Delivery) {
		time.AfterFunc(300*time.Millisecond, func() { w.work(d) }) // until then it is in its hand
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	ended, stop := context.WithCancel(t.Context())
	go func() { r.end("lost"); stop() }()
	runs := 0
	for ; ended.Err() == nil && time.Since(began) < time.Minute; pause(ended, 50*time.Millisecond) {
		r.submit(fmt.Sprint("other", runs), chain(1, nil))
		runs++
	}
	t.Logf("it went on after %s, while %d others ran", time.Since(began).Round(10*time.Millisecond), runs)
	for n := range runs {
		r.end(fmt.Sprint("other", n))
	}
	w.onlyOnce(runs + 1)
}

// TestWhatWaitsIsNotQueuedAgain: attempts that wait behind others, or in the hand of a worker, are where they belong.
func TestWhatWaitsIsNotQueuedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	held := make(chan bus.Delivery, 1000)
	c, err := r.bus.ConsumeSteps(t.Context(), "t", "primary", bus.StepsOptions{Prefetch: 16, AckWait: time.Minute}, func(d bus.Delivery) { held <- d })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	d := r.looksOften(nil)
	const runs = 80 // fewer than a door lets in
	for n := range runs {
		r.submit(fmt.Sprint("run", n), chain(1, nil))
	}
	stream := r.bus.Names().StepsStream()
	r.eventually("all are queued", func() bool { return r.lastOf(stream) == runs })
	for range 16 {
		<-held
	}
	for later := time.Minute; later < 10*time.Minute; later += time.Minute {
		backlogs, err := r.bus.Backlogs(t.Context())
		if err == nil {
			err = d.d.lookForOverlooked(t.Context(), time.Now().Add(later), backlogs)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	d.stop()
	if last := r.lastOf(stream); last != runs || len(r.queuedSteps()) != runs {
		t.Errorf("%d messages were put into the queue for %d attempts", last, runs)
	}
}

// TestAWorkerThatOnlyAcknowledges, or spoils what it says so that it is about no attempt, is given an attempt a few times, and then the run is told;
// a call that must not happen twice is given to it once more, and then people are asked.
func TestAWorkerThatOnlyAcknowledges(t *testing.T) {
	t.Parallel()
	for effects, c := range map[steps.Effects]struct {
		most int // times that it is given, and one or two more where the run's log is read just then for another reason
		want steps.StepState
	}{
		steps.EffectsIdempotent: {steps.CrashBudget + 1, steps.StepEscalated},
		steps.EffectsUnsafe:     {2, steps.StepUnknown},
	} {
		t.Run(string(effects), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			n := r.bus.Names()
			var given atomic.Int64
			count := func() int { return int(given.Load()) }
			w, err := r.bus.ConsumeSteps(t.Context(), "t", "primary", bus.StepsOptions{AckWait: 30 * time.Second}, func(d bus.Delivery) {
				given.Add(1)
				m, _ := wire.DecodeStep(d.Data)
				subject := n.Outcome(wire.Partition(m.Run, testPartitions), m.Run, "t")
				if _, err := r.bus.PublishWait(context.WithoutCancel(t.Context()), n.RunsStream(wire.Partition(m.Run, testPartitions)), bus.Message{Subject: subject, Header: map[string][]string{}, Data: []byte("\x00")}); err != nil {
					t.Error(err)
				}
				if err := d.Ack(); err != nil {
					t.Error(err)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(w.Stop)
			d := r.looksOften(nil)
			r.submit("run", chain(1, tool(func(t *steps.Tool) { t.Effects = effects })))
			times := 0
			var last *steps.State
			r.eventually("people are asked", func() bool {
				if n := count(); n > times { // the attempt is left alone for a while: for the dispatcher that is over
					times = n
					d.ages(10 * time.Minute)
				}
				last, err = r.log.Load(t.Context(), "run")
				return err == nil && len(last.Escalations) > 0
			})
			if u := &last.Units[0]; count() < 2 || count() > c.most+4 || u.State() != c.want || len(u.Attempts) != 1 {
				t.Errorf("given %d times, want about %d; the step is %s after %d attempts, with %+v", count(), c.most, u.State(), len(u.Attempts), u.Fault)
			}
		})
	}
}

// ages has every attempt been queued so much earlier.
func (d *running) ages(by time.Duration) {
	d.Helper()
	for _, p := range d.d.parts {
		err := p.do(d.Context(), func() {
			for _, r := range p.runs {
				for _, s := range r.sent {
					s.at = s.at.Add(-by)
				}
			}
		})
		if err != nil {
			d.Fatal(err)
		}
	}
}

// TestAnEventThatIsNotDelivered: the server takes an outcome for delivered that the dispatcher has never got, and another event comes
// after it, or none does.
func TestAnEventThatIsNotDelivered(t *testing.T) {
	t.Parallel()
	for _, more := range []bool{true, false} {
		t.Run(fmt.Sprint("another comes: ", more), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.looksOften(func(o *Options) { o.QueueEvery = 6 * time.Second })
			took := make(chan bus.Delivery, 1)
			c, err := r.bus.ConsumeSteps(t.Context(), "t", "primary", bus.StepsOptions{AckWait: 30 * time.Second}, func(d bus.Delivery) { took <- d })
			if err != nil {
				t.Fatal(err)
			}
			r.submit("run", chain(2, nil))
			d := <-took
			c.Stop()
			<-c.Done()
			p := wire.Partition("run", testPartitions)
			stream := r.bus.Names().RunsStream(p)
			r.eventually("nothing is under way", func() bool { return r.unacked() == 0 })

			m, err := wire.DecodeStep(d.Data)
			if err != nil {
				t.Fatal(err)
			}
			r.skip(stream, wire.DispatcherConsumer, r.lastOf(stream)+2)
			if _, err := r.log.Append(t.Context(), m.Run, succeed(m)); err != nil {
				t.Fatal(err)
			}
			began, queued := time.Now(), 2 // the first step is not acknowledged: the queue gives no hint
			if more {
				queued++
				other := "a"
				for wire.Partition(other, testPartitions) != p {
					other += "a"
				}
				r.submit(other, chain(1, nil))
			}
			r.eventually("the second step is queued", func() bool { return len(r.queuedSteps()) == queued })
			t.Logf("it went on after %s; it has to within %s", time.Since(began).Round(10*time.Millisecond), onTime)
			if err := d.Ack(); err != nil {
				t.Fatal(err)
			}
			w := r.worker(nil)
			if s := r.end("run"); s.Status() != steps.RunSucceeded {
				t.Errorf("the run is %s", s.Status())
			}
			if n := w.count[steps.AttemptName("run", m.Attempt)]; n > 0 {
				t.Errorf("the first step was done once more")
			}
		})
	}
}

// TestWhoTookOverByAnOldEventKeepsThePartition: what was acknowledged before the take-over is not delivered any more, and nobody else
// has the partition.
func TestWhoTookOverByAnOldEventKeepsThePartition(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := r.dispatcher(nil)
	r.submit("run", chain(2, nil))
	r.worker(nil)
	r.end("run")
	r.eventually("nothing is under way", func() bool { return r.unacked() == 0 })
	p := d.d.parts[wire.Partition("run", testPartitions)]
	head := r.lastOf(p.stream())
	pinned := false
	err := p.do(t.Context(), func() { p.delivered, p.note = 1, head })
	for range 3 {
		if err == nil {
			err = p.checkPin(t.Context())
		}
	}
	if err == nil {
		err = p.do(t.Context(), func() { pinned = p.pinned })
	}
	if err != nil || !pinned {
		t.Errorf("the partition was given up: %v", err)
	}
}
