package executor

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"belay/internal/steps"
)

// OfStatus classifies an HTTP status, or the like code of another protocol, that says no. A 4xx is a refusal: the
// other side did nothing. Any other status leaves open what was done.
func OfStatus(status int) (steps.Class, steps.Acted) {
	acted := steps.ActedMaybe
	if status >= 400 && status < 500 {
		acted = steps.ActedNo
	}
	return classOf(status), acted
}

func classOf(status int) steps.Class {
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return steps.InvalidInput
	case http.StatusUnauthorized:
		return steps.Unauthorized
	case http.StatusForbidden:
		return steps.Forbidden
	case http.StatusNotFound, http.StatusGone:
		return steps.NotFound
	case http.StatusConflict:
		return steps.Conflict
	case http.StatusRequestTimeout:
		return steps.Timeout
	case http.StatusTooManyRequests:
		return steps.RateLimited
	case http.StatusTooEarly:
		return steps.Unavailable
	case http.StatusNotImplemented:
		return steps.ToolError
	}
	if status >= 500 && status < 600 {
		return steps.Unavailable
	}
	return steps.ToolError
}

// longestWait keeps a nonsensical Retry-After from overflowing; the policy has its own, lower, cap.
const longestWait = 365 * 24 * time.Hour

// NamedWait is how long the other side says to wait before it is asked again, in whatever header it does so; header gives
// the value of one, empty without it. Milliseconds are the more exact. A value that is negative, or none at all, names no
// wait. So does the pushback of gRPC that forbids another try: how often is the policy's to say.
func NamedWait(header func(name string) string) time.Duration {
	for _, name := range []string{"Retry-After-Ms", "X-Ms-Retry-After-Ms", "Grpc-Retry-Pushback-Ms"} {
		ms, err := strconv.ParseFloat(strings.TrimSpace(header(name)), 64)
		if err == nil && ms >= 0 && !math.IsInf(ms, 0) {
			return waitOf(ms / 1000)
		}
	}
	return RetryAfter(header("Retry-After"), header("Date"))
}

// RetryAfter reads a Retry-After: seconds, or a date as HTTP writes it. A date is taken relative to date, the other
// side's own clock when it answered, where it said so: clocks differ. Zero means none, or already over.
func RetryAfter(value, date string) time.Duration {
	value = strings.TrimSpace(value)
	if s, err := strconv.ParseFloat(value, 64); err == nil {
		return waitOf(s)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(date)
	if err != nil {
		now = time.Now()
	}
	return waitOf(math.Ceil(at.Sub(now).Seconds()))
}

func waitOf(seconds float64) time.Duration {
	if !(seconds > 0) || math.IsInf(seconds, 0) { // NaN too
		return 0
	}
	return time.Duration(min(seconds, longestWait.Seconds()) * float64(time.Second))
}
