package console_test

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

	"belay/internal/console/consoletest"
	"belay/internal/handoff"
	"belay/internal/steps"
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
	page.wants(s.T, http.StatusOK, "is this what you mean?")
	return s.post("/e/"+id+"/"+verb, hidden(page.body))
}

// last is the only act that was done.
func (s *site) last() handoff.Act {
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
	s := newSite(t, consoletest.Morning(clock))
	a := s.send(consoletest.Refund, "approve", nil)
	a.wants(t, http.StatusSeeOther)
	act := s.last()
	if act.Digest != "sha256:4f2ad9c0b7e1558e" || act.Revision != 41 || act.Verb != "approve" {
		t.Errorf("%+v", act)
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+a.header.Get("Location"), nil)
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		req.AddCookie(c)
	}
	s.do(req).wants(t, http.StatusOK, "Your decision counts: approve.", "Runs payments.refund now", "Next question")
	settled := s.get(a.header.Get("Location"))
	settled.wants(t, http.StatusOK, "mia decided: approve", "Settled: payments.refund")
	if strings.Contains(settled.body, `class="verb`) {
		t.Error("a settled card still offers decisions")
	}
}

func TestApproveRefusesWhatWasNotShown(t *testing.T) {
	for name, fill := range map[string]url.Values{
		"another digest": {"digest": {"sha256:other"}}, "no digest": {"digest": {""}}, "another revision": {"revision": {"40"}}, "no revision": {"revision": {""}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, consoletest.Morning(clock))
			if a := s.send(consoletest.Refund, "approve", fill); a.status != http.StatusPreconditionFailed && a.status != http.StatusUnprocessableEntity {
				t.Errorf("status %d", a.status)
			}
			s.nothingDone()
		})
	}
}

func TestReasonIsKeptAndAskedFor(t *testing.T) {
	s := newSite(t, consoletest.Morning(clock))
	s.send(consoletest.Refund, "reject", url.Values{"reason": {"  "}}).wants(t, http.StatusUnprocessableEntity, "needs a reason", `aria-invalid="true"`)
	s.nothingDone()
	s.send(consoletest.Refund, "reject", url.Values{"reason": {"not broken"}}).wants(t, http.StatusSeeOther)
	if act := s.last(); act.Reason != "not broken" {
		t.Errorf("%+v", act)
	}
}

func TestGraveDecisionsAskOnceMore(t *testing.T) {
	s := newSite(t, consoletest.Morning(clock))
	page := s.send(consoletest.Refund, "abort", url.Values{"reason": {"wrong customer"}})
	s.nothingDone()
	s.again(consoletest.Refund, "abort", page).wants(t, http.StatusSeeOther)
	if act := s.last(); act.Verb != "abort" || act.Reason != "wrong customer" {
		t.Errorf("%+v", act)
	}
}

func TestEditShowsWhatChangesAndKeepsNumbers(t *testing.T) {
	s := newSite(t, consoletest.Morning(clock))
	page := s.send(consoletest.Refund, "edit", url.Values{"f.amount": {"99.50"}, "f.note": {"first\r\nsecond"}, "reason": {"photo"}})
	page.wants(t, http.StatusOK, "120.00", "99.50", "not there")
	s.nothingDone()
	s.again(consoletest.Refund, "edit", page).wants(t, http.StatusSeeOther)
	act := s.last()
	if want := `{"order":"A-1009","amount":99.50,"currency":"EUR","notify":true,"note":"first\nsecond"}`; string(act.Params) != want {
		t.Errorf("got  %s\nwant %s", act.Params, want)
	}
	if act.Reason != "photo" || act.Revision != 41 {
		t.Errorf("%+v", act)
	}
}

func TestEditRefusesBesideTheField(t *testing.T) {
	for name, c := range map[string]struct {
		fill url.Values
		says string
	}{
		"not a number":       {url.Values{"f.amount": {"many"}}, "This is not a number"},
		"number with comma":  {url.Values{"f.amount": {"99,50"}}, "This is not a number"},
		"against the schema": {url.Values{"f.amount": {"501"}}, "maximum"},
		"number left empty":  {url.Values{"f.amount": {""}}, "This is not a number"},
		"nothing changed":    {url.Values{}, "Nothing is different"},
		"not JSON":           {url.Values{"whole": {"{\n\"amount\": }"}}, "Line 2"},
		"not an object":      {url.Values{"whole": {"[1]"}}, "JSON object"},
		"JSON and schema":    {url.Values{"whole": {`{"amount":1}`}}, "order"},
		"more than one":      {url.Values{"whole": {`{"order":"A","amount":1}{}`}}, "not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, consoletest.Morning(clock))
			a := s.send(consoletest.Refund, "edit", c.fill)
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
	s := newSite(t, consoletest.Morning(clock))
	page := s.send(consoletest.Refund, "edit", url.Values{"f.amount": {"99.50"}, "reason": {"photo"}})
	form := hidden(page.body)
	form.Set("back", "yes")
	s.post("/e/"+consoletest.Refund+"/edit", form).wants(t, http.StatusOK, `value="99.50"`, "photo")
	s.nothingDone()
}

func TestEditOfNestedParameters(t *testing.T) {
	s := newSite(t, consoletest.Morning(clock))
	page := s.send(consoletest.Shipment, "edit", url.Values{"f.zip": {"10115"}, "f.to": {`{"name":"Ann Example","street":"Rosenweg 3","zip":"10115","city":"Berlin"}`}})
	page.wants(t, http.StatusOK, "to.zip")
	s.again(consoletest.Shipment, "edit", page).wants(t, http.StatusSeeOther)
	if want := `{"order":"A-1009","to":{"name":"Ann Example","street":"Rosenweg 3","zip":"10115","city":"Berlin"},"weight":1.50,"zip":"10115"}`; string(s.last().Params) != want {
		t.Errorf("got  %s\nwant %s", s.last().Params, want)
	}
}

func TestAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		id   string
		fill url.Values
		want string // empty: refused
	}{
		"option":            {consoletest.Invoice, url.Values{"choice": {"INV-2265 of 1 October"}}, `"INV-2265 of 1 October"`},
		"no option":         {consoletest.Invoice, url.Values{"choice": {"INV-9"}}, ``},
		"none picked":       {consoletest.Invoice, nil, ``},
		"field":             {consoletest.Charge, url.Values{"f.id": {"12345"}, "reason": {"saw it"}}, `{"id":"12345"}`},
		"field left empty":  {consoletest.Charge, url.Values{"f.id": {""}, "reason": {"saw it"}}, ``},
		"JSON":              {consoletest.Shipment, url.Values{"whole": {`{"id": 1.10}`}}, `{"id":1.10}`},
		"JSON, but no JSON": {consoletest.Shipment, url.Values{"whole": {`id`}}, ``},
		"against schema":    {consoletest.Shipment, url.Values{"whole": {`7`}}, ``},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, consoletest.Morning(clock))
			a := s.send(c.id, "answer", c.fill)
			if c.want == "" {
				a.wants(t, http.StatusUnprocessableEntity)
				s.nothingDone()
				return
			}
			a.wants(t, http.StatusSeeOther)
			if got := s.last().Answer; string(got) != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestAnswerOfOneValueTakesItsType(t *testing.T) {
	for schema, c := range map[string]struct{ typed, want string }{
		`{"type":"number"}`:  {"1.10", `1.10`},
		`{"type":"string"}`:  {"1.10", `"1.10"`},
		`{"type":"boolean"}`: {"true", `true`},
		`{"enum":["a","b"]}`: {"b", `"b"`},
	} {
		w := consoletest.Morning(clock)
		card, _ := w.Card(t.Context(), consoletest.Invoice)
		card.Dossier.Question = &steps.QuestionView{Text: "How much?", Schema: json.RawMessage(schema)}
		w.Put(card)
		s := newSite(t, w)
		s.send(consoletest.Invoice, "answer", url.Values{"f.answer": {c.typed}}).wants(t, http.StatusSeeOther)
		if got := s.last().Answer; string(got) != c.want {
			t.Errorf("%s: got %s, want %s", schema, got, c.want)
		}
	}
}

func TestWhoeverIsLaterLearnsWhoWasFirst(t *testing.T) {
	s := newSite(t, consoletest.Morning(clock))
	page := s.get("/e/" + consoletest.Refund + "/reject")
	if _, err := s.world.Act(t.Context(), consoletest.Approver("bo"), consoletest.Refund, handoff.Act{Verb: "abort", Reason: "fraud"}); err != nil {
		t.Fatal(err)
	}
	form := hidden(page.body)
	form.Set("reason", "a long reason that I typed")
	s.post("/e/"+consoletest.Refund+"/reject", form).wants(t, http.StatusPreconditionFailed, "bo was first: abort", "fraud", "a long reason that I typed")
	if acts := s.world.Acts(); len(acts) != 1 {
		t.Errorf("%+v", acts)
	}
}

func TestWhyAnActDoesNotCount(t *testing.T) {
	before := &handoff.DecidedBefore{Decision: &steps.Decided{By: "bo", Verb: steps.VerbReject, Reason: "no"}, At: noon}
	for name, c := range map[string]struct {
		err    error
		status int
		says   string
	}{
		"decided before": {fmt.Errorf("decide: %w", before), http.StatusPreconditionFailed, "bo was first: reject, at"},
		"by events":      {&handoff.DecidedBefore{At: noon}, http.StatusPreconditionFailed, "Events answered it"},
		"not allowed":    {fmt.Errorf("%w: two people must approve", handoff.ErrNotAllowed), http.StatusForbidden, "two people must approve"},
		"invalid":        {fmt.Errorf("%w: too large", handoff.ErrInvalid), http.StatusUnprocessableEntity, "too large"},
		"gone":           {handoff.ErrNoEscalation, http.StatusNotFound, "no such question"},
		"unknown":        {errors.New("nats: timeout"), http.StatusServiceUnavailable, "Send it again: twice is once."},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, consoletest.Morning(clock))
			page := s.get("/e/" + consoletest.Refund + "/reject")
			form := hidden(page.body)
			form.Set("reason", "what I typed")
			s.world.Refuse(c.err)
			s.post("/e/"+consoletest.Refund+"/reject", form).wants(t, c.status, c.says, "what I typed")
		})
	}
}

func TestRolesSeeOnlyWhatTheyMayDecide(t *testing.T) {
	s := newSite(t, consoletest.Morning(clock))
	s.person = consoletest.Operator("otto")
	a := s.get("/e/" + consoletest.Refund)
	a.wants(t, http.StatusOK, "As operator you may not decide: approve and reject.", "Edit")
	if strings.Contains(a.body, "/approve\"") {
		t.Error("an operator is offered to approve")
	}
	s.get("/e/"+consoletest.Refund+"/approve").wants(t, http.StatusForbidden)
	s.post("/e/"+consoletest.Refund+"/approve", url.Values{"digest": {"sha256:4f2ad9c0b7e1558e"}, "revision": {"41"}}).wants(t, http.StatusForbidden)
	s.person = consoletest.Viewer("vic")
	for _, verb := range []string{"edit", "claim", "note", "abort"} {
		s.post("/e/"+consoletest.Refund+"/"+verb, url.Values{"revision": {"41"}, "text": {"x"}, "sure": {"yes"}}).wants(t, http.StatusForbidden)
	}
	s.nothingDone()
}

func TestSmallActs(t *testing.T) {
	for verb, c := range map[string]struct {
		fill url.Values
		says string
	}{
		"claim":  {nil, "You have claimed it"},
		"assign": {url.Values{"to": {"bo"}}, "Assigned to bo"},
		"snooze": {url.Values{"for": {"4h"}}, "Put off until"},
		"note":   {url.Values{"text": {"called the bank"}}, "called the bank"},
	} {
		s := newSite(t, consoletest.Morning(clock))
		s.send(consoletest.Shipment, verb, c.fill).wants(t, http.StatusSeeOther)
		s.get("/e/"+consoletest.Shipment).wants(t, http.StatusOK, c.says)
		if verb == "snooze" && !s.last().Until.Equal(noon.Add(4*3600e9)) {
			t.Errorf("until %s", s.last().Until)
		}
	}
}

func TestSmallActsNeedTheirWords(t *testing.T) {
	s := newSite(t, consoletest.Morning(clock))
	s.send(consoletest.Shipment, "assign", url.Values{"to": {" "}}).wants(t, http.StatusUnprocessableEntity, "Say to whom.")
	s.send(consoletest.Shipment, "note", url.Values{"text": {""}}).wants(t, http.StatusUnprocessableEntity, "Write a word.")
	s.send(consoletest.Shipment, "snooze", url.Values{"for": {"99999h"}}).wants(t, http.StatusUnprocessableEntity, "Choose for how long.")
	s.nothingDone()
}

func TestAFormThatIsTooLarge(t *testing.T) {
	s := newSite(t, consoletest.Morning(clock))
	s.post("/e/"+consoletest.Shipment+"/note", url.Values{"text": {strings.Repeat("x", 3<<20)}}).wants(t, http.StatusRequestEntityTooLarge)
	s.nothingDone()
}

const stormGroup = "payments.refund primary timeout pay.example.com"

func TestManyAtOnce(t *testing.T) {
	s := newSite(t, consoletest.Morning(clock))
	if _, err := s.world.Act(t.Context(), consoletest.Approver("bo"), consoletest.Storm(2), handoff.Act{Verb: "skip"}); err != nil {
		t.Fatal(err)
	}
	page := s.post("/bulk", url.Values{"group": {stormGroup}, "verb": {"retry"}, "id": {consoletest.Storm(1), consoletest.Storm(2), consoletest.Storm(3)}, "revision": {"101", "102", "103"}})
	page.wants(t, http.StatusOK, "Retry 2 of 3?", "Left out: This is settled already. bo chose skip.", "Runs it again")
	if n := len(s.world.Acts()); n != 1 {
		t.Fatalf("the preview did something: %d acts", n)
	}
	if _, err := s.world.Act(t.Context(), consoletest.Approver("bo"), consoletest.Storm(3), handoff.Act{Verb: "abort"}); err != nil {
		t.Fatal(err)
	}
	s.follow(s.post("/bulk", hidden(page.body))).wants(t, http.StatusOK, "Retry: 1 of 2 done", "1 retried; 1 left as they were", "bo chose abort")
}

func TestAllOfAGroup(t *testing.T) {
	s := newSite(t, consoletest.Morning(clock))
	page := s.post("/bulk", url.Values{"group": {stormGroup}, "verb": {"retry"}, "all": {"yes"}})
	page.wants(t, http.StatusOK, "Retry 100 of 100?")
	s.follow(s.post("/bulk", hidden(page.body))).wants(t, http.StatusOK, "Retry: 100 of 100 done")
	if n := len(s.world.Acts()); n != 100 {
		t.Errorf("%d acts", n)
	}
}

func TestManyAreClaimedAtOnce(t *testing.T) {
	s := newSite(t, consoletest.Morning(clock))
	page := s.post("/bulk", url.Values{"group": {stormGroup}, "verb": {"claim"}, "id": {consoletest.Storm(1), consoletest.Storm(2)}, "revision": {"101", "102"}})
	page.wants(t, http.StatusOK, "Claim 2 of 2?")
	s.post("/bulk", hidden(page.body)).wants(t, http.StatusOK, "Claim: 2 of 2 done")
}

func TestWavesAreWatchedAndStopped(t *testing.T) {
	s := newSite(t, consoletest.Morning(clock))
	wave := consoletest.Wave(5, 2)
	wave.Items[2] = handoff.RedriveResult{ID: consoletest.Storm(3), Result: handoff.RedriveDecided}
	wave.Items[3] = handoff.RedriveResult{ID: consoletest.Storm(4), Result: handoff.RedriveRefused, Detail: "<b>bo</b> chose skip"}
	s.world.PutBatch(wave)
	s.get("/bulk/wave").wants(t, http.StatusOK, "Retry: 2 of 5 done so far", `value="3"`, "stops by itself", "decided, and at work", "left as it was: <b>bo</b> chose skip", "waits for its turn", "Stop here", "the bank is back")
	s.person = consoletest.Viewer("vic")
	if a := s.get("/bulk/wave"); strings.Contains(a.body, "Stop here") {
		t.Error("a viewer is offered to stop it")
	}
	s.post("/bulk/wave/stop", nil).wants(t, http.StatusForbidden, "You may not stop this")
	s.person = consoletest.Operator("otto")
	s.follow(s.post("/bulk/wave/stop", nil)).wants(t, http.StatusOK, "Retry: 2 of 5 done<", "otto stopped it", "1 not touched", "not touched")
	s.get("/bulk/nothing").wants(t, http.StatusNotFound, "This is not known any more")
	for state, says := range map[handoff.BatchState]string{handoff.BatchCameBack: "what was decided did not help", handoff.BatchRefused: "mia may not decide so any more", handoff.BatchInterrupted: "What was decided stays decided"} {
		wave.State = state
		s.world.PutBatch(wave)
		s.get("/bulk/wave").wants(t, http.StatusOK, says, "its card says whether its turn came")
	}
}

func TestApprovalsAreNeverGivenInBulk(t *testing.T) {
	s := newSite(t, consoletest.Morning(clock))
	for _, verb := range []string{"approve", "edit", "answer", "nonsense", ""} {
		s.post("/bulk", url.Values{"verb": {verb}, "id": {consoletest.Refund}, "revision": {"41"}, "sure": {"yes"}}).wants(t, http.StatusForbidden)
	}
	s.person = consoletest.Viewer("vic")
	s.post("/bulk", url.Values{"verb": {"retry"}, "id": {consoletest.Storm(1)}, "revision": {"101"}, "sure": {"yes"}}).wants(t, http.StatusForbidden)
	s.nothingDone()
}

// TestWhatADecisionOfManyLedTo is said where it was decided, with the way to what is asked now.
func TestWhatADecisionOfManyLedTo(t *testing.T) {
	s := newSite(t, consoletest.Morning(clock))
	wave := consoletest.Wave(2, 0)
	wave.State, wave.Verb = handoff.BatchCameBack, handoff.Action(steps.VerbSkip)
	for i := range wave.Items {
		wave.Items[i] = handoff.RedriveResult{ID: wave.Items[i].ID, Wave: 1, Result: string(steps.FateOther), Step: "mail", Next: "r-2", Detail: "cannot fetch parcel from null"}
	}
	s.world.PutBatch(wave)
	s.get("/bulk/wave").wants(t, http.StatusOK, "Skip: 0 of 2 done<", "2 skipped, 2 of them stopped again at mail: cannot fetch parcel from null.",
		`stopped again at mail: cannot fetch parcel from null <a href="/e/r-2">what is asked now</a>`)
}

// TestASettledCardSaysWhatFollowed: beside what was in question then, and with a way there.
func TestASettledCardSaysWhatFollowed(t *testing.T) {
	for _, c := range []struct {
		state    steps.EscalationState
		followed steps.Aftermath
		wants    []string
	}{
		{steps.EscalationDecided, steps.Aftermath{Fate: steps.FateDone, Text: "ship succeeded on try 3; the run succeeded"}, []string{`<p class="followed">`, `<a href="/runs/`, "ship succeeded on try 3; the run succeeded</a>"}},
		{steps.EscalationDecided, steps.Aftermath{Fate: steps.FateOther, Text: "stopped again at mail: <b>no</b>", Next: "r-2"}, []string{`<p class="followed bad">`, `<a href="/e/r-2"><span class="outside">stopped again at mail: <b>no</b></span></a>`}},
		{steps.EscalationExpired, steps.Aftermath{Fate: steps.FateBack, Text: "it is asked again", Next: "r-3"}, []string{"Nobody decided in time.", `<a href="/e/r-3"><span class="outside">it is asked again</span></a>`}},
	} {
		s := newSite(t, consoletest.Morning(clock))
		card, err := s.world.Card(t.Context(), consoletest.Shipment)
		if err != nil {
			t.Fatal(err)
		}
		card.Item.State, card.Dossier.State, card.Dossier.Followed = c.state, c.state, &c.followed
		if c.state == steps.EscalationDecided {
			card.Dossier.Decision = &steps.Decided{Verb: steps.VerbEdit, By: "mia", Params: json.RawMessage(`{"zip":"10115"}`)}
		}
		s.world.Put(card)
		s.get("/e/"+consoletest.Shipment).wants(t, http.StatusOK, c.wants...)
	}
}
