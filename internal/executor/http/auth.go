package httpexec

import (
	"net/http"
	"os"
	"strings"

	"belay/internal/executor"
	"belay/internal/steps"
)

// authorize sets the Authorization header from the environment, which is read when the call is made: the tools file
// and every message carry only the variable's name.
func (x *rung) authorize(h http.Header, secrets *executor.Secrets) error {
	switch {
	case x.spec.BearerEnv != "":
		return bearer(h, x.spec.BearerEnv, secrets)
	case x.spec.BasicEnv != "":
		return basic(h, x.spec.BasicEnv, secrets)
	}
	return nil
}

func bearer(h http.Header, name string, secrets *executor.Secrets) error {
	token, err := fromEnv(name)
	if err != nil {
		return err
	}
	secrets.Add(name, token)
	h.Set("Authorization", "Bearer "+token)
	return nil
}

func basic(h http.Header, name string, secrets *executor.Secrets) error {
	both, err := fromEnv(name)
	if err != nil {
		return err
	}
	user, password, ok := strings.Cut(both, ":")
	if !ok {
		return noAuth("environment variable " + name + " has no colon: basic_env needs user:password")
	}
	secrets.Add(name, both)
	secrets.Add(name, password)
	r := http.Request{Header: h}
	r.SetBasicAuth(user, password)
	return nil
}

// fromEnv reads a secret. Its value must not get into any message, not even into one about its form.
func fromEnv(name string) (string, error) {
	value := strings.TrimSpace(os.Getenv(name))
	if value == "" {
		return "", noAuth("environment variable " + name + " is not set on this worker: set it and restart the worker")
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", noAuth("environment variable " + name + " has a control character in it: an HTTP header cannot carry it")
	}
	return value, nil
}

// noAuth is the fault of credentials that are not there: like a 401, but known before anything is sent.
func noAuth(message string) error {
	return steps.Fault{Class: steps.Unauthorized, Acted: steps.ActedNo, Message: message}
}
