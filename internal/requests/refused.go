package requests

import (
	"slices"
	"sync"
	"time"
)

// Why a request is refused for who asks.
const (
	Unproven  = "unproven"  // what was shown does not count: no token, or one that is forged, late, used or revoked
	Forbidden = "forbidden" // who has asked is known, and may not do that
)

// Refusal is a kind of refused request.
type Refusal struct{ What, Why string }

// Refusals are all kinds.
func Refusals() (all []Refusal) {
	for _, what := range []string{"submit", "cancel", "steer", "retry", "replay", "migrate"} {
		all = append(all, Refusal{what, Unproven}, Refusal{what, Forbidden})
	}
	return all
}

// refusalPause is how often a line says of a kind that requests are refused: a program that asks in a loop would fill the log.
const refusalPause = time.Minute

// refusals remembers when a line was last written of each kind.
type refusals struct {
	mu  sync.Mutex
	of  map[Refusal]time.Time
	not map[Refusal]int // refused since then, without a line
}

// due reports whether a line is to be written of a refusal, and how many there were since the last one that got none.
func (r *refusals) due(k Refusal, now time.Time) (more int, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil {
		r.of, r.not = map[Refusal]time.Time{}, map[Refusal]int{}
	}
	if last, said := r.of[k]; said && now.Sub(last) < refusalPause {
		r.not[k]++
		return 0, false
	}
	more = r.not[k]
	r.of[k], r.not[k] = now, 0
	return more, true
}

// refused counts a request that was refused for who asks, and tells of it.
func (d *Desk) refused(r Request, why, name string, because error) {
	k := Refusal{r.what(), why}
	if d.Refused != nil && slices.Contains(Refusals(), k) {
		d.Refused(k)
	}
	if more, ok := d.refusals.due(k, time.Now()); ok {
		d.Logger.Warn("a request about runs was refused", "what", k.What, "why", k.Why, "run_id", r.about(), "by", name, "via", r.Via, "because", because, "more_since_last_line", more)
	}
}
