package text

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Invisible reports whether a reader would not see r, or see something else because of it: control and formatting
// characters, what turns the direction of writing, blanks that pass for letters, and what Unicode has not assigned.
func Invisible(r rune) bool {
	switch {
	case unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp):
		return true
	case r == 0xFE0E || r == 0xFE0F: // how a sign is drawn, as text or in colour
		return false
	case unicode.Is(unicode.Variation_Selector, r), unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r):
		return true
	case r == 0x2800: // a letter of Braille that is blank
		return true
	}
	return !unicode.IsGraphic(r)
}

// Mark is how an invisible character is written out in plain text: [U+202E].
func Mark(r rune) string { return fmt.Sprintf("[U+%04X]", r) }

// Visible writes out every invisible character of s, line ends and tabs among them, with [Mark]; bytes that are not
// UTF-8 become U+FFFD. A text of which a reader sees everything is returned as it is.
func Visible(s string) string { return visible(s, "") }

// Lines is [Visible] for a text of several lines: it keeps line ends, written \n, and tabs.
func Lines(s string) string { return visible(strings.ReplaceAll(s, "\r\n", "\n"), "\n\t") }

// Line is [Visible] for a text that is shown on one line: line ends and tabs become blanks. It is safe to print on a
// terminal.
func Line(s string) string {
	if strings.ContainsAny(s, "\n\t") {
		s = blanks.Replace(s)
	}
	return visible(s, "")
}

var blanks = strings.NewReplacer("\r\n", " ", "\n", " ", "\t", " ")

func visible(s, kept string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	hidden := func(r rune) bool { return Invisible(r) && !strings.ContainsRune(kept, r) }
	if !strings.ContainsFunc(s, hidden) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if hidden(r) {
			b.WriteString(Mark(r))
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// JSON writes the invisible characters of a JSON document as JSON escapes them, so that it stays the same document and
// a reader sees all of it. Line ends and tabs stay.
func JSON(doc string) string {
	var b strings.Builder
	for _, r := range doc {
		switch {
		case !Invisible(r) || r == '\n' || r == '\t':
			b.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, "\\u%04x\\u%04x", high, low)
		default:
			fmt.Fprintf(&b, "\\u%04x", r)
		}
	}
	return b.String()
}
