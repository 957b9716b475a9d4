package requests

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"belay/internal/bus"
	"belay/internal/runlog"
	"belay/internal/wire"
)

// A request has to fit a message of NATS, and is answered as a whole, which a busy dispatcher has to manage within the time for one
// answer. So those after one that was not answered soon are small, and then grow as long as they are. The fewer there are, the fewer
// times the disk is waited for.
const (
	fewRuns   = 128
	mostRuns  = 1024
	mostBytes = 600 << 10 // of the runs of a request; more than the largest submission
	soonPart  = 16        // soon is within this part of the time for one answer
)

// asking is how many partitions are asked about at the same time.
const asking = 8

// Submit is [runlog.Log.SubmitMany] by a dispatcher: the runs of one partition in order, as there, in requests of many runs, and several
// partitions at the same time.
func (r Remote) Submit(ctx context.Context, all []runlog.Submission) []runlog.Stored {
	became := make([]runlog.Stored, len(all))
	slots := make(chan struct{}, asking)
	var busy sync.WaitGroup
	for _, l := range r.lines(all) {
		slots <- struct{}{}
		busy.Go(func() {
			r.submitLine(ctx, l, became)
			<-slots
		})
	}
	busy.Wait()
	return became
}

// line are the submissions of one partition, and where each of them stands among all.
type line struct {
	all []runlog.Submission
	at  []int
}

func (r Remote) lines(all []runlog.Submission) map[int]*line {
	lines := map[int]*line{}
	for i, s := range all {
		p := wire.Partition(s.Run, r.Bus.Partitions())
		if lines[p] == nil {
			lines[p] = &line{}
		}
		lines[p].all, lines[p].at = append(lines[p].all, s), append(lines[p].at, i)
	}
	return lines
}

func (r Remote) submitLine(ctx context.Context, l *line, became []runlog.Stored) {
	doubt := 0 // of the next runs, how many a request was about that was not answered
	for most := mostRuns; len(l.all) > 0; {
		q := Request{Name: l.all[0].By, Via: l.all[0].Via}
		n := q.take(l.all, most)
		ask := r.askSurely
		if n > fewRuns {
			ask = r.ask
		}
		began := time.Now()
		a, err := ask(ctx, q)
		if n > fewRuns && errors.Is(err, bus.ErrUncertain) && !r.Bus.Gone() && ctx.Err() == nil {
			most, doubt = fewRuns, max(n, doubt) // what was too much at once is asked for in smaller parts
			continue
		}
		if err == nil && len(a.Submitted) != n {
			err = errOther
		}
		if errors.Is(err, ErrNobody) {
			n = len(l.all) // the others would be asked about for as long, one request after the other
		}
		for i := range n {
			e := err
			if i < doubt && errors.Is(err, ErrNobody) {
				e = fmt.Errorf("%w: %w", bus.ErrUncertain, err)
			}
			became[l.at[i]] = storedOf(l.all[i].Run, a, i, e)
		}
		l.all, l.at, doubt = l.all[n:], l.at[n:], max(doubt-n, 0)
		if most = min(2*most, mostRuns); time.Since(began) > r.Bus.Patience()/soonPart {
			most = fewRuns
		}
	}
}

// storedOf is what became of run i of a request.
func storedOf(run string, a answer, i int, err error) runlog.Stored {
	if err != nil {
		return runlog.Stored{Err: fmt.Errorf("submit run %s: %w", run, err)}
	}
	return runlog.Stored{Created: a.Submitted[i].Created, Err: a.Submitted[i].Failure.err()}
}

// askSurely asks once more where no answer came: the same content under the same id is one run. What is there by then may be from the
// first request, or from long before, and is not said to be created: whoever waits for a run that is new does not look for an end that is
// there already. Where nobody is there any more, what was asked before may have been done.
func (r Remote) askSurely(ctx context.Context, q Request) (a answer, err error) {
	for end, uncertain := time.Now().Add(patience), false; ; uncertain = true {
		a, err = r.ask(ctx, q)
		if uncertain && errors.Is(err, ErrNobody) {
			return a, fmt.Errorf("%w: %w", bus.ErrUncertain, err)
		}
		if !errors.Is(err, bus.ErrUncertain) || r.Bus.Gone() || time.Now().After(end) || !paused(ctx) {
			return a, err
		}
	}
}

// take puts as many submissions into a request as it may have, and says how many. A document stands there once for all that follow.
func (q *Request) take(all []runlog.Submission, most int) (n int) {
	size := 0
	var before json.RawMessage
	for _, s := range all {
		one := Start{Run: s.Run, Input: s.Input, Labels: s.Labels, ToolsFile: s.ToolsFile, In: s.In, By: s.By, Trace: s.Trace, ReportTo: s.ReportTo}
		if !s.At.IsZero() {
			one.At = s.At.UTC().Format(time.RFC3339Nano)
		}
		if !bytes.Equal(before, s.Document) {
			one.Document, before = s.Document, s.Document
		}
		size += len(one.Run) + len(one.Document) + len(one.Input) + len(one.ToolsFile) + 200
		for k, v := range one.Labels {
			size += len(k) + len(v) + 8
		}
		if n == most || n > 0 && size > mostBytes {
			return n
		}
		q.Submit = append(q.Submit, one)
		n++
	}
	return n
}
