package console

import (
	"encoding/base64"
	"encoding/json"
	"net/http"

	"belay/internal/handoff"
)

// said is what the reader's act has just done. It travels through the redirect in a cookie, so that any dispatcher can
// answer the next request, and is shown once. It is a word to its own reader only: what counts stands in the card.
type said struct {
	Action handoff.Action `json:"a"`
	Effect string         `json:"e,omitempty"`
	Again  bool           `json:"n,omitempty"` // it had been done before
}

const saidCookie = "belay-said"

// say sends the reader back to the card, to be told there what happened.
func say(w http.ResponseWriter, r *http.Request, id string, done handoff.Done) {
	body, err := json.Marshal(said{done.Action, spoken(cut(done.Effect, 400)), done.Again})
	if err == nil {
		http.SetCookie(w, &http.Cookie{
			Name: saidCookie, Value: base64.RawURLEncoding.EncodeToString(body), Path: cardPath(id), MaxAge: 60,
			HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
		})
	}
	http.Redirect(w, r, cardPath(id), http.StatusSeeOther)
}

// takeSaid reads what was said and forgets it.
func (c *Console) takeSaid(w http.ResponseWriter, r *http.Request) *said {
	cookie, err := r.Cookie(saidCookie)
	if err != nil {
		return nil
	}
	http.SetCookie(w, &http.Cookie{Name: saidCookie, Path: cardPath(r.PathValue("id")), MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil})
	body, err := base64.RawURLEncoding.DecodeString(cookie.Value)
	var s said
	if err != nil || json.Unmarshal(body, &s) != nil || verbWords[s.Action].Label == "" {
		return nil
	}
	return &s
}

// Words say that the act counts.
func (s said) Words() string {
	switch s.Action {
	case handoff.ActClaim:
		return "It is yours now."
	case handoff.ActRelease:
		return "It is free for others again."
	case handoff.ActAssign:
		return "It is assigned."
	case handoff.ActSnooze:
		return "It is put off."
	case handoff.ActNote:
		return "The note is kept."
	}
	if s.Again {
		return "Nothing was done again."
	}
	return "Your decision counts: " + string(s.Action) + "."
}

// Decided reports whether it was a decision, after which the next question may come.
func (s said) Decided() bool {
	switch s.Action {
	case handoff.ActClaim, handoff.ActRelease, handoff.ActAssign, handoff.ActSnooze, handoff.ActNote:
		return false
	}
	return true
}
