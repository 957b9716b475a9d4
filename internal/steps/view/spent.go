package view

import (
	"strconv"

	"belay/internal/steps"
)

// Spent is what all calls of models in a run took together, as far as it was counted.
type Spent struct {
	Input  int64       `json:"input"`            // tokens read, the cached ones included
	Output int64       `json:"output"`           // tokens written
	Cached int64       `json:"cached,omitempty"` // tokens of Input that providers had kept from earlier calls
	USD    steps.Money `json:"usd,omitempty"`    // in US dollars, by the prices that the run was submitted with; 0 where there are none
}

// spentOf is nil for a run that has called no model.
func spentOf(s *steps.State) *Spent {
	sum, cost, any := s.Spent()
	if !any {
		return nil
	}
	return &Spent{Input: sum.Input, Output: sum.Output, Cached: sum.Cached, USD: cost}
}

// Words say what was spent: "12,400 tokens, $0.03"; empty for nothing.
func (s *Spent) Words() string {
	if s == nil {
		return ""
	}
	return spentWords(s.Input+s.Output, s.USD)
}

// Spent says what the attempt's model took; empty where nothing was counted.
func (a *Attempt) Spent() string {
	if a.Usage == nil {
		return ""
	}
	return spentWords(a.Usage.Input+a.Usage.Output, a.Cost)
}

func spentWords(tokens int64, cost steps.Money) string {
	words := thousands(tokens) + " tokens"
	if tokens == 1 {
		words = "1 token"
	}
	if cost > 0 {
		words += ", " + cost.String()
	}
	return words
}

// thousands writes a number with commas.
func thousands(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
