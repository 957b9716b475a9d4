package notify

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"belay/internal/outside"
)

// How much of a text from outside people are shown, in characters.
const (
	longestWord    = 80
	longestMessage = 600
	longestSummary = 200
)

// ansi matches what terminals take for commands: CSI and OSC sequences, with 7 and with 8 bits, and single letters.
var ansi = regexp.MustCompile(`(?:\x1b\[|\x{9b})[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x{9d})[^\x07\x1b\x{9c}]*(?:\x07|\x1b\\|\x{9c})|\x1b[@-Z\\^_c]`)

// clean makes a text from outside harmless to read: valid UTF-8, no longer than most characters, without commands to
// terminals, and with everything visible that would otherwise hide or reorder what is around it.
func clean(s string, most int) string {
	s = bounded(s, 16*most)
	s = ansi.ReplaceAllString(strings.ToValidUTF8(s, "\uFFFD"), "")
	var b strings.Builder
	for i, r := range []rune(s) {
		if i == most {
			b.WriteString("…")
			break
		}
		b.WriteString(visible(r))
	}
	return strings.TrimSpace(b.String())
}

// bounded cuts a text before anything is done with it, which takes time for every byte.
func bounded(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// line is a clean text in one line.
func line(s string, most int) string {
	return strings.Join(strings.Fields(clean(s, most)), " ")
}

// visible writes a character that cannot be seen, or changes how others are seen, as its number. Joiners stay: without
// them some languages and pictures fall apart.
func visible(r rune) string {
	switch {
	case r == '\n' || r == '\t' || r == '\u200c' || r == '\u200d':
		return string(r)
	case r == '\r':
		return ""
	case outside.Invisible(r):
		return fmt.Sprintf("[U+%04X]", r)
	}
	return string(r)
}
