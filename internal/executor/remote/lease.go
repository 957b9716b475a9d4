package remote

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"belay/internal/executor"
	"belay/internal/steps"
)

// leaseID is the digest of a lease's secret, so that the time of a lookup reveals nothing about the secret.
type leaseID [sha256.Size]byte

// lease is an attempt that a program executes. Its secret allows reports on this attempt, and nothing else.
type lease struct {
	hub      *Hub
	rung     *rung
	client   string
	secret   string // 256 random bits
	req      executor.Request
	deadline time.Time // zero without one
	answers  chan answer
	settled  chan struct{} // closed when the worker is done with it
	others   []*rung       // that its program would serve as well

	// Under the hub's lock.
	heard  time.Time // the last heartbeat
	stop   string    // why the program should stop; empty if it may go on
	ended  time.Time // zero while it is executed
	why    string    // how it ended, if the program did not say
	word   *[sha256.Size]byte
	refuse *problem // the answer to the program's report, if not 204
	stored bool     // the outcome is on disk
}

type answer struct {
	executor.Result
	err error
}

// lease makes a lease for one attempt. The lock is held.
func (h *Hub) lease(r *rung, p *poll, ctx context.Context, req executor.Request) *lease {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails
	l := &lease{
		hub: h, rung: r, client: p.client, secret: base64.RawURLEncoding.EncodeToString(random[:]), req: req,
		answers: make(chan answer, 1), settled: make(chan struct{}), heard: time.Now(),
	}
	l.deadline, _ = ctx.Deadline()
	for _, o := range p.rungs {
		if o != r {
			l.others = append(l.others, o)
			o.busy++
			o.changed()
		}
	}
	r.leases++
	r.changed()
	h.leases[sha256.Sum256([]byte(l.secret))] = l
	return l
}

// find returns the lease with a secret; nil if there is none.
func (h *Hub) byLease(secret string) *lease {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.leases[sha256.Sum256([]byte(secret))]
	if l == nil || subtle.ConstantTimeCompare([]byte(l.secret), []byte(secret)) != 1 {
		return nil
	}
	return l
}

// end ends the lease, and returns false if it had ended before. The lock is held.
func (l *lease) end(a answer) bool {
	if !l.ended.IsZero() {
		return false
	}
	l.ended = time.Now()
	l.rung.leases--
	l.rung.changed()
	for _, o := range l.others {
		o.busy--
		o.changed()
	}
	l.req.Params = nil
	l.answers <- a
	l.hub.remember(l)
	return true
}

// remember keeps an ended lease for a while, so that a repeated report gets the same answer. The lock is held.
func (h *Hub) remember(l *lease) {
	h.ended = append(h.ended, l)
	for len(h.ended) > maxEnded || time.Since(h.ended[0].ended) > keepEnded {
		delete(h.leases, sha256.Sum256([]byte(h.ended[0].secret)))
		h.ended[0] = nil
		h.ended = h.ended[1:]
	}
}

// over ends the lease without a report of the program.
func (l *lease) over(why string, f steps.Fault) {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	if l.end(answer{err: f}) {
		l.why = why
	}
}

// settle notes that the worker is done with it. The hub's lock is held.
func (l *lease) settle(stored bool) {
	select {
	case <-l.settled:
	default:
		l.stored = stored
		close(l.settled)
	}
}

// await waits for the program's report, as long as the program sends heartbeats and until shortly after the context ends.
func (l *lease) await(ctx context.Context) (executor.Result, error) {
	silence := time.NewTimer(l.patience())
	defer silence.Stop()
	stopped := ctx.Done()
	var late <-chan time.Time
	for {
		select {
		case a := <-l.answers:
			return a.Result, a.err
		case <-silence.C:
			silence.Reset(l.silent())
		case <-stopped:
			stopped = nil
			silence.Stop()
			grace := time.NewTimer(l.stopping(ctx))
			defer grace.Stop()
			late = grace.C
		case <-late:
			l.over(l.stop, executor.Stopped(ctx, steps.ActedMaybe))
		}
	}
}

// patience is how long a program may be silent.
func (l *lease) patience() time.Duration { return beatsMissed * l.rung.beat }

// silent ends the lease of a program that has been silent for too long; otherwise it returns when to check again.
func (l *lease) silent() time.Duration {
	l.hub.mu.Lock()
	quiet := time.Since(l.heard)
	l.hub.mu.Unlock()
	if quiet < l.patience() {
		return l.patience() - quiet
	}
	text := fmt.Sprintf("the program %sgave no sign of life for %s", l.named(), l.patience())
	l.hub.logger.Warn("a program that executed a remote rung is silent; the attempt counts as crashed", "tool", l.rung.tool, "rung", l.rung.rung, "client", l.client, "run", l.req.Run, "step", l.req.Step)
	l.over(text, steps.Fault{Class: steps.Crashed, Acted: steps.ActedMaybe, Message: text + " in the middle of the call: it ended, or it hangs"})
	return time.Hour
}

func (l *lease) named() string {
	if l.client == "" {
		return ""
	}
	return l.client + " "
}

// stopping tells the program from now on to stop, and returns how long to wait for its report. The program knows its
// deadline; any other reason it gets with its next heartbeat.
func (l *lease) stopping(ctx context.Context) time.Duration {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		l.stop = "its deadline has passed"
		return stoppedGrace
	}
	l.stop = executor.Stopped(ctx, steps.ActedMaybe).Message
	return l.rung.beat + 2*stoppedGrace
}

// beat is a heartbeat. Stop says why the program should stop; a problem is an error.
func (l *lease) beat(progress string) (stop string, err error) {
	l.hub.mu.Lock()
	if !l.ended.IsZero() {
		defer l.hub.mu.Unlock()
		return "", l.gone()
	}
	l.heard = time.Now()
	stop = l.stop
	l.hub.mu.Unlock()
	if progress != "" && l.req.Progress != nil {
		l.req.Progress(progress)
	}
	return stop, nil
}
