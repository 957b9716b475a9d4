package rights_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"belay/internal/engine"
	"belay/internal/people"
	"belay/internal/runlog"
)

// BenchmarkManyThroughADispatcher starts 2,000 runs as a user that writes them itself, and as one that asks a dispatcher, by turns, and
// says how many times as long that takes, in the middle.
func BenchmarkManyThroughADispatcher(b *testing.B) {
	const runs = 2000
	look := officePlan(b, "look")
	o := open(b, nil)
	direct := o.start("provisioner", "", engine.Options{}).Runs
	through := o.as(o.token("mia", people.Submitter, people.Limits{Tools: []string{"look"}, WholePlans: true}))
	n := 0
	quiet := func() { // until the dispatcher has done what it does for runs that nobody works on
		before := -1
		for look := time.NewTicker(300 * time.Millisecond); ; <-look.C {
			queued, _, err := o.admin.Bus.Queued(b.Context(), ">")
			if err != nil {
				b.Fatal(err)
			}
			if len(queued) == before {
				return
			}
			before = len(queued)
		}
	}
	start := func(l *runlog.Log) time.Duration {
		n++
		all := make([]runlog.Submission, runs)
		for i := range all {
			all[i] = runlog.Submission{Run: fmt.Sprintf("b%d-%d", n, i), Submitted: look}
		}
		began := time.Now()
		for _, s := range l.SubmitMany(b.Context(), all) {
			if s.Err != nil || !s.Created {
				b.Fatalf("%+v", s)
			}
		}
		took := time.Since(began)
		quiet()
		return took
	}
	start(direct)
	start(through)
	var itself, asked []time.Duration
	for b.Loop() {
		itself, asked = append(itself, start(direct)), append(asked, start(through))
	}
	slices.Sort(itself)
	slices.Sort(asked)
	d, a := itself[len(itself)/2], asked[len(asked)/2]
	b.ReportMetric(float64(d.Microseconds())/runs, "µs/run-direct")
	b.ReportMetric(float64(a.Microseconds())/runs, "µs/run-asked")
	b.ReportMetric(float64(a)/float64(d), "times-direct")
}
