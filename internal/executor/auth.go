package executor

import (
	"net/http"
	"strings"
)

// Authorize sets the Authorization header from the environment, which it reads for each call: the tools file and the
// messages have only the name of the variable, one of the two. Without a name it sets none.
func Authorize(h http.Header, bearerEnv, basicEnv string, secrets *Secrets) error {
	switch {
	case bearerEnv != "":
		return bearer(h, bearerEnv, secrets)
	case basicEnv != "":
		return basic(h, basicEnv, secrets)
	}
	return nil
}

func bearer(h http.Header, name string, secrets *Secrets) error {
	token, err := FromEnv(name)
	if err != nil {
		return err
	}
	secrets.Add(name, token)
	h.Set("Authorization", "Bearer "+token)
	return nil
}

func basic(h http.Header, name string, secrets *Secrets) error {
	both, err := FromEnv(name)
	if err != nil {
		return err
	}
	user, password, ok := strings.Cut(both, ":")
	if !ok {
		return NoAuth("environment variable " + name + " has no colon: basic_env needs user:password")
	}
	secrets.Add(name, both)
	secrets.Add(name, password)
	r := http.Request{Header: h}
	r.SetBasicAuth(user, password)
	return nil
}
