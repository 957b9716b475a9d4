package steps_test

import (
	"encoding/json"
	"testing"

	"belay/internal/steps"
)

func TestPrice(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		price steps.Price
		used  steps.Usage
		want  string
	}{
		{steps.Price{Input: 2.5, Output: 10}, steps.Usage{Input: 1_000_000, Output: 100_000}, "$3.50"},
		{steps.Price{Input: 2.5, Output: 10, Cached: 1.25}, steps.Usage{Input: 1_000_000, Cached: 400_000}, "$2.00"},
		{steps.Price{Input: 2.5, Output: 10}, steps.Usage{Input: 1_000_000, Cached: 400_000}, "$2.50"}, // the same price if no other is known
		{steps.Price{Input: 0.0375, Output: 0.3}, steps.Usage{Input: 1, Output: 1}, "$0.00000034"},
		{steps.Price{}, steps.Usage{Input: 5, Output: 5}, "$0.00"},
		{steps.Price{Input: 1}, steps.Usage{Input: 10, Cached: 20}, "$0.000020"}, // a provider that counts the cached ones apart
	} {
		if got := c.price.Of(c.used).String(); got != c.want {
			t.Errorf("%+v of %+v is %s, want %s", c.used, c.price, got, c.want)
		}
	}
}

func TestMoneyIsANumberOfDollars(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"0.1", "2", "1e-09", "123456.789012345", "0"} {
		var m steps.Money
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Fatal(err)
		}
		if b, err := json.Marshal(m); err != nil || string(b) != text {
			t.Errorf("%s became %s, %v", text, b, err)
		}
	}
}
