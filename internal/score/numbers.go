package score

import (
	"math"
	"time"
)

// Numbers are what was counted of a tool in some time.
type Numbers struct {
	Primary  int `json:"primary,omitempty"`  // results of the first rung
	Degraded int `json:"degraded,omitempty"` // results of other rungs
	Failed   int `json:"failed,omitempty"`   // calls that ended without a result
	People   int `json:"people,omitempty"`   // calls that went to people

	Asked   int `json:"asked,omitempty"`   // escalations that were opened
	Decided int `json:"decided,omitempty"` // and decided
	Dropped int `json:"dropped,omitempty"` // and ended without a decision
	Late    int `json:"late,omitempty"`    // decided later than the objective says

	Took  map[int]int            `json:"took,omitempty"` // decisions, by [bucketOf] what they took
	Rungs map[string]RungNumbers `json:"rungs,omitempty"`
}

// RungNumbers are what was counted of a rung.
type RungNumbers struct {
	Gave     int `json:"gave,omitempty"`     // results that are a call's
	Answered int `json:"answered,omitempty"` // attempts that succeeded
	Faulted  int `json:"faulted,omitempty"`  // attempts that failed
}

// Results is how many calls came to something.
func (n *Numbers) Results() int { return n.Primary + n.Bad() }

// Bad is how many of them did not have their result from the first rung.
func (n *Numbers) Bad() int { return n.Degraded + n.Failed + n.People }

func (n *Numbers) rung(name string, add RungNumbers) {
	if name == "" {
		return
	}
	if n.Rungs == nil {
		n.Rungs = map[string]RungNumbers{}
	}
	if _, known := n.Rungs[name]; !known && len(n.Rungs) >= mostRungs {
		return
	}
	r := n.Rungs[name]
	n.Rungs[name] = RungNumbers{r.Gave + add.Gave, r.Answered + add.Answered, r.Faulted + add.Faulted}
}

// count adds a change.
func (n *Numbers) count(c *Change) {
	switch c.What {
	case Primary:
		n.Primary++
		n.rung(c.Rung, RungNumbers{Gave: 1})
	case Degraded:
		n.Degraded++
		n.rung(c.Rung, RungNumbers{Gave: 1})
	case Failed:
		n.Failed++
	case People:
		n.People++
	case Answered:
		n.rung(c.Rung, RungNumbers{Answered: 1})
	case Faulted:
		n.rung(c.Rung, RungNumbers{Faulted: 1})
	case Asked:
		n.Asked++
	case Dropped:
		n.Dropped++
	case Decided:
		n.Decided++
		if c.Late {
			n.Late++
		}
		if n.Took == nil {
			n.Took = map[int]int{}
		}
		n.Took[bucketOf(c.Took)]++
	}
}

// Add adds what was counted elsewhere, or at another time.
func (n *Numbers) Add(o *Numbers) {
	n.Primary, n.Degraded, n.Failed, n.People = n.Primary+o.Primary, n.Degraded+o.Degraded, n.Failed+o.Failed, n.People+o.People
	n.Asked, n.Decided, n.Dropped, n.Late = n.Asked+o.Asked, n.Decided+o.Decided, n.Dropped+o.Dropped, n.Late+o.Late
	for k, v := range o.Took {
		if n.Took == nil {
			n.Took = map[int]int{}
		}
		n.Took[k] += v
	}
	for name, r := range o.Rungs {
		n.rung(name, r)
	}
}

// lastBucket holds what took longer than 90 days.
const lastBucket = 46

// bucketOf is the bucket of a time: bucket k holds what took at most 2^(k/2) seconds, and longer than the one below.
func bucketOf(d time.Duration) int {
	if d <= time.Second {
		return 0
	}
	return min(lastBucket, int(math.Ceil(2*math.Log2(d.Seconds())-1e-9)))
}

// Quantile is the time that such a share of the decisions took at most, and at least 0.7 of it took them; 0 = there are none.
func (n *Numbers) Quantile(q float64) time.Duration {
	left := int(math.Ceil(q * float64(n.Decided)))
	for k := 0; k <= lastBucket && left > 0; k++ {
		if left -= n.Took[k]; left <= 0 {
			return time.Duration(math.Pow(2, float64(k)/2) * float64(time.Second)).Round(time.Second)
		}
	}
	return 0
}

// Slot is what was counted in a time that begins At, by tool.
type Slot struct {
	At    time.Time           `json:"at"`
	Tools map[string]*Numbers `json:"tools"`
}

// of is what was counted of a tool. Beyond mostTools tools the rest is counted as one.
func (s *Slot) of(tool string) *Numbers {
	if n := s.Tools[tool]; n != nil {
		return n
	}
	if len(s.Tools) >= mostTools {
		tool = Others
	}
	if s.Tools == nil {
		s.Tools = map[string]*Numbers{}
	}
	if s.Tools[tool] == nil {
		s.Tools[tool] = &Numbers{}
	}
	return s.Tools[tool]
}

// Add adds another slot to this one.
func (s *Slot) Add(o *Slot) {
	for tool, n := range o.Tools {
		s.of(tool).Add(n)
	}
}
