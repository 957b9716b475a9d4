package dispatch

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"

	"belay/internal/bus"
	"belay/internal/plan"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// ends lets the next run in for each that has ended.
type ends chan struct{}

func (e ends) Applied(_ *steps.State, r steps.Record, _ []int) {
	if _, is := r.Event.(steps.Closed); is {
		e <- struct{}{}
	}
}

// BenchmarkLoop carries runs of five empty steps through server, dispatcher and a worker in one process, with so many
// runs in flight.
func BenchmarkLoop(b *testing.B) {
	for _, inFlight := range []int{200, 4000} {
		for _, durability := range []string{"interval", "fsync"} {
			b.Run(fmt.Sprintf("runs=%d/%s", inFlight, durability), func(b *testing.B) { benchmarkLoop(b, inFlight, durability) })
		}
	}
}

func benchmarkLoop(b *testing.B, inFlight int, durability string) {
	const length = 5
	r := newRigWith(b, durability)
	ended := make(ends, inFlight)
	r.dispatcher(func(o *Options) { o.Observer = ended; o.Logger = slog.New(slog.DiscardHandler) })
	r.worker(nil)
	doc := chain(length, nil)
	for range inFlight {
		ended <- struct{}{}
	}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		<-ended
		n++
		r.submitAsync(fmt.Sprintf("run-%d", n), doc)
	}
	for range inFlight {
		<-ended
	}
	b.ReportMetric(float64(n*length)/b.Elapsed().Seconds(), "steps/s")
}

func (r *rig) submitAsync(run string, doc json.RawMessage) {
	m, stream, err := r.log.Message(run, steps.Submitted{Document: doc, Input: json.RawMessage(`{}`)})
	if err != nil {
		r.Fatal(err)
	}
	r.bus.Publish(stream, m, func(_ uint64, err error) {
		if err != nil && !errors.Is(err, bus.ErrUncertain) {
			r.Errorf("submit: %v", err)
		}
	})
}

// applied counts.
type applied struct{ n atomic.Int64 }

func (a *applied) Applied(*steps.State, steps.Record, []int) { a.n.Add(1) }

// BenchmarkOpenRuns measures the memory of a run that is open: submitted, its first step queued, its timer set.
func BenchmarkOpenRuns(b *testing.B) {
	r := newRigWith(b, "interval")
	seen := &applied{}
	d := r.dispatcher(func(o *Options) { o.Observer = seen; o.Logger = slog.New(slog.DiscardHandler) })
	doc := chain(5, tool(func(t *steps.Tool) { t.Timeout = steps.Duration(1e12) }))
	n := 0
	for b.Loop() {
		n++
		r.submitAsync(fmt.Sprintf("run-%d", n), doc)
	}
	r.eventually("all runs open", func() bool { return seen.n.Load() == int64(n) && r.unacked() == 0 })
	with := heap()
	d.stop()
	for _, p := range d.d.parts {
		p.runs, p.due, p.unsaved = nil, schedule{}, nil
	}
	b.ReportMetric(float64(with-heap())/float64(n), "B/run")
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkFold folds the log of a run of five steps.
func BenchmarkFold(b *testing.B) {
	r := newRigWith(b, "interval")
	r.dispatcher(func(o *Options) { o.Logger = slog.New(slog.DiscardHandler) })
	r.worker(nil)
	r.submit("run", chain(5, nil))
	r.end("run")
	entries, err := r.bus.ReadLog(b.Context(), "run", 0)
	if err != nil {
		b.Fatal(err)
	}
	l := runlog.New(r.bus, plan.NewCache(1))
	b.ReportAllocs()
	for b.Loop() {
		if f := l.Fold("run", entries, nil); !f.State.Closed() {
			b.Fatal("not closed")
		}
	}
	b.ReportMetric(float64(len(entries)*b.N)/b.Elapsed().Seconds(), "events/s")
}
