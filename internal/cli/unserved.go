package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"belay/internal/fleet"
	"belay/internal/steps"
)

// unservedEvery is how often whoever follows a run asks what no worker serves. A dispatcher knows within three seconds.
const unservedEvery = time.Second

// queued is what a followed run has in the queue, by unit, and what was told of it.
type queued struct {
	mu    sync.Mutex
	rungs map[string]rungOf
	told  map[rungOf]time.Time // that nobody serves it: when people are asked
	tools string               // the tools file that the run was submitted with
}

type rungOf struct{ tool, rung string }

func (r rungOf) String() string { return r.tool + "/" + r.rung }

func newQueued() *queued {
	return &queued{rungs: map[string]rungOf{}, told: map[rungOf]time.Time{}}
}

// note keeps what unit i of s waits for.
func (q *queued) note(s *steps.State, i int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.tools = s.ToolsFile
	u := &s.Units[i]
	if !u.State.InQueue() || u.State == steps.StepRunning || len(u.Attempts) == 0 {
		delete(q.rungs, u.ID)
		return
	}
	q.rungs[u.ID] = rungOf{s.Tool(i).Name, s.RungName(i)}
}

// waits lists the rungs that something waits for.
func (q *queued) waits() map[rungOf]bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	set := map[rungOf]bool{}
	for r := range maps.Values(q.rungs) {
		set[r] = true
	}
	return set
}

// change compares what no worker serves with what was told: which rungs are to be told of now, and which that
// something waits for are served again.
func (q *queued) change(list []fleet.Unserved) (news []fleet.Unserved, served []rungOf) {
	waits := q.waits()
	q.mu.Lock()
	defer q.mu.Unlock()
	now := map[rungOf]bool{}
	for _, u := range list {
		r := rungOf{u.Tool, u.Rung}
		now[r] = true
		if _, told := q.told[r]; waits[r] && !told {
			q.told[r] = u.Asks
			news = append(news, u)
		}
	}
	for r := range q.told {
		if now[r] {
			continue
		}
		if delete(q.told, r); waits[r] {
			served = append(served, r)
		}
	}
	return news, served
}

// watchServed says while a run is followed what no worker serves. Whoever asks nobody learns nothing, and says nothing.
func (a *app) watchServed(ctx context.Context, s *session, p *progress) {
	tick := time.NewTicker(unservedEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if len(p.queue.waits()) == 0 {
			continue
		}
		all, err := fleet.Dispatchers(ctx, s.Bus)
		if err != nil || len(all) == 0 {
			continue
		}
		news, served := p.queue.change(fleet.UnservedBy(all))
		for _, u := range news {
			p.say(p.unservedLine(u, s.embedded))
		}
		for _, r := range slices.SortedFunc(slices.Values(served), func(a, b rungOf) int { return strings.Compare(a.String(), b.String()) }) {
			p.say(fmt.Sprintf("  %s %-14s a worker serves %s now", p.mark("•", "36"), "", plain(r.String())))
		}
	}
}

// unservedLine says that no worker serves a rung, what to do, and what happens if nobody does.
func (p *progress) unservedLine(u fleet.Unserved, embedded bool) string {
	line := fmt.Sprintf("  %s %-14s no worker serves %s yet", p.mark("!", "33"), "", plain(u.Tool+"/"+u.Rung))
	if !embedded {
		line += "; start one with: worker --tools " + orTools(p.queue.file()) + p.flags
	}
	return line + "; people are asked at " + steps.Clock(u.Asks, time.Now()) + " UTC"
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
	return plain(file)
}
