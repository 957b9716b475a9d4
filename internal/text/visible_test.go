package text_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"belay/internal/text"
)

func TestInvisible(t *testing.T) {
	t.Parallel()
	for r, want := range map[rune]bool{
		'a': false, 'ü': false, '👩': false, ' ': false, '\uFE0F': false, 'م': false,
		'\n': true, 0x1B: true, 0x202E: true, 0x200B: true, 0x2028: true, 0xE0041: true, 0xE000: true,
		0x3164: true, 0x115F: true, 0x2800: true, 0xFE01: true, 0x0380: true, 0x2065: true,
	} {
		if got := text.Invisible(r); got != want {
			t.Errorf("%U: %v, want %v", r, got, want)
		}
	}
}

func TestVisible(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, visible, lines, line string }{
		{"plain", "plain", "plain", "plain"},
		{"a\r\nb\tc\nd", "a[U+000D][U+000A]b[U+0009]c[U+000A]d", "a\nb\tc\nd", "a b c d"},
		{"back\rover", "back[U+000D]over", "back[U+000D]over", "back[U+000D]over"},
		{"\x1b[31mred", "[U+001B][31mred", "[U+001B][31mred", "[U+001B][31mred"},
		{"001\u202e EUR\u3164", "001[U+202E] EUR[U+3164]", "001[U+202E] EUR[U+3164]", "001[U+202E] EUR[U+3164]"},
		{"bad \xff", "bad \uFFFD", "bad \uFFFD", "bad \uFFFD"},
	} {
		if got := text.Visible(c.in); got != c.visible {
			t.Errorf("Visible(%q) = %q", c.in, got)
		}
		if got := text.Lines(c.in); got != c.lines {
			t.Errorf("Lines(%q) = %q", c.in, got)
		}
		if got := text.Line(c.in); got != c.line {
			t.Errorf("Line(%q) = %q", c.in, got)
		}
	}
}

func TestNothingInvisibleIsLeft(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) + rapid.String().Draw(t, "text")
		for _, got := range []string{text.Visible(s), text.Line(s), strings.NewReplacer("\n", "", "\t", "").Replace(text.Lines(s))} {
			if !utf8.ValidString(got) || strings.ContainsFunc(got, text.Invisible) {
				t.Fatalf("%q of %q", got, s)
			}
		}
	})
}

func TestJSONIsTheSameDocument(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		doc, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		shown := text.JSON(string(doc))
		var back string
		if err := json.Unmarshal([]byte(shown), &back); err != nil || back != s || strings.ContainsFunc(shown, text.Invisible) {
			t.Fatalf("%q became %q", doc, shown)
		}
	})
}

func TestCut(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		text.Cut("grüße", 5): "grüße", text.Cut("grüße!", 5): "grüß…",
		text.CutFront("grüße!", 5): "…üße!", text.CutFront("a", 5): "a",
		text.CutMiddle("0123456789", 6): "01 … 6789", text.CutMiddle("012345", 6): "012345",
		text.Bounded("aü", 2): "a", text.Bounded("aü", 3): "aü",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
