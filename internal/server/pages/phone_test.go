package pages_test

import (
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"belay/internal/handoff"
	"belay/internal/server/pages/pagestest"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// changed is a world in which one card of the morning is another.
func changed(t *testing.T, id string, change func(*handoff.Card)) *pagestest.World {
	t.Helper()
	w := pagestest.Morning(clock)
	card, err := w.Card(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	change(&card)
	w.Put(card)
	return w
}

var (
	button = regexp.MustCompile(`<a class="verb([^"]*)" href="[^"]*/([a-z]+)(?:\?[^"]*)?"`)
)

// decisions are the verbs of a card: those in sight, marked where they are primary or grave, and those behind one press.
func decisions(page string) (lead, rest []string) {
	sight, behind, _ := strings.Cut(page[strings.Index(page, `<nav class="decide"`):], `<details class="rest">`)
	for i, part := range []string{sight, behind} {
		for _, m := range button.FindAllStringSubmatch(part, -1) {
			verb := m[2]
			if strings.Contains(m[1], "primary") {
				verb += "!"
			}
			if i == 0 {
				lead = append(lead, verb)
			} else {
				rest = append(rest, verb)
			}
		}
	}
	return lead, rest
}

// TestWhatLeadsOnACard: the suggested decision alone and as the primary one; without one, what the question is about,
// and nothing is primary. What is grave never is.
func TestWhatLeadsOnACard(t *testing.T) {
	t.Parallel()
	none := func(c *handoff.Card) { c.Dossier.Suggestion = nil }
	suggest := func(v steps.Verb) func(*handoff.Card) {
		return func(c *handoff.Card) { c.Dossier.Suggestion = &view.Suggestion{Verb: v, Ground: "it is so"} }
	}
	for name, c := range map[string]struct {
		id         string
		change     func(*handoff.Card)
		lead, rest string
	}{
		"a suggestion":               {pagestest.Shipment, suggest(steps.VerbEdit), "edit!", "retry answer skip abort"},
		"an approval":                {pagestest.Refund, none, "approve reject", "edit abort"},
		"a suggested approval":       {pagestest.Refund, suggest(steps.VerbApprove), "approve!", "edit reject abort"},
		"a probe":                    {pagestest.Charge, suggest(steps.VerbVerify), "verify!", "answer retry skip abort"},
		"nobody knows":               {pagestest.Charge, none, "verify answer retry", "skip abort"},
		"something grave":            {pagestest.Shipment, suggest(steps.VerbAbort), "abort", "edit retry answer skip"},
		"what is not offered":        {pagestest.Shipment, suggest(steps.VerbVerify), "edit retry", "answer skip abort"},
		"a failure":                  {pagestest.Shipment, none, "edit retry", "answer skip abort"},
		"a question with options":    {pagestest.Invoice, none, "answer answer answer", "skip abort"},
		"a question without options": {pagestest.Invoice, func(c *handoff.Card) { c.Dossier.Question.Options = nil }, "answer", "skip abort"},
	} {
		s := newSite(t, changed(t, c.id, c.change))
		lead, rest := decisions(s.get("/e/" + c.id).body)
		if strings.Join(lead, " ") != c.lead || strings.Join(rest, " ") != c.rest {
			t.Errorf("%s: %v and behind them %v; want %s and %s", name, lead, rest, c.lead, c.rest)
		}
	}
}

// TestTheClueStandsOnTheCard, not only the status that it came with.
func TestTheClueStandsOnTheCard(t *testing.T) {
	t.Parallel()
	s := newSite(t, changed(t, pagestest.Shipment, func(c *handoff.Card) {
		fault := steps.Fault{Class: steps.InvalidInput, Status: 422, Message: "POST https://parcels.example.com/parcels: 422 Unprocessable Entity", Detail: `{"message":"zip \"1019\" must have five digits"}`}
		c.Dossier.LastError, c.Dossier.Message = &fault, fault.Message
	}))
	a := s.get("/e/" + pagestest.Shipment)
	a.wants(t, http.StatusOK, `<p class="clue outside">zip "1019" must have five digits</p>`)
	order(t, html.UnescapeString(a.body), "<h1", `zip "1019" must have five digits`, "422 Unprocessable Entity", `class="clock"`, "1011")
	order(t, html.UnescapeString(s.get("/e/"+pagestest.Shipment+"/edit").body), "<h1>Edit", `<p class="clue outside">zip "1019" must have five digits</p>`, "<label", "Five digits.")
}

// TestAnOptionIsOneTapAndAConfirm: the button opens the form of this answer, and the form is sent by a second tap.
func TestAnOptionIsOneTapAndAConfirm(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	card := s.get("/e/" + pagestest.Invoice)
	i := slices.IndexFunc(button.FindAllString(card.body, -1), func(b string) bool { return strings.Contains(b, "option=2") })
	if i < 0 {
		t.Fatal("the second answer is no button")
	}
	page := s.get("/e/" + pagestest.Invoice + "/answer?option=2")
	page.wants(t, http.StatusOK, "INV-2265 of 1 October", "The run goes on with your answer.", "Yes, answer this", "Choose another answer")
	if strings.Contains(page.body, `type="radio"`) || strings.Contains(page.body, "INV-2201") {
		t.Error("the form of one answer shows others")
	}
	s.nothingDone()
	s.post("/e/"+pagestest.Invoice+"/answer", hidden(page.body)).wants(t, http.StatusSeeOther)
	if act := s.last(); string(act.Answer) != `"INV-2265 of 1 October"` || act.Revision != 12 {
		t.Errorf("%+v", act)
	}
	for _, n := range []string{"0", "4", "-1", "x", ""} {
		s := newSite(t, pagestest.Morning(clock))
		s.get("/e/"+pagestest.Invoice+"/answer?option="+n).wants(t, http.StatusOK, `type="radio"`)
		s.post("/e/"+pagestest.Invoice+"/answer", url.Values{"option": {n}, "revision": {"12"}}).wants(t, http.StatusUnprocessableEntity, "Choose one.")
		s.nothingDone()
	}
}

// TestItHappened: an id or a sentence is enough wherever that can be an output; what is typed becomes that output.
func TestItHappened(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		schema string
		typed  url.Values
		want   string
		enough bool
	}{
		"no schema":                {``, url.Values{"f.answer": {`ch_99, "paid"`}}, `"ch_99, \"paid\""`, true},
		"a schema of anything":     {`{}`, url.Values{"f.answer": {`7`}}, `"7"`, true},
		"a text":                   {`{"type":"string"}`, url.Values{"f.answer": {`7`}}, `"7"`, true},
		"one text that is needed":  {`{"type":"object","required":["id"],"properties":{"note":{"type":"string"},"id":{"type":"string"}}}`, url.Values{"f.id": {"ch_99"}}, `{"id":"ch_99"}`, true},
		"more that is needed":      {`{"type":"object","required":["id","paid"],"properties":{"id":{"type":"string"},"paid":{"type":"boolean"}}}`, url.Values{"f.id": {"ch_99"}, "f.paid": {"true"}}, `{"id":"ch_99","paid":true}`, false},
		"a list":                   {`{"type":"array"}`, url.Values{"whole": {`["ch_99"]`}}, `["ch_99"]`, false},
		"as JSON without a schema": {``, url.Values{"whole": {`{"id":"ch_99"}`}}, `{"id":"ch_99"}`, true},
	} {
		s := newSite(t, changed(t, pagestest.Charge, func(card *handoff.Card) {
			card.Item.Claim = nil
			for i := range card.Dossier.Offers {
				if o := &card.Dossier.Offers[i]; o.Verb == steps.VerbAnswer {
					o.Schema, o.NeedsReason = json.RawMessage(c.schema), false
				}
			}
		}))
		page := s.get("/e/" + pagestest.Charge + "/answer")
		page.wants(t, http.StatusOK, "<h1>It happened</h1>")
		texts := len(regexp.MustCompile(`<input id="f|<textarea id="whole"|<select id="f`).FindAllString(page.body, -1))
		if want := len(c.typed); texts != want {
			t.Errorf("%s: %d inputs, want %d", name, texts, want)
		}
		if says := strings.Contains(page.body, "An id or a sentence is enough."); says != c.enough {
			t.Errorf("%s: the form says that an id is enough: %v", name, says)
		}
		s.send(pagestest.Charge, "answer", c.typed).wants(t, http.StatusSeeOther)
		if got := s.last().Answer; string(got) != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
	s := newSite(t, pagestest.Morning(clock))
	s.send(pagestest.Charge, "answer", url.Values{"f.id": {""}, "reason": {"saw it"}}).wants(t, http.StatusUnprocessableEntity, "This is required.")
	s.get("/e/"+pagestest.Charge).wants(t, http.StatusOK, "It happened<", "It did not happen: run it<", "Check whether it happened<")
	s.nothingDone()
}

// TestWhatIsAtStakeIsSaidEverywhere: in the title of the window, on the card, in its forms and in the list.
func TestWhatIsAtStakeIsSaidEverywhere(t *testing.T) {
	t.Parallel()
	s := newSite(t, pagestest.Morning(clock))
	const summary = "Refund 120.00 EUR for order A-1009"
	s.get("/e/"+pagestest.Refund).wants(t, http.StatusOK, summary+" · Belay</title>", `<h1 class="outside">`+summary+"</h1>", "payments.refund needs approval. Nothing has happened yet.")
	s.get("/e/"+pagestest.Refund+"/approve").wants(t, http.StatusOK, "<title>Approve f3a7b1-1 "+summary, `<p class="outside">`+summary+"</p>")
	order(t, shownText(t, s.get("/").body), summary, "payments.refund asks for approval")
	s.get("/e/"+pagestest.DeadLetter).wants(t, http.StatusOK, "<h1>An entry of this run's log cannot be read.")
	s.get("/e/"+pagestest.Invoice).wants(t, http.StatusOK, `<h1 class="outside">Which invoice is meant?`)
}
