package expr

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"belay/internal/steps"
)

// FuzzTemplate: whatever the expression, it is refused, or it gives JSON, or an error.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{
		"${ input.n + 1 }", "x ${ steps.first.output.id }", "$${ x }", "${ map(input.list, # * 2) }", "${ {'a': [1, 2.50]}.a[1] }", "${ input?.a ?? run.id }",
		"${ sort(input.list) | join(',') }", "${ let x = input.n; x in 1..10 }", "${ input.s matches '^a.*' }", "${ if input.yes { 1 } else { nil } }", "${ '}' }", "${ `",
		"${ input.list[1:] }", "${ -input.n % 3 ** 2 }", "${ groupBy(input.rows, .id) }", "${ reduce(input.list, #acc + #, 0) }", "${ fromJSON('[1e9]')[0] }",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		compiled, faults := CompileTemplate(s, "", aView())
		for _, f := range faults {
			if f.Message == "" || f.At < 0 || f.At > utf8.RuneCountInString(s)+1 {
				t.Fatalf("%q: %+v", s, f)
			}
		}
		if len(faults) > 0 {
			return
		}
		raw, err := compiled.over(aWorld())
		if err == nil && !json.Valid(raw) {
			t.Fatalf("%q gives no JSON: %s", s, raw)
		}
		if again, err2 := compiled.over(aWorld()); (err == nil) != (err2 == nil) || string(raw) != string(again) {
			t.Fatalf("%q gives %s, then %s", s, raw, again)
		}
	})
}

// FuzzValues: every JSON value passes through as it was written, but for order and space.
func FuzzValues(f *testing.F) {
	for _, s := range []string{`1.10`, `{"b":[1e3,"<>&\u2028"],"a":null}`, `"\ud800"`, `-0`, `[[[]]]`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !json.Valid([]byte(s)) {
			return
		}
		once, err := Canonical(steps.Decode(json.RawMessage(s)))
		if err != nil {
			t.Fatal(err)
		}
		twice, err := Canonical(steps.Decode(once))
		if err != nil || string(once) != string(twice) {
			t.Fatalf("%s becomes %s, then %s (%v)", s, once, twice, err)
		}
	})
}
