package view

import (
	"strings"

	"belay/internal/steps"
)

// TargetHost is the host that the rung of unit i talks to, with its port if the tools file has one; of what is no URL, the text that
// people are shown after its first word.
func TargetHost(s *steps.State, i int) string { return TargetHostOf(s, i, s.Units[i].Rung) }

// TargetHostOf is the same of any rung of its tool.
func TargetHostOf(s *steps.State, i, rung int) string {
	text, _ := run{s}.targetOf(i, rung)
	return HostOf(text)
}

// HostOf is the host in a target as people are shown it.
func HostOf(text string) string {
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
