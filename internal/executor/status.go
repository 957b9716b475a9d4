package executor

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"belay/internal/steps"
)

// OfStatus classifies the HTTP status of a failure, or a similar code of another protocol. A 4xx is a refusal: nothing
// was done. After any other status something may have been done.
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

// longestWait keeps an absurd Retry-After from overflowing; the policy has its own, lower limit.
const longestWait = 365 * 24 * time.Hour

// NamedWait is how long the other side asks to wait before the next call, in whichever header; header returns the value
// of one, or an empty text. A header in milliseconds counts first. No value or a negative one is 0, no wait. That
// includes the pushback of gRPC that forbids a retry, because the number of tries is the policy's business.
func NamedWait(header func(name string) string) time.Duration {
	for _, name := range []string{"Retry-After-Ms", "X-Ms-Retry-After-Ms", "Grpc-Retry-Pushback-Ms"} {
		ms, err := strconv.ParseFloat(strings.TrimSpace(header(name)), 64)
		if err == nil && ms >= 0 && !math.IsInf(ms, 0) {
			return waitOf(ms / 1000)
		}
	}
	return RetryAfter(header("Retry-After"), header("Date"))
}

// RetryAfter parses a Retry-After header: seconds, or an HTTP date. Because clocks differ, a date counts relative to
// date, the Date header of the same answer, if there is one. 0 means that there is no wait, or that it is over.
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
