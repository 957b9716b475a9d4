package steps

import (
	"encoding/json"
	"math"
	"strconv"
)

// Usage is what one call of a model took, as its provider counts it.
type Usage struct {
	Input    int64  `json:"input,omitempty"`    // tokens read, the cached ones included
	Output   int64  `json:"output,omitempty"`   // tokens written, those of its reasoning included
	Cached   int64  `json:"cached,omitempty"`   // tokens of Input that the provider had kept from an earlier call
	Model    string `json:"model,omitempty"`    // that answered
	Response string `json:"response,omitempty"` // the provider's id of the answer
}

// Price is what a model costs, in US dollars for a million tokens.
type Price struct {
	Input  float64 `json:"input"`            // tokens read
	Output float64 `json:"output"`           // tokens written
	Cached float64 `json:"cached,omitempty"` // tokens read that the provider had kept; 0 = as Input
}

// Of is what a call cost. Every machine gives the same: it is computed with integers.
func (p Price) Of(u Usage) Money {
	cached := p.Cached
	if cached == 0 {
		cached = p.Input
	}
	pico := times(picoEach(p.Input), u.Input-u.Cached) + times(picoEach(cached), u.Cached) + times(picoEach(p.Output), u.Output)
	return Money((pico + 999) / 1000)
}

// times is a product that no count, however large, makes negative.
func times(pico, tokens int64) int64 {
	const most = math.MaxInt64 / 4
	switch {
	case tokens <= 0 || pico <= 0:
		return 0
	case tokens > most/pico:
		return most
	}
	return pico * tokens
}

// picoEach is the price of one token in millionths of a millionth of a dollar.
func picoEach(million float64) int64 { return int64(math.Round(million * 1e6)) }

// Money is an amount in billionths of a US dollar. It reads and writes JSON as a number of dollars.
type Money int64

// Dollars is the amount of so many dollars.
func Dollars(d float64) Money { return Money(math.Round(d * 1e9)) }

// MarshalJSON writes m in dollars.
func (m Money) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(m)/1e9, 'g', -1, 64), nil
}

// UnmarshalJSON reads a number of dollars.
func (m *Money) UnmarshalJSON(b []byte) error {
	var d float64
	if err := json.Unmarshal(b, &d); err != nil {
		return err
	}
	*m = Dollars(d)
	return nil
}

// String is the amount for people: in dollars, to the cent or, where it is smaller, to its second digit.
func (m Money) String() string {
	d := float64(m) / 1e9
	if abs := math.Abs(d); abs >= 0.01 || abs == 0 {
		return "$" + strconv.FormatFloat(d, 'f', 2, 64)
	}
	return "$" + strconv.FormatFloat(d, 'f', 1-int(math.Floor(math.Log10(math.Abs(d)))), 64)
}

// used notes what the current attempt of unit i took.
func (c *change) used(i int, u *Usage) {
	rec := c.Units[i].Current()
	c.reserved(i, rec.Unaccounted())
	if u == nil {
		return
	}
	rec.Usage = u
	if p := c.Tool(i).Rung(rec.Rung).Price; p != nil {
		rec.Cost += p.Of(*u)
	}
}

// Tokens is how many tokens the attempt read and wrote. Where nobody knows, those that were reserved for it count.
func (rec *AttemptRecord) Tokens() int64 {
	if rec.Usage == nil {
		return rec.uncounted
	}
	return rec.uncounted + rec.Usage.Input + rec.Usage.Output
}

// Unaccounted is how many executions of the attempt may have been made beside the one that its outcome is of: their workers are
// gone, and nobody knows how far they came.
func (rec *AttemptRecord) Unaccounted() int {
	n := len(rec.Lost)
	if rec.unheard {
		n++
	}
	return max(n, rec.Crashes)
}

// mayHaveCost reports whether a call of a model that failed may have been counted by its provider: it was not if the provider
// has refused it with a status, or nobody has sent it.
func mayHaveCost(f Fault) bool {
	if f.Status >= 400 {
		return false
	}
	switch f.Class {
	case RateLimited, Unauthorized, Forbidden, NotFound, InvalidInput, Conflict, NoWorker, PolicyDenied, BadExpression, BudgetExceeded:
		return false
	}
	return true
}

// Spent is what all calls of models in a run took together, and cost; false if there was none.
func (s *State) Spent() (sum Usage, cost Money, any bool) {
	for i := range s.Units {
		for n := range s.Units[i].Attempts {
			rec := &s.Units[i].Attempts[n]
			if u := rec.Usage; u != nil {
				sum.Input, sum.Output, sum.Cached = sum.Input+u.Input, sum.Output+u.Output, sum.Cached+u.Cached
				cost, any = cost+rec.Cost, true
			}
		}
	}
	return sum, cost, any
}
