package view

import (
	"strings"

	"belay/internal/steps"
)

// TargetHost is the host that the rung of unit i talks to, with its port if the tools file has one; of what is no URL, the text that
// people are shown after its first word.
func TargetHost(s *steps.State, i int) string {
	text, _ := run{s}.target(i)
	if _, after, ok := strings.Cut(text, " "); ok {
		text = after
	}
	if _, after, ok := strings.Cut(text, "://"); ok {
		text = after
		if end := strings.IndexAny(text, "/?# "); end >= 0 {
			text = text[:end]
		}
		if at := strings.LastIndexByte(text, '@'); at >= 0 {
			text = text[at+1:]
		}
		return strings.ToLower(text)
	}
	return text
}
