package bus

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/bus/embedded"
)

// alter changes a stream as an operator might.
func alter(t *testing.T, b *Bus, stream string, change func(*jetstream.StreamConfig)) {
	t.Helper()
	s, err := b.js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	change(&cfg)
	if _, err := b.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
}

func says(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Error("there is no error")
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not say %q:\n%v", w, err)
		}
	}
}

func TestDriftIsNamedAndNotMended(t *testing.T) {
	t.Parallel()
	s, b := start(t, t.TempDir(), embedded.Interval)
	alter(t, b, b.Names().RunsStream(1), func(c *jetstream.StreamConfig) { c.MaxAge, c.MaxMsgsPerSubject = time.Hour, 7 })
	alter(t, b, b.Names().StepsStream(), func(c *jetstream.StreamConfig) { c.MaxBytes, c.DiscardNewPerSubject = 1<<30, false })
	alter(t, b, b.Names().EscalationsStream(), func(c *jetstream.StreamConfig) { c.AllowMsgTTL = true })
	consumer, err := b.js.Consumer(t.Context(), b.Names().RunsStream(0), "dispatcher")
	if err != nil {
		t.Fatal(err)
	}
	cfg := consumer.CachedInfo().Config
	cfg.MaxAckPending = 5
	if _, err := b.js.UpdateConsumer(t.Context(), b.Names().RunsStream(0), cfg); err != nil {
		t.Fatal(err)
	}
	other := connect(t, s)
	streams := []string{
		"stream BELAY_RUNS_1: max_age is 1h0m0s, Belay needs 0s", "stream BELAY_RUNS_1: max_msgs_per_subject is 7, Belay needs -1",
		"stream BELAY_STEPS: max_bytes is 1073741824, Belay needs -1", "stream BELAY_STEPS: discard_new_per_subject is false, Belay needs true",
		"stream BELAY_ESCALATIONS: allow_msg_ttl is true, Belay needs false",
	}
	for range 2 { // a second look finds the same: nothing was changed
		says(t, other.Setup(t.Context(), SetupOptions{}), append(streams, "consumer dispatcher of stream BELAY_RUNS_0: max_ack_pending is 5, Belay needs 20000")...)
	}
	says(t, other.Open(t.Context()), streams...)
	_, err = other.ConsumeLog(t.Context(), 0, func(Delivery) {})
	says(t, err, "max_ack_pending is 5")
}

func TestLimitsThatAreTheOperators(t *testing.T) {
	t.Parallel()
	s, b := start(t, t.TempDir(), embedded.Interval)
	alter(t, b, b.Names().RunsStream(0), func(c *jetstream.StreamConfig) { c.MaxBytes, c.Description = 64<<20, "ours" })
	if err := connect(t, s).Setup(t.Context(), SetupOptions{}); err != nil {
		t.Error(err)
	}
}

func TestNumberOfPartitionsIsFixed(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval})
	b := connect(t, s)
	setUp(t, b, SetupOptions{Partitions: 2})
	says(t, connect(t, s).Setup(t.Context(), SetupOptions{Partitions: 3}), "2 partitions", "3 are configured")
	for _, o := range []SetupOptions{{}, {Partitions: 2}} {
		other := connect(t, s)
		setUp(t, other, o)
		if other.Partitions() != 2 {
			t.Errorf("%d partitions", other.Partitions())
		}
	}
	opened := connect(t, s)
	if err := opened.Open(t.Context()); err != nil || opened.Partitions() != 2 {
		t.Errorf("opened with %d partitions, %v", opened.Partitions(), err)
	}
}

func TestDifferentAckWaitIsRefused(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	c, err := b.ConsumeSteps(t.Context(), "a.b", "primary", StepsOptions{AckWait: time.Second}, func(Delivery) {})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	_, err = b.ConsumeSteps(t.Context(), "a.b", "primary", StepsOptions{AckWait: 2 * time.Second}, func(Delivery) {})
	says(t, err, "a~b~~primary", "BELAY_STEPS", "ack_wait is 1s, Belay needs 2s")
}

func TestOpenWithoutStreamsSaysWhatToDo(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval})
	says(t, connect(t, s).Open(t.Context()), "dispatcher serve", "the embedded server")
}

func TestWhatIsMissing(t *testing.T) {
	t.Parallel()
	s, b := start(t, t.TempDir(), embedded.Interval)
	for _, name := range []string{b.Names().RunsStream(3), b.Names().TimersStream()} {
		if err := b.js.DeleteStream(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	other := connect(t, s)
	says(t, other.Open(t.Context()), "BELAY_RUNS_3 is missing", "BELAY_TIMERS is missing")
	setUp(t, other, SetupOptions{})
	if err := other.Open(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestStreamsOfAnotherKindAreNotOurs(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval})
	b := connect(t, s)
	if _, err := b.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: b.Names().RunsStream(0), Subjects: []string{"other.>"}}); err != nil {
		t.Fatal(err)
	}
	says(t, b.Setup(t.Context(), SetupOptions{}), "BELAY_RUNS_0", "belay-partitions")
	says(t, b.Open(t.Context()), "BELAY_RUNS_0", "belay-partitions")
}

func TestSeveralSetUpAtOnce(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval})
	var wg sync.WaitGroup
	errs := make([]error, 6)
	for i := range errs {
		b := connect(t, s)
		wg.Go(func() { errs[i] = b.Setup(t.Context(), SetupOptions{Partitions: 3}) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

func TestTwoPrefixesLiveSideBySide(t *testing.T) {
	t.Parallel()
	s, b := start(t, t.TempDir(), embedded.Interval)
	other := dial(t, Options{InProcess: s, Prefix: "acme.belay"})
	setUp(t, other, SetupOptions{Partitions: 1})
	if _, err := other.PublishWait(t.Context(), other.Names().RunsStream(0), Message{Subject: other.Names().Log(0, "r", "plan")}); err != nil {
		t.Fatal(err)
	}
	for p := range b.Partitions() {
		if runs, err := b.Runs(t.Context(), p); err != nil || len(runs) > 0 {
			t.Errorf("%v, %v", runs, err)
		}
	}
	if runs, err := other.Runs(t.Context(), 0); err != nil || len(runs) != 1 || !runs[0].Open {
		t.Errorf("%v, %v", runs, err)
	}
}

// What a worker may write to must not let its headers reach beyond its subjects.
func TestWorkersStreamsAllowNoHeadersThatReachFurther(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	outcome := b.Names().Log(0, "r", "outcome")
	put(t, b, "r")
	for name, h := range map[string]map[string][]string{
		"schedule": {"Nats-Schedule": {"@at " + time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}, "Nats-Schedule-Target": {b.Names().Log(0, "r", "decision")}},
		"rollup":   {"Nats-Rollup": {"all"}},
		"ttl":      {"Nats-TTL": {"1s"}},
	} {
		if _, err := b.PublishWait(t.Context(), b.Names().RunsStream(0), Message{Subject: outcome, Header: h}); err == nil || errors.Is(err, ErrUncertain) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
