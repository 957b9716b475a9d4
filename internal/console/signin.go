package console

import (
	"bytes"
	"net/http"
)

// SignIn is what the page says to somebody whom nobody knows yet.
type SignIn struct {
	Next     string // the path that the person wants to see
	Problem  string // why it did not work; empty = it was not tried
	Provider bool   // an OpenID Connect provider vouches for people
}

// NewSignIn gives the page on which people sign in: a page of the console, in its looks and under its environment's name.
// It needs no script and no console behind it but for /static/.
func NewSignIn(env Environment) func(w http.ResponseWriter, status int, s SignIn) error {
	pages := parsePages(newAssets())
	return func(w http.ResponseWriter, status int, s SignIn) error {
		s.Problem = spoken(s.Problem)
		var b bytes.Buffer
		if err := pages["signin"].ExecuteTemplate(&b, "layout", page{Title: "Sign in", Env: env, Stranger: true, Body: s}); err != nil {
			return err
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		_, err := w.Write(b.Bytes())
		return err
	}
}
