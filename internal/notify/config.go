package notify

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"os"
	"strings"

	"belay/internal/plan"
)

// Setup is a notify file with everything in place.
type Setup struct {
	Policy   Policy
	Channels map[string]Channel
}

// Load reads a notify file, and the secrets that it names from the environment. Every mistake is reported at once, as
// plan.Problems with their places; a variable that is not set is one.
func Load(path string, getenv func(string) string) (*Setup, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("notify file: %w", err)
	}
	b := builder{getenv}
	file, err := plan.ParseNotify(path, data, b.check)
	if err != nil {
		return nil, err
	}
	return b.setup(file)
}

// builder makes channels with the secrets of an environment.
type builder struct{ getenv func(string) string }

func (b builder) setup(file *plan.NotifyFile) (*Setup, error) {
	s := &Setup{Channels: map[string]Channel{}}
	for name, c := range file.Channels {
		channel, err := b.channel(name, file.Link, c)
		if err != nil {
			return nil, fmt.Errorf("channel %s: %w", name, err)
		}
		s.Channels[name] = channel
	}
	for _, t := range file.Tiers {
		s.Policy.Tiers = append(s.Policy.Tiers, Tier(t))
	}
	return s, nil
}

func (b builder) channel(name, link string, c plan.NotifyChannel) (Channel, error) {
	switch {
	case c.Slack != nil:
		return newSlack(b.value(c.Slack.URLEnv), link), nil
	case c.Webhook != nil:
		var secrets []string
		for _, variable := range c.Webhook.SecretEnv {
			secrets = append(secrets, b.value(variable))
		}
		return newWebhook(c.Webhook.URL, link, secrets)
	}
	return newEmail(name, link, *c.Email, b.value(c.Email.UsernameEnv), b.value(c.Email.PasswordEnv)), nil
}

func (b builder) value(variable string) string { return strings.TrimSpace(b.getenv(variable)) }

// check says what is wrong with a text of the file, or with the value of a variable, which it does not repeat.
func (b builder) check(what plan.NotifyText, text string) error {
	switch what {
	case plan.NotifyLink:
		_, err := webURL(text)
		return err
	case plan.NotifyURL:
		return target(text)
	case plan.NotifyOpenHost:
		return open(text)
	case plan.NotifyAddress:
		return address(text)
	}
	return b.checkVariable(what, text)
}

func (b builder) checkVariable(what plan.NotifyText, variable string) error {
	value := b.value(variable)
	if value == "" {
		return fmt.Errorf("the environment variable %s is not set", variable)
	}
	var err error
	switch what {
	case plan.NotifyURLEnv:
		err = target(value)
	case plan.NotifySecretEnv:
		_, err = signerOf(value)
	}
	if err != nil {
		return fmt.Errorf("the environment variable %s: %w", variable, err)
	}
	return nil
}

// webURL reads a URL. Its errors do not repeat it: it may be a secret.
func webURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("it is no URL like https://belay.example.com")
	}
	return u, nil
}

// target checks a URL that notices are sent to.
func target(text string) error {
	u, err := webURL(text)
	if err == nil && u.Scheme == "http" && !loopback(u.Hostname()) {
		return errors.New("it begins with http, which everybody on the way can read: use https, except for this machine itself")
	}
	return err
}

func open(host string) error {
	if loopback(host) {
		return nil
	}
	return errors.New("without TLS everybody on the way can read the mail and the password: tls: none is for this machine itself only")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func address(text string) error {
	if _, err := mail.ParseAddress(text); err != nil || strings.ContainsAny(text, "\r\n") {
		return errors.New("it is no mail address like ops@example.com")
	}
	return nil
}
