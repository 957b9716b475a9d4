package httpexec

import (
	"bytes"
	"io"
	"net/http"
)

// keyHeader is lower-case on purpose. In its usual spelling net/http takes it as permission to resend a request when a
// kept connection breaks. Only the core may decide to repeat a call, and it must know that it did.
const keyHeader = "idempotency-key"

// once sends every request once. When a kept connection breaks before the answer, net/http resends a GET and the like,
// which would be a second execution that nobody decided on. It does not resend a body that it cannot read twice.
type once struct{ *http.Transport }

func (o once) RoundTrip(r *http.Request) (*http.Response, error) {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		single := *r
		single.GetBody = nil
		if r.Body == nil || r.Body == http.NoBody {
			single.Body = io.NopCloser(bytes.NewReader(nil)) // found to be empty before anything is sent, so none is announced
		}
		r = &single
	}
	return o.Transport.RoundTrip(r)
}
