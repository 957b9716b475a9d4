package plan

import (
	"slices"
	"time"

	"go.yaml.in/yaml/v4"

	"belay/internal/steps"
	"belay/internal/wire"
)

// NotifyFile says whom to tell that something waits for people, and how.
type NotifyFile struct {
	Link     string // where people reach the console
	Channels map[string]NotifyChannel
	Tiers    []NotifyTier // in the order in which they are told
}

// NotifyChannel is one way to reach people; exactly one of the fields is set. Secrets are names of environment variables.
type NotifyChannel struct {
	Slack   *NotifySlack
	Webhook *NotifyWebhook
	Email   *NotifyEmail
}

// NotifySlack is an incoming webhook as Slack has them.
type NotifySlack struct {
	URLEnv string
}

// NotifyWebhook is a URL that gets signed messages.
type NotifyWebhook struct {
	URL       string
	SecretEnv []string // each secret signs
}

// NotifyEmail is a mail server with addresses.
type NotifyEmail struct {
	Host                     string
	Port                     int
	TLS                      string // starttls, tls or none
	UsernameEnv, PasswordEnv string // empty: without
	From                     string
	To                       []string
}

// NotifyTier is people who are told together.
type NotifyTier struct {
	Name          string
	Notify        []string // names of channels
	After, Remind time.Duration
}

// NotifyText is what a text in a notify file is.
type NotifyText int

// The texts that whoever sends has to judge, each with its value in the file.
const (
	NotifyLink      NotifyText = iota // the URL of the console
	NotifyURL                         // a URL to send to
	NotifyURLEnv                      // an environment variable that has one
	NotifySecretEnv                   // an environment variable that has a secret to sign with
	NotifyEnv                         // another environment variable
	NotifyOpenHost                    // a mail server that is reached without TLS
	NotifyAddress                     // a mail address
)

// NotifyCheck says what is wrong with a text; nil means nothing. It must not repeat a secret.
type NotifyCheck func(what NotifyText, text string) error

// ParseNotify reads a notify file. The error is [Problems]: all mistakes, with those that check finds.
func ParseNotify(file string, data []byte, check NotifyCheck) (*NotifyFile, error) {
	f := &notifyFile{reader: &reader{}, check: check, out: &NotifyFile{Channels: map[string]NotifyChannel{}}}
	root, ok := f.parse(file, data, "notify file")
	if !ok {
		return nil, f.problems.err()
	}
	found := f.object(root, "the notify file", fields{"link": f.judged(&f.out.Link, NotifyLink), "channels": f.channels, "tiers": f.tiers})
	f.require(root, "the notify file", found, "link", "channels", "tiers")
	f.checkChannels(found["channels"] != nil)
	if len(f.problems) > 0 {
		return nil, f.problems.err()
	}
	return f.out, nil
}

// notifyFile is a notify file being read.
type notifyFile struct {
	*reader
	check NotifyCheck
	out   *NotifyFile
	names []string     // of channels, also of those with mistakes in them
	used  []*yaml.Node // names of channels in tiers
}

// judged reads a text of which only check knows what is right.
func (f *notifyFile) judged(into *string, what NotifyText) field {
	return func(n *yaml.Node) {
		if s, ok := f.text(n); ok {
			f.judge(n, what, s)
			*into = s
		}
	}
}

func (f *notifyFile) judge(n *yaml.Node, what NotifyText, text string) {
	if err := f.check(what, text); err != nil {
		f.at(n, "", "%v", err)
	}
}

func (f *notifyFile) tiers(n *yaml.Node) {
	f.list(n, "tiers", func(_ int, e *yaml.Node) {
		before := slices.Clone(f.out.Tiers)
		f.out.Tiers = append(f.out.Tiers, f.tier(e, before))
	})
	if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		f.at(n, "", "there is no tier")
	}
}

// tier reads one tier; before are those in front of it.
func (f *notifyFile) tier(n *yaml.Node, before []NotifyTier) (t NotifyTier) {
	var remind steps.Duration
	after := steps.Duration(unread)
	found := f.object(n, "tier", fields{
		"name": f.checked(&t.Name, wire.ValidName, nameRule), "notify": f.notified(&t.Notify),
		"after": f.duration(&after, 0), "remind": f.remind(&remind),
	})
	f.require(n, "tier", found, "name", "notify")
	if found["after"] == nil {
		after = 0
	}
	t.After, t.Remind = time.Duration(after), time.Duration(remind)
	f.follows(n, t, before)
	return t
}

// unread is a time that could not be read, which is reported once and compared with nothing.
const unread = -1

func (f *notifyFile) follows(n *yaml.Node, t NotifyTier, before []NotifyTier) {
	for _, b := range before {
		if t.Name != "" && t.Name == b.Name {
			f.at(valueOf(n, "name"), "", "two tiers have the name %q", t.Name)
		}
		if t.After != unread && t.After < b.After {
			f.at(n, "tiers are in the order in which they are told", "tier %s is told after %s, tier %s in front of it after %s", t.Name, spoken(t.After), b.Name, spoken(b.After))
		}
	}
}

// remind: no time at all means no reminders, and what comes more often than every minute nobody reads.
func (f *notifyFile) remind(into *steps.Duration) field {
	return func(n *yaml.Node) {
		f.duration(into, 0)(n)
		if d := time.Duration(*into); d > 0 && d < time.Minute {
			f.at(n, "at least 1m, or 0s for none", "the duration %s is too short", spoken(d))
		}
	}
}

func (f *notifyFile) notified(into *[]string) field {
	return func(n *yaml.Node) {
		f.list(n, "notify", func(_ int, e *yaml.Node) {
			s, ok := f.text(e)
			switch {
			case !ok:
			case slices.Contains(*into, s):
				f.at(e, "", "the channel %q is here twice", shorten(s))
			default:
				*into, f.used = append(*into, s), append(f.used, e)
			}
		})
		if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
			f.at(n, "", "a tier without channels tells nobody")
		}
	}
}

// checkChannels: tiers may stand before channels.
func (f *notifyFile) checkChannels(there bool) {
	for _, n := range f.used {
		if there && !slices.Contains(f.names, n.Value) {
			f.at(n, oneOf(n.Value, f.names), "there is no channel %q", shorten(n.Value))
		}
	}
}
