package pages_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"belay/internal/handoff"
	"belay/internal/server/pages/pagestest"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

const asking = "01936f10-0000-7000-8000-0000000000aa-2"

// serverAsks is a card on which a server asks q before it goes on with a call.
func serverAsks(q view.Question) *pagestest.World {
	w := pagestest.Morning(clock)
	q.Back = true
	w.Put(handoff.Card{Item: handoff.Item{Escalation: question(q)}, Dossier: view.Dossier{
		Escalation: question(q), Revision: 7, Question: &q,
		Failing:  &view.Failing{Step: "pay", Tool: "shop.pay", Rung: "primary", Effects: steps.EffectsUnsafe, Key: "k/pay/0", Params: json.RawMessage(`{"order":"A-1009"}`)},
		Attempts: []view.Attempt{{Rung: "primary", Try: 1, State: steps.AttemptFailed, Class: steps.NeedsHuman, Message: q.Text, Left: "the server's state", Continues: `task "7"`}},
		Offers: []view.Offer{
			{Verb: steps.VerbAnswer, Effect: "your answer goes to the server, and shop.pay goes on with the server's state", Schema: q.Schema},
			{Verb: steps.VerbReject, Effect: "the server is told that you decline", NeedsReason: true},
			{Verb: steps.VerbSkip, Effect: "skips pay; the server is not told"},
		},
	}})
	return w
}

func question(q view.Question) view.Escalation {
	return view.Escalation{
		ID: asking, Kind: steps.KindQuestion, State: steps.EscalationOpen, Run: asking[:len(asking)-2], Workflow: "pay", Step: "pay", Tool: "shop.pay", Rung: "primary", Class: steps.NeedsHuman,
		Message: q.Text, Allowed: []steps.Verb{steps.VerbAnswer, steps.VerbReject, steps.VerbSkip},
	}
}

// TestAnswerWhatAServerAsks: in fields by its schema, typed as it says; the page says where the answer goes.
func TestAnswerWhatAServerAsks(t *testing.T) {
	t.Parallel()
	s := newSite(t, serverAsks(view.Question{Text: "Which of the <two> invoices?", Schema: json.RawMessage(
		`{"type":"object","required":["invoice"],"properties":{"invoice":{"type":"string","title":"Invoice","enum":["A-7","A-8"]},"cents":{"type":"integer"},"sure":{"type":"boolean"}}}`)}))
	s.get("/e/"+asking).wants(t, http.StatusOK, "Which of the <two> invoices?", "Your answer goes to the server", "Decline", "left the server's state", "goes on with task")
	s.get("/e/"+asking+"/answer").wants(t, http.StatusOK, `name="f.invoice"`, `<option value="A-7"`, `inputmode="decimal"`, "Your answer goes to the server")
	s.send(asking, "answer", url.Values{"f.invoice": {"A-8"}, "f.cents": {"1962"}, "f.sure": {"true"}}).wants(t, http.StatusSeeOther)
	if act := s.last(); act.Verb != "answer" || string(act.Answer) != `{"invoice":"A-8","cents":1962,"sure":true}` || act.Revision != 7 {
		t.Errorf("%+v, answer %s", act, act.Answer)
	}
}

// TestDeclineWhatAServerAsks needs a reason, as every rejection does.
func TestDeclineWhatAServerAsks(t *testing.T) {
	t.Parallel()
	s := newSite(t, serverAsks(view.Question{Text: "Which?", Schema: json.RawMessage(`{"type":"object"}`)}))
	s.send(asking, "reject", url.Values{"reason": {"neither of them"}}).wants(t, http.StatusSeeOther)
	if act := s.last(); act.Verb != "reject" || act.Reason != "neither of them" {
		t.Errorf("%+v", act)
	}
}

// TestAPageOfAServerIsALinkOnlyOfTheWeb: whoever decides sees where it leads; nothing else becomes a link.
func TestAPageOfAServerIsALinkOnlyOfTheWeb(t *testing.T) {
	t.Parallel()
	ask := func(url string) view.Question {
		return view.Question{Text: "Sign in first.", URL: url, Options: []string{"done"}, Schema: json.RawMessage(`{"enum":["done"]}`)}
	}
	s := newSite(t, serverAsks(ask(`https://shop.example/sign-in?a=1&b="2"`)))
	s.get("/e/"+asking).wants(t, http.StatusOK, "Check the address before you open it", `href="https://shop.example/sign-in?a=1&b=%222%22"`, `rel="noreferrer noopener"`)
	form := s.get("/e/" + asking + "/answer?option=1")
	form.wants(t, http.StatusOK, "shop.example/sign-in", "done")
	s.post("/e/"+asking+"/answer", hidden(form.body)).wants(t, http.StatusSeeOther)
	if act := s.last(); string(act.Answer) != `"done"` {
		t.Errorf("answer %s", act.Answer)
	}
	for _, bad := range []string{"javascript:alert(1)", "data:text/html,x", "//evil.example", "ftp://x/y", "https:///x"} {
		if body := newSite(t, serverAsks(ask(bad))).get("/e/" + asking).body; strings.Contains(body, "Check the address") {
			t.Errorf("%s became a link", bad)
		}
	}
}
