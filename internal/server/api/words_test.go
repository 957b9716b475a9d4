package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// digest is what an approval of a run's first question names.
func (o *office) digest(run string) string {
	o.t.Helper()
	card := o.ask("GET", "/api/v1/escalations/"+run+"-1", "")
	return card.body["dossier"].(map[string]any)["approval"].(map[string]any)["digest"].(string)
}

// TestOnePersonIsNotTwoOverHTTP: of two who must approve, the same one again is told who else must, however the name is
// written, and whatever picture of it they have.
func TestOnePersonIsNotTwoOverHTTP(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.heldBy("run", `{approvers: 2, not_submitter: true}`)
	approve := `{"digest":"` + o.digest("run") + `"}`
	const path = "/api/v1/escalations/run-1/"
	const more = "1 of 2 approved, mia; one more person must approve before pay runs"
	const unproven = "; the run says it was submitted by sue, and nobody checked that"
	etag := o.ask("GET", "/api/v1/escalations/run-1", "").Header.Get("ETag")
	o.refused(o.ask("POST", path+"approve", approve, "X-Who", "SUE"), http.StatusForbidden, "forbidden")
	first := o.ask("POST", path+"approve", approve, "If-Match", etag)
	if first.StatusCode != http.StatusOK || first.body["effect"] != more+unproven || first.body["part"] != true {
		t.Errorf("%d %s", first.StatusCode, first.text)
	}
	for _, name := range []string{"mia", "Mia", "MIA"} {
		for _, header := range [][]string{nil, {"If-Match", etag}} {
			again := o.ask("POST", path+"approve", approve, append(header, "X-Who", name)...)
			o.refused(again, http.StatusConflict, "approved")
			if !strings.Contains(again.text, more) {
				t.Errorf("%s is told %s", name, again.text)
			}
		}
	}
	item := o.ask("GET", "/api/v1/escalations", "").body["items"].([]any)[0].(map[string]any)
	if item["approved"] != "1 of 2 approved, mia" || item["needed"] != float64(2) || fmt.Sprint(item["approvals"]) != "[mia]" {
		t.Errorf("the list says %v", item)
	}
	card := o.ask("GET", "/api/v1/escalations/run-1", "").body["dossier"].(map[string]any)
	if card["approved"] != "1 of 2 approved, mia" {
		t.Errorf("the card says %v", card["approved"])
	}
	second := o.ask("POST", path+"approve", approve, "X-Who", "bo")
	if second.StatusCode != http.StatusOK || second.body["effect"] != "pay is queued to run once, with exactly these parameters"+unproven || second.body["part"] != nil {
		t.Errorf("%d %s", second.StatusCode, second.text)
	}
}

// TestOverAClaimOverHTTP: what somebody else has claimed takes a word, and the trail has it.
func TestOverAClaimOverHTTP(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.held("run")
	const path = "/api/v1/escalations/run-1/"
	o.ask("POST", path+"claim", ``, "X-Who", "bo")
	o.refused(o.ask("POST", path+"reject", `{"reason":"no"}`), http.StatusConflict, "claimed")
	o.refused(o.ask("POST", path+"claim", ``), http.StatusConflict, "claimed")
	if run := o.ask("GET", "/api/v1/runs/run", ""); run.body["state"] != "waiting" {
		t.Fatal(run.text)
	}
	if a := o.ask("POST", path+"claim", `{"take":true}`); a.StatusCode != http.StatusOK || !strings.Contains(a.text, "bo had it") {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	if a := o.ask("POST", path+"reject", `{"reason":"no","take":true}`, "X-Who", "cy"); a.StatusCode != http.StatusOK || !strings.Contains(a.text, "mia had claimed it, and is shown that you decided it") {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	var over []string
	for _, l := range o.ask("GET", "/api/v1/escalations/run-1", "").body["trail"].([]any) {
		line := l.(map[string]any)
		over = append(over, fmt.Sprint(line["by"], " ", line["action"], " over ", line["over"]))
	}
	if got := strings.Join(over, ", "); got != "bo claim over <nil>, mia claim over bo, cy reject over mia" {
		t.Error(got)
	}
	for name, want := range map[string]string{"bo": "mia claimed it", "Mia": "cy rejected"} {
		news, err := o.desk.TakenOver(t.Context(), name)
		if err != nil || len(news) != 1 || news[0].By+" "+news[0].Did != want {
			t.Errorf("%s is told %+v, %v", name, news, err)
		}
	}
}

// TestACancelOverHTTP says what came of it.
func TestACancelOverHTTP(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.held("run")
	if a := o.ask("POST", "/api/v1/runs/run/cancel", `{"reason":"enough"}`); a.StatusCode != http.StatusOK || a.body["effect"] != "nothing was executing; the run is cancelled" {
		t.Errorf("%d %s", a.StatusCode, a.text)
	}
	o.refused(o.ask("POST", "/api/v1/runs/run/cancel", ``), http.StatusConflict, "ended")
	late := o.ask("POST", "/api/v1/escalations/run-1/reject", `{"reason":"no"}`)
	o.refused(late, http.StatusPreconditionFailed, "decided")
	if !strings.Contains(late.text, "the run was cancelled by mia: enough") {
		t.Error(late.text)
	}
	log := o.ask("GET", "/api/v1/runs/run/events", "")
	if !strings.Contains(log.text, `"via":"api"`) {
		t.Error(log.text)
	}
}
