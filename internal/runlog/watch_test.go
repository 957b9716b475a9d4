package runlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"belay/internal/bus"
	"belay/internal/bus/bustest"
	"belay/internal/bus/embedded"
	"belay/internal/plan"
	"belay/internal/steps"
	"belay/internal/wire"
)

func watching(t *testing.T) (*Log, *Watch, *bus.Bus) {
	t.Helper()
	b := bustest.Start(t, 2)
	l := New(b, plan.NewCache(8))
	w := NewWatch(l)
	t.Cleanup(w.Close)
	return l, w, b
}

// consumers counts those of the log beside the dispatcher's.
func consumers(t *testing.T, b *bus.Bus) (n int) {
	t.Helper()
	for p := range b.Partitions() {
		s, err := b.JetStream().Stream(t.Context(), b.Names().RunsStream(p))
		if err != nil {
			t.Fatal(err)
		}
		for c := range s.ListConsumers(t.Context()).Info() {
			if c.Config.AckPolicy == jetstream.AckNonePolicy {
				n++
			}
		}
	}
	return n
}

// waiters waits until so many feeds are registered.
func waiters(t *testing.T, ls *lines, want int) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for n := -1; n != want; {
		if time.Now().After(deadline) {
			t.Fatalf("%d wait, want %d", n, want)
		}
		n = 0
		ls.mu.Lock()
		for _, l := range ls.open {
			l.mu.Lock()
			n += l.count
			l.mu.Unlock()
		}
		ls.mu.Unlock()
	}
}

func finish(t *testing.T, l *Log, run string) {
	t.Helper()
	appendAll(t, l, run, succeeded("a"), succeeded("b"), steps.Closed{State: steps.RunSucceeded})
}

// TestManyWaitWithOneSubscriptionOfAPartition: for ends and for whole logs alike.
func TestManyWaitWithOneSubscriptionOfAPartition(t *testing.T) {
	t.Parallel()
	const runs = 60
	l, w, b := watching(t)
	var wg sync.WaitGroup
	for i := range runs {
		run := fmt.Sprintf("r%d", i)
		submit(t, l, run, submitted(t))
		wg.Go(func() {
			if s, err := w.Ended(t.Context(), run, Known{Exists: true}); err != nil || s.State != steps.RunSucceeded {
				t.Errorf("%s: %v", run, err)
			}
		})
		wg.Go(func() {
			n := 0
			err := w.Follow(t.Context(), run, func(*steps.State, steps.Record) bool { n++; return true }, nil)
			if err != nil || n != 4 {
				t.Errorf("%s: %d records, %v", run, n, err)
			}
		})
	}
	waiters(t, &w.ends, runs)
	waiters(t, &w.all, runs)
	if n := consumers(t, b); n != 4 {
		t.Errorf("%d consumers for 2 partitions, want 2 for ends and 2 for whole logs", n)
	}
	for i := range runs {
		finish(t, l, fmt.Sprintf("r%d", i))
	}
	wg.Wait()
	waiters(t, &w.ends, 0)
}

// TestWaitOutlivesItsConnection: an end that is stored while the connection is away, or whose message was lost with it,
// is found all the same.
func TestWaitOutlivesItsConnection(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(embedded.Options{StoreDir: t.TempDir(), Durability: embedded.Interval})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	writer, shaky := bustest.Dial(t, server), bustest.Dial(t, server)
	if err := errors.Join(writer.Setup(t.Context(), bus.SetupOptions{Partitions: 2}), shaky.Open(t.Context())); err != nil {
		t.Fatal(err)
	}
	l, w := New(writer, plan.NewCache(8)), NewWatch(New(shaky, plan.NewCache(8)))
	defer w.Close()
	var wg sync.WaitGroup
	for i := range 20 {
		run := fmt.Sprintf("r%d", i)
		submit(t, l, run, submitted(t))
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), checkEvery-2*time.Second) // less than checkEvery
			defer cancel()
			if _, err := w.Ended(ctx, run, Known{Exists: i%2 == 0}); err != nil {
				t.Errorf("%s: %v", run, err)
			}
		})
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), checkEvery-2*time.Second)
			defer cancel()
			var seqs []uint64
			err := w.Follow(ctx, run, func(_ *steps.State, r steps.Record) bool { seqs = append(seqs, r.Seq); return true }, nil)
			if err != nil || len(seqs) != 4 || !slices.IsSorted(seqs) {
				t.Errorf("%s: records %v, %v", run, seqs, err)
			}
		})
	}
	waiters(t, &w.ends, 20)
	waiters(t, &w.all, 20)
	for i := range 20 {
		if i%4 == 0 {
			if err := shaky.NATS().ForceReconnect(); err != nil {
				t.Error(err)
			}
		}
		finish(t, l, fmt.Sprintf("r%d", i))
	}
	wg.Wait()
}

// TestWaitFindsTheEndBehindLaterRecords: a worker that was told to stop says how it ended after the run has.
func TestWaitFindsTheEndBehindLaterRecords(t *testing.T) {
	t.Parallel()
	l, w, _ := watching(t)
	submit(t, l, "run", submitted(t))
	appendAll(t, l, "run", steps.Cancelled{By: "ann", Reason: "not needed"}, steps.Withdrawn{Attempt: steps.Attempt{Step: "a", Try: 1}},
		steps.Closed{State: steps.RunCancelled}, steps.Progress{Attempt: steps.Attempt{Step: "a", Try: 1}, Message: "late"})
	for _, known := range []bool{true, false} {
		if s, err := w.Ended(t.Context(), "run", Known{Exists: known}); err != nil || s.State != steps.RunCancelled {
			t.Errorf("known %v: %v", known, err)
		}
	}
	var last steps.Event
	if err := w.Follow(t.Context(), "run", func(_ *steps.State, r steps.Record) bool { last = r.Event; return true }, nil); err != nil {
		t.Error(err)
	}
	if _, is := last.(steps.Closed); !is {
		t.Errorf("the last record is %T", last)
	}
}

// TestASlowReaderReadsTheLog: what does not fit into its feed is not lost.
func TestASlowReaderReadsTheLog(t *testing.T) {
	t.Parallel()
	l, w, _ := watching(t)
	submit(t, l, "run", submitted(t))
	stored, n := make(chan struct{}), 0
	go func() {
		defer close(stored)
		waiters(t, &w.all, 1)
		for i := range 3 * feedKeeps {
			appendAll(t, l, "run", steps.Progress{Attempt: steps.Attempt{Step: "a", Try: 1}, Message: fmt.Sprint(i)})
		}
		finish(t, l, "run")
	}()
	err := w.Follow(t.Context(), "run", func(*steps.State, steps.Record) bool {
		if n++; n == 2 {
			<-stored
		}
		return true
	}, nil)
	if err != nil || n != 3*feedKeeps+4 {
		t.Errorf("%d records, %v", n, err)
	}
}

// TestWhoCannotWait: a run that is not there, a bad name, a watch that is closed.
func TestWhoCannotWait(t *testing.T) {
	t.Parallel()
	l, w, _ := watching(t)
	for run, want := range map[string]error{"nobody": ErrNoRun, "a b": ErrBadID} {
		if _, err := w.Ended(t.Context(), run, Known{}); !errors.Is(err, want) {
			t.Errorf("%s: %v", run, err)
		}
		if err := w.Follow(t.Context(), run, nil, nil); !errors.Is(err, want) {
			t.Errorf("%s: %v", run, err)
		}
	}
	submit(t, l, "open", submitted(t))
	failed := make(chan error, 2)
	go func() {
		_, err := w.Ended(t.Context(), "open", Known{Exists: true})
		failed <- err
	}()
	go func() { failed <- w.Follow(t.Context(), "open", nil, nil) }()
	waiters(t, &w.ends, 1)
	waiters(t, &w.all, 1)
	w.Close()
	for range 2 {
		if err := <-failed; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
	if _, err := w.Ended(t.Context(), "open", Known{Exists: true}); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// TestSubmitMany: in order, each with a verdict of its own, and once however often it is repeated.
func TestSubmitMany(t *testing.T) {
	t.Parallel()
	l, b := online(t)
	other := submitted(t)
	other.Input = []byte(`{"x":1}`)
	submit(t, l, "m-7", other)
	all := make([]Submission, 1000)
	if testing.Short() {
		all = all[:200] // the race detector makes them slow
	}
	for i := range all {
		all[i] = Submission{Run: fmt.Sprintf("m-%d", i), Submitted: submitted(t)}
	}
	all[9].Run = "not a name"
	all[11].Run = "m-10" // the same content as the one before it
	for again := range 2 {
		for i, s := range l.SubmitMany(t.Context(), all) {
			var want error
			switch i {
			case 7:
				want = ErrConflict
			case 9:
				want = ErrBadID
			}
			if !errors.Is(s.Err, want) || want == nil && s.Err != nil {
				t.Errorf("%d: %v", i, s.Err)
			}
			if s.Created != (want == nil && again == 0 && i != 11) {
				t.Errorf("%d: created %v in round %d", i, s.Created, again)
			}
		}
	}
	found := 0
	for p := range b.Partitions() {
		runs, err := b.Runs(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		found += len(runs)
	}
	if found != len(all)-2 {
		t.Errorf("%d runs are stored", found)
	}
	last := map[string]uint64{} // by stream
	for i := range 200 {
		if i == 7 || i == 9 || i == 11 {
			continue
		}
		run := all[i].Run
		p := wire.Partition(run, b.Partitions())
		stream := b.Names().RunsStream(p)
		e, ok, err := b.First(t.Context(), stream, b.Names().Log(p, run, wire.KindPlan))
		if err != nil || !ok || e.Seq < last[stream] {
			t.Errorf("%s is stored before one that was submitted earlier, or not at all (%v)", run, err)
		}
		last[stream] = e.Seq
	}
}
