package dispatch

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"belay/internal/steps"
	"belay/internal/steps/view"
)

// TestAnEndIsReported to the program whose token the submission carries: with the document as it is in the log. One that is
// too large for that is left to the log.
func TestAnEndIsReported(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.dispatcher(nil)
	large := json.RawMessage(`"` + strings.Repeat("x", largestReport) + `"`)
	r.worker(func(m steps.StepMessage) steps.Event {
		if m.Run == "large" {
			return steps.Succeeded{Attempt: m.Attempt, Output: large}
		}
		return succeed(m)
	})
	reports := make(chan view.Document, 10)
	stop, err := r.bus.Hear(r.bus.Names().Report("me", "*"), func(subject string, doc []byte) {
		var d view.Document
		if _, run, ok := r.bus.Names().ParseReport(subject); !ok || json.Unmarshal(doc, &d) != nil || d.ID != run {
			t.Errorf("%s: %s", subject, doc)
		}
		reports <- d
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	end := func(run, to string) *steps.State {
		s := steps.Submitted{Document: chain(2, nil), Input: json.RawMessage(`{}`), ReportTo: to}
		if _, err := r.log.Submit(t.Context(), run, s); err != nil {
			t.Fatal(err)
		}
		return r.end(run)
	}
	end("large", "me")
	end("nobody", "")
	ended := view.Show(end("small", "me"))
	select {
	case d := <-reports:
		if !reflect.DeepEqual(d, ended) {
			t.Errorf("%+v is reported, %+v is in the log", d, ended)
		}
	case <-time.After(time.Minute):
		t.Fatal("nothing was reported")
	}
	if len(reports) > 0 {
		t.Errorf("also reported: %+v", <-reports)
	}
}
