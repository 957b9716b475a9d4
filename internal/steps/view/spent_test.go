package view

import (
	"testing"

	"belay/internal/steps"
)

func TestSpentWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		spent *Spent
		want  string
	}{
		{nil, ""},
		{&Spent{Input: 1}, "1 token"},
		{&Spent{Input: 12_000, Output: 400, Cached: 9_000, USD: steps.Dollars(0.03)}, "12,400 tokens, $0.03"},
		{&Spent{Input: 999}, "999 tokens"},
		{&Spent{Output: 1_234_567, USD: steps.Dollars(0.000012)}, "1,234,567 tokens, $0.000012"},
	} {
		if got := c.spent.Words(); got != c.want {
			t.Errorf("%+v is %q, want %q", c.spent, got, c.want)
		}
	}
	a := Attempt{Usage: &steps.Usage{Input: 1000, Output: 5}, Cost: steps.Dollars(1)}
	if got := a.Spent(); got != "1,005 tokens, $1.00" {
		t.Error(got)
	}
	if got := (&Attempt{}).Spent(); got != "" {
		t.Error(got)
	}
}
