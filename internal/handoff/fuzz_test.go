package handoff

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/exactjson"
	"belay/internal/exactjson/exactjsontest"
	"belay/internal/people"
	"belay/internal/steps"
	"belay/internal/wire"
)

var moment = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// FuzzRecord is about what people have done about an escalation: a record that cannot be read is empty.
func FuzzRecord(f *testing.F) {
	exactjsontest.Fuzz(f, func(body []byte) (record, error) {
		r, ok := readRecord(bus.Item{Value: body})
		if ok {
			return r, nil
		}
		if r.Claim != nil || len(r.Acts)+len(r.Notes)+len(r.Votes) > 0 {
			f.Fatalf("%+v", r)
		}
		return r, errors.New("unreadable")
	}, record{Claim: &Claim{By: "ann", Until: moment}, Assigned: "zoe", Notes: []Note{{}}, Votes: []string{"ann"}, Acts: []TrailLine{{}}})
}

// read is how the other documents of this package are read.
func read[T any](body []byte) (v T, err error) { return v, exactjson.Unmarshal(body, &v) }

// FuzzRedrive is about how far a redrive is.
func FuzzRedrive(f *testing.F) {
	exactjsontest.Fuzz(f, read[Redrive], Redrive{ID: "i", Verb: "retry", By: "ann", State: RedriveRunning, Started: moment, Items: []RedriveResult{{}}})
}

// FuzzRequest is about what another process asks to be done.
func FuzzRequest(f *testing.F) {
	exactjsontest.Fuzz(f, read[request], request{V: wire.Version, Token: "t", Name: "ann", Via: "cli", ID: "r-1", Act: people.Act{Verb: "edit", Params: json.RawMessage(`{"a":1,"a":2}`)}})
}

// FuzzReply is about the answer to that.
func FuzzReply(f *testing.F) {
	exactjsontest.Fuzz(f, read[reply], reply{V: wire.Version, Done: Done{ID: "r-1", Action: "approve", At: moment, By: "ann"},
		Failure: &failure{Code: "decided", Message: "m", Before: &DecidedBefore{Decision: &steps.Decided{By: "zoe"}, At: moment}}})
}

// FuzzApplySet: parameters stay JSON, and what is set is there afterwards.
func FuzzApplySet(f *testing.F) {
	f.Add(`{"a":{"b":1}}`, `{"type":"object"}`, "a.b=2")
	f.Add(`{"a":[1]}`, `{}`, "a.1=x")
	f.Add(`{}`, `{"properties":{"a":{"type":"string"}}}`, "a=1")
	f.Fuzz(func(t *testing.T, params, schema, set string) {
		out, err := ApplySet(json.RawMessage(params), json.RawMessage(schema), set)
		if err == nil && !json.Valid(out) {
			t.Fatalf("%q becomes %q", params, out)
		}
	})
}
