package notify

import (
	"context"
	"slices"
	"sync"
	"time"
)

// queue holds the notices for one channel.
type queue struct {
	name    string
	channel Channel
	wake    chan struct{} // signals that jobs or closed may have changed

	mu     sync.Mutex
	jobs   []job     // in order of time
	opens  time.Time // the channel asked to get nothing before this time
	closed bool
}

// job is a notice to be sent at a time.
type job struct {
	notice   *flight
	at       time.Time
	queued   time.Time
	attempts int // that failed
}

// put queues a notice, and returns false if the queue is closed.
func (q *queue) put(f *flight) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	now := time.Now()
	q.insert(job{notice: f, at: latest(now, q.opens), queued: now})
	return true
}

// insert puts a job after those that are due before it or at the same time.
func (q *queue) insert(j job) {
	i, _ := slices.BinarySearchFunc(q.jobs, j, func(a, b job) int {
		if a.at.After(b.at) {
			return 1
		}
		return -1
	})
	q.jobs = slices.Insert(q.jobs, i, j)
	q.signal()
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run sends until the queue is closed and empty, or ctx ends.
func (q *queue) run(ctx context.Context) {
	for {
		j, ok := q.next(ctx)
		if !ok {
			break
		}
		q.try(ctx, j)
	}
	for _, j := range q.left() {
		j.notice.attempted(q.name, GivenUp, ErrStopped)
	}
}

// left removes and returns all jobs.
func (q *queue) left() []job {
	q.mu.Lock()
	defer q.mu.Unlock()
	jobs := q.jobs
	q.jobs = nil
	return jobs
}

// next waits until the first job is due, removes it and returns it.
func (q *queue) next(ctx context.Context) (job, bool) {
	for ctx.Err() == nil {
		j, wait, state := q.first()
		switch state {
		case ready:
			return j, true
		case drained:
			return job{}, false
		}
		q.sleep(ctx, wait)
	}
	return job{}, false
}

// state is the state of a queue.
type state int

const (
	idle state = iota // nothing is due yet
	ready
	drained // closed and empty
)

// first removes and returns the first job if it is due, or says how long until then; 0 = the queue is empty.
func (q *queue) first() (j job, wait time.Duration, s state) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.jobs) == 0 {
		if q.closed {
			return job{}, 0, drained
		}
		return job{}, 0, idle
	}
	if wait = time.Until(q.jobs[0].at); wait > 0 {
		return job{}, wait, idle
	}
	j, q.jobs = q.jobs[0], q.jobs[1:]
	return j, 0, ready
}

func (q *queue) sleep(ctx context.Context, wait time.Duration) {
	var due <-chan time.Time
	if wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		due = t.C
	}
	select {
	case <-due:
	case <-q.wake:
	case <-ctx.Done():
	}
}

// try makes one attempt. A notice that failed temporarily goes back into the queue, so that it does not delay the others.
func (q *queue) try(ctx context.Context, j job) {
	sending, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	err := q.channel.Send(sending, j.notice.Notice)
	if err == nil {
		j.notice.attempted(q.name, Delivered, nil)
		return
	}
	f := failureOf(err)
	if j.attempts++; !f.Temporary || j.attempts == maxAttempts || time.Since(j.queued) > maxAge {
		j.notice.attempted(q.name, GivenUp, f)
		return
	}
	j.notice.attempted(q.name, Failed, f)
	q.requeue(j, f)
}

// requeue queues a job for its next attempt. If the channel asked to wait, all its notices wait.
func (q *queue) requeue(j job, f *Failure) {
	q.mu.Lock()
	defer q.mu.Unlock()
	j.at = time.Now().Add(wait(j.attempts, f))
	if f.RetryAfter > 0 {
		q.opens = j.at
	}
	for i := range q.jobs {
		q.jobs[i].at = latest(q.jobs[i].at, q.opens)
	}
	q.insert(j)
}
