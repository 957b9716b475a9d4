package bus

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/bus/embedded"
)

// alterConsumer changes a consumer as an operator might.
func alterConsumer(t *testing.T, b *Bus, stream, name string, change func(*jetstream.ConsumerConfig)) {
	t.Helper()
	c, err := b.js.Consumer(t.Context(), stream, name)
	if err != nil {
		t.Fatal(err)
	}
	cfg := c.CachedInfo().Config
	change(&cfg)
	if _, err := b.js.UpdateConsumer(t.Context(), stream, cfg); err != nil {
		t.Fatal(err)
	}
}

func inspect(t *testing.T, b *Bus) Found {
	t.Helper()
	f, err := b.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestEachChangeOfAStreamIsFound one by one, each by its own name, and whether it is grave.
func TestEachChangeOfAStreamIsFound(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	if _, err := b.Bucket(t.Context(), b.Names().KeysBucket(), "keys"); err != nil {
		t.Fatal(err)
	}
	if f := inspect(t, b); len(f.Drift)+len(f.Missing) > 0 || f.Streams != 9 || f.Consumers != 5 {
		t.Fatalf("a store that nobody has changed: %+v", f)
	}
	log, steps, keys := b.Names().RunsStream(1), b.Names().StepsStream(), "KV_"+b.Names().KeysBucket()
	for _, c := range []struct {
		stream, field string
		light         bool
		change        func(*jetstream.StreamConfig)
	}{
		{log, "max_age", false, func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }},
		{log, "discard", false, func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }},
		{log, "max_msgs", false, func(c *jetstream.StreamConfig) { c.MaxMsgs = 10 }},
		{log, "max_msgs_per_subject", false, func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 }},
		{log, "max_msg_size", false, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 100 }},
		{log, "subjects", false, func(c *jetstream.StreamConfig) { c.Subjects = append(c.Subjects, "more") }},
		{log, "allow_rollup_hdrs", false, func(c *jetstream.StreamConfig) { c.AllowRollup = true }},
		{log, "no_ack", false, func(c *jetstream.StreamConfig) { c.NoAck = true }},
		{log, "consumer_limits", false, func(c *jetstream.StreamConfig) { c.ConsumerLimits.InactiveThreshold = time.Hour }},
		{log, "republish", true, func(c *jetstream.StreamConfig) {
			c.RePublish = &jetstream.RePublish{Source: ">", Destination: "copy.>"}
		}},
		{log, "allow_direct", true, func(c *jetstream.StreamConfig) { c.AllowDirect = false }},
		{log, "allow_atomic", true, func(c *jetstream.StreamConfig) { c.AllowAtomicPublish = false }},
		{log, "metadata belay-partitions", false, func(c *jetstream.StreamConfig) { c.Metadata["belay-partitions"] = "7" }},
		{steps, "max_bytes", false, func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 20 }},
		{steps, "discard_new_per_subject", false, func(c *jetstream.StreamConfig) { c.DiscardNewPerSubject = false }},
		{b.Names().TimersStream(), "max_age", false, func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }},
		{b.Names().EscalationsStream(), "max_msgs", false, func(c *jetstream.StreamConfig) { c.MaxMsgs = 1 }},
		{b.Names().AuditStream(), "max_age", false, func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }},
		{keys, "discard", false, func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }},
		{keys, "max_msgs", false, func(c *jetstream.StreamConfig) { c.MaxMsgs = 1 }},
	} {
		s, err := b.js.Stream(t.Context(), c.stream)
		if err != nil {
			t.Fatal(err)
		}
		before := s.CachedInfo().Config
		before.Metadata = map[string]string{"belay-partitions": before.Metadata["belay-partitions"]}
		alter(t, b, c.stream, c.change)
		f := inspect(t, b)
		if len(f.Drift) != 1 || f.Drift[0].Field != c.field || f.Drift[0].Grave() == c.light || !strings.Contains(f.Drift[0].What, strings.TrimPrefix(c.stream, "KV_")) {
			t.Errorf("%s of %s: %v", c.field, c.stream, f.Drift)
		}
		if _, err := b.js.UpdateStream(t.Context(), before); err != nil {
			t.Fatal(err)
		}
		if f := inspect(t, b); len(f.Drift) > 0 {
			t.Fatalf("%s of %s was set back: %v", c.field, c.stream, f.Drift)
		}
	}
}

// TestEachChangeOfAConsumerIsFound, of the log, of timers and of the step queue, and a consumer that is nobody's.
func TestEachChangeOfAConsumerIsFound(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	c, err := b.ConsumeSteps(t.Context(), "a.b", "primary", StepsOptions{AckWait: 7 * time.Second}, func(Delivery) {})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	log, steps, later := b.Names().RunsStream(0), b.Names().StepsStream(), time.Now().Add(time.Hour)
	for _, c := range []struct {
		stream, name, field string
		light               bool
		change              func(*jetstream.ConsumerConfig)
	}{
		{log, "dispatcher", "filter_subject", false, func(c *jetstream.ConsumerConfig) { c.FilterSubject = b.Names().Log(0, "r", "plan") }},
		{log, "dispatcher", "max_deliver", false, func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 3 }},
		{log, "dispatcher", "ack_wait", true, func(c *jetstream.ConsumerConfig) { c.AckWait = time.Hour }},
		{log, "dispatcher", "max_ack_pending", true, func(c *jetstream.ConsumerConfig) { c.MaxAckPending = 1 }},
		{log, "dispatcher", "headers_only", false, func(c *jetstream.ConsumerConfig) { c.HeadersOnly = true }},
		{log, "dispatcher", "inactive_threshold", true, func(c *jetstream.ConsumerConfig) { c.InactiveThreshold = time.Hour }},
		{log, "dispatcher", "max_batch", true, func(c *jetstream.ConsumerConfig) { c.MaxRequestBatch = 1 }},
		{b.Names().TimersStream(), "dispatcher", "max_deliver", false, func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 1 }},
		{steps, "a~b~~primary", "max_deliver", false, func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 1 }},
		{steps, "a~b~~primary", "max_ack_pending", true, func(c *jetstream.ConsumerConfig) { c.MaxAckPending = 1 }},
		{steps, "a~b~~primary", "filter_subject", false, func(c *jetstream.ConsumerConfig) { c.FilterSubject = b.Names().StepFilter("a.c", "primary") }},
	} {
		had, err := b.js.Consumer(t.Context(), c.stream, c.name)
		if err != nil {
			t.Fatal(err)
		}
		before := had.CachedInfo().Config
		alterConsumer(t, b, c.stream, c.name, c.change)
		f := inspect(t, b)
		if len(f.Drift) != 1 || f.Drift[0].Field != c.field || f.Drift[0].Grave() == c.light || !strings.Contains(f.Drift[0].What, c.name+" of stream "+c.stream) {
			t.Errorf("%s of %s: %v", c.field, c.name, f.Drift)
		}
		alterConsumer(t, b, c.stream, c.name, func(c *jetstream.ConsumerConfig) { *c = before })
	}
	if _, err := b.js.PauseConsumer(t.Context(), log, "dispatcher", later); err != nil {
		t.Fatal(err)
	}
	if _, err := b.js.CreateConsumer(t.Context(), steps, jetstream.ConsumerConfig{Durable: "spy", FilterSubject: b.Names().StepFilter("x", "y"), AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		t.Fatal(err)
	}
	f := inspect(t, b)
	if len(f.Drift) != 2 || !strings.Contains(f.Drift[0].Error(), "paused until") || !strings.Contains(f.Drift[1].Error(), "consumer spy of stream BELAY_STEPS is not one of Belay's") || !f.Drift[0].Grave() || !f.Drift[1].Grave() {
		t.Errorf("%v", f.Drift)
	}
	c.Stop() // it would make the stream anew
	<-c.Done()
	if err := b.js.DeleteConsumer(t.Context(), log, "dispatcher"); err != nil {
		t.Fatal(err)
	}
	if err := b.js.DeleteStream(t.Context(), steps); err != nil {
		t.Fatal(err)
	}
	if f := inspect(t, b); !slices.Equal(f.Missing, []string{"stream BELAY_STEPS", "consumer dispatcher of stream BELAY_RUNS_0"}) {
		t.Errorf("%v", f.Missing)
	}
}

// strict is a server whose account takes only streams with a limit in bytes, and so many of them.
func strict(t *testing.T, store int64) *Bus {
	t.Helper()
	s, err := server.NewServer(&server.Options{ServerName: "strict", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("the server does not start")
	}
	limits := map[string]server.JetStreamAccountLimits{"": {MaxMemory: store, MaxStore: store, MaxStreams: -1, MaxConsumers: -1, MaxBytesRequired: true, MemoryMaxStreamBytes: -1, StoreMaxStreamBytes: 64 << 20}}
	if err := s.GlobalAccount().UpdateJetStreamLimits(limits); err != nil {
		t.Fatal(err)
	}
	return dial(t, Options{Server: s.ClientURL()})
}

func TestAnAccountThatRequiresLimits(t *testing.T) {
	t.Parallel()
	b := strict(t, 400<<20)
	says(t, b.Setup(t.Context(), SetupOptions{}), "--max-bytes", "requires a limit")
	says(t, b.Setup(t.Context(), SetupOptions{MaxBytes: 65 << 20}), "smaller --max-bytes")
	setUp(t, b, SetupOptions{Partitions: 4, MaxBytes: 32 << 20})
	for _, name := range b.Names().Buckets() {
		if _, err := b.Bucket(t.Context(), name, "a bucket"); err != nil {
			t.Fatal(err)
		}
	}
	for stream, want := range map[string]int64{b.Names().RunsStream(3): 32 << 20, b.Names().AuditStream(): 32 << 20, b.Names().StepsStream(): 8 << 20, b.Names().TimersStream(): 32 << 20, "KV_" + b.Names().KeysBucket(): 2 << 20} {
		s, err := b.stream(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		if have := s.CachedInfo().Config.MaxBytes; have != want {
			t.Errorf("%s: %d", stream, have)
		}
	}
	other := dial(t, Options{Server: b.URL()})
	if err := other.Open(t.Context()); err != nil {
		t.Error(err)
	}
	if err := other.Setup(t.Context(), SetupOptions{}); err != nil {
		t.Error(err)
	}
	if f := inspect(t, other); len(f.Drift)+len(f.Missing) > 0 {
		t.Errorf("%+v", f)
	}
	if err := b.js.DeleteStream(t.Context(), b.Names().StepsStream()); err != nil {
		t.Fatal(err)
	}
	if err := other.RestoreQueue(t.Context()); err != nil {
		t.Error(err)
	}
	small := strict(t, 40<<20)
	says(t, small.Setup(t.Context(), SetupOptions{Partitions: 4, MaxBytes: 32 << 20}), "--max-bytes", "reserve")
}

// TestPartitionsThatDoNotAgree: whoever comes second makes nothing by its own number.
func TestPartitionsThatDoNotAgree(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval})
	errs := make(chan error)
	for _, n := range []int{2, 5, 2, 5} {
		b := connect(t, s)
		go func() { errs <- b.Setup(t.Context(), SetupOptions{Partitions: n}) }()
	}
	refused := 0
	for range 4 {
		if err := <-errs; err != nil {
			says(t, err, "the log has", "are configured")
			refused++
		}
	}
	if refused != 2 {
		t.Errorf("%d were refused", refused)
	}
	b := connect(t, s)
	if err := b.Open(t.Context()); err != nil {
		t.Error(err)
	}
	if f := inspect(t, b); len(f.Drift)+len(f.Missing) > 0 {
		t.Errorf("%+v", f)
	}
}
