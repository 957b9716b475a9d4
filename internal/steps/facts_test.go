package steps

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestFactsAreScalarsInTheOrderOfTheSchema(t *testing.T) {
	schema := json.RawMessage(`{"properties":{"customer":{},"amount":{"type":"number"},"note":{}}}`)
	params := json.RawMessage(`{"amount":120.00,"customer":"ann\n@example.com","extra":true,"items":[1],"note":"","of":{"a":1},"when":null}`)
	var got []string
	for _, f := range factsOf(params, schema) {
		got = append(got, f.Name+"="+f.Value)
	}
	if want := "customer=ann @example.com amount=120.00 extra=true"; strings.Join(got, " ") != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestFactsAreFewAndShort(t *testing.T) {
	many := "{"
	for i := range 40 {
		many += `"` + strings.Repeat("n", 100+i) + `":"` + strings.Repeat("é", 500) + `",`
	}
	list := factsOf(json.RawMessage(many+`"z":1}`), nil)
	if len(list) != maxFacts {
		t.Errorf("%d facts", len(list))
	}
	for _, f := range list {
		if len([]rune(f.Name)) > maxFact || len([]rune(f.Value)) > maxFact {
			t.Errorf("%d and %d characters", len([]rune(f.Name)), len([]rune(f.Value)))
		}
	}
	for _, params := range []string{"", "null", "[1]", "{", `{"a":`, "7"} {
		if list := factsOf(json.RawMessage(params), json.RawMessage(params)); list != nil {
			t.Errorf("%s: %v", params, list)
		}
	}
}
