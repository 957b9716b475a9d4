package runlog

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"belay/internal/exactjson"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// usualReport is the document of a run that went as planned but for one fault.
func usualReport(t testing.TB) []byte {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)
	later := at.Add(time.Minute)
	tried := view.Attempt{Round: 1, Rung: "primary", Try: 1, State: "succeeded", Worker: "w-1", Queued: at, Started: &at, Ended: &later, Took: 1234567}
	failed := tried
	failed.State, failed.Class, failed.Message, failed.Wait = "failed", steps.Timeout, "it took too long", steps.Duration(time.Second)
	body, err := json.Marshal(view.Document{
		ID: "r-1", Workflow: "w", State: steps.RunSucceeded, Labels: map[string]string{"team": "red"}, Started: at, Ended: &later,
		Input: json.RawMessage(`{"a":[1,"}"]}`), Output: json.RawMessage(`null`), Degraded: []steps.Degraded{}, Escalations: []string{}, Asked: []view.Asked{},
		Steps: []view.Step{
			{ID: "a", Tool: "pay.charge", State: "succeeded", Rung: "primary", Round: 1, Output: json.RawMessage(`{"x":"é"}`), Attempts: []view.Attempt{failed, tried}},
			{ID: "b", Tool: "mail.send", State: "skipped", Attempts: []view.Attempt{}, Output: json.RawMessage(`null`)},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestUsualReportsAreReadByHand(t *testing.T) {
	t.Parallel()
	body := usualReport(t)
	var want view.Document
	if err := exactjson.Unmarshal(body, &want); err != nil {
		t.Fatal(err)
	}
	got, ok := scanReport(body)
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("%v\n%s", ok, diff)
	}
}

// FuzzScanReport: whatever is read by hand, encoding/json with exact keys reads the same way.
func FuzzScanReport(f *testing.F) {
	f.Add(usualReport(f))
	f.Add([]byte(`{"id":"r","workflow":"w","state":"failed","labels":null,"started":"2026-01-02T03:04:05Z","ended":null,"input":{},"degraded":null,"steps":[],"output":1,"escalations":[],"asked":[]}`))
	f.Add([]byte(`{"id":"r","workflow":"w","state":"failed","labels":{"a":"b","a":"c"},"started":"2026-01-02T03:04:05Z","ended":"2026-01-02T03:04:05Z","input":{},"degraded":[],"steps":[],"output":1,"escalations":[],"asked":[]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, ok := scanReport(body)
		if !ok {
			return
		}
		var want view.Document
		if err := exactjson.Unmarshal(body, &want); err != nil {
			t.Fatalf("%q is refused: %v", body, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q\n%s", body, diff)
		}
	})
}
