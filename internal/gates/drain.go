package gates

import (
	"strconv"
	"time"
)

// Drain is what a dispatcher says of a gate, for one partition of the log.
type Drain struct {
	Gate      string    `json:"gate"`      // its id
	Since     time.Time `json:"since"`     // when it was closed: it may have been closed and opened before
	Partition int       `json:"partition"` // of the log
	Waits     int       `json:"waits"`     // attempts that the gate covers and that are not held back yet: a worker may still begin them
	Runs      int       `json:"runs"`      // attempts that it covers and that workers execute
	Which     []string  `json:"which"`     // names of some of these
	Held      int       `json:"held"`      // attempts that it holds back
	At        time.Time `json:"at"`        // when that was so
}

// Progress is what all partitions say of a gate.
type Progress struct {
	Gate
	Silent  []int      `json:"silent"`  // partitions of which no dispatcher has said anything
	Waits   int        `json:"waits"`   // see [Drain]
	Runs    int        `json:"runs"`    // see [Drain]
	Which   []string   `json:"which"`   // names of some of these
	Held    int        `json:"held"`    // see [Drain]
	Drained *time.Time `json:"drained"` // when it was last said that nothing that it covers runs; null: something does, or that is not known
}

// Confirmed reports whether nothing that the gate covers can begin any more.
func (p *Progress) Confirmed() bool { return len(p.Silent) == 0 && p.Waits == 0 }

// Over reports whether nothing that the gate covers runs any more.
func (p *Progress) Over() bool { return p.Confirmed() && p.Runs == 0 }

// mostNamed is how many attempts are named.
const mostNamed = 10

// progressOf adds up what n partitions say.
func progressOf(g Gate, n int, said map[int]Drain) Progress {
	p := Progress{Gate: g, Silent: []int{}, Which: []string{}}
	var last time.Time
	for i := range n {
		d, ok := said[i]
		if !ok || !d.Since.Equal(g.Since) {
			p.Silent = append(p.Silent, i)
			continue
		}
		p.Waits, p.Runs, p.Held = p.Waits+d.Waits, p.Runs+d.Runs, p.Held+d.Held
		p.Which = append(p.Which, d.Which[:min(len(d.Which), mostNamed-len(p.Which))]...)
		if d.At.After(last) {
			last = d.At
		}
	}
	if p.Over() {
		if last.Before(g.Since) { // another clock
			last = g.Since
		}
		p.Drained = &last
	}
	return p
}

// Same reports whether two say the same, apart from when.
func (d Drain) Same(o Drain) bool {
	return d.Since.Equal(o.Since) && d.Waits == o.Waits && d.Runs == o.Runs && d.Held == o.Held
}

const (
	gatePrefix  = "gate."
	drainPrefix = "drain."
)

func (g *Gate) key() string  { return gatePrefix + g.ID }
func (d *Drain) key() string { return drainPrefix + d.Gate + "." + strconv.Itoa(d.Partition) }
