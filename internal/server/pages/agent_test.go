package pages_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"belay/internal/people"
	"belay/internal/server/pages/pagestest"
	"belay/internal/steps"
)

// TestAnApprovalShowsItsAgent: what the agent was asked and has done stands above what is to be approved.
func TestAnApprovalShowsItsAgent(t *testing.T) {
	t.Parallel()
	w := pagestest.Empty(clock)
	pagestest.PutAgents(w)
	s := newSite(t, w)
	for _, path := range []string{"/e/" + pagestest.Payout, "/runs/" + pagestest.Payout[:len(pagestest.Payout)-2]} {
		a := s.get(path)
		a.wants(t, http.StatusOK, "turn 4 of 20, 5 of 40 calls, 11,620 tokens, $0.03 of $2.00", "Ticket 4711 of ann@example.com", "Then I refund what was paid.",
			"Summary of turn 1", "The agent reads it in their place.", "by tiny, degraded: timeout", "410 tokens", "<i>paid</i>",
			"Summary of turns 1 to 2", "There is none, and the agent goes on without it.", "failed: rate_limited: 429 from model-b",
			"by small, degraded: rate_limited", "rejected by bo: that is more than was paid", "edited by mia", "<b>everything</b>")
		if strings.Contains(a.body, `href="https://evil`) || strings.Contains(a.body, "<b>everything") {
			t.Errorf("%s takes what a model said for markup", path)
		}
	}
	card := s.get("/e/" + pagestest.Payout)
	agent, subject := strings.Index(card.body, "Agent resolve"), strings.Index(card.body, "To be approved")
	if agent < 0 || agent > subject {
		t.Errorf("the agent stands at %d, its call at %d", agent, subject)
	}
	card.wants(t, http.StatusOK, "1 earlier turn", "in question here")
}

// TestALimitSaysWhich: the card of a limit begins with it, and Give more gives what is typed, checked beside its field.
func TestALimitSaysWhich(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"the agent has had its 3 turns":                   "<h1>Agent resolve has had its 3 turns. A person has to decide how it goes on.</h1>",
		"the agent's time of 10m0s is over":               "Agent resolve's time of 10m0s is over. A person has to decide how it goes on.",
		"people have rejected its last 3 calls":           "Agent resolve stands still: people have rejected its last 3 calls. A person",
		"the agent's last answer does not fit: <i>no</i>": "Agent resolve's last answer does not fit. A person has to decide how it goes on.</h1>",
	} {
		w := pagestest.Empty(clock)
		pagestest.PutAgents(w)
		card, err := w.Card(t.Context(), pagestest.Limit)
		if err != nil {
			t.Fatal(err)
		}
		card.Dossier.Message = message
		w.Put(card)
		a := newSite(t, w).get("/e/" + pagestest.Limit)
		a.wants(t, http.StatusOK, want, "Give more", "Finish now", "Answer", "Abort")
		if strings.Contains(a.body, "<i>no") || strings.Contains(message, "<i>") && !strings.Contains(a.body, "&lt;i&gt;no&lt;/i&gt;") {
			t.Errorf("%s: not as it was said", message)
		}
	}
}

func TestGiveMore(t *testing.T) {
	t.Parallel()
	w := pagestest.Empty(clock)
	pagestest.PutAgents(w)
	s := newSite(t, w)
	form := s.get("/e/" + pagestest.Limit + "/extend")
	form.wants(t, http.StatusOK, `name="f.turns" value="3"`, `name="f.calls" value="40"`, `name="f.usd" value="2"`, "US dollars")
	for amount, why := range map[string]string{"-1": "minimum", "many": "This is not a number", "1.5": "integer"} {
		s.send(pagestest.Limit, "extend", url.Values{"f.turns": {amount}}).wants(t, http.StatusUnprocessableEntity, why)
	}
	s.nothingDone()
	s.send(pagestest.Limit, "extend", url.Values{"f.turns": {"7"}, "f.usd": {"0.5"}}).wants(t, http.StatusSeeOther)
	if act := s.last(); act.Verb != "extend" || string(act.Params) != `{"turns":7,"calls":40,"usd":0.5,"repeats":3}` {
		t.Errorf("%s %s", act.Verb, act.Params)
	}
}

// TestGiveMoreOverAClaim: what was typed survives the page that asks once more, there and back.
func TestGiveMoreOverAClaim(t *testing.T) {
	t.Parallel()
	w := pagestest.Empty(clock)
	pagestest.PutAgents(w)
	s := newSite(t, w)
	if _, err := w.Act(t.Context(), pagestest.Approver("bo"), pagestest.Limit, people.Act{Verb: people.Claim}); err != nil {
		t.Fatal(err)
	}
	sure := s.send(pagestest.Limit, "extend", url.Values{"f.turns": {"9"}})
	sure.wants(t, http.StatusOK, "What it gets in addition", "bo has claimed this")
	back := hidden(sure.body)
	back.Set("back", "yes")
	s.post("/e/"+pagestest.Limit+"/extend", back).wants(t, http.StatusOK, `name="f.turns"`, `value="9"`)
	s.again(pagestest.Limit, "extend", sure).wants(t, http.StatusSeeOther)
	acts := w.Acts()
	if last := acts[len(acts)-1]; string(last.Params) != `{"turns":9,"calls":40,"usd":2,"repeats":3}` {
		t.Errorf("%s %s", last.Verb, last.Params)
	}
}

func TestFinish(t *testing.T) {
	t.Parallel()
	w := pagestest.Empty(clock)
	pagestest.PutAgents(w)
	s := newSite(t, w)
	s.send(pagestest.Limit, "finish", nil).wants(t, http.StatusSeeOther)
	if act := s.last(); act.Verb != "finish" || act.Params != nil {
		t.Errorf("%+v", act)
	}
	if a := s.get("/e/" + pagestest.Payout + "/finish"); a.status == http.StatusOK {
		t.Error("an approval can be finished")
	}
	if a := s.get("/e/" + pagestest.Limit); !strings.Contains(a.body, string(steps.VerbFinish)) {
		t.Error("the card does not say what was decided")
	}
}
