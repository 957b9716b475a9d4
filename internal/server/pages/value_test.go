package pages

import (
	"encoding/json"
	"slices"
	"testing"
)

func TestShownKeepsWhatIsWritten(t *testing.T) {
	t.Parallel()
	v := newRoom().shown(json.RawMessage(`{"amount":120.50,"n":12345678901234567890,"order":"A-1","zip":"01234","code":"12","ok":true,"to":{"a":[1]},"amount":9}`), "")
	want := []row{
		{"amount", "120.50", ""}, {"n", "12345678901234567890", ""}, {"order", "A-1", ""}, {"zip", "01234", ""}, {"code", "12", "text"},
		{"ok", "true", ""}, {"to", "{\n  \"a\": [\n    1\n  ]\n}", "json"}, {"amount", "9", ""},
	}
	if !slices.Equal(v.Rows, want) {
		t.Errorf("got  %q\nwant %q", v.Rows, want)
	}
}

func TestShownOfOtherThanObjects(t *testing.T) {
	t.Parallel()
	for raw, empty := range map[string]bool{``: true, `null`: true, `{}`: true, `[]`: false, `"x"`: false, `{"broken`: false} {
		if v := newRoom().shown(json.RawMessage(raw), ""); v.Empty != empty || len(v.Rows) > 0 {
			t.Errorf("%s: %+v", raw, v)
		}
	}
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before, after string
		want          []change
	}{
		"none":           {`{"a":1,"b":[1,2]}`, `{ "b":[1, 2],"a":1}`, nil},
		"a number":       {`{"amount":120}`, `{"amount":120.0}`, []change{{"amount", "120", "120.0"}}},
		"nested":         {`{"to":{"zip":"1","c":"x"}}`, `{"to":{"zip":"2","c":"x"}}`, []change{{"to.zip", `"1"`, `"2"`}}},
		"added":          {`{}`, `{"a":null}`, []change{{"a", "", "null"}}},
		"gone":           {`{"a":1}`, `{}`, []change{{"a", "1", ""}}},
		"list item":      {`{"l":[1,2]}`, `{"l":[1,3]}`, []change{{"l.1", "2", "3"}}},
		"list grows":     {`{"l":[1]}`, `{"l":[1,2]}`, []change{{"l.1", "", "2"}}},
		"other kind":     {`{"l":[1]}`, `{"l":{"0":1}}`, []change{{"l", "[1]", `{"0":1}`}}},
		"text to number": {`{"a":"1"}`, `{"a":1}`, []change{{"a", `"1"`, "1"}}},
		"empty list":     {`{"l":[]}`, `{"l":[1]}`, []change{{"l.0", "", "1"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := differences(json.RawMessage(c.before), json.RawMessage(c.after)); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
