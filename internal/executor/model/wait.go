package modelexec

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"belay/internal/executor"
)

// limits are the headers in which providers say when a limit is full again, beside those that say how much is left of it.
var limits = [...]struct{ reset, left string }{
	{"X-Ratelimit-Reset-Requests", "X-Ratelimit-Remaining-Requests"},
	{"X-Ratelimit-Reset-Tokens", "X-Ratelimit-Remaining-Tokens"},
	{"Anthropic-Ratelimit-Requests-Reset", "Anthropic-Ratelimit-Requests-Remaining"},
	{"Anthropic-Ratelimit-Tokens-Reset", "Anthropic-Ratelimit-Tokens-Remaining"},
	{"Anthropic-Ratelimit-Input-Tokens-Reset", "Anthropic-Ratelimit-Input-Tokens-Remaining"},
	{"Anthropic-Ratelimit-Output-Tokens-Reset", "Anthropic-Ratelimit-Output-Tokens-Remaining"},
}

// namedWait is how long a provider asks to wait: what it says outright, or else until the limits are full again of which
// nothing is left; if it does not say which ones these are, all of them.
func namedWait(h http.Header) time.Duration {
	if wait := executor.NamedWait(h.Get); wait > 0 {
		return wait
	}
	var empty, all time.Duration
	for _, l := range limits {
		wait := resetIn(h.Get(l.reset), h.Get("Date"))
		all = max(all, wait)
		if strings.TrimSpace(h.Get(l.left)) == "0" {
			empty = max(empty, wait)
		}
	}
	return cmp.Or(empty, all)
}

// resetIn reads when a limit is full again: a duration like 6m0s, or a time.
func resetIn(value, date string) time.Duration {
	value = strings.TrimSpace(value)
	if d, err := time.ParseDuration(value); err == nil {
		return max(0, d)
	}
	at, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return 0
	}
	return executor.RetryAfter(at.UTC().Format(http.TimeFormat), date)
}
