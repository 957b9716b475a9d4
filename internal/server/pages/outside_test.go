package pages

import (
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"belay/internal/text"
)

// flat writes pieces as one line, the odd ones in braces.
func flat(s string) string {
	var b strings.Builder
	for _, p := range pieces(s) {
		if p.Odd != "" {
			b.WriteString("{" + p.Text + "}")
			continue
		}
		b.WriteString(p.Text)
	}
	return b.String()
}

func TestPiecesShowWhatTheEyeWouldMiss(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"plain":               {"Refund 120 € für Änne", "Refund 120 € für Änne"},
		"lines":               {"a\r\nb\tc\n", "a\nb\tc\n"},
		"ANSI":                {"\x1b[31mred", "{⟪ESC⟫}[31mred"},
		"carriage return":     {"pay 1\rpay 9", "pay 1{⟪U+000D⟫}pay 9"},
		"null and delete":     {"\x00\x7f", "{⟪U+0000⟫}{⟪U+007F⟫}"},
		"C1":                  {"\u009b31m", "{⟪U+009B⟫}31m"},
		"bidi override":       {"a\u202egnp.exe", "a{⟪U+202E⟫}gnp.exe"},
		"bidi isolate":        {"\u2066x\u2069", "{⟪U+2066⟫}x{⟪U+2069⟫}"},
		"zero width":          {"pay\u200bpal\ufeff", "pay{⟪U+200B⟫}pal{⟪U+FEFF⟫}"},
		"tag characters":      {"a\U000e0041", "a{⟪U+E0041⟫}"},
		"hidden selectors":    {"a\U000e0101", "a{⟪U+E0101⟫}"},
		"filler":              {"a\u3164b\u2800", "a{⟪U+3164⟫}b{⟪U+2800⟫}"},
		"line separator":      {"a\u2028b", "a{⟪U+2028⟫}b"},
		"not UTF-8":           {"a\xffb", "a{⟪0xFF⟫}b"},
		"Cyrillic in Latin":   {"pаypal.com", "{pаypal}.com"},
		"Greek in Latin":      {"to Αnn now", "to {Αnn} now"},
		"Cyrillic alone":      {"привет ann", "привет ann"},
		"Greek alone":         {"Ελλάδα", "Ελλάδα"},
		"full width":          {"ｐａｙ", "{ｐａｙ}"},
		"mathematical":        {"𝐩𝐚𝐲", "{𝐩𝐚𝐲}"},
		"combining":           {"e\u0301te\u0301", "e\u0301te\u0301"},
		"emoji":               {"ok 👍 ❤\ufe0f", "ok 👍 ❤\ufe0f"},
		"Japanese with Latin": {"請求書INV", "請求書INV"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := flat(c.in); got != c.want {
				t.Errorf("%q\n got %q\nwant %q", c.in, got, c.want)
			}
		})
	}
}

// Nothing is lost and nothing invisible is left, whatever the text.
func TestPiecesLeaveNothingInvisible(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringOfN(rapid.SampledFrom([]rune("aа\u202e\x1b\u200b\n ")), 0, 20, -1)).Draw(t, "s")
		var back strings.Builder
		for _, p := range pieces(s) {
			back.WriteString(p.Text)
			for _, r := range p.Text {
				if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
					t.Fatalf("%q still has %U", p.Text, r)
				}
			}
		}
		for _, r := range strings.ReplaceAll(s, "\r\n", "\n") {
			if !text.Invisible(r) && !strings.ContainsRune(back.String(), r) {
				t.Fatalf("%q lost %U", s, r)
			}
		}
	})
}
