package pages_test

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"belay/internal/people"
	"belay/internal/server/pages/pagestest"
	"belay/internal/steps"
	"belay/internal/steps/view"
)

// support is the run of an agent at work.
var support = "/runs/" + pagestest.Payout[:len(pagestest.Payout)-2]

// atWork is a world with an agent at work; change changes its run.
func atWork(t *testing.T, change func(*view.Document)) *site {
	t.Helper()
	w := pagestest.Empty(clock)
	pagestest.PutAgents(w)
	s := newSite(t, w)
	if change != nil {
		s.changeRun(change)
	}
	return s
}

func (s *site) changeRun(change func(*view.Document)) {
	s.Helper()
	d, err := s.world.Document(s.Context(), strings.TrimPrefix(support, "/runs/"))
	if err != nil {
		s.Fatal(err)
	}
	change(&d)
	s.world.PutRun(d)
}

// write fills in the form of a page and sends it.
func (s *site) write(page answer, text string) answer {
	s.Helper()
	page.wants(s.T, http.StatusOK, `name="text"`)
	form := hidden(page.body)
	form.Set("text", text)
	return s.post(support+"/steer", form)
}

// shown goes where an act has led, as the browser of whoever acted does.
func (s *site) shown(a answer) answer {
	s.Helper()
	a.wants(s.T, http.StatusSeeOther)
	req, err := http.NewRequestWithContext(s.Context(), http.MethodGet, s.URL+a.header.Get("Location"), nil)
	if err != nil {
		s.Fatal(err)
	}
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		req.AddCookie(c)
	}
	return s.do(req)
}

// TestWritingToAnAgent: what is written stands on the log once, however often its form is sent, and the page says when it is
// read.
func TestWritingToAnAgent(t *testing.T) {
	t.Parallel()
	s := atWork(t, nil)
	page := s.get(support)
	first := s.write(page, " Be brief.\r\n\r\nAnd <b>kind</b>. ")
	s.shown(first).wants(t, http.StatusOK, "Your message is written.", "resolve reads it before its next turn, when its calls are over.", "not read yet", "And <b>kind</b>.")
	s.shown(s.write(page, " Be brief.\r\n\r\nAnd <b>kind</b>. ")).wants(t, http.StatusOK, "You had sent this message already.", "stands once")
	if after := s.get(support).body; strings.Contains(after, "Your message is written") {
		t.Error("it is said a second time")
	}
	all := s.world.Messages()
	if len(all) != 1 {
		t.Fatalf("%d messages: %+v", len(all), all)
	}
	want := steps.Steered{ID: hidden(page.body).Get("message_id"), Step: "resolve", Text: " Be brief.\n\nAnd <b>kind</b>. ", By: "mia", Via: "console"}
	if all[0] != want || want.ID == "" {
		t.Errorf("%+v, want %+v", all[0], want)
	}
	again := s.write(page, "Be verbose.")
	again.wants(t, http.StatusConflict, "Another message was sent from the same page, and the agent has it.", "Be verbose.")
	s.post(support+"/steer", with(hidden(again.body), "text", "Be verbose.")).wants(t, http.StatusSeeOther)
	if all := s.world.Messages(); len(all) != 2 || all[1].ID == want.ID {
		t.Errorf("%+v", all)
	}
}

func with(form url.Values, name, value string) url.Values {
	form = maps.Clone(form)
	form.Set(name, value)
	return form
}

// TestWhoWritesToAgents: the form is there for whoever may write, where somebody reads it; each page's has an id of its own.
func TestWhoWritesToAgents(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		person people.Actor
		change func(*view.Document)
		form   bool
	}{
		"an approver":               {pagestest.Approver("mia"), nil, true},
		"an operator":               {pagestest.Operator("op"), nil, true},
		"a viewer":                  {pagestest.Viewer("vi"), nil, false},
		"of a run that is over":     {pagestest.Operator("op"), func(d *view.Document) { d.State = steps.RunCancelled }, false},
		"to one that reads no more": {pagestest.Operator("op"), func(d *view.Document) { d.Agents[0].MayNotSteer = "resolve has ended" }, false},
		"where there is none":       {pagestest.Operator("op"), func(d *view.Document) { d.Agents = nil }, false},
	} {
		s := atWork(t, c.change)
		s.person = c.person
		page := s.get(support)
		page.wants(t, http.StatusOK)
		if there := strings.Contains(page.body, support+`/steer"`); there != c.form {
			t.Errorf("%s: the form is there: %v", name, there)
		}
		alone := s.get(support + "/steer?step=resolve")
		if there := alone.status == http.StatusOK; there != c.form {
			t.Errorf("%s: the form alone: %d", name, alone.status)
		}
		if ids := []string{hidden(page.body).Get("message_id"), hidden(alone.body).Get("message_id")}; c.form && (ids[0] == "" || ids[0] == ids[1]) {
			t.Errorf("%s: %q", name, ids)
		}
		sent := s.post(support+"/steer", url.Values{"step": {"resolve"}, "message_id": {"m"}, "text": {"Be brief."}})
		if written := len(s.world.Messages()) == 1; written != c.form || sent.status == http.StatusSeeOther != c.form {
			t.Errorf("%s: %d, written: %v", name, sent.status, written)
		}
	}
	if card := atWork(t, nil).get("/e/" + pagestest.Payout); strings.Contains(card.body, "/steer") {
		t.Error("a card, which is to be decided, has the form too")
	}
}

// TestWhatIsNotWritten is said with the words that were typed.
func TestWhatIsNotWritten(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 5001)
	for name, c := range map[string]struct {
		text   string
		change func(*site)
		status int
		says   []string
		send   bool // it can be sent once more
	}{
		"nothing":             {" \r\n ", nil, http.StatusUnprocessableEntity, []string{"Write the message, or choose a turn to take back."}, true},
		"too much":            {long, nil, http.StatusUnprocessableEntity, []string{"at most 10000 bytes, and this one has 10002", long}, true},
		"to a run that ended": {"Be brief.", func(s *site) { s.changeRun(func(d *view.Document) { d.State = steps.RunCancelled }) }, http.StatusConflict, []string{"The run is over: it is cancelled.", "Nothing was written", "Be brief."}, false},
		"to an agent that ended": {"Be brief.", func(s *site) {
			s.changeRun(func(d *view.Document) { d.Agents[0].MayNotSteer = "resolve has ended" })
		}, http.StatusConflict, []string{"resolve has ended.", "Nothing was written", "Be brief."}, false},
		"to none":                 {"Be brief.", func(s *site) { s.changeRun(func(d *view.Document) { d.Agents = nil }) }, http.StatusConflict, []string{"No agent there is at work.", "Be brief."}, false},
		"by somebody who may not": {"Be brief.", func(s *site) { s.person = pagestest.Viewer("vi") }, http.StatusForbidden, []string{"You may not write to agents", "Your role, viewer"}, false},
		"perhaps":                 {"Be brief.", func(s *site) { s.world.Refuse(errors.New("no answer")) }, http.StatusServiceUnavailable, []string{"It is not known whether this was stored.", "no answer", "Be brief."}, true},
	} {
		s := atWork(t, nil)
		page := s.get(support)
		if c.change != nil {
			c.change(s)
		}
		a := s.write(page, c.text)
		a.wants(t, c.status, c.says...)
		if again := strings.Contains(a.body, `<button class="verb primary"`); again != c.send {
			t.Errorf("%s: can be sent once more: %v", name, again)
		}
		if c.send && hidden(a.body).Get("message_id") != hidden(page.body).Get("message_id") {
			t.Errorf("%s: it is another message now", name)
		}
		if all := s.world.Messages(); len(all) > 0 {
			t.Errorf("%s: %+v", name, all)
		}
	}
	atWork(t, nil).post("/runs/nobody/steer", url.Values{"step": {"resolve"}, "text": {"x"}}).wants(t, http.StatusNotFound, "There is no such run")
}

// TestAMessageIsNeverMarkup, nor is the name of the agent in a form that somebody else has made.
func TestAMessageIsNeverMarkup(t *testing.T) {
	t.Parallel()
	s := atWork(t, nil)
	long := strings.Repeat("x", 10001) // so that it comes back
	harmless := skeleton(t, s.post(support+"/steer", url.Values{"step": {"resolve"}, "text": {long}}).body)
	for name, text := range payloads {
		a := s.post(support+"/steer", url.Values{"step": {text}, "message_id": {text}, "text": {text + long}})
		for what := range skeleton(t, a.body) {
			if !harmless[what] {
				t.Errorf("%s: the form has %s", name, what)
			}
		}
	}
}

// TestTakingTurnsBack: whoever chooses a turn takes it and all after it back, with a message or without one, and the page shows
// what stays done.
func TestTakingTurnsBack(t *testing.T) {
	t.Parallel()
	s := atWork(t, nil)
	page := s.get(support)
	page.wants(t, http.StatusOK, `<option value="">nothing</option>`, `<option value="4">turn 4</option>`, `<option value="1">turn 1 and all after it</option>`)
	form := with(hidden(page.body), "take_back", "3")
	form.Set("text", "That was <b>another</b> customer.")
	after := s.shown(s.post(support+"/steer", form))
	after.wants(t, http.StatusOK, "It is taken back.", "Turns 3 to 4 of resolve are taken back", "taken back by mia: That was <b>another</b> customer.",
		"takes back turns 3 to 4: That was <b>another</b> customer.", "succeeded, and stays done, edited by mia", "not done: its turn was taken back by mia", "<del><p class=\"outside\">Then I refund what was paid.</p></del>")
	if strings.Contains(after.body, `<option value="3">`) || !strings.Contains(after.body, `<option value="2">turn 2 and all after it</option>`) {
		t.Error("what is taken back can be chosen, or the rest cannot")
	}
	want := steps.Steered{ID: hidden(page.body).Get("message_id"), Step: "resolve", Text: "That was <b>another</b> customer.", TakeBack: 3, By: "mia", Via: "console"}
	if all := s.world.Messages(); len(all) != 1 || all[0] != want {
		t.Errorf("%+v, want %+v", all, want)
	}
	s.shown(s.post(support+"/steer", with(hidden(s.get(support).body), "take_back", "1"))).wants(t, http.StatusOK, "takes back turns 1 to 4")
	for back, says := range map[string]string{"7": "Turn 7 of resolve has not begun: it is at turn 4.", "x": "Choose a turn to take back, or nothing.", "-1": "Choose a turn to take back, or nothing.", "0": "Choose a turn to take back, or nothing."} {
		form := with(hidden(s.get(support).body), "take_back", back)
		form.Set("text", "Begin anew.")
		a := s.post(support+"/steer", form)
		if a.wants(t, map[bool]int{true: http.StatusConflict, false: http.StatusUnprocessableEntity}[back == "7"], says, "Begin anew."); len(s.world.Messages()) != 2 {
			t.Errorf("%s: %+v", back, s.world.Messages())
		}
	}
}
