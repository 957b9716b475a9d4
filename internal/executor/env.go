package executor

import (
	"os"
	"strings"

	"belay/internal/steps"
)

// FromEnv reads a secret that goes into a header from the environment. No message may contain its value, not even one
// about its form.
func FromEnv(name string) (string, error) {
	value := strings.TrimSpace(os.Getenv(name))
	if value == "" {
		return "", NoAuth("environment variable " + name + " is not set on this worker: set it and restart the worker")
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", NoAuth("environment variable " + name + " contains a control character, which an HTTP header cannot")
	}
	return value, nil
}

// NoAuth is the fault of missing credentials: like a 401, but before anything is sent.
func NoAuth(message string) error {
	return steps.Fault{Class: steps.Unauthorized, Acted: steps.ActedNo, Message: message}
}
