package bus

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"belay/internal/steps"
)

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
