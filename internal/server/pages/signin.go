package pages

import (
	"bytes"
	"net/http"
)

// signIn is the page for somebody who is not signed in.
type signIn struct {
	Next     string // the path to go to afterwards
	Problem  string // why the last try failed; empty = there was none
	Provider bool   // people can sign in through an OpenID Connect provider
	Code     bool   // it is the sign-in code of `dispatcher dev` that is asked for
}

// NewSignIn returns a function that writes the sign-in page, with the looks of the console and its environment's name. The
// page needs no script, and of the console only /static/.
func NewSignIn(env Environment) func(w http.ResponseWriter, status int, next, problem string, provider bool) error {
	return newSignIn(env, false)
}

// NewCodeSignIn is [NewSignIn] for the sign-in code of `dispatcher dev`.
func NewCodeSignIn(env Environment) func(w http.ResponseWriter, status int, next, problem string, provider bool) error {
	return newSignIn(env, true)
}

func newSignIn(env Environment, code bool) func(w http.ResponseWriter, status int, next, problem string, provider bool) error {
	pages := parsePages(newAssets())
	return func(w http.ResponseWriter, status int, next, problem string, provider bool) error {
		var b bytes.Buffer
		if err := pages["signin"].ExecuteTemplate(&b, "layout", page{Title: "Sign in", Env: env, Stranger: true, Body: signIn{next, spoken(problem), provider, code}}); err != nil {
			return err
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		_, err := w.Write(b.Bytes())
		return err
	}
}
