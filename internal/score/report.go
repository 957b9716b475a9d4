package score

import (
	"cmp"
	"slices"
	"time"

	"belay/internal/steps"
)

// Report says how it goes.
type Report struct {
	At     time.Time `json:"at"`              // up to when it is counted
	Since  time.Time `json:"since,omitzero"`  // when counting began; absent where nothing was counted
	Tools  []Outcome `json:"tools"`           // those with an objective first, the worst of them first
	Spikes []Spike   `json:"spikes"`          // what is unusual now, and what was lately
	Window Span      `json:"window,omitzero"` // that was asked for; absent: each tool's own
}

// Span is a length of time, written like 30d or 1h30m.
type Span = steps.Duration

// Outcome is what came of the calls of a tool.
type Outcome struct {
	Tool     string   `json:"tool"`
	Window   Span     `json:"window"`   // over which it is counted
	Results  int      `json:"results"`  // calls that came to something
	Primary  int      `json:"primary"`  // of these from the first rung
	Degraded int      `json:"degraded"` // from later rungs
	Failed   int      `json:"failed"`   // ended without a result
	People   int      `json:"people"`   // went to people, who were not meant to be asked
	Share    *float64 `json:"share"`    // of the first rung, from 0 to 1; null without results

	Rungs     []RungOutcome `json:"rungs"`
	Decisions Decisions     `json:"decisions"`
	Changed   time.Time     `json:"changed,omitzero"` // when its present definition was first submitted
	Objective *Objective    `json:"objective"`        // null where its tools file has no slo for it
}

// RungOutcome is what came of a rung.
type RungOutcome struct {
	Rung     string    `json:"rung"`
	Gave     int       `json:"gave"`              // results
	Answered int       `json:"answered"`          // attempts that succeeded
	Faulted  int       `json:"faulted"`           // attempts that failed
	Known    time.Time `json:"known,omitzero"`    // when it was first submitted
	Last     time.Time `json:"last,omitzero"`     // when an attempt last succeeded; absent: none that is known of
	Tried    time.Time `json:"tried,omitzero"`    // when an attempt last ended; absent: none that is known of
	Dead     time.Time `json:"dead,omitzero"`     // since when it has not answered, if that is 30 days or more
	Silent   bool      `json:"silent,omitempty"`  // it has never answered, and is not known for 30 days yet
	Removed  bool      `json:"removed,omitempty"` // the tool's present definition does not have it
}

// Decisions are about the escalations of a tool.
type Decisions struct {
	Asked   int  `json:"asked"`   // that were opened
	Decided int  `json:"decided"` // and decided
	Late    int  `json:"late"`    // of these later than the objective says
	P50     Span `json:"p50"`     // half of the decisions took at most this; 0 = there were none
	P95     Span `json:"p95"`
}

// Objective is what a tool's slo asks for, and how it stands.
type Objective struct {
	steps.SLO
	Met    bool    `json:"met"`    // the share is what it should be, or there are no results
	Budget float64 `json:"budget"` // what is left of the results that may be other than of the first rung, from 1 to below 0
	Burn   Burn    `json:"burn"`
}

// Burn is how fast a budget is used up: 1 = it lasts exactly for the window.
type Burn struct {
	M5  float64 `json:"5m"`
	M30 float64 `json:"30m"`
	H1  float64 `json:"1h"`
	H6  float64 `json:"6h"`
	D1  float64 `json:"1d"`
}

// DefaultWindow is over what is counted that nobody says a window for. Nothing older is kept.
const DefaultWindow = keep

// Report says how it goes. Window is over what is counted; 0 = as each tool's objective says.
func (c *Counts) Report(now time.Time, window time.Duration, spikes []Spike) Report {
	r := Report{At: now.UTC(), Since: c.Since, Tools: []Outcome{}, Spikes: spikes, Window: Span(window)}
	if spikes == nil {
		r.Spikes = []Spike{}
	}
	for _, tool := range c.names() {
		r.Tools = append(r.Tools, c.outcome(tool, now, window))
	}
	slices.SortStableFunc(r.Tools, func(a, b Outcome) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Tool, b.Tool))
	})
	return r
}

func rank(o Outcome) float64 {
	if o.Objective == nil {
		return 2
	}
	return o.Objective.Budget
}

// names are the tools of which anything is known.
func (c *Counts) names() []string {
	all := map[string]struct{}{}
	for name := range c.Tools {
		all[name] = struct{}{}
	}
	for i := range c.Hours {
		for name := range c.Hours[i].Tools {
			all[name] = struct{}{}
		}
	}
	list := make([]string, 0, len(all))
	for name := range all {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// In is what was counted of a tool in the last time of this length, which begins with a whole hour, or of two hours or less with
// five whole minutes.
func (c *Counts) In(tool string, length time.Duration, now time.Time) (n Numbers) {
	list, grain := c.Hours, time.Hour
	if length < keepSlots {
		list, grain = c.Slots, slotLen
	}
	c.between(list, tool, now.Add(-length).Truncate(grain), now.Add(time.Hour), &n)
	return n
}

// between adds what was counted in slots that begin in a time.
func (c *Counts) between(list []Slot, tool string, from, to time.Time, n *Numbers) {
	for i := range list {
		if s := &list[i]; !s.At.Before(from) && s.At.Before(to) && s.Tools[tool] != nil {
			n.Add(s.Tools[tool])
		}
	}
}

func (c *Counts) outcome(tool string, now time.Time, window time.Duration) Outcome {
	known := c.Tools[tool]
	if known == nil {
		known = &Tool{}
	}
	if window == 0 {
		window = DefaultWindow
		if known.SLO != nil {
			window = time.Duration(known.SLO.Window)
		}
	}
	n := c.In(tool, window, now)
	o := Outcome{
		Tool: tool, Window: Span(window), Results: n.Results(), Primary: n.Primary, Degraded: n.Degraded, Failed: n.Failed, People: n.People, Changed: known.Changed,
		Decisions: Decisions{Asked: n.Asked, Decided: n.Decided, Late: n.Late, P50: Span(n.Quantile(0.5)), P95: Span(n.Quantile(0.95))},
		Rungs:     rungs(&n, known, now),
	}
	if o.Results > 0 {
		share := float64(n.Primary) / float64(o.Results)
		o.Share = &share
	}
	if known.SLO != nil {
		o.Objective = c.objective(tool, known.SLO, now)
	}
	return o
}

func (c *Counts) objective(tool string, slo *steps.SLO, now time.Time) *Objective {
	rate := func(length time.Duration) float64 {
		n := c.In(tool, length, now)
		return burn(&n, slo)
	}
	used := rate(time.Duration(slo.Window))
	return &Objective{
		SLO: *slo, Budget: 1 - used, Met: used <= 1,
		Burn: Burn{M5: rate(5 * time.Minute), M30: rate(30 * time.Minute), H1: rate(time.Hour), H6: rate(6 * time.Hour), D1: rate(24 * time.Hour)},
	}
}

// burn is how many times as many results were not of the first rung as may be. Where all must be, one that is not counts as if one
// in 100,000 might.
func burn(n *Numbers, slo *steps.SLO) float64 {
	if n.Bad() == 0 {
		return 0
	}
	return float64(n.Bad()) / float64(n.Results()) / max(1-slo.Primary, 1e-5)
}

// rungs are those of the present definition in their order, and then others that anything was counted of.
func rungs(n *Numbers, known *Tool, now time.Time) []RungOutcome {
	list := []RungOutcome{}
	for _, r := range known.Rungs {
		x := n.Rungs[r.Name]
		o := RungOutcome{Rung: r.Name, Gave: x.Gave, Answered: x.Answered, Faulted: x.Faulted, Known: r.Since, Last: r.Answered, Tried: r.Tried}
		o.Silent = r.Answered.IsZero()
		if quiet := later(r.Since, r.Answered); now.Sub(quiet) >= keep {
			o.Dead, o.Silent = quiet, false
		}
		list = append(list, o)
	}
	at := len(list)
	for name, x := range n.Rungs {
		if !slices.ContainsFunc(list[:at], func(o RungOutcome) bool { return o.Rung == name }) {
			list = append(list, RungOutcome{Rung: name, Gave: x.Gave, Answered: x.Answered, Faulted: x.Faulted, Removed: true})
		}
	}
	slices.SortFunc(list[at:], func(a, b RungOutcome) int { return cmp.Compare(a.Rung, b.Rung) })
	return list
}
