package view

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"belay/internal/steps"
)

// says makes a program with one tool, whose summary has the named parameters where it has braces.
func says(template string, order ...string) *steps.Program {
	if template == "" {
		return &steps.Program{Summaries: map[string]steps.Saying{"t": {Order: order}}}
	}
	return &steps.Program{Summaries: map[string]steps.Saying{"t": {Order: order, Say: func(params any) ([]steps.Piece, error) {
		var pieces []steps.Piece
		for i, part := range strings.FieldsFunc(template, func(r rune) bool { return r == '{' || r == '}' }) {
			if value := strings.HasPrefix(template, "{") == (i%2 == 0); value {
				v, ok := params.(map[string]any)[part]
				if !ok {
					return nil, errors.New("no " + part)
				}
				text, isText := v.(string)
				if n, is := v.(json.Number); is {
					text, isText = string(n), true
				}
				if !isText {
					return nil, errors.New("no text")
				}
				pieces = append(pieces, steps.Piece{Text: text, Value: true})
				continue
			}
			pieces = append(pieces, steps.Piece{Text: part})
		}
		return pieces, nil
	}}}}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	const refund = "Refund {amount} EUR to {customer}"
	long := strings.Repeat("very long name ", 40)
	for name, c := range map[string]struct {
		template     string
		order        []string
		params, want string
	}{
		"as the tool says it":      {refund, nil, `{"amount":120.50,"customer":"ann"}`, "Refund 120.50 EUR to ann"},
		"a number as written":      {refund, nil, `{"amount":12345678901234567890,"customer":"ann"}`, "Refund 12345678901234567890 EUR to ann"},
		"an amount that is text":   {refund, nil, `{"amount":"1 200.50","customer":"ann"}`, "Refund 1 200.50 EUR to ann"},
		"cut in the middle":        {refund, nil, `{"amount":120.50,"customer":"` + long + `"}`, "Refund 120.50 EUR to very long name very long name very long name very…ame very long name very long name very long name"},
		"never at the amount":      {"{note} {amount}", nil, `{"amount":98765432109876543210987654321098765.25,"note":"` + long + `"}`, "very long name very long name very long …long name very long name very long name  98765432109876543210987654321098765.25"},
		"nobody reads that":        {refund, nil, `{"amount":` + strings.Repeat("9", 5000) + `,"customer":"ann"}`, "Refund [a number of 5000 characters] EUR to ann"},
		"what cannot be seen":      {refund, nil, `{"amount":1,"customer":"ann\u202e\n\tbob\u0000"}`, "Refund 1 EUR to ann[U+202E][U+000A][U+0009]bob[U+0000]"},
		"over several lines":       {"Refund\n{amount}\tEUR", nil, `{"amount":1}`, "Refund 1 EUR"},
		"nothing to say it with":   {refund, nil, `{"amount":120}`, "amount 120"},
		"by name":                  {"", nil, `{"customer":"ann","amount":120,"ok":true,"why":null}`, "amount 120, customer ann, ok true, why null"},
		"in the schema's order":    {"", []string{"zip", "customer"}, `{"customer":"ann","amount":120,"zip":"01234"}`, "zip 01234, customer ann, amount 120"},
		"scalars first":            {"", []string{"to", "items"}, `{"items":[1,2],"to":{"a":1},"zz":1}`, "zz 1, to {…}, items (2)"},
		"entries are told apart":   {"", nil, `{"customer":"ann, amount 5","empty":"","edge":" x"}`, `customer "ann, amount 5", edge " x", empty ""`},
		"numbers stay":             {"", nil, `{"a":"` + long + `","b":"` + long + `","c":"` + long + `","d":"` + long + `","e":"` + long + `","amount":120.50,"zzz":7}`, `a "very long na… long name ", amount 120.50, b "very long na… long name ", c "very long na… long name ", zzz 7, 2 more`},
		"no parameters":            {"", nil, `{}`, ""},
		"parameters are no object": {"", nil, `[1]`, ""},
		"no parameters yet":        {"", nil, ``, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Summary(says(c.template, c.order...), "t", json.RawMessage(c.params))
			if got != strings.TrimSpace(c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// TestASummaryIsOneLine: whatever a call holds, it is one line of bounded length without anything that cannot be seen,
// and every amount in it is there with all its digits or not at all.
func TestASummaryIsOneLine(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z0-9 ,.]{0,300}`), rapid.StringMatching(`([0-9]{20} ){20}`))
		params := map[string]any{"amount": json.Number("73519.42"), "a": text.Draw(t, "a"), "b": text.Draw(t, "b")}
		for k := range rapid.MapOfN(text, text, 0, 20).Draw(t, "more") {
			params["x"+k] = rapid.OneOf(text.AsAny(), rapid.Just[any](json.Number("5")), rapid.Just[any]([]any{1})).Draw(t, "value")
		}
		raw, err := json.Marshal(params)
		if err != nil {
			t.Fatal(err)
		}
		for _, template := range []string{"", "pay {amount} to {a}", "{a}{b}{amount}{b}{a}"} {
			got := Summary(says(template), "t", raw)
			if n := utf8.RuneCountInString(got); n > longestSummary+2 || visible(got) != got || strings.ContainsAny(got, "\r\n\t") {
				t.Fatalf("%d characters: %q", n, got)
			}
			if template != "{a}{b}{amount}{b}{a}" && !strings.Contains(got, "73519.42") {
				t.Fatalf("the amount is not in %q", got)
			}
		}
	})
}

// It counts what this process allocates, so it runs alone.
func TestSummaryOfLargeParametersIsCheap(t *testing.T) {
	raw := json.RawMessage(`{"text":"` + strings.Repeat("\u202e", 150_000) + `"}`)
	p := says("Send {text}")
	if n := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			Summary(p, "t", raw)
		}
	}).AllocedBytesPerOp(); n > 4<<20 {
		t.Errorf("%d bytes", n)
	}
}
