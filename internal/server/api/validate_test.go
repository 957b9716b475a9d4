package api

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// paths is the router of openapi.json.
var paths = sync.OnceValues(func() (routers.Router, error) {
	openapi3filter.RegisterBodyDecoder("application/x-ndjson", openapi3filter.JSONBodyDecoder) // line by line
	doc, err := openapi3.NewLoader().LoadFromData(openAPI)
	if err != nil {
		return nil, err
	}
	return gorillamux.NewRouter(doc)
})

// validating is a transport that holds every answer against openapi.json: its status, its kind and its body.
type validating struct{ t *testing.T }

// RoundTrip implements http.RoundTripper.
func (v validating) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || res.Header.Get("Content-Type") == "text/event-stream" {
		return res, err
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil {
		return res, err
	}
	if err := described(r, res.StatusCode, res.Header, body); err != nil {
		v.t.Errorf("%s %s answered %d, which openapi.json does not describe: %v\n%s", r.Method, r.URL.Path, res.StatusCode, err, body)
	}
	return res, nil
}

// described is an error for an answer that openapi.json does not describe.
func described(r *http.Request, status int, header http.Header, body []byte) error {
	router, err := paths()
	if err != nil {
		return err
	}
	route, params, err := router.FindRoute(r)
	if err != nil {
		if status == http.StatusNotFound || status == http.StatusMethodNotAllowed {
			return nil
		}
		return err
	}
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route},
		Status:                 status, Header: header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	}
	docs := [][]byte{body}
	if header.Get("Content-Type") == "application/x-ndjson" {
		docs = bytes.SplitAfter(bytes.TrimSpace(body), []byte("\n"))
	}
	for _, doc := range docs {
		in.SetBodyBytes(doc)
		if err := openapi3filter.ValidateResponse(r.Context(), in); err != nil {
			return err
		}
	}
	return nil
}

// TestTheValidatorFinds what is not described: a field, a status and a kind of content.
func TestTheValidatorFinds(t *testing.T) {
	t.Parallel()
	const good = `{"id":"r","by":"mia","effect":"x"}`
	for _, c := range []struct {
		status     int
		kind, body string
		fits       bool
	}{
		{200, "application/json", good, true},
		{200, "application/json", `{"id":"r","by":"mia","effect":"x","more":1}`, false},
		{200, "application/json", `{"id":"r","by":"mia"}`, false},
		{200, "text/plain", good, false},
		{201, "application/json", good, false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/runs/r/cancel", nil)
		err := described(r, c.status, http.Header{"Content-Type": {c.kind}}, []byte(c.body))
		if (err == nil) != c.fits {
			t.Errorf("%d %s %s: %v", c.status, c.kind, c.body, err)
		}
	}
}
