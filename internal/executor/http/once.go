package httpexec

import (
	"bytes"
	"io"
	"net/http"
)

// keyHeader is lower-case on purpose. Under its usual spelling net/http takes it as leave to send a request again by
// itself when a kept connection breaks. Only the core may decide to repeat a call, and it must know that it did.
const keyHeader = "idempotency-key"

// once sends every request once. net/http repeats GET and the like by itself when a kept connection breaks before the
// answer, which is a second execution that nobody decided on; it does not where the body cannot be had again.
type once struct{ *http.Transport }

func (o once) RoundTrip(r *http.Request) (*http.Response, error) {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		again := *r
		again.GetBody = nil
		if r.Body == nil || r.Body == http.NoBody {
			again.Body = io.NopCloser(bytes.NewReader(nil)) // found empty before anything is sent, so none is announced
		}
		r = &again
	}
	return o.Transport.RoundTrip(r)
}
