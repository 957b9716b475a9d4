package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"belay/internal/steps"
	"belay/internal/wire"
)

// start makes an embedded server on dir and a bus on it, both gone at the end of the test.
func start(t testing.TB, dir, durability string) (*Server, *Bus) {
	t.Helper()
	s, err := StartServer(ServerOptions{StoreDir: dir, Durability: durability})
	if err != nil {
		t.Fatal(err)
	}
	b := connect(t, s)
	t.Cleanup(func() { b.Close(); s.Shutdown() })
	if err := b.Setup(context.Background(), SetupOptions{}); err != nil {
		t.Fatal(err)
	}
	return s, b
}

func connect(t testing.TB, s *Server) *Bus {
	t.Helper()
	b, err := Connect(context.Background(), Options{InProcess: s, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func zero() *uint64 { return new(uint64) }

// publishAll publishes n messages at once and returns what became of each.
func publishAll(b *Bus, stream string, n int, m func(i int) Message) ([]uint64, []error) {
	seqs, errs := make([]uint64, n), make([]error, n)
	var wg sync.WaitGroup
	wg.Add(n)
	for i := range n {
		b.Publish(stream, m(i), func(seq uint64, err error) {
			seqs[i], errs[i] = seq, err
			wg.Done()
		})
	}
	wg.Wait()
	return seqs, errs
}

func TestEveryMessageOfARefusedBatchHasItsOwnVerdict(t *testing.T) {
	_, b := start(t, t.TempDir(), DurabilityInterval)
	stream := b.Names().RunsStream(0)
	if _, err := b.PublishWait(t.Context(), stream, Message{Subject: "belay.runs.0.r7.plan", Data: []byte("first")}); err != nil {
		t.Fatal(err)
	}
	_, errs := publishAll(b, stream, 100, func(i int) Message {
		return Message{Subject: fmt.Sprintf("belay.runs.0.r%d.plan", i), Data: []byte("x"), Expect: zero()}
	})
	for i, err := range errs {
		if want := i == 7; errors.Is(err, ErrConflict) != want || (err != nil) != want {
			t.Errorf("message %d: %v", i, err)
		}
	}
	runs, err := b.Runs(t.Context(), 0)
	if err != nil || len(runs) != 100 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
}

func TestSequencesOfABatchAreTheirOwn(t *testing.T) {
	_, b := start(t, t.TempDir(), DurabilityInterval)
	seqs, errs := publishAll(b, b.Names().RunsStream(0), 500, func(i int) Message {
		return Message{Subject: fmt.Sprintf("belay.runs.0.r%d.outcome", i%3), Data: fmt.Appendf(nil, "%d", i)}
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for r := range 3 {
		all, err := b.readMany(t.Context(), b.Names().RunsStream(0), fmt.Sprintf("belay.runs.0.r%d.>", r), 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			var i int
			fmt.Sscan(string(e.Data), &i)
			if seqs[i] != e.Seq {
				t.Fatalf("message %d is at %d, its publisher was told %d", i, e.Seq, seqs[i])
			}
		}
	}
}

func TestQueuedTwiceIsQueuedOnce(t *testing.T) {
	_, b := start(t, t.TempDir(), DurabilityInterval)
	m := Message{Subject: b.Names().Step("t", "primary", "r", steps.Attempt{Step: "a", Try: 1}), Data: []byte("{}")}
	if _, err := b.PublishWait(t.Context(), b.Names().StepsStream(), m); err != nil {
		t.Fatal(err)
	}
	if _, err := b.PublishWait(t.Context(), b.Names().StepsStream(), m); !errors.Is(err, ErrQueued) {
		t.Fatalf("the second publish says %v", err)
	}
	_, errs := publishAll(b, b.Names().StepsStream(), 50, func(int) Message { return m })
	for _, err := range errs {
		if !errors.Is(err, ErrQueued) {
			t.Fatalf("in a batch it says %v", err)
		}
	}
}

func TestFullStoreTellsThePublisher(t *testing.T) {
	s, err := StartServer(ServerOptions{StoreDir: t.TempDir(), Durability: DurabilityInterval, MaxStore: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	b := connect(t, s)
	defer func() { b.Close(); s.Shutdown() }()
	if err := b.Setup(t.Context(), SetupOptions{Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 100<<10)
	for i := range 30 {
		_, err = b.PublishWait(t.Context(), b.Names().RunsStream(0), Message{Subject: fmt.Sprintf("belay.runs.0.r%d.plan", i), Data: data})
		if err != nil {
			break
		}
	}
	if !errors.Is(err, ErrFull) {
		t.Fatalf("a full store says %v", err)
	}
}

func TestAcknowledgedSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	s, err := StartServer(ServerOptions{StoreDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	b := connect(t, s)
	if err := b.Setup(t.Context(), SetupOptions{Partitions: 2}); err != nil {
		t.Fatal(err)
	}
	_, errs := publishAll(b, b.Names().RunsStream(1), 200, func(i int) Message {
		return Message{Subject: fmt.Sprintf("belay.runs.1.r%d.plan", i), Data: []byte("x")}
	})
	b.Close()
	s.Shutdown()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	_, b = start(t, dir, DurabilityFsync)
	if b.Partitions() != 2 {
		t.Errorf("%d partitions after the restart, they were made as 2", b.Partitions())
	}
	runs, err := b.Runs(t.Context(), 1)
	if err != nil || len(runs) != 200 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
}

func TestPublishesDuringARestartHaveAVerdict(t *testing.T) {
	dir := t.TempDir()
	opts := ServerOptions{StoreDir: dir, Durability: DurabilityInterval, Listen: freePort(t)}
	s, err := StartServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Connect(t.Context(), Options{Server: s.URL(), Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Setup(t.Context(), SetupOptions{Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	s.Shutdown()
	if _, err := b.PublishWait(t.Context(), b.Names().RunsStream(0), Message{Subject: "belay.runs.0.a.plan"}); !errors.Is(err, ErrUncertain) {
		t.Fatalf("with the server down it says %v", err)
	}
	if s, err = StartServer(opts); err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown()
	for err = ErrUncertain; errors.Is(err, ErrUncertain) && t.Context().Err() == nil; {
		_, err = b.PublishWait(t.Context(), b.Names().RunsStream(0), Message{Subject: "belay.runs.0.b.plan"})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestDriftIsNamedAndNotMended(t *testing.T) {
	s, b := start(t, t.TempDir(), DurabilityInterval)
	st, err := b.JetStream().Stream(t.Context(), b.Names().RunsStream(1))
	if err != nil {
		t.Fatal(err)
	}
	cfg := st.CachedInfo().Config
	cfg.MaxAge, cfg.MaxMsgsPerSubject = time.Hour, 7
	if _, err := b.JetStream().UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	other := connect(t, s)
	defer other.Close()
	err = other.Setup(t.Context(), SetupOptions{})
	if err == nil {
		t.Fatal("a changed stream was accepted")
	}
	for _, want := range []string{"BELAY_RUNS_1", "max_age is 1h0m0s", "max_msgs_per_subject is 7", "Belay needs -1"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	if err := other.Open(t.Context()); err == nil {
		t.Error("Open accepted it")
	}
}

func TestDifferentAckWaitIsRefused(t *testing.T) {
	_, b := start(t, t.TempDir(), DurabilityInterval)
	c, err := b.ConsumeSteps(t.Context(), "a.b", "primary", StepsOptions{AckWait: time.Second}, func(Delivery) {})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	_, err = b.ConsumeSteps(t.Context(), "a.b", "primary", StepsOptions{AckWait: 2 * time.Second}, func(Delivery) {})
	if err == nil || !strings.Contains(err.Error(), "ack_wait is 1s, Belay needs 2s") {
		t.Fatalf("got %v", err)
	}
}

func TestOpenWithoutStreamsSaysWhatToDo(t *testing.T) {
	s, err := StartServer(ServerOptions{StoreDir: t.TempDir(), Durability: DurabilityInterval})
	if err != nil {
		t.Fatal(err)
	}
	b := connect(t, s)
	defer func() { b.Close(); s.Shutdown() }()
	if err := b.Open(t.Context()); err == nil || !strings.Contains(err.Error(), "dispatcher serve") {
		t.Fatalf("got %v", err)
	}
}

func TestWhatCannotBeReachedIsNamedWithoutSecrets(t *testing.T) {
	_, err := Connect(t.Context(), Options{Server: "nats://ann:secret@" + freePort(t), Timeout: time.Second})
	if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "nats://127.0.0.1") {
		t.Fatalf("got %v", err)
	}
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	if _, err := Connect(t.Context(), Options{Context: "nowhere"}); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Fatalf("unknown context: %v", err)
	}
	if _, err := Connect(t.Context(), Options{}); err == nil {
		t.Fatal("nothing named, and it connected")
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = StartServer(ServerOptions{StoreDir: t.TempDir(), Listen: l.Addr().String()})
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Fatalf("got %v", err)
	}
}

func TestSecondServerOnAStoreIsRefused(t *testing.T) {
	dir := t.TempDir()
	start(t, dir, DurabilityInterval)
	_, err := StartServer(ServerOptions{StoreDir: dir})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "process") {
		t.Fatalf("got %v", err)
	}
}

func TestVersions(t *testing.T) {
	for v, want := range map[string]bool{"2.14.9": true, "2.15.0": false, "2.15.2": false, "3.0.0": false, "v2.9.1-beta": true, "odd": false} {
		if older(v, oldest) != want {
			t.Errorf("older(%s) is not %v", v, want)
		}
	}
}

func TestThePinMovesWhenItsHolderDies(t *testing.T) {
	s, a := start(t, t.TempDir(), DurabilityInterval)
	other := connect(t, s)
	if err := other.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	first, second := make(chan Delivery, 10), make(chan Delivery, 10)
	if _, err := a.ConsumeLog(t.Context(), 0, func(d Delivery) { first <- d }); err != nil {
		t.Fatal(err)
	}
	put := func(i int) {
		t.Helper()
		if _, err := other.PublishWait(t.Context(), a.Names().RunsStream(0), Message{Subject: fmt.Sprintf("belay.runs.0.r%d.plan", i)}); err != nil {
			t.Fatal(err)
		}
	}
	put(1)
	d := <-first
	if d.Pin == "" || d.Count != 1 {
		t.Fatalf("pin %q, count %d", d.Pin, d.Count)
	}
	c, err := other.ConsumeLog(t.Context(), 0, func(d Delivery) { second <- d })
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	a.nc.Close() // without a word, as a killed process
	put(2)
	seen := map[uint64]bool{}
	for len(seen) < 2 {
		select {
		case got := <-second:
			if got.Pin == d.Pin {
				t.Fatal("the pin did not change")
			}
			seen[got.Seq] = true
			_ = got.Ack()
		case <-time.After(15 * time.Second):
			t.Fatalf("after 15 s only %v came", seen)
		}
	}
}

func TestTimersFireAndAreTakenBack(t *testing.T) {
	_, b := start(t, t.TempDir(), DurabilityInterval)
	due := make(chan string, 10)
	c, err := b.ConsumeTimers(t.Context(), func(d Delivery) {
		_, run, _ := b.Names().ParseTimer(d.Subject)
		_ = d.Ack()
		due <- run
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	wait := make(chan error, 10)
	done := func(err error) { wait <- err }
	b.SetTimer(0, "kept", time.Now().Add(time.Hour), done)
	b.SetTimer(0, "kept", time.Now().Add(2*time.Second), done) // an earlier time replaces it
	b.SetTimer(0, "back", time.Now().Add(time.Second), done)
	b.CancelTimer(0, "back", done)
	b.CancelTimer(0, "never-set", done)
	for range 5 {
		if err := <-wait; err != nil {
			t.Fatal(err)
		}
	}
	select {
	case run := <-due:
		if run != "kept" {
			t.Fatalf("the timer of %s fired", run)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no timer fired")
	}
}

func TestReadAndFollow(t *testing.T) {
	_, b := start(t, t.TempDir(), DurabilityInterval)
	p := wire.Partition("r", b.Partitions())
	stream := b.Names().RunsStream(p)
	for i := range 1200 { // more than two pages
		b.Publish(stream, Message{Subject: b.Names().Log(p, "r", wire.KindOutcome), Data: fmt.Appendf(nil, "%d", i)}, func(uint64, error) {})
		b.Publish(stream, Message{Subject: b.Names().Log(p, "other", wire.KindOutcome)}, func(uint64, error) {})
	}
	if _, err := b.PublishWait(t.Context(), stream, Message{Subject: b.Names().Log(p, "r", wire.KindPlan)}); err != nil {
		t.Fatal(err)
	}
	all, err := b.ReadLog(t.Context(), "r", 0)
	if err != nil || len(all) != 1201 {
		t.Fatalf("%d entries, %v", len(all), err)
	}
	ctx, stop := context.WithCancel(t.Context())
	n := 0
	err = b.FollowLog(ctx, "r", all[600].Seq, func(e Entry) {
		if n++; e.Seq != all[600+n].Seq {
			t.Errorf("entry %d is %d, not %d", n, e.Seq, all[600+n].Seq)
		}
		if n == 600 {
			stop()
		}
	})
	if err != nil || n != 600 {
		t.Fatalf("%d entries, %v", n, err)
	}
	if none, err := b.ReadLog(t.Context(), "nobody", 0); err != nil || len(none) != 0 {
		t.Fatalf("an unknown run gives %d, %v", len(none), err)
	}
}

func TestConsumerThatWasDeletedEnds(t *testing.T) {
	_, b := start(t, t.TempDir(), DurabilityInterval)
	c, err := b.ConsumeSteps(t.Context(), "t", "primary", StepsOptions{}, func(Delivery) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.JetStream().DeleteConsumer(t.Context(), b.Names().StepsStream(), b.Names().StepConsumer("t", "primary")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the consumption goes on without a consumer")
	}
}

func BenchmarkPublish(b *testing.B) {
	for _, durability := range []string{DurabilityFsync, DurabilityInterval} {
		for _, depth := range []int{1, 64, 1000, 4000} {
			b.Run(fmt.Sprintf("%s/depth=%d", durability, depth), func(b *testing.B) { benchPublish(b, durability, depth) })
		}
	}
}

func benchPublish(b *testing.B, durability string, depth int) {
	_, bus := start(b, b.TempDir(), durability)
	slots := make(chan struct{}, depth)
	data := make([]byte, 256)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		slots <- struct{}{}
		bus.Publish(bus.Names().RunsStream(0), Message{Subject: fmt.Sprintf("belay.runs.0.r%d.outcome", i%5000), Data: data}, func(_ uint64, err error) {
			if err != nil {
				b.Error(err)
			}
			<-slots
		})
	}
	for range depth {
		slots <- struct{}{}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}

func BenchmarkReadLog(b *testing.B) {
	_, bus := start(b, b.TempDir(), DurabilityInterval)
	p := wire.Partition("r", bus.Partitions())
	for range 8 {
		if _, err := bus.PublishWait(context.Background(), bus.Names().RunsStream(p), Message{Subject: bus.Names().Log(p, "r", wire.KindOutcome), Data: make([]byte, 256)}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if all, err := bus.ReadLog(context.Background(), "r", 0); err != nil || len(all) != 8 {
			b.Fatal(len(all), err)
		}
	}
}
