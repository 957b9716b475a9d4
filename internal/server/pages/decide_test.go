package pages_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/server/pages/pagestest"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// hidden gives the hidden inputs of the page's form, as a browser sends them.
func hidden(body string) url.Values {
	form := url.Values{}
	for _, m := range regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`).FindAllStringSubmatch(body, -1) {
		form.Add(m[1], html.UnescapeString(m[2]))
	}
	return form
}

// send opens the form of a verb, fills it in and sends it.
func (s *site) send(id, verb string, fill url.Values) answer {
	s.Helper()
	path := "/e/" + id + "/" + verb
	page := s.get(path)
	page.wants(s.T, http.StatusOK)
	form := hidden(page.body)
	for k, v := range fill {
		form[k] = v
	}
	return s.post(path, form)
}

// again sends the form that asks once more.
func (s *site) again(id, verb string, page answer) answer {
	s.Helper()
	page.wants(s.T, http.StatusOK, "are you sure?")
	return s.post("/e/"+id+"/"+verb, hidden(page.body))
}

// last is the only act that was done.
func (s *site) last() people.Act {
	s.Helper()
	acts := s.world.Acts()
	if len(acts) != 1 {
		s.Fatalf("%d acts, want 1: %+v", len(acts), acts)
	}
	return acts[0]
}

func (s *site) nothingDone() {
	s.Helper()
	if acts := s.world.Acts(); len(acts) != 0 {
		s.Errorf("something was done: %+v", acts)
	}
}

func TestApproveNamesExactlyWhatWasShown(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	a := s.send(pagestest.Refund, "approve", nil)
	a.wants(t, http.StatusSeeOther)
	act := s.last()
	if act.Digest != "sha256:4f2ad9c0b7e1558e" || act.Revision != 41 || act.Verb != "approve" {
		t.Errorf("%+v", act)
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+a.header.Get("Location"), nil)
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		req.AddCookie(c)
	}
	s.do(req).wants(t, http.StatusOK, "Your decision counts: approve.", "Runs payments.refund now", "Next escalation")
	settled := s.get(a.header.Get("Location"))
	settled.wants(t, http.StatusOK, "mia decided: approve", "Closed: payments.refund")
	if strings.Contains(settled.body, `class="verb`) {
		t.Error("a settled card still offers decisions")
	}
}

func TestApproveRefusesWhatWasNotShown(t *testing.T) {
	t.Parallel()
	for name, fill := range map[string]url.Values{
		"another digest": {"digest": {"sha256:other"}}, "no digest": {"digest": {""}}, "another revision": {"revision": {"40"}}, "no revision": {"revision": {""}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, pagestest.Morning(clock))
			if a := s.send(pagestest.Refund, "approve", fill); a.status != http.StatusPreconditionFailed && a.status != http.StatusUnprocessableEntity {
				t.Errorf("status %d", a.status)
			}
			s.nothingDone()
		})
	}
}

func TestReasonIsKeptAndAskedFor(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	s.send(pagestest.Refund, "reject", url.Values{"reason": {"  "}}).wants(t, http.StatusUnprocessableEntity, "needs a reason", `aria-invalid="true"`)
	s.nothingDone()
	s.send(pagestest.Refund, "reject", url.Values{"reason": {"not broken"}}).wants(t, http.StatusSeeOther)
	if act := s.last(); act.Reason != "not broken" {
		t.Errorf("%+v", act)
	}
}

func TestGraveDecisionsAskOnceMore(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	page := s.send(pagestest.Refund, "abort", url.Values{"reason": {"wrong customer"}})
	s.nothingDone()
	s.again(pagestest.Refund, "abort", page).wants(t, http.StatusSeeOther)
	if act := s.last(); act.Verb != "abort" || act.Reason != "wrong customer" {
		t.Errorf("%+v", act)
	}
}

func TestEditShowsWhatChangesAndKeepsNumbers(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	page := s.send(pagestest.Refund, "edit", url.Values{"f.amount": {"99.50"}, "f.note": {"first\r\nsecond"}, "reason": {"photo"}})
	page.wants(t, http.StatusOK, "120.00", "99.50", "not there")
	s.nothingDone()
	s.again(pagestest.Refund, "edit", page).wants(t, http.StatusSeeOther)
	act := s.last()
	if want := `{"order":"A-1009","amount":99.50,"currency":"EUR","notify":true,"note":"first\nsecond"}`; string(act.Params) != want {
		t.Errorf("got  %s\nwant %s", act.Params, want)
	}
	if act.Reason != "photo" || act.Revision != 41 {
		t.Errorf("%+v", act)
	}
}

func TestEditRefusesBesideTheField(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fill url.Values
		says string
	}{
		"not a number":       {url.Values{"f.amount": {"many"}}, "This is not a number"},
		"number with comma":  {url.Values{"f.amount": {"99,50"}}, "This is not a number"},
		"against the schema": {url.Values{"f.amount": {"501"}}, "maximum"},
		"number left empty":  {url.Values{"f.amount": {""}}, "This is not a number"},
		"nothing changed":    {url.Values{}, "Nothing has changed"},
		"not JSON":           {url.Values{"whole": {"{\n\"amount\": }"}}, "Line 2"},
		"not an object":      {url.Values{"whole": {"[1]"}}, "JSON object"},
		"JSON and schema":    {url.Values{"whole": {`{"amount":1}`}}, "order"},
		"more than one":      {url.Values{"whole": {`{"order":"A","amount":1}{}`}}, "not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, pagestest.Morning(clock))
			a := s.send(pagestest.Refund, "edit", c.fill)
			a.wants(t, http.StatusUnprocessableEntity, c.says)
			for k, v := range c.fill {
				if v[0] != "" && !strings.Contains(html.UnescapeString(a.body), v[0]) {
					t.Errorf("what was typed for %s is lost", k)
				}
			}
			s.nothingDone()
		})
	}
}

func TestEditCanBeChangedAfterTheDiff(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	page := s.send(pagestest.Refund, "edit", url.Values{"f.amount": {"99.50"}, "reason": {"photo"}})
	form := hidden(page.body)
	form.Set("back", "yes")
	s.post("/e/"+pagestest.Refund+"/edit", form).wants(t, http.StatusOK, `value="99.50"`, "photo")
	s.nothingDone()
}

func TestEditOfNestedParameters(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	page := s.send(pagestest.Shipment, "edit", url.Values{"f.zip": {"10115"}, "f.to": {`{"name":"Ann Example","street":"Rosenweg 3","zip":"10115","city":"Berlin"}`}})
	page.wants(t, http.StatusOK, "to.zip")
	s.again(pagestest.Shipment, "edit", page).wants(t, http.StatusSeeOther)
	if want := `{"order":"A-1009","to":{"name":"Ann Example","street":"Rosenweg 3","zip":"10115","city":"Berlin"},"weight":1.50,"zip":"10115"}`; string(s.last().Params) != want {
		t.Errorf("got  %s\nwant %s", s.last().Params, want)
	}
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		id   string
		fill url.Values
		want string // empty: refused
	}{
		"option":            {pagestest.Invoice, url.Values{"choice": {"INV-2265 of 1 October"}}, `"INV-2265 of 1 October"`},
		"no option":         {pagestest.Invoice, url.Values{"choice": {"INV-9"}}, ``},
		"none picked":       {pagestest.Invoice, nil, ``},
		"field":             {pagestest.Charge, url.Values{"f.id": {"12345"}, "reason": {"saw it"}}, `{"id":"12345"}`},
		"field left empty":  {pagestest.Charge, url.Values{"f.id": {""}, "reason": {"saw it"}}, ``},
		"JSON":              {pagestest.Shipment, url.Values{"whole": {`{"id": 1.10}`}}, `{"id":1.10}`},
		"JSON, but no JSON": {pagestest.Shipment, url.Values{"whole": {`id`}}, ``},
		"against schema":    {pagestest.Shipment, url.Values{"whole": {`7`}}, ``},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, pagestest.Morning(clock))
			a := s.send(c.id, "answer", c.fill)
			if c.want == "" {
				a.wants(t, http.StatusUnprocessableEntity)
				s.nothingDone()
				return
			}
			if a.status == http.StatusOK { // somebody else has claimed it
				a = s.again(c.id, "answer", a)
			}
			a.wants(t, http.StatusSeeOther)
			if got := s.last().Answer; string(got) != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestAnswerOfOneValueTakesItsType(t *testing.T) {
	t.Parallel()
	for schema, c := range map[string]struct{ typed, want string }{
		`{"type":"number"}`:  {"1.10", `1.10`},
		`{"type":"string"}`:  {"1.10", `"1.10"`},
		`{"type":"boolean"}`: {"true", `true`},
		`{"enum":["a","b"]}`: {"b", `"b"`},
	} {
		w := pagestest.Morning(clock)
		card, _ := w.Card(t.Context(), pagestest.Invoice)
		card.Dossier.Question = &view.Question{Text: "How much?", Schema: json.RawMessage(schema)}
		w.Put(card)
		s := newSite(t, w)
		s.send(pagestest.Invoice, "answer", url.Values{"f.answer": {c.typed}}).wants(t, http.StatusSeeOther)
		if got := s.last().Answer; string(got) != c.want {
			t.Errorf("%s: got %s, want %s", schema, got, c.want)
		}
	}
}

func TestWhoeverIsLaterLearnsWhoWasFirst(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	page := s.get("/e/" + pagestest.Refund + "/reject")
	if _, err := s.world.Act(t.Context(), pagestest.Approver("bo"), pagestest.Refund, people.Act{Verb: "abort", Reason: "fraud"}); err != nil {
		t.Fatal(err)
	}
	form := hidden(page.body)
	form.Set("reason", "a long reason that I typed")
	s.post("/e/"+pagestest.Refund+"/reject", form).wants(t, http.StatusPreconditionFailed, "Already decided: bo chose abort.", "fraud", "a long reason that I typed")
	if acts := s.world.Acts(); len(acts) != 1 {
		t.Errorf("%+v", acts)
	}
}

func TestWhyAnActDoesNotCount(t *testing.T) {
	t.Parallel()
	before := &handoff.DecidedBefore{Decision: &steps.Decided{By: "bo", Verb: steps.VerbReject, Reason: "no"}, At: noon}
	for name, c := range map[string]struct {
		err    error
		status int
		says   string
	}{
		"decided before": {fmt.Errorf("decide: %w", before), http.StatusPreconditionFailed, "Already decided: bo chose reject."},
		"by events":      {&handoff.DecidedBefore{At: noon, Text: "already ended: closed by other events"}, http.StatusPreconditionFailed, "Already ended: closed by other events."},
		"approved":       {fmt.Errorf("%w: 1 of 2 approved, mia", handoff.ErrApproved), http.StatusConflict, "you have approved already: 1 of 2 approved, mia"},
		"not allowed":    {fmt.Errorf("%w: two people must approve", handoff.ErrNotAllowed), http.StatusForbidden, "two people must approve"},
		"invalid":        {fmt.Errorf("%w: too large", handoff.ErrInvalid), http.StatusUnprocessableEntity, "too large"},
		"gone":           {handoff.ErrNoEscalation, http.StatusNotFound, "does not exist any more"},
		"unknown":        {errors.New("nats: timeout"), http.StatusServiceUnavailable, "Send it again: it counts only once."},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, pagestest.Morning(clock))
			page := s.get("/e/" + pagestest.Refund + "/reject")
			form := hidden(page.body)
			form.Set("reason", "what I typed")
			s.world.Refuse(c.err)
			s.post("/e/"+pagestest.Refund+"/reject", form).wants(t, c.status, c.says, "what I typed")
		})
	}
}

func TestRolesSeeOnlyWhatTheyMayDecide(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	s.person = pagestest.Operator("otto")
	a := s.get("/e/" + pagestest.Refund)
	a.wants(t, http.StatusOK, "Your role, operator, does not allow approve and reject.", "Edit")
	if strings.Contains(a.body, "/approve\"") {
		t.Error("an operator is offered to approve")
	}
	s.get("/e/"+pagestest.Refund+"/approve").wants(t, http.StatusForbidden)
	s.post("/e/"+pagestest.Refund+"/approve", url.Values{"digest": {"sha256:4f2ad9c0b7e1558e"}, "revision": {"41"}}).wants(t, http.StatusForbidden)
	s.person = pagestest.Viewer("vic")
	for _, verb := range []string{"edit", "claim", "note", "abort"} {
		s.post("/e/"+pagestest.Refund+"/"+verb, url.Values{"revision": {"41"}, "text": {"x"}, "sure": {"yes"}}).wants(t, http.StatusForbidden)
	}
	s.nothingDone()
}

func TestSmallActs(t *testing.T) {
	t.Parallel()
	for verb, c := range map[string]struct {
		fill url.Values
		says string
	}{
		"claim":  {nil, "You have claimed it"},
		"assign": {url.Values{"to": {"bo"}}, "Assigned to bo"},
		"snooze": {url.Values{"for": {"4h"}}, "Snoozed until"},
		"note":   {url.Values{"text": {"called the bank"}}, "called the bank"},
	} {
		s := newSite(t, pagestest.Morning(clock))
		s.send(pagestest.Shipment, verb, c.fill).wants(t, http.StatusSeeOther)
		s.get("/e/"+pagestest.Shipment).wants(t, http.StatusOK, c.says)
		if verb == "snooze" && !s.last().Until.Equal(noon.Add(4*3600e9)) {
			t.Errorf("until %s", s.last().Until)
		}
	}
}

func TestSmallActsNeedTheirWords(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	s.send(pagestest.Shipment, "assign", url.Values{"to": {" "}}).wants(t, http.StatusUnprocessableEntity, "Say whom to assign it to.")
	s.send(pagestest.Shipment, "note", url.Values{"text": {""}}).wants(t, http.StatusUnprocessableEntity, "Write the note.")
	s.send(pagestest.Shipment, "snooze", url.Values{"for": {"99999h"}}).wants(t, http.StatusUnprocessableEntity, "Choose how long.")
	s.nothingDone()
}

func TestAFormThatIsTooLarge(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	s.post("/e/"+pagestest.Shipment+"/note", url.Values{"text": {strings.Repeat("x", 3<<20)}}).wants(t, http.StatusRequestEntityTooLarge)
	s.nothingDone()
}

const stormGroup = "payments.refund primary timeout pay.example.com"

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	if _, err := s.world.Act(t.Context(), pagestest.Approver("bo"), pagestest.Storm(2), people.Act{Verb: "skip"}); err != nil {
		t.Fatal(err)
	}
	page := s.post("/redrives", url.Values{"group": {stormGroup}, "verb": {"retry"}, "id": {pagestest.Storm(1), pagestest.Storm(2), pagestest.Storm(3)}, "revision": {"101", "102", "103"}})
	page.wants(t, http.StatusOK, "Retry 2 of 3?", "Left out: This is not open any more. Already decided: bo chose skip.", "Runs it again")
	if n := len(s.world.Acts()); n != 1 {
		t.Fatalf("the preview did something: %d acts", n)
	}
	if _, err := s.world.Act(t.Context(), pagestest.Approver("bo"), pagestest.Storm(3), people.Act{Verb: "abort"}); err != nil {
		t.Fatal(err)
	}
	s.follow(s.post("/redrives", hidden(page.body))).wants(t, http.StatusOK, "Retry: 1 of 2 done", "1 retried; 1 left as they were", "bo chose abort")
}

func TestAllOfAGroup(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	page := s.post("/redrives", url.Values{"group": {stormGroup}, "verb": {"retry"}, "all": {"yes"}})
	page.wants(t, http.StatusOK, "Retry 100 of 100?")
	s.follow(s.post("/redrives", hidden(page.body))).wants(t, http.StatusOK, "Retry: 100 of 100 done")
	if n := len(s.world.Acts()); n != 100 {
		t.Errorf("%d acts", n)
	}
}

func TestManyAreClaimedAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	page := s.post("/redrives", url.Values{"group": {stormGroup}, "verb": {"claim"}, "id": {pagestest.Storm(1), pagestest.Storm(2)}, "revision": {"101", "102"}})
	page.wants(t, http.StatusOK, "Claim 2 of 2?")
	s.post("/redrives", hidden(page.body)).wants(t, http.StatusOK, "Claim: 2 of 2 done")
}

func TestWavesAreWatchedAndStopped(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	wave := pagestest.Wave(5, 2)
	wave.Items[2] = handoff.RedriveResult{ID: pagestest.Storm(3), Result: handoff.ItemDecided}
	wave.Items[3] = handoff.RedriveResult{ID: pagestest.Storm(4), Result: handoff.ItemRefused, Detail: "<b>bo</b> chose skip"}
	s.world.PutRedrive(wave)
	s.get("/redrives/wave").wants(t, http.StatusOK, "Retry: 2 of 5 done so far", `value="3"`, "stops by itself", "decided, and at work", "left as it was: <b>bo</b> chose skip", "waits for its turn", "Stop here", "the bank is back")
	s.person = pagestest.Viewer("vic")
	if a := s.get("/redrives/wave"); strings.Contains(a.body, "Stop here") {
		t.Error("a viewer is offered to stop it")
	}
	s.post("/redrives/wave/stop", nil).wants(t, http.StatusForbidden, "You may not stop this")
	s.person = pagestest.Operator("otto")
	s.follow(s.post("/redrives/wave/stop", nil)).wants(t, http.StatusOK, "Retry: 2 of 5 done<", "otto stopped it", "1 not touched", "not touched")
	s.get("/redrives/nothing").wants(t, http.StatusNotFound, "There is no such redrive")
	for state, says := range map[handoff.RedriveState]string{handoff.RedriveCameBack: "the decision did not help", handoff.RedriveRefused: "mia may no longer make this decision", handoff.RedriveInterrupted: "What was decided stays decided"} {
		wave.State = state
		s.world.PutRedrive(wave)
		s.get("/redrives/wave").wants(t, http.StatusOK, says, "its card shows whether it was decided")
	}
}

func TestApprovalsAreNeverGivenInARedrive(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	for _, verb := range []string{"approve", "edit", "answer", "nonsense", ""} {
		s.post("/redrives", url.Values{"verb": {verb}, "id": {pagestest.Refund}, "revision": {"41"}, "sure": {"yes"}}).wants(t, http.StatusForbidden)
	}
	s.person = pagestest.Viewer("vic")
	s.post("/redrives", url.Values{"verb": {"retry"}, "id": {pagestest.Storm(1)}, "revision": {"101"}, "sure": {"yes"}}).wants(t, http.StatusForbidden)
	s.nothingDone()
}

// TestWhatADecisionOfManyLedTo is said where it was decided, with the way to what is asked now.
func TestWhatADecisionOfManyLedTo(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	wave := pagestest.Wave(2, 0)
	wave.State, wave.Verb = handoff.RedriveCameBack, people.Skip
	for i := range wave.Items {
		wave.Items[i] = handoff.RedriveResult{ID: wave.Items[i].ID, Wave: 1, Result: string(view.FateOther), Step: "mail", Next: "r-2", Detail: "cannot fetch parcel from null"}
	}
	s.world.PutRedrive(wave)
	s.get("/redrives/wave").wants(t, http.StatusOK, "Skip: 0 of 2 done<", "2 skipped, 2 of them stopped again at mail: cannot fetch parcel from null.",
		`stopped again at mail: cannot fetch parcel from null <a href="/e/r-2">what it asks now</a>`)
}

// TestASettledCardSaysWhatFollowed: beside what was in question then, and with a way there.
func TestASettledCardSaysWhatFollowed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		state    steps.EscalationState
		followed view.Aftermath
		wants    []string
	}{
		{steps.EscalationDecided, view.Aftermath{Fate: view.FateDone, Text: "ship succeeded on try 3; the run succeeded"}, []string{`<p class="followed">`, `<a href="/runs/`, "ship succeeded on try 3; the run succeeded</a>"}},
		{steps.EscalationDecided, view.Aftermath{Fate: view.FateOther, Text: "stopped again at mail: <b>no</b>", Next: "r-2"}, []string{`<p class="followed bad">`, `<a href="/e/r-2"><span class="outside">stopped again at mail: <b>no</b></span></a>`}},
		{steps.EscalationExpired, view.Aftermath{Fate: view.FateBack, Text: "it is asked again", Next: "r-3"}, []string{"Nobody decided in time.", `<a href="/e/r-3"><span class="outside">it is asked again</span></a>`}},
	} {
		s := newSite(t, pagestest.Morning(clock))
		card, err := s.world.Card(t.Context(), pagestest.Shipment)
		if err != nil {
			t.Fatal(err)
		}
		card.Item.State, card.Dossier.State, card.Dossier.Followed = c.state, c.state, &c.followed
		if c.state == steps.EscalationDecided {
			card.Dossier.Decision = &steps.Decided{Verb: steps.VerbEdit, By: "mia", Params: json.RawMessage(`{"zip":"10115"}`)}
		}
		s.world.Put(card)
		s.get("/e/"+pagestest.Shipment).wants(t, http.StatusOK, c.wants...)
	}
}

func TestARejectionMayCoverMore(t *testing.T) {
	t.Parallel()
	for _, scope := range []string{"", "tool", "target"} {
		w := pagestest.Morning(clock)
		pagestest.PutAgents(w)
		s := newSite(t, w)
		s.get("/e/"+pagestest.Payout+"/reject").wants(t, http.StatusOK, "Exactly this call", "Every call of payments.refund to POST https://pay.example.com/refunds")
		s.send(pagestest.Payout, "reject", url.Values{"reason": {"no"}, "scope": {scope}}).wants(t, http.StatusSeeOther)
		if act := s.last(); act.Scope != scope {
			t.Errorf("%q: %+v", scope, act)
		}
		if page := s.get("/e/" + pagestest.Refund + "/reject"); strings.Contains(page.body, `name="scope"`) {
			t.Error("a step that makes one call has nothing to choose")
		}
	}
}
