package notify

import (
	"strings"

	"go.yaml.in/yaml/v4"

	"belay/internal/wire"
	"belay/internal/yamldoc"
)

func (f *notifyFile) readChannels(n *yaml.Node) {
	before := len(f.Problems)
	f.Mapping(n, "channels", func(key, value *yaml.Node) {
		name := key.Value
		if !wire.ValidName(name) {
			f.At(key, nameRule, "%q is not a valid name", yamldoc.Shorten(name))
		}
		f.names = append(f.names, name)
		f.channel(value, name)
	})
	if len(f.names) == 0 && len(f.Problems) == before {
		f.At(n, "", "there are no channels")
	}
}

func (f *notifyFile) channel(n *yaml.Node, name string) {
	what := "channel " + name
	found := f.Object(n, what, yamldoc.Fields{
		"slack":   func(n *yaml.Node) { f.channels[name] = f.slack(n) },
		"webhook": func(n *yaml.Node) { f.channels[name] = f.webhook(n) },
		"email":   func(n *yaml.Node) { f.channels[name] = f.email(name, n) },
	})
	if found != nil && len(found) != 1 {
		f.At(n, "one of: email, slack, webhook", "%s has %d ways to send, and needs exactly one", what, len(found))
	}
}

func (f *notifyFile) slack(n *yaml.Node) maker {
	var target string
	found := f.Object(n, "slack", yamldoc.Fields{"url_env": f.variable(&target, isTarget)})
	f.Require(n, "slack", found, "url_env")
	return func(link string) (Channel, error) { return newSlack(target, link), nil }
}

func (f *notifyFile) webhook(n *yaml.Node) maker {
	var target string
	var secrets []string
	found := f.Object(n, "webhook", yamldoc.Fields{"url": f.checked(&target, isTarget), "secret_env": f.secrets(&secrets)})
	f.Require(n, "webhook", found, "url", "secret_env")
	return func(link string) (Channel, error) { return newWebhook(target, link, secrets) }
}

// variable reads the name of an environment variable, and stores its value if that satisfies check.
func (f *notifyFile) variable(into *string, check func(value string) error) yamldoc.Field {
	return func(n *yaml.Node) {
		if name, ok := f.Text(n); ok && f.variableName(n, name) {
			value, err := f.env.value(name, check)
			f.judge(n, err)
			*into = value
		}
	}
}

// secrets reads names of variables with commas between.
func (f *notifyFile) secrets(into *[]string) yamldoc.Field {
	return func(n *yaml.Node) {
		s, ok := f.Text(n)
		for name := range strings.SplitSeq(s, ",") {
			if name = strings.TrimSpace(name); ok && f.variableName(n, name) {
				secret, err := f.env.value(name, isSecret)
				f.judge(n, err)
				*into = append(*into, secret)
			}
		}
	}
}

// variableName checks the name of a variable. Its message does not repeat the name, which may be the secret itself by
// mistake.
func (f *notifyFile) variableName(n *yaml.Node, name string) bool {
	if !wire.ValidName(name) || strings.Contains(name, "-") || name[0] >= '0' && name[0] <= '9' || strings.HasPrefix(name, "whsec_") {
		f.At(n, "letters, digits and _: the name, and not the secret itself", "this is not the name of an environment variable")
		return false
	}
	return true
}

func (f *notifyFile) email(channel string, n *yaml.Node) maker {
	m := mailServer{TLS: "starttls"}
	var user, password string
	found := f.Object(n, "email", yamldoc.Fields{
		"host": func(n *yaml.Node) { m.Host, _ = f.Text(n) },
		"port": f.Int(&m.Port, 1, 65535), "tls": yamldoc.Choice(f.Reader, &m.TLS, "starttls", "tls", "none"),
		"username_env": f.variable(&user, nil), "password_env": f.variable(&password, nil),
		"from": f.checked(&m.From, isAddress), "to": f.addresses(&m.To),
	})
	f.Require(n, "email", found, "host", "from", "to")
	if (found["username_env"] == nil) != (found["password_env"] == nil) {
		f.At(n, "", "email needs both username_env and password_env, or neither")
	}
	if host := yamldoc.ValueOf(n, "host"); m.TLS == "none" && host != nil {
		f.judge(host, isThisMachine(m.Host))
	}
	if m.Port == 0 {
		m.Port = map[string]int{"starttls": 587, "tls": 465, "none": 25}[m.TLS]
	}
	return func(link string) (Channel, error) { return newEmail(channel, link, m, user, password), nil }
}

func (f *notifyFile) addresses(into *[]string) yamldoc.Field {
	return func(n *yaml.Node) {
		f.List(n, "to", func(_ int, e *yaml.Node) {
			var s string
			f.checked(&s, isAddress)(e)
			*into = append(*into, s)
		})
		if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
			f.At(n, "", "to has no addresses")
		}
	}
}
