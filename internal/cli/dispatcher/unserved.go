package dispatcher

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"belay/internal/bus"
	"belay/internal/cli"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/text"
)

// unservedEvery is how often dispatchers are asked what no worker serves. They know within three seconds.
const unservedEvery = time.Second

// queued is what a followed run has in the queue, by unit, and what was printed about it.
type queued struct {
	mu     sync.Mutex
	rungs  map[string]rungOf
	remote map[rungOf]bool      // those that programs poll for
	said   map[rungOf]time.Time // printed as unserved; with the time at which people are asked
	tools  string               // the tools file that the run was submitted with
}

type rungOf struct{ tool, rung string }

func (r rungOf) String() string { return r.tool + "/" + r.rung }

func newQueued() *queued {
	return &queued{rungs: map[string]rungOf{}, remote: map[rungOf]bool{}, said: map[rungOf]time.Time{}}
}

// note remembers which rung unit i of s waits for.
func (q *queued) note(s *steps.State, i int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.tools = s.ToolsFile
	u := &s.Units[i]
	if !u.State().InQueue() || u.State() == steps.StepRunning || len(u.Attempts) == 0 {
		delete(q.rungs, u.ID)
		return
	}
	r := rungOf{s.Tool(i).Name, s.RungName(i)}
	q.rungs[u.ID] = r
	if s.Tool(i).Rung(u.Rung).Executor == "remote" {
		q.remote[r] = true
	}
}

// waits is the set of rungs that the run waits for.
func (q *queued) waits() map[rungOf]bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	set := map[rungOf]bool{}
	for r := range maps.Values(q.rungs) {
		set[r] = true
	}
	return set
}

// change compares what no worker serves with what was printed. News are rungs to print now; served are those that were
// printed, and that a worker serves by now.
func (q *queued) change(list []bus.Unserved) (news []bus.Unserved, served []rungOf) {
	waits := q.waits()
	q.mu.Lock()
	defer q.mu.Unlock()
	now := map[rungOf]bool{}
	for _, u := range list {
		r := rungOf{u.Tool, u.Rung}
		now[r] = true
		if _, said := q.said[r]; waits[r] && !said {
			q.said[r] = u.Asks
			news = append(news, u)
		}
	}
	for r := range q.said {
		if now[r] {
			continue
		}
		if delete(q.said, r); waits[r] {
			served = append(served, r)
		}
	}
	return news, served
}

// watchServed prints what no worker serves while a run is followed. Where dispatchers cannot be asked it prints
// nothing.
func (a *app) watchServed(ctx context.Context, s *session, p *progress) {
	tick := time.NewTicker(unservedEvery)
	defer tick.Stop()
	stuck := false
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if len(p.queue.waits()) == 0 && n%5 != 0 {
			continue
		}
		all, err := s.Bus.Dispatchers(ctx)
		if err != nil || len(all) == 0 {
			continue
		}
		stuck = p.sayStore(all, stuck)
		news, served := p.queue.change(bus.UnservedBy(all))
		for _, u := range news {
			p.say(p.unservedLine(u, s.embedded))
		}
		for _, r := range slices.SortedFunc(slices.Values(served), func(a, b rungOf) int { return strings.Compare(a.String(), b.String()) }) {
			p.say(fmt.Sprintf("  %s %-14s a worker serves %s now", p.mark("•", "36"), "", text.Line(r.String())))
		}
	}
}

// sayStore prints when the store begins to take no writes, and when it takes them again.
func (p *progress) sayStore(all []bus.Dispatcher, was bool) (is bool) {
	for _, d := range all {
		if d.Store == "" {
			continue
		}
		if !was {
			p.say(fmt.Sprintf("  %s %-14s %s; the run is stored and goes on by itself then", p.mark("!", "33"), "", text.Line(d.Store)))
		}
		return true
	}
	if was {
		p.say(fmt.Sprintf("  %s %-14s the store takes writes again", p.mark("•", "36"), ""))
	}
	return false
}

// unservedLine says that no worker serves a rung, what to do, and when people are asked about it.
func (p *progress) unservedLine(u bus.Unserved, embedded bool) string {
	line := fmt.Sprintf("  %s %-14s no worker serves %s yet", p.mark("!", "33"), "", text.Line(u.Tool+"/"+u.Rung))
	switch remote := p.queue.polled(rungOf{u.Tool, u.Rung}); {
	case remote:
		line += ": no program polls for it; start one beside a worker with --work-listen"
	case !embedded:
		line += "; start one with: worker --tools " + orTools(p.queue.file()) + p.flags
	}
	return line + "; people are asked at " + view.Clock(u.Asks, cli.Now()) + " UTC"
}

// polled reports whether programs poll for a rung.
func (q *queued) polled(r rungOf) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.remote[r]
}

func (q *queued) file() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.tools
}

func orTools(file string) string {
	if file == "" {
		return "FILE"
	}
	return text.Line(file)
}
