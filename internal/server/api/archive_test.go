package api

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"belay/internal/bus"
	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/runlog"
	"belay/internal/steps"
)

// over is a run that was cancelled, and has ended.
func (o *office) over(run string) {
	o.t.Helper()
	o.held(run)
	_, err := o.runs.Cancel(o.t.Context(), run, steps.Cancelled{By: "sue", Via: "cli"})
	if err == nil {
		_, err = o.runs.Append(o.t.Context(), run, steps.Closed{State: steps.RunCancelled})
	}
	if err != nil {
		o.t.Fatal(err)
	}
}

// archived asks for the archive of all that has ended, and reads it.
func (o *office) archived() (list []runlog.ArchiveRun, end runlog.ArchiveEnd) {
	o.t.Helper()
	a := o.ask("GET", "/api/v1/archive?ended_until="+url.QueryEscape(time.Now().Add(time.Hour).Format(time.RFC3339)), "", "X-Who", "eve")
	_, end, err := runlog.ReadArchive(strings.NewReader(a.text), func(r runlog.ArchiveRun, _ []byte) error {
		list = append(list, r)
		return nil
	})
	if err != nil || a.Header.Get("Content-Type") != "application/x-ndjson" {
		o.t.Fatalf("%v: %s", err, a.text)
	}
	return list, end
}

// TestAnArchiveIsTakenAndRemoved: what is read is whole, and only an admin removes what was read as it is.
func TestAnArchiveIsTakenAndRemoved(t *testing.T) {
	t.Parallel()
	o := open(t)
	var behind error // the trail
	o.desk.Removing = func(_ context.Context, _ people.Actor, a people.Act, _ string, _ []bus.Entry) error {
		if a.Text != "s3://backup/a" {
			t.Errorf("%+v", a)
		}
		return behind
	}
	o.held("live")
	o.over("old")
	o.over("older")
	for _, q := range []string{"", "?ended_until=soon", "?ended_until=2026-01-31T08:00:00Z&where=state:x"} {
		o.refused(o.ask("GET", "/api/v1/archive"+q, ""), 400, "invalid")
	}
	list, end := o.archived()
	if len(list) != 2 || end.Runs != 2 {
		t.Fatalf("%+v", list)
	}
	const path = "/api/v1/archive/remove"
	order := fmt.Sprintf(`{"archive":"s3://backup/a","items":[{"id":%q,"sha256":%q},{"id":"old","sha256":"x"},{"id":"live","sha256":"x"},{"id":"none","sha256":"x"}]}`, list[0].ID, list[0].SHA256)
	order = strings.Replace(order, `"id":"old","sha256":"x"`, fmt.Sprintf(`"id":%q,"sha256":"x"`, list[1].ID), 1)
	o.refused(o.ask("POST", path, order), 403, "forbidden")
	o.refused(o.ask("POST", path, `{"archive":"a","items":[]}`, "X-Who", "ada"), 422, "invalid")
	o.refused(o.ask("POST", path, `{"items":[{"id":"old","sha256":"x"}]}`, "X-Who", "ada"), 422, "invalid")
	o.refused(o.ask("POST", path, `{"items":[{"id":"old","digest":"x"}]}`, "X-Who", "ada"), 400, "invalid")
	behind = bus.ErrFull
	o.refused(o.ask("POST", path, order, "X-Who", "ada"), 503, "full")
	if again, _ := o.archived(); len(again) != 2 {
		t.Fatalf("something was removed: %+v", again)
	}
	behind = nil
	a := o.ask("POST", path, order, "X-Who", "ada")
	if a.StatusCode != 200 || a.body["removed"] != 2.0 {
		t.Fatal(a.text)
	}
	for i, want := range []handoff.RemovedResult{handoff.RunRemoved, handoff.RunKept, handoff.RunKept, handoff.RunGone} {
		if it := a.body["items"].([]any)[i].(map[string]any); it["result"] != string(want) {
			t.Errorf("%d: %v, want %s", i, it, want)
		}
	}
	o.refused(o.ask("GET", "/api/v1/runs/"+list[0].ID, ""), 404, "no_run")
	if left, _ := o.archived(); len(left) != 1 || left[0].ID != list[1].ID {
		t.Errorf("%+v", left)
	}
}
