package api

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"belay/internal/plan"
	"belay/internal/schema"
)

// sent is one server-sent event.
type sent struct{ id, event, data string }

// listen reads server-sent events until the stream ends.
func (o *office) listen(ctx context.Context, path string, header ...string) <-chan sent {
	o.t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, o.url+path, nil)
	if err != nil {
		o.t.Fatal(err)
	}
	r.Header.Set("X-Who", "mia")
	r.Header.Set("Accept", "text/event-stream")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := (&http.Client{Transport: validating{o.t}}).Do(r)
	if err != nil {
		o.t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		o.t.Fatal(res.Status, res.Header)
	}
	events := make(chan sent)
	go func() {
		defer close(events)
		defer res.Body.Close()
		lines := bufio.NewScanner(res.Body)
		lines.Buffer(nil, 1<<20)
		var e sent
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "id":
				e.id = value
			case "event":
				e.event = value
			case "data":
				e.data = value
			case "":
				o.fits(e)
				events <- e
				e = sent{}
			}
		}
	}()
	return events
}

// fits holds what is sent against its definition in openapi.json.
func (o *office) fits(e sent) {
	if e == (sent{}) { // a comment
		return
	}
	of := map[string]string{"end": "End", "frozen": "Frozen"}[e.event]
	if of == "" {
		of = "Line"
	}
	defs, err := schema.Definitions("#/$defs/")
	if err != nil {
		o.t.Error(err)
		return
	}
	text, err := json.Marshal(map[string]any{"$ref": "#/$defs/" + of, "$defs": defs})
	if err != nil {
		o.t.Error(err)
		return
	}
	check, err := plan.CompileSchema(text)
	if err == nil {
		err = check(json.RawMessage(e.data))
	}
	if err != nil || (of == "Line") == (e.id == "") {
		o.t.Errorf("%+v: %v", e, err)
	}
}

// TestServerSentEvents are the lines of the export, live, until the run ends; a caller who was cut off goes on behind
// the last one.
func TestServerSentEvents(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.held("run1")
	const path = "/api/v1/runs/run1/events"
	live := o.listen(t.Context(), path)
	first := <-live
	if first.event != "submitted" || first.id == "" || first.data+"\n" != o.ask("GET", path, "").text {
		t.Fatalf("%+v", first)
	}
	if a := o.ask("POST", "/api/v1/runs/run1/cancel", `{"reason":"<enough>"}`); a.StatusCode != 200 {
		t.Fatal(a.text)
	}
	second := <-live
	if second.event != "cancelled" || !strings.Contains(second.data, `"reason":"<enough>"`) {
		t.Fatalf("%+v", second)
	}
	for _, header := range [][]string{{"Last-Event-ID", first.id}, {"Last-Event-ID", first.id, "Accept", "application/json, text/event-stream;q=0.9"}} {
		ctx, cut := context.WithCancel(t.Context())
		if got := <-o.listen(ctx, path, header...); got != second {
			t.Errorf("%+v", got)
		}
		cut()
	}
	ctx, cut := context.WithCancel(t.Context())
	defer cut()
	if got := <-o.listen(ctx, path+"?after="+first.id); got != second {
		t.Errorf("%+v", got)
	}
	o.refused(o.ask("GET", path, "", "Accept", "text/event-stream", "Last-Event-ID", "x"), 400, "invalid")
	o.refused(o.ask("GET", "/api/v1/runs/nobody/events", "", "Accept", "text/event-stream"), 404, "no_run")
}
