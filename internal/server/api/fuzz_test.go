package api

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"belay/internal/exactjson/exactjsontest"
	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
)

func body[T any](text []byte) (v T, err error) { return v, read(text, &v) }

// FuzzRunOrder is about a request for a run.
func FuzzRunOrder(f *testing.F) {
	f.Add([]byte(`{"plan":"p","input":{"a":1,"a":2}}`))
	exactjsontest.Fuzz(f, body[runOrder], runOrder{ID: "r", Plan: json.RawMessage(`"p"`), Input: map[string]json.RawMessage{"a": json.RawMessage(`1`)}, Labels: map[string]string{"team": "red"}})
}

// FuzzCallOrder is about a request for a call.
func FuzzCallOrder(f *testing.F) {
	exactjsontest.Fuzz(f, body[callOrder], callOrder{ID: "r", Tool: "pay", Params: json.RawMessage(`{"amount":1.50}`)})
}

// FuzzMigrateOrder is about a run that goes on under another plan.
func FuzzMigrateOrder(f *testing.F) {
	exactjsontest.Fuzz(f, body[migrateOrder], migrateOrder{ID: "r", Plan: json.RawMessage(`"p"`), Drop: []string{"s"}, Reason: "why", DryRun: true})
}

// FuzzAct is about a decision.
func FuzzAct(f *testing.F) {
	exactjsontest.Fuzz(f, body[people.Act], people.Act{Reason: "why", Params: json.RawMessage(`{"amount":1.50}`), Until: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Digest: "d", Revision: 3})
}

// FuzzRedriveOrder is about a decision on many.
func FuzzRedriveOrder(f *testing.F) {
	exactjsontest.Fuzz(f, body[redriveOrder], redriveOrder{Verb: "retry", Reason: "why", Items: []handoff.Chosen{{ID: "r-1"}}, DryRun: true})
}

// FuzzAfter: where a stream goes on is the id of an event as a stream writes it.
func FuzzAfter(f *testing.F) {
	for _, s := range []string{"", "0", "17", "+17", "017", "-1", "18446744073709551615", "18446744073709551616"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := &http.Request{Header: http.Header{"Last-Event-Id": {text}}, URL: &url.URL{}}
		n, err := afterOf(r)
		if err != nil {
			exactjsontest.Message(t, err)
		} else if text != "" && text != strconv.FormatUint(n, 10) {
			t.Fatalf("%q is %d", text, n)
		}
	})
}

// FuzzFilter: what a list is narrowed to, written as a query, narrows it to the same.
func FuzzFilter(f *testing.F) {
	f.Add("state=failed&workflow=w&limit=3&after=r&since=2026-01-02T15:04:05Z&label=a%3Db&input=x%3D1")
	f.Fuzz(func(t *testing.T, query string) {
		filter, err := filterOf(&http.Request{URL: &url.URL{RawQuery: query}}, time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC))
		if err != nil {
			exactjsontest.Message(t, err)
			return
		}
		if filter.Limit < 1 || filter.Limit > largestPage || filter.State != "" && !slices.Contains(runlog.States, filter.State) {
			t.Fatalf("%q: %+v", query, filter)
		}
	})
}

// FuzzDigest: a request has the same digest however it is spaced.
func FuzzDigest(f *testing.F) {
	f.Add([]byte(`{"a":[1.50,{"b":"\u0041"}]}`))
	f.Fuzz(func(t *testing.T, params []byte) {
		if steps.CheckDepth(params) != nil || !json.Valid(params) {
			return
		}
		spaced, err := json.MarshalIndent(json.RawMessage(params), " ", "  ")
		if err != nil {
			t.Fatal(err)
		}
		a, b := digest(map[string]any{"params": json.RawMessage(params)}), digest(map[string]any{"params": json.RawMessage(spaced)})
		if a == "" || a != b {
			t.Fatalf("%s: %s, %s", params, a, b)
		}
	})
}

// FuzzKindOf: the name of an event is a word that fits into a line of a stream.
func FuzzKindOf(f *testing.F) {
	f.Add([]byte(`{"seq":1,"event":{"v":1,"type":"started"}}`))
	f.Add([]byte(`{"event":{"tYpe":"started"}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		for _, c := range kindOf(line) {
			if (c < 'a' || c > 'z') && c != '_' {
				t.Fatalf("%q", kindOf(line))
			}
		}
	})
}
