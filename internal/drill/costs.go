package drill

import (
	"math/big"
	"slices"
	"strconv"

	"belay/internal/plan"
	"belay/internal/steps"
)

// Cost is money, in whatever currency a tools file means. It is added up exactly as it is written there, so that two equal
// bills differ by nothing.
type Cost struct{ sum big.Rat }

// Plus adds more to c.
func (c *Cost) Plus(more *Cost) { c.sum.Add(&c.sum, &more.sum) }

// Less is what is left of c without the other.
func (c *Cost) Less(other *Cost) *Cost {
	left := &Cost{}
	left.sum.Sub(&c.sum, &other.sum)
	return left
}

// Sign is -1, 0 or +1.
func (c *Cost) Sign() int { return c.sum.Sign() }

// String writes c as a decimal number, with every digit.
func (c *Cost) String() string {
	digits, _ := c.sum.FloatPrec()
	return c.sum.FloatString(digits)
}

// MarshalJSON writes c as a number.
func (c *Cost) MarshalJSON() ([]byte, error) { return []byte(c.String()), nil }

// add takes in one call of a rung.
func (c *Cost) add(call float64) {
	var one big.Rat
	if _, ok := one.SetString(strconv.FormatFloat(call, 'f', -1, 64)); ok {
		c.sum.Add(&c.sum, &one)
	}
}

// called is a rung that was called once.
type called struct{ tool, rung string }

// costOf adds up calls by what a tools file says. The cost is nil where it is not known: the file says of no rung what a
// call costs, or it does not have the rungs that are unknown.
func costOf(tools *plan.Tools, calls []called) (sum *Cost, unknown []string) {
	if !tools.SayCosts() {
		return nil, nil
	}
	sum = &Cost{}
	for _, c := range calls {
		call, ok := callOf(tools, c)
		if name := c.tool + "/" + c.rung; ok {
			sum.add(call)
		} else if !slices.Contains(unknown, name) {
			unknown = append(unknown, name)
		}
	}
	if unknown != nil {
		return nil, unknown
	}
	return sum, nil
}

// callOf is what one call costs. A probe has no cost, wherever it comes from.
func callOf(tools *plan.Tools, c called) (cost float64, ok bool) {
	if c.rung == steps.VerifyRung {
		return 0, true
	}
	t := tools.Tools[c.tool]
	if t == nil {
		return 0, false
	}
	i := slices.IndexFunc(t.Rungs, func(r plan.RungDef) bool { return r.Name == c.rung })
	if i < 0 {
		return 0, false
	}
	return t.Rungs[i].Cost, true
}
