package bus

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"belay/internal/bus/embedded"
	"belay/internal/steps"
)

func plan(i int) Message {
	return Message{Subject: fmt.Sprintf("belay.runs.0.r%d.plan", i), Data: []byte("x"), Expect: zero()}
}

func TestEveryMessageOfARefusedBatchHasItsOwnVerdict(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	stream := b.Names().RunsStream(0)
	if _, err := b.PublishWait(t.Context(), stream, plan(7)); err != nil {
		t.Fatal(err)
	}
	_, errs := publishAll(b, stream, 300, plan)
	for i, err := range errs {
		if want := i == 7; errors.Is(err, ErrConflict) != want || (err != nil) != want {
			t.Errorf("message %d: %v", i, err)
		}
	}
	runs, err := b.Runs(t.Context(), 0)
	if err != nil || len(runs) != 300 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
}

func TestOneOfManyCreatorsWins(t *testing.T) {
	t.Parallel()
	s, a := start(t, t.TempDir(), embedded.Interval)
	other := connect(t, s)
	const n = 200
	var won [n]atomic.Int32
	var wg sync.WaitGroup
	for _, b := range []*Bus{a, other, a} {
		for i := range n {
			wg.Add(1)
			b.Publish(b.Names().RunsStream(0), plan(i), func(_ uint64, err error) {
				defer wg.Done()
				switch {
				case err == nil:
					won[i].Add(1)
				case !errors.Is(err, ErrConflict):
					t.Errorf("run %d: %v", i, err)
				}
			})
		}
	}
	wg.Wait()
	for i := range n {
		if won[i].Load() != 1 {
			t.Errorf("run %d was created %d times", i, won[i].Load())
		}
	}
}

func TestExpectedSequence(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	stream := b.Names().RunsStream(0)
	seq, err := b.PublishWait(t.Context(), stream, plan(1))
	if err != nil {
		t.Fatal(err)
	}
	m := plan(1)
	m.Expect = &seq
	if _, err := b.PublishWait(t.Context(), stream, m); err != nil {
		t.Fatalf("with the right sequence: %v", err)
	}
	if _, err := b.PublishWait(t.Context(), stream, m); !errors.Is(err, ErrConflict) {
		t.Fatalf("with an old sequence: %v", err)
	}
}

func TestSequencesOfABatchAreTheirOwn(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
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

func TestMessagesAreStoredInTheOrderOfThePublishes(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	const n = 5000
	seqs, errs := publishAll(b, b.Names().RunsStream(0), n, func(i int) Message {
		return Message{Subject: fmt.Sprintf("belay.runs.0.r%d.outcome", i%100)}
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if seqs[i] != uint64(i+1) {
			t.Fatalf("message %d is at %d", i, seqs[i])
		}
	}
}

func TestQueuedTwiceIsQueuedOnce(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	m := Message{Subject: b.Names().Step("t", "primary", "r", steps.Attempt{Step: "a", Try: 1}), Data: []byte("{}")}
	if _, err := b.PublishWait(t.Context(), b.Names().StepsStream(), m); err != nil {
		t.Fatal(err)
	}
	if _, err := b.PublishWait(t.Context(), b.Names().StepsStream(), m); !errors.Is(err, ErrQueued) {
		t.Fatalf("the second publish says %v", err)
	}
	_, errs := publishAll(b, b.Names().StepsStream(), 150, func(int) Message { return m })
	for _, err := range errs {
		if !errors.Is(err, ErrQueued) || errors.Is(err, ErrFull) {
			t.Fatalf("in a batch it says %v", err)
		}
	}
}

func TestWhatCanNeverBeStoredHarmsNobodyElse(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	bad := map[int]Message{
		10: {Subject: "belay.runs.0.big.plan", Data: make([]byte, 1<<20)},
		20: {Subject: "belay.runs.0.big.plan", Data: make([]byte, 1<<19), Header: map[string][]string{"X": {string(make([]byte, 1<<19))}}},
		30: {Subject: "belay.runs.0.*.plan"},
		40: {Subject: "belay.runs.0.a b.plan"},
		50: {Subject: ""},
	}
	_, errs := publishAll(b, b.Names().RunsStream(0), 200, func(i int) Message {
		if m, ok := bad[i]; ok {
			return m
		}
		return plan(i)
	})
	for i, err := range errs {
		if _, isBad := bad[i]; isBad != (err != nil) || errors.Is(err, ErrUncertain) || errors.Is(err, ErrFull) {
			t.Errorf("message %d: %v", i, err)
		}
	}
}

func TestLargeMessagesGoInSeveralGroups(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	_, errs := publishAll(b, b.Names().RunsStream(0), 60, func(i int) Message {
		m := plan(i)
		m.Data = make([]byte, 512<<10)
		return m
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func TestFullStoreTellsThePublisher(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval, MaxStore: 1 << 20})
	b := connect(t, s)
	setUp(t, b, SetupOptions{Partitions: 1})
	_, errs := publishAll(b, b.Names().RunsStream(0), 30, func(i int) Message {
		return Message{Subject: fmt.Sprintf("belay.runs.0.r%d.plan", i), Data: make([]byte, 100<<10)}
	})
	stored := 0
	for i, err := range errs {
		if err == nil {
			stored++
		} else if !errors.Is(err, ErrFull) {
			t.Errorf("message %d: %v", i, err)
		}
	}
	if stored == 0 || stored == len(errs) {
		t.Errorf("%d of %d were stored in 1 MiB", stored, len(errs))
	}
}

func TestFullStreamIsNotQueued(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	s, err := b.js.Stream(t.Context(), b.Names().StepsStream())
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxMsgs = 1 // what an operator may do, and Setup would refuse
	if _, err := b.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := b.PublishWait(t.Context(), b.Names().StepsStream(), stepMessage(b, "r1")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.PublishWait(t.Context(), b.Names().StepsStream(), stepMessage(b, "r2")); !errors.Is(err, ErrFull) || errors.Is(err, ErrQueued) {
		t.Fatalf("a full stream says %v", err)
	}
}

func TestWithoutAServerItIsUncertain(t *testing.T) {
	t.Parallel()
	r := startRestartable(t, embedded.Interval)
	b := dial(t, Options{Server: r.URL(), Timeout: 2 * time.Second})
	setUp(t, b, SetupOptions{Partitions: 1})
	r.Shutdown()
	_, errs := publishAll(b, b.Names().RunsStream(0), 100, plan)
	for i, err := range errs {
		if !errors.Is(err, ErrUncertain) {
			t.Fatalf("message %d: %v", i, err)
		}
	}
	r.begin()
	put(t, b, "after")
	runs, err := b.Runs(t.Context(), 0)
	if err != nil || len(runs) != 1 {
		t.Errorf("%d runs, %v: what was given up was stored later", len(runs), err)
	}
}

func TestMissingStreamIsUncertain(t *testing.T) {
	t.Parallel()
	s := serve(t, embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval})
	b := connect(t, s)
	if _, err := b.PublishWait(t.Context(), b.Names().RunsStream(0), plan(1)); !errors.Is(err, ErrUncertain) {
		t.Errorf("without streams it says %v", err)
	}
}

func TestClosedBusAnswers(t *testing.T) {
	t.Parallel()
	_, b := start(t, t.TempDir(), embedded.Interval)
	done := make(chan error, 200)
	for i := range 100 {
		b.Publish(b.Names().RunsStream(0), plan(i), func(_ uint64, err error) { done <- err })
	}
	b.Close()
	for i := range 100 {
		b.Publish(b.Names().RunsStream(0), plan(i), func(_ uint64, err error) { done <- err })
	}
	stored := 0
	for range 200 {
		if err := within(t, patience, done); err == nil {
			stored++
		} else if !errors.Is(err, ErrUncertain) {
			t.Error(err)
		}
	}
	if stored != 100 {
		t.Errorf("%d were stored, 100 were on their way at the close", stored)
	}
}

// Every publish that was confirmed is there after the restarts, and no answer is missing.
func TestRestartsUnderPublishersLoseNothing(t *testing.T) {
	t.Parallel()
	r := startRestartable(t, embedded.Fsync)
	b := dial(t, Options{Server: r.URL(), Timeout: 2 * time.Second})
	setUp(t, b, SetupOptions{Partitions: 1})
	stop := make(chan struct{})
	confirmed := map[uint64]string{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, 300)
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case slots <- struct{}{}:
			}
			wg.Add(1)
			subject := fmt.Sprintf("belay.runs.0.r%d.outcome", i)
			b.Publish(b.Names().RunsStream(0), Message{Subject: subject}, func(seq uint64, err error) {
				defer wg.Done()
				<-slots
				if err == nil {
					mu.Lock()
					confirmed[seq] = subject
					mu.Unlock()
				} else if !errors.Is(err, ErrUncertain) {
					t.Errorf("%s: %v", subject, err)
				}
			})
		}
	})
	for i := range 4 {
		put(t, b, fmt.Sprintf("p%d", i)) // it works again
		r.restart()
	}
	put(t, b, "last")
	close(stop)
	wg.Wait()
	all, err := b.readMany(t.Context(), b.Names().RunsStream(0), "belay.runs.0.>", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if confirmed[e.Seq] == e.Subject {
			delete(confirmed, e.Seq)
		}
	}
	if len(confirmed) > 0 || len(all) < 10 {
		t.Errorf("%d of the confirmed are not there, %d are", len(confirmed), len(all))
	}
}
