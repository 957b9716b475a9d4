package worker

import (
	"strings"
	"sync"
	"time"

	"belay/internal/ladder"
	"belay/internal/steps"
)

// A target that has asked to wait is not called before that by this worker. The dispatchers keep everything else that would call it
// out of the queue; what is in the queue already would only be told the same by the target, thousands of times.

// askedWaits is until when targets have asked this worker to wait, by the rung that calls them.
type askedWaits struct {
	mu    sync.Mutex
	until map[ladder.Key]time.Time // by this process's clock
}

// note takes in that a rung's target has asked to wait.
func (a *askedWaits) note(k ladder.Key, until time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.until == nil {
		a.until = map[ladder.Key]time.Time{}
	}
	if until.After(a.until[k]) {
		a.until[k] = until
	}
}

// left is for how long a rung's target is not to be called.
func (a *askedWaits) left(k ladder.Key) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	until, ok := a.until[k]
	if !ok {
		return 0
	}
	left := time.Until(until)
	if left <= 0 {
		delete(a.until, k)
	}
	return max(left, 0)
}

// notesWait remembers that the target of the call has asked to wait, if the rung waits for as long. The other targets of a rung whose
// host depends on the call have asked for nothing.
func (j *job) notesWait(outcome steps.Event) {
	e, failed := outcome.(steps.Failed)
	if !failed || e.Fault.RetryAfter <= 0 || e.Fault.Injected != "" || j.rung.Tool == nil {
		return
	}
	r := j.rung.Tool.Rung(j.m.Rung)
	if r.Name != j.m.RungName || r.Retry.RetryAfterMax > 0 && e.Fault.RetryAfter > r.Retry.RetryAfterMax || templatedHost(r.Target) {
		return
	}
	j.asked.note(ladder.Key{Tool: j.m.Tool, Rung: j.m.RungName}, time.Now().Add(time.Duration(e.Fault.RetryAfter)))
}

func templatedHost(target string) bool {
	_, rest, ok := strings.Cut(target, "://")
	if !ok {
		return strings.Contains(target, "${")
	}
	host, _, _ := strings.Cut(rest, "/")
	return strings.Contains(host, "${")
}

// answered is the outcome of a call whose target has asked to wait; nil if it may be made.
func (j *job) answered() steps.Event {
	if j.onward != nil || j.rung.Tool == nil {
		return nil
	}
	left := j.asked.left(ladder.Key{Tool: j.m.Tool, Rung: j.m.RungName})
	if left <= 0 {
		return nil
	}
	return j.failed(steps.Fault{
		Class: steps.RateLimited, Acted: steps.ActedNo, RetryAfter: steps.Duration(left), Message: "not called: its target has asked this worker to wait a moment ago",
	}, 0)
}
