package notify

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"os"
	"strings"

	"belay/internal/outbound"
)

// Setup is what a notify file says.
type Setup struct {
	Policy   Policy             // who is notified of what, and when
	Channels map[string]Channel // by their names in the file
}

// Load reads a notify file, and from the environment the secrets that it names. It reports all mistakes at once, as
// yamldoc.Problems with their positions; a variable that is not set is one of them. Channels connect as the policy says.
func Load(path string, getenv func(string) string, policy outbound.Policy) (*Setup, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("notify file: %w", err)
	}
	s, err := parse(path, data, getenv)
	if err != nil {
		return nil, err
	}
	for _, c := range s.Channels {
		if c, is := c.(interface{ through(outbound.Policy) }); is {
			c.through(policy)
		}
	}
	return s, nil
}

// environment returns the value of a variable, or "" if it is not set.
type environment func(variable string) string

// value returns the value of a variable that must be set and satisfy check (nil = no check). Errors do not repeat it.
func (env environment) value(variable string, check func(string) error) (string, error) {
	value := strings.TrimSpace(env(variable))
	if value == "" {
		return "", fmt.Errorf("the environment variable %s is not set", variable)
	}
	if check == nil {
		return value, nil
	}
	if err := check(value); err != nil {
		return "", fmt.Errorf("the environment variable %s: %w", variable, err)
	}
	return value, nil
}

func isSecret(text string) error {
	_, err := signerOf(text)
	return err
}

// isURL checks a URL. Its error does not repeat it, because it may be a secret.
func isURL(text string) error {
	_, err := webURL(text)
	return err
}

func webURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("not a URL like https://belay.example.com")
	}
	return u, nil
}

// isTarget checks a URL that notices are sent to.
func isTarget(text string) error {
	u, err := webURL(text)
	if err == nil && u.Scheme == "http" && !loopback(u.Hostname()) {
		return errors.New("it uses http, which others on the network can read: use https, except for this machine itself")
	}
	return err
}

// isThisMachine checks a mail server that is reached without TLS.
func isThisMachine(host string) error {
	if loopback(host) {
		return nil
	}
	return errors.New("without TLS others on the network can read the mail and the password: use tls: none only for this machine itself")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func isAddress(text string) error {
	if _, err := mail.ParseAddress(text); err != nil || strings.ContainsAny(text, "\r\n") {
		return errors.New("not a mail address like ops@example.com")
	}
	return nil
}
