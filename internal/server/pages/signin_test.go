package pages_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"belay/internal/server/pages"
)

type stranger struct {
	Next, Problem string
	Provider      bool
}

// signIn is the page that somebody gets who is not signed in.
func signIn(t *testing.T, s stranger) answer {
	t.Helper()
	w := httptest.NewRecorder()
	if err := pages.NewSignIn(pages.Environment{Name: "PROD eu-1", Colour: pages.Red})(w, http.StatusUnauthorized, s.Next, s.Problem, s.Provider); err != nil {
		t.Fatal(err)
	}
	return answer{w.Code, w.Header(), w.Body.String()}
}

// TestSigningInIsAPageOfTheHouse with its looks and the environment's name, and nothing that needs a script or somebody
// who is signed in.
func TestSigningInIsAPageOfTheHouse(t *testing.T) {
	t.Parallel()
	a := signIn(t, stranger{Next: "/e/run-1"})
	a.wants(t, http.StatusUnauthorized, `<span class="env red">PROD eu-1</span>`, `rel="stylesheet" href="/static/app.`, "Sign in · Belay", `name="next" value="/e/run-1"`, "API token", "dispatcher token create")
	for _, not := range []string{"<script", `class="menu"`, "<dialog", "hx-", "organisation", `role="alert"`} {
		if strings.Contains(a.body, not) {
			t.Errorf("the page has %s", not)
		}
	}
	signIn(t, stranger{Next: "/e/run-1?a=b", Provider: true}).wants(t, http.StatusUnauthorized, `href="/login/start?next=%2fe%2frun-1%3fa%3db"`, "with your organisation")
	signIn(t, stranger{Problem: "the token is not valid"}).wants(t, http.StatusUnauthorized, `role="alert"`, "The token is not valid.")
}

// TestTheSignInCodeIsAskedForByName, with no word of tokens, in the same form.
func TestTheSignInCodeIsAskedForByName(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	if err := pages.NewCodeSignIn(pages.Environment{Name: "dev"})(w, http.StatusOK, "/e/run-1/approve", "", false); err != nil {
		t.Fatal(err)
	}
	answer{w.Code, w.Header(), w.Body.String()}.wants(t, http.StatusOK, `name="next" value="/e/run-1/approve"`, "Sign-in code", "from the terminal of dispatcher dev", `name="token" type="password"`, "the next start makes another one")
	if strings.Contains(w.Body.String(), "token create") || strings.Contains(w.Body.String(), "<script") {
		t.Error(w.Body)
	}
}

func TestWhatIsWrongWithASignInIsShownAsText(t *testing.T) {
	t.Parallel()
	harmless := skeleton(t, signIn(t, stranger{Next: "/", Problem: "harmless", Provider: true}).body)
	for name, text := range payloads {
		page := signIn(t, stranger{Next: "/" + text, Problem: text, Provider: true}).body
		if r := hiddenRune(shownText(t, page)); r != 0 {
			t.Errorf("%s: the page shows %U as it is", name, r)
		}
		for what := range skeleton(t, page) {
			if !harmless[what] {
				t.Errorf("%s: the page has %s", name, what)
			}
		}
	}
}
