package pages

import (
	"encoding/base64"
	"encoding/json"
	"net/http"

	"belay/internal/exactjson"
	"belay/internal/handoff"
	"belay/internal/people"
	"belay/internal/steps/view"
)

// said is what the reader's act has just done, to be shown once. It travels through the redirect in a cookie, so that any
// dispatcher can answer the next request. It is only for this reader: the card has what counts.
type said struct {
	Action   people.Action `json:"a"`
	Effect   string        `json:"e,omitempty"`
	Repeated bool          `json:"n,omitempty"` // it had been done before, and counts once
	Back     bool          `json:"b,omitempty"` // of a message to an agent: it takes turns back
}

const saidCookie = "belay-said"

// saidOf is what came of an act on a card.
func saidOf(d view.Dossier, done handoff.Done) said {
	return said{Action: done.Action, Effect: effect(done.Effect, namesIn(d)...), Repeated: done.Repeated}
}

// effect is a sentence that is short enough for a cookie.
func effect(text string, names ...string) string { return spoken(cut(text, 400), names...) }

// say sends the reader back to the page that they acted on, which shows what happened.
func (s said) say(w http.ResponseWriter, r *http.Request, path string) {
	body, err := json.Marshal(s)
	if err == nil {
		http.SetCookie(w, &http.Cookie{
			Name: saidCookie, Value: base64.RawURLEncoding.EncodeToString(body), Path: path, MaxAge: 60,
			HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
		})
	}
	http.Redirect(w, r, path, http.StatusSeeOther)
}

// readSaid reads what was said to the reader of the page at path, and forgets it.
func (c *Console) readSaid(w http.ResponseWriter, r *http.Request, path string) *said {
	cookie, err := r.Cookie(saidCookie)
	if err != nil {
		return nil
	}
	http.SetCookie(w, &http.Cookie{Name: saidCookie, Path: path, MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil})
	body, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	var s said
	if err != nil || exactjson.Unmarshal(body, &s) != nil || s.Action != people.Steer && verbWords[s.Action].Label == "" {
		return nil
	}
	return &s
}

// Words say that the act counts.
func (s said) Words() string {
	switch s.Action {
	case people.Claim:
		return "You have claimed it."
	case people.Release:
		return "Your claim has ended."
	case people.Assign:
		return "It is assigned."
	case people.Snooze:
		return "It is snoozed."
	case people.Note:
		return "The note is saved."
	case people.Steer:
		if s.Repeated {
			return "You had sent this message already."
		}
		if s.Back {
			return "It is taken back."
		}
		return "Your message is written."
	}
	if s.Repeated {
		return "You had decided this already; it counts once."
	}
	return "Your decision counts: " + string(s.Action) + "."
}

// Decided reports whether it was a decision, after which the page offers the next escalation.
func (s said) Decided() bool {
	switch s.Action {
	case people.Claim, people.Release, people.Assign, people.Snooze, people.Note, people.Steer:
		return false
	}
	return true
}
