package view

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"belay/internal/steps"
)

func paramsOf(t *testing.T, raw string) map[string]any {
	t.Helper()
	params, ok := steps.Decode(json.RawMessage(raw)).(map[string]any)
	if !ok {
		t.Fatal(raw)
	}
	return params
}

func TestFactsAreScalarsInTheOrderOfTheSchema(t *testing.T) {
	t.Parallel()
	var got []string
	for _, f := range facts(paramsOf(t, `{"amount":120.00,"customer":"ann\n@example.com","extra":true,"items":[1],"note":"","of":{"a":1},"when":null}`), []string{"customer", "amount", "note"}) {
		got = append(got, f.Name+"="+f.Value)
	}
	if want := "customer=ann @example.com amount=120.00 extra=true"; strings.Join(got, " ") != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestFactsAreFewAndShort(t *testing.T) {
	t.Parallel()
	many := map[string]any{"a": json.Number(strings.Repeat("9", 5000))}
	for i := range 40 {
		many[fmt.Sprintf("%03d%s", i, strings.Repeat("n", 200))] = strings.Repeat("é", 500)
	}
	list := facts(many, nil)
	if len(list) != maxFacts {
		t.Errorf("%d facts", len(list))
	}
	for _, f := range list {
		if utf8.RuneCountInString(f.Name) > maxFact || utf8.RuneCountInString(f.Value) > maxFact {
			t.Errorf("%d and %d characters", utf8.RuneCountInString(f.Name), utf8.RuneCountInString(f.Value))
		}
	}
	if list := facts(nil, nil); list != nil {
		t.Error(list)
	}
}
