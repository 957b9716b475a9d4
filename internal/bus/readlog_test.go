package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"belay/internal/bus/embedded"
	"belay/internal/steps"
	"belay/internal/wire"
)

// TestALogIsReadWholeWhileItGrows: what is read is always the log up to one moment, with nothing missing before its end,
// although its subjects are read one by one.
func TestALogIsReadWholeWhileItGrows(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	p := wire.Partition("r", b.Partitions())
	stream := b.Names().RunsStream(p)
	kinds := []string{wire.KindPlan, wire.KindOutcome, wire.KindDecision, wire.KindClock}
	var written sync.WaitGroup
	const most = 2000
	written.Go(func() {
		for i := range most {
			m := Message{Subject: b.Names().Log(p, "r", kinds[i%len(kinds)]), Data: fmt.Append(nil, i)}
			if i%5 == 0 {
				m.Subject, m.Expect = b.Names().Claim(p, "r", steps.Attempt{Step: "s", Try: i}), new(uint64)
			}
			if i > most/2 && i%5 == 0 {
				m.Subject, m.Expect = b.Names().Log(p, "other", wire.KindOutcome), nil // 1,024 subjects are read another way
				m.Data = nil
			}
			if _, err := b.PublishWait(t.Context(), stream, m); err != nil {
				t.Error(err)
				return
			}
		}
	})
	done := make(chan struct{})
	go func() { written.Wait(); close(done) }()
	var all []Entry
	for reads := 0; ; reads++ {
		var after uint64
		if reads%3 == 1 && len(all) > 10 {
			after = all[len(all)/2].Seq
		}
		got, err := b.ReadLog(t.Context(), "r", after)
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range got {
			if e.Seq != after+1 && i == 0 && after != 0 && all[len(all)/2+1].Seq != e.Seq {
				t.Fatalf("after %d comes %d", after, e.Seq)
			}
			if i > 0 && !follows(t, b, stream, got[i-1], e) {
				t.Fatalf("%d is read after %d, and what stands between them is missing", e.Seq, got[i-1].Seq)
			}
		}
		if after == 0 {
			if len(got) < len(all) {
				t.Fatalf("%d entries were read, and %d before", len(got), len(all))
			}
			all = got
		}
		select {
		case <-done:
			if reads < 3 {
				t.Fatalf("only %d reads while the log grew", reads)
			}
			return
		default:
		}
	}
}

// follows reports whether nothing of the run stands between two of its entries.
func follows(t *testing.T, b *Bus, stream string, a, e Entry) bool {
	for seq := a.Seq + 1; seq < e.Seq; seq++ {
		m, ok, err := b.At(t.Context(), stream, seq)
		if err != nil {
			t.Fatal(err)
		}
		if run, _ := b.Names().LogRun(m.Subject); ok && run == "r" {
			return false
		}
	}
	return true
}

// TestARunWithManySubjectsIsRead: the server gives the last messages of 1,024 subjects at most.
func TestARunWithManySubjectsIsRead(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	p := wire.Partition("r", b.Partitions())
	const claims = 1100
	var stored sync.WaitGroup
	stored.Add(claims)
	for i := range claims {
		m := Message{Subject: b.Names().Claim(p, "r", steps.Attempt{Step: "s", Try: i}), Expect: new(uint64)}
		b.Publish(b.Names().RunsStream(p), m, func(_ uint64, err error) {
			if err != nil {
				t.Error(err)
			}
			stored.Done()
		})
	}
	stored.Wait()
	all, err := b.ReadLog(t.Context(), "r", 0)
	if err != nil || len(all) != claims {
		t.Errorf("%d entries, %v", len(all), err)
	}
}

// TestWhatStandsBehindARunCostsNoRead: a wildcard makes the server look at everything behind the run, which is what this
// compares with.
func TestWhatStandsBehindARunCostsNoRead(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 60,000 messages")
	}
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	p := wire.Partition("r", b.Partitions())
	stream := b.Names().RunsStream(p)
	kinds := []string{wire.KindPlan, wire.KindOutcome, wire.KindOutcome, wire.KindDecision}
	for _, kind := range kinds {
		if _, err := b.PublishWait(t.Context(), stream, Message{Subject: b.Names().Log(p, "r", kind)}); err != nil {
			t.Fatal(err)
		}
	}
	_, errs := publishAll(b, stream, 60_000, func(i int) Message {
		return Message{Subject: b.Names().Log(p, fmt.Sprint("other", i/3), wire.KindOutcome), Data: make([]byte, 200)}
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	best := func(read func() ([]Entry, error)) time.Duration {
		least := time.Hour
		for range 10 {
			begun := time.Now()
			if all, err := read(); err != nil || len(all) != len(kinds) {
				t.Fatal(len(all), err)
			}
			least = min(least, time.Since(begun))
		}
		return least
	}
	byName := best(func() ([]Entry, error) { return b.ReadLog(t.Context(), "r", 0) })
	byWildcard := best(func() ([]Entry, error) { return b.readMany(t.Context(), stream, b.Names().LogOf(p, "r"), 0) })
	t.Logf("%v by the names of its subjects, %v by a wildcard", byName, byWildcard)
	if byName > byWildcard/3 {
		t.Errorf("a read takes %v; by a wildcard, which looks at 60,000 messages, %v", byName, byWildcard)
	}
}

// TestReadToEnd: a replica that is behind is asked again until it has what the leader had.
func TestReadToEnd(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	put(t, b, "r0")
	put(t, b, "r1")
	stream, subject := b.Names().RunsStream(0), b.Names().RunsSubjects(0)
	asked := 0
	replica := func() (uint64, error) { asked++; return uint64(min(asked, 3)) - 1, nil }
	if err := b.ReadToEnd(t.Context(), stream, subject, replica); err != nil || asked != 1 {
		t.Errorf("one server has all that it has: asked %d times, %v", asked, err)
	}
	b.replicas.Store(3)
	asked = 0
	if err := b.ReadToEnd(t.Context(), stream, subject, replica); err != nil || asked != 3 {
		t.Errorf("asked %d times, %v", asked, err)
	}
	b.timeout = 50 * time.Millisecond
	if err := b.ReadToEnd(t.Context(), stream, subject, func() (uint64, error) { return 1, nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one that stays behind: %v", err)
	}
}
