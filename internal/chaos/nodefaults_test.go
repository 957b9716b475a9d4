package chaos

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/steps"
)

// How much happens to a cluster. The figures in docs/reliability.md are of 30 kills, 10 stops, 50 partitions, and 9 upgrades.
var (
	nodeKills      = flag.Int("chaos.kills", 1, "how often the server that leads a part of the log is killed")
	nodeStops      = flag.Int("chaos.stops", 0, "how often it stands still for 12 seconds")
	nodeAckWait    = flag.Duration("chaos.ackwait", 2*time.Second, "how long a silent worker of a cluster keeps a message; the default of the program is 30 s")
	nodePartitions = flag.Int("chaos.partitions", 1, "how often the network is cut; once for 2 seconds, more often for 1 to 30")
)

const (
	stopped    = 12 * time.Second
	killedFor  = 2 * time.Second        // how long a server that was killed is away
	everyRun   = 250 * time.Millisecond // between two submissions
	fastRuns   = 50 * time.Millisecond  // the same, during an upgrade
	goesOnNode = 60 * time.Second       // after a fault; the figures are in docs/reliability.md
)

// fleetOf is so many dispatchers and workers.
func fleetOf(dispatchers, workers int) (all []member) {
	for n := range dispatchers {
		all = append(all, member{"dispatcher", n})
	}
	for n := range workers {
		all = append(all, member{"worker", n})
	}
	return all
}

// submitted is runs that are submitted one after the other, each again and again until it is accepted, while people answer.
type submitted struct {
	stop   func()
	wg     sync.WaitGroup
	mu     sync.Mutex
	ids    []string // of those that were accepted
	longer time.Duration
}

// stream submits runs until stop is called, which waits until all have been accepted.
func (c *nodes) stream(ctx context.Context, prefix string, every time.Duration) *submitted {
	s := &submitted{}
	until, cancel := context.WithCancel(ctx)
	s.stop = func() { cancel(); s.wg.Wait() }
	s.wg.Go(func() {
		for n := 0; until.Err() == nil; n++ {
			s.wg.Go(func() { c.insist(ctx, s, fmt.Sprint(prefix, n)) })
			pause(until, every)
		}
	})
	s.wg.Go(func() {
		for until.Err() == nil {
			c.people(until)
			pause(until, time.Second)
		}
	})
	return s
}

// insist submits a run until it is accepted.
func (c *nodes) insist(ctx context.Context, s *submitted, id string) {
	began := time.Now()
	for ctx.Err() == nil {
		if _, err := c.runs.Submit(ctx, id, steps.Submitted{Document: c.doc.JSON, Input: json.RawMessage(`{"n":1}`)}); err == nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.ids = append(s.ids, id)
			s.longer = max(s.longer, time.Since(began))
			return
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// goneOn submits a run and measures how long it takes to its end.
func (c *nodes) goneOn(t *testing.T, s *submitted, id string) time.Duration {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c.insist(ctx, s, id)
	for {
		if st, err := c.runs.Load(ctx, id); err == nil && st.Status().Ended() {
			return time.Since(began)
		}
		if pause(ctx, 20*time.Millisecond); ctx.Err() != nil {
			t.Fatalf("nothing goes on two minutes after the fault\n%s", c.fleet.logs())
		}
	}
}

// account waits until all runs that were accepted have ended, and compares them with the payments at the other end.
func (c *nodes) account(t *testing.T, s *submitted, what string) {
	t.Helper()
	c.accepted = append(c.accepted, s.ids...)
	limit := 3 * time.Minute
	if *nodePartitions > 1 {
		limit = 12 * time.Minute // a dispatcher compares the queue with the log every ten
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	lost := c.lost(ctx)
	payments, twice := c.world.sum("/pay")
	t.Logf("%s: %d runs accepted so far, %d lost; %d payments, %d doubled; %d answers by people; the longest submission took %s; not explained: %v",
		what, len(c.accepted), len(lost), payments, len(twice), c.answered, short(s.longer), c.strange)
	if len(lost) > 0 || len(twice) > 0 || payments != 2*len(c.accepted) || len(c.strange) > 0 {
		t.Errorf("lost: %v; paid twice: %v; %d payments for %d runs; %v", lost, twice, payments, len(c.accepted), c.strange)
	}
	for _, id := range lost[:min(1, len(lost))] {
		var log strings.Builder
		err := c.runs.Export(t.Context(), id, &log)
		t.Errorf("the log of %s: %s%v", id, log.String(), err)
		js, queue := c.bus.JetStream(), c.bus.Names().StepsStream()
		if stream, err := js.Stream(t.Context(), queue); err == nil {
			info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(c.bus.Names().Prefix+".steps.>"))
			t.Logf("the queue: %+v %v", info, err)
		}
		if consumer, err := js.Consumer(t.Context(), queue, "charge~~primary"); err == nil {
			t.Logf("its consumer: %+v", consumer.CachedInfo())
		}
	}
}

// leader is the number of the server that leads a partition of the log.
func (c *nodes) leader(t *testing.T, partition int) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		name := c.leads(ctx, c.bus.Names().RunsStream(partition))
		for n := range nodeCount {
			if name == nodeName(n) {
				return n
			}
		}
		if pause(ctx, 50*time.Millisecond); ctx.Err() != nil {
			t.Fatalf("nobody leads partition %d\n%s", partition, c.fleet.logs())
		}
	}
}

// leads is who leads a stream, or a consumer of it; empty if nobody says so.
func (c *nodes) leads(ctx context.Context, stream string, consumer ...string) string {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	var of *jetstream.ClusterInfo
	if len(consumer) > 0 {
		if s, err := c.bus.JetStream().Consumer(ctx, stream, consumer[0]); err == nil {
			of = s.CachedInfo().Cluster
		}
	} else if s, err := c.bus.JetStream().Stream(ctx, stream); err == nil {
		of = s.CachedInfo().Cluster
	}
	if of == nil {
		return ""
	}
	return of.Leader
}

// led waits until the log, the queue and their consumers have leaders that are not this server, unless it is back, and returns how
// long that took.
func (c *nodes) led(t *testing.T, dead int, isBack <-chan struct{}) time.Duration {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	queue := c.bus.Names().StepsStream()
	led := [][]string{{queue}, {queue, "charge~~primary"}}
	for p := range c.bus.Partitions() {
		log := c.bus.Names().RunsStream(p)
		led = append(led, []string{log}, []string{log, "dispatcher"})
	}
	for len(led) > 0 {
		led = slices.DeleteFunc(led, func(of []string) bool {
			leader := c.leads(ctx, of[0], of[1:]...)
			select {
			case <-isBack:
				return leader != ""
			default:
				return leader != "" && leader != nodeName(dead)
			}
		})
		if len(led) > 0 {
			pause(ctx, 50*time.Millisecond)
		}
		if ctx.Err() != nil {
			t.Fatalf("nobody leads %v\n%s", led, c.fleet.logs())
		}
	}
	return time.Since(began)
}

// TestAClusterUnderFaults: three servers, two dispatchers and three workers, all of them processes, while runs are submitted, each of which
// pays twice with a tool that must not be repeated. The server that leads a part of the log is killed, or stands still for 12 seconds,
// and the network between all of them is cut in all kinds of ways, both and one.
func TestAClusterUnderFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("eight processes are too much under the race detector")
	}
	t.Parallel() // it waits most of the time, for elections
	c := &nodes{members: fleetOf(2, 3), always: true}
	c.begin(t, c.prepare(t, build(t, "")), newWorld(t))
	t.Run("kills", func(t *testing.T) {
		// It is away for a while, as a machine that comes up again.
		c.fleet.hook(func(m member) { time.Sleep(killedFor) })
		defer c.fleet.hook(nil)
		c.leaderless(t, "kill", *nodeKills, c.fleet.kill)
	})
	t.Run("stops", func(t *testing.T) {
		c.leaderless(t, "stop", *nodeStops, func(m member) {
			c.fleet.freeze(m, stopped)
			time.Sleep(stopped)
		})
	})
	t.Run("partitions", c.partitions)
}

// hook sets what is called when a process has ended.
func (f *fleet) hook(onEnd func(member)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.onEnd = onEnd
}

// leaderless lets something happen again and again to the server that leads a part of the log. Fault returns when it is over.
func (c *nodes) leaderless(t *testing.T, what string, times int, fault func(member)) {
	if times == 0 {
		t.Skipf("-chaos.%ss 0", what)
	}
	s := c.stream(t.Context(), what, everyRun)
	var elected, after, back, quiet time.Duration
	for i := range times {
		dead := c.leader(t, i%c.bus.Partitions())
		c.world.quiet()
		over := make(chan struct{})
		go func() { fault(member{asNode, dead}); close(over) }()
		led := c.led(t, dead, over)
		on := c.goneOn(t, s, fmt.Sprint(what, "-without", i))
		<-over
		again := c.goneOn(t, s, fmt.Sprint(what, "-back", i))
		silent := c.world.quiet()
		t.Logf("%s %d, of %s: new leaders after %s, a run that was submitted then ended after %s, one after it was back after %s; nothing was paid for %s",
			what, i+1, nodeName(dead), short(led), short(on), short(again), short(silent))
		elected, after, back, quiet = max(elected, led), max(after, on), max(back, again), max(quiet, silent)
	}
	s.stop()
	t.Logf("%d times: new leaders after at most %s, then a run ended after at most %s, and when the server was back after at most %s; nothing was paid for at most %s",
		times, short(elected), short(after), short(back), short(quiet))
	if max(after, back) > goesOnNode {
		t.Errorf("work went on only after %s", max(after, back))
	}
	c.account(t, s, what)
}

func short(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
