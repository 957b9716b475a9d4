package runlog

import (
	"encoding/json"
	"errors"
	"testing"

	"belay/internal/bus"
	"belay/internal/exactjson"
	"belay/internal/exactjson/exactjsontest"
	"belay/internal/steps"
	"belay/internal/steps/view"
	"belay/internal/wire"
)

// FuzzReadHead: what lists show of a submission is what the fold reads.
func FuzzReadHead(f *testing.F) {
	_, body, err := wire.EncodeEvent(steps.Submitted{
		Document: json.RawMessage(`{"plan":{"name":"p"},"tools":{}}`), Input: json.RawMessage(`{"a":{"b":[1,"x"]}}`), Labels: map[string]string{"team": "red"}, By: "ann", Token: "t",
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add([]byte(`{"v":1,"type":"submitted","by":"ann","By":"zoe","token":"t","document":{"plan":{"name":"p","Name":"q"},"Plan":{}},"input":{}}`))
	f.Add([]byte(`{"v":1,"type":"submitted","document":{"plan":{"name":"p","name":"q"}},"input":{}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		h := ReadHead(body)
		InputValues(h.Input, func(path, text string) {
			if path == "" && text == "" {
				t.Log("an empty text")
			}
		})
		e, err := wire.DecodeEvent(wire.KindPlan, body)
		s, is := e.(steps.Submitted)
		var d steps.Definition
		if err != nil || !is || exactjson.Unmarshal(s.Document, &d) != nil {
			return
		}
		if h.Workflow != d.Plan.Name || h.Owner != ownerOf(s.By, s.Token) || string(h.Input) != string(s.Input) {
			t.Fatalf("%s\n%+v", body, h)
		}
	})
}

// FuzzParse: an entry is an event of the run that its subject names, or poison.
func FuzzParse(f *testing.F) {
	n := wire.Default
	a := steps.Attempt{Step: "s", Try: 1}
	for subject, e := range map[string]steps.Event{
		n.Claim(0, "r", a): steps.Claimed{Attempt: a, Worker: "w"}, n.Log(1, "r", wire.KindOutcome): steps.Started{Attempt: a, Worker: "w"}, n.Log(2, "r", wire.KindResult): steps.Closed{State: "failed"},
		n.ToolClaim(0, "r", "a.b", a): steps.Claimed{Attempt: a, Worker: "w"},
	} {
		_, body, err := wire.EncodeEvent(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(subject, body)
	}
	f.Fuzz(func(t *testing.T, subject string, body []byte) {
		run, e, err := Parse(n, bus.Entry{Subject: subject, Data: body})
		if err != nil && !errors.Is(err, wire.ErrPoison) || (err == nil) != (e != nil) {
			t.Fatalf("%+v, %v", e, err)
		}
		p, of, kind, ok := n.ParseLog(subject)
		if ok && of != run || !ok && run != "" {
			t.Fatalf("%q is of run %q", subject, run)
		}
		if c, is := e.(steps.Claimed); is && (kind != wire.KindClaim || subject != n.Claim(p, run, c.Attempt) && subject != n.ToolClaim(p, run, toolOf(n, bus.Entry{Subject: subject}), c.Attempt)) {
			t.Fatalf("a claim of %+v on %s", c.Attempt, subject)
		}
	})
}

// FuzzReport is about the document of a run that has ended, which a dispatcher reports.
func FuzzReport(f *testing.F) {
	exactjsontest.Fuzz(f, func(body []byte) (view.Document, error) {
		e := &ear{docs: map[string][]byte{"r": body}}
		if d, ok := e.take("r"); ok {
			return d, nil
		}
		return view.Document{}, errors.New("unreadable")
	}, view.Document{ID: "r", Workflow: "w", State: "succeeded", Output: json.RawMessage(`{"a":1,"a":2}`)})
}
