package pages

import (
	"strings"
	"testing"

	"belay/internal/handoff"
	"belay/internal/steps/view"
)

func TestHowAlikeItemsDiffer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		items []string // each: name=value, ...
		want  string
	}{
		"numbers as they are written": {[]string{"amount=12", "amount=340.50", "amount=99"}, "amount 12 to 340.50"},
		"negative ones":               {[]string{"amount=-3", "amount=12"}, "amount -3 to 12"},
		"two texts":                   {[]string{"currency=EUR", "currency=CHF", "currency=EUR"}, "currency EUR or CHF"},
		"more texts":                  {[]string{"to=ann", "to=bo", "to=cy"}, "to differs"},
		"one that others lack":        {[]string{"to=ann", "order=1"}, "to differs, order differs"},
		"all the same":                {[]string{"to=ann", "to=ann"}, ""},
		"what is no number":           {[]string{"n=1", "n=NaN", "n=0x10"}, "n differs"},
		"many":                        {[]string{"a=1,b=1,c=1,d=1,e=1,f=1", "a=2,b=2,c=2,d=2,e=2,f=2"}, "a 1 to 2, b 1 to 2, c 1 to 2, d 1 to 2, 2 more parameters differ"},
		"a part of them":              {[]string{"order=A,amount=1", "order=A,amount=2"}, "amount 1 to 2"},
	} {
		var items []*handoff.Item
		for _, text := range c.items {
			it := &handoff.Item{}
			for pair := range strings.SplitSeq(text, ",") {
				n, v, _ := strings.Cut(pair, "=")
				it.Facts = append(it.Facts, view.Fact{Name: n, Value: v})
			}
			items = append(items, it)
		}
		if got := spread(items, differing(items)); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
