package notify

import (
	"regexp"
	"strings"

	"belay/internal/text"
)

// How much of an outside text a notice shows, in characters.
const (
	longestWord    = 80
	longestMessage = 600
	longestSummary = 200
)

// ansi matches terminal commands: CSI and OSC sequences, with 7 and with 8 bits, and single letters.
var ansi = regexp.MustCompile(`(?:\x1b\[|\x{9b})[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x{9d})[^\x07\x1b\x{9c}]*(?:\x07|\x1b\\|\x{9c})|\x1b[@-Z\\^_c]`)

// clean makes outside text harmless to read: valid UTF-8, at most most characters, without terminal commands, and with
// characters made visible that would hide or reorder the text around them.
func clean(s string, most int) string {
	s = strings.ToValidUTF8(text.Bounded(s, 16*most), "\uFFFD")
	s = strings.ReplaceAll(ansi.ReplaceAllString(s, ""), "\r\n", "\n")
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strings.TrimSpace(text.Lines(s))
}

// line returns clean text on one line.
func line(s string, most int) string {
	return strings.Join(strings.Fields(clean(s, most)), " ")
}
