package bus

import (
	"strings"
	"testing"
	"time"
)

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
