package scriptedmodel

import (
	"math"
	"net/http"
	"strconv"
)

// misbehaves does what the answer's fault says, where that is not an answer.
func misbehaves(w http.ResponseWriter, r *http.Request, say protocol, ask ask, a Answer) bool {
	switch a.Fault {
	case RateLimited:
		if a.Wait > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(a.Wait.Seconds()))))
			w.Header().Set("Retry-After-Ms", strconv.FormatInt(a.Wait.Milliseconds(), 10))
		}
		say.refuse(w, http.StatusTooManyRequests, "rate_limit_exceeded", "rate_limit_exceeded", "Rate limit reached")
	case Overloaded:
		say.refuse(w, 529, "overloaded_error", "", "Overloaded")
	case Unavailable:
		say.refuse(w, http.StatusServiceUnavailable, "api_error", "", "The service is unavailable")
	case Unauthorized:
		say.refuse(w, http.StatusUnauthorized, "authentication_error", "invalid_api_key", "Incorrect API key provided")
	case ContextTooLong:
		kind, code, message := say.tooLong()
		say.refuse(w, http.StatusBadRequest, kind, code, message)
	case ContentFilter:
		if _, is := say.(messages); !is {
			return false // it ends its answers so
		}
		say.refuse(w, http.StatusBadRequest, "invalid_request_error", "", "Output blocked by content filtering policy")
	case Hang:
		<-r.Context().Done()
	case Garbage, Cut, Broken:
		garble(w, say, ask, a)
	default:
		return false
	}
	return true
}

// garble writes an answer that nobody can read to its end.
func garble(w http.ResponseWriter, say protocol, ask ask, a Answer) {
	switch {
	case a.Fault == Broken:
		e := newEvents(w)
		say.stream(e, ask, a, true)
		say.broken(e)
	case a.Fault == Cut:
		say.stream(newEvents(w), ask, a, true)
		panic(http.ErrAbortHandler) // breaks the connection
	case ask.Stream:
		e := newEvents(w)
		_, _ = e.w.Write([]byte("data: {\"it works\"\n\n"))
	default:
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<html>it works</html>"))
	}
}
