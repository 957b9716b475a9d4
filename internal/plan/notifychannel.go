package plan

import (
	"strings"

	"go.yaml.in/yaml/v4"

	"belay/internal/wire"
)

func (f *notifyFile) channels(n *yaml.Node) {
	before := len(f.problems)
	f.mapping(n, "channels", func(key, value *yaml.Node) {
		if !wire.ValidName(key.Value) {
			f.at(key, nameRule, "%q is no valid name", shorten(key.Value))
		}
		f.names = append(f.names, key.Value)
		f.out.Channels[key.Value] = f.channel(value, "channel "+key.Value)
	})
	if len(f.names) == 0 && len(f.problems) == before {
		f.at(n, "", "there is no channel")
	}
}

func (f *notifyFile) channel(n *yaml.Node, what string) (c NotifyChannel) {
	found := f.object(n, what, fields{
		"slack":   func(n *yaml.Node) { c.Slack = f.slack(n) },
		"webhook": func(n *yaml.Node) { c.Webhook = f.webhook(n) },
		"email":   func(n *yaml.Node) { c.Email = f.email(n) },
	})
	if found != nil && len(found) != 1 {
		f.at(n, "one of: email, slack, webhook", "%s says %d ways to send, and needs one", what, len(found))
	}
	return c
}

func (f *notifyFile) slack(n *yaml.Node) *NotifySlack {
	s := &NotifySlack{}
	found := f.object(n, "slack", fields{"url_env": f.variable(&s.URLEnv, NotifyURLEnv)})
	f.require(n, "slack", found, "url_env")
	return s
}

func (f *notifyFile) webhook(n *yaml.Node) *NotifyWebhook {
	w := &NotifyWebhook{}
	found := f.object(n, "webhook", fields{"url": f.judged(&w.URL, NotifyURL), "secret_env": f.secrets(&w.SecretEnv)})
	f.require(n, "webhook", found, "url", "secret_env")
	return w
}

// variable reads the name of an environment variable.
func (f *notifyFile) variable(into *string, what NotifyText) field {
	return func(n *yaml.Node) {
		if s, ok := f.text(n); ok && f.named(n, what, s) {
			*into = s
		}
	}
}

// secrets reads names of variables with commas between.
func (f *notifyFile) secrets(into *[]string) field {
	return func(n *yaml.Node) {
		s, ok := f.text(n)
		for name := range strings.SplitSeq(s, ",") {
			if name = strings.TrimSpace(name); ok && f.named(n, NotifySecretEnv, name) {
				*into = append(*into, name)
			}
		}
	}
}

// named checks the name of a variable. Where somebody wrote the secret itself in its place, the message must not
// repeat it.
func (f *notifyFile) named(n *yaml.Node, what NotifyText, name string) bool {
	if !variableName(name) || strings.HasPrefix(name, "whsec_") {
		f.at(n, "letters, digits and _: the name, and not the secret itself", "this is no name of an environment variable")
		return false
	}
	f.judge(n, what, name)
	return true
}

func variableName(s string) bool {
	return wire.ValidName(s) && !strings.Contains(s, "-") && (s[0] < '0' || s[0] > '9')
}

func (f *notifyFile) email(n *yaml.Node) *NotifyEmail {
	m := &NotifyEmail{TLS: "starttls"}
	found := f.object(n, "email", fields{
		"host": func(n *yaml.Node) { m.Host, _ = f.text(n) },
		"port": f.int(&m.Port, 1, 65535), "tls": choice(f.reader, &m.TLS, "starttls", "tls", "none"),
		"username_env": f.variable(&m.UsernameEnv, NotifyEnv), "password_env": f.variable(&m.PasswordEnv, NotifyEnv),
		"from": f.judged(&m.From, NotifyAddress), "to": f.addresses(&m.To),
	})
	f.require(n, "email", found, "host", "from", "to")
	if (found["username_env"] == nil) != (found["password_env"] == nil) {
		f.at(n, "", "email needs both username_env and password_env, or neither")
	}
	if host := valueOf(n, "host"); m.TLS == "none" && host != nil {
		f.judge(host, NotifyOpenHost, m.Host)
	}
	if m.Port == 0 {
		m.Port = map[string]int{"starttls": 587, "tls": 465, "none": 25}[m.TLS]
	}
	return m
}

func (f *notifyFile) addresses(into *[]string) field {
	return func(n *yaml.Node) {
		f.list(n, "to", func(_ int, e *yaml.Node) {
			var s string
			f.judged(&s, NotifyAddress)(e)
			*into = append(*into, s)
		})
		if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
			f.at(n, "", "to has no address")
		}
	}
}
