package pages

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// anyValue makes JSON with blanks between its tokens.
func anyValue() *rapid.Generator[string] {
	space := rapid.SampledFrom([]string{"", "", " ", "\n\t"})
	leaf := rapid.OneOf(rapid.SampledFrom([]string{"null", "true", "-1.50e3", "12345678901234567890", `""`, `"\"[{\\"`, `"ä\u0000"`}), rapid.Just("{}"), rapid.Just("[ ]"))
	var value func(depth int) *rapid.Generator[string]
	value = func(depth int) *rapid.Generator[string] {
		if depth == 0 {
			return leaf
		}
		return rapid.Custom(func(t *rapid.T) string {
			s := space.Draw(t, "space")
			parts := rapid.SliceOfN(value(depth-1), 0, 3).Draw(t, "parts")
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				return s + leaf.Draw(t, "leaf") + s
			case 1:
				return s + "[" + s + strings.Join(parts, s+","+s) + s + "]" + s
			}
			for i := range parts {
				parts[i] = s + rapid.SampledFrom([]string{`"a"`, `"b\"}"`, `"a"`}).Draw(t, "name") + s + ":" + parts[i]
			}
			return "{" + strings.Join(parts, s+",") + s + "}"
		})
	}
	return value(4)
}

// TestIndentedIsJSONIndent: what is not cut is written as encoding/json writes it.
func TestIndentedIsJSONIndent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw := json.RawMessage(anyValue().Draw(t, "value"))
		var want bytes.Buffer
		if err := json.Indent(&want, bytes.TrimSpace(raw), "", "  "); err != nil {
			t.Fatal(err)
		}
		got, cut := indented(raw, 1<<20)
		if cut || got != want.String() {
			t.Fatalf("cut %v\n%s\nwant\n%s", cut, got, want.String())
		}
		most := rapid.IntRange(0, len(got)).Draw(t, "most")
		if part, cut := indented(raw, most); len(part) > most || !strings.HasPrefix(got, part) || cut != (len(part) < len(got)) {
			t.Fatalf("at most %d: %q, cut %v", most, part, cut)
		}
	})
}

// TestMembersAreThoseOfJSON compares members with what encoding/json reads.
func TestMembersAreThoseOfJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw := json.RawMessage(anyValue().Draw(t, "value"))
		var want map[string]json.RawMessage
		err := json.Unmarshal(raw, &want)
		list, membersErr := members(raw)
		if isMap := err == nil && want != nil; isMap != (membersErr == nil) {
			t.Fatalf("%v, %v", err, membersErr)
		}
		for _, m := range unique(raw) {
			if string(want[m.Name]) != string(m.Value) {
				t.Fatalf("%q is %s, not %s", m.Name, m.Value, want[m.Name])
			}
			delete(want, m.Name)
		}
		if membersErr == nil && len(want) > 0 {
			t.Fatalf("%s: %v, without %v", raw, list, want)
		}
	})
}

func TestAValueIsCutWithAMark(t *testing.T) {
	t.Parallel()
	long := json.RawMessage(`{"a":1,"text":"` + strings.Repeat("x", 100_000) + `","z":2}`)
	v := newRoom().shown(long, "/whole")
	if !v.Cut || v.More != "/whole" || len(v.Whole) > valueRoom || len(v.Rows) != 3 || !strings.HasSuffix(v.Rows[1].Text, "…") || v.Rows[2].Text != "2" {
		t.Errorf("%v, %d bytes, %d rows", v.Cut, len(v.Whole), len(v.Rows))
	}
	if v := newRoom().shown(json.RawMessage(`{"a":1}`), "/whole"); v.Cut {
		t.Error("a short value is cut")
	}
	in := newRoom()
	for range 20 {
		v = in.shown(long, "")
	}
	if !v.Cut || in.left < -hardText {
		t.Errorf("the room of a page has no end: %d", in.left)
	}
}

func TestFormsNeverCut(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		`{"a":[1,2]}`, strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000), `["` + strings.Repeat("x", 500_000) + `"]`,
		"[" + strings.Repeat(strings.Repeat("[", 190)+strings.Repeat("]", 190)+",", 1_000) + "1]",
	} {
		text := editable(json.RawMessage(raw))
		if string(squeeze(json.RawMessage(text))) != raw {
			t.Errorf("%.20s: another document", raw)
		}
		if len(text) > steepest*len(raw)+textRoom {
			t.Errorf("%.20s: %d bytes from %d", raw, len(text), len(raw))
		}
	}
}
