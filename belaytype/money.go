package belaytype

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

// Spent is what all calls of models in a run took together, as far as it was counted.
type Spent struct {
	Input  int64 `json:"input"`            // tokens read, the cached ones included
	Output int64 `json:"output"`           // tokens written
	Cached int64 `json:"cached,omitempty"` // tokens of Input that providers had kept from earlier calls
	USD    Money `json:"usd,omitempty"`    // by the prices that the run was submitted with; 0 where there are none
}

// Money is an amount in billionths of a US dollar. It reads and writes JSON as a number of dollars.
type Money int64

// Dollars is the amount as a number.
func (m Money) Dollars() float64 { return float64(m) / 1e9 }

// MarshalJSON writes m in dollars.
func (m Money) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, m.Dollars(), 'g', -1, 64), nil
}

// UnmarshalJSON reads a number of dollars.
func (m *Money) UnmarshalJSON(b []byte) error {
	var d float64
	if err := json.Unmarshal(b, &d); err != nil {
		return err
	}
	*m = Money(math.Round(d * 1e9))
	return nil
}
