package notify

import (
	"fmt"
	"slices"
	"time"

	"go.yaml.in/yaml/v4"

	"belay/internal/wire"
	"belay/internal/yamldoc"
)

// parse reads a notify file, and from the environment the secrets that it names. The error is [yamldoc.Problems]: all
// mistakes. No message repeats a secret.
func parse(file string, data []byte, env environment) (*Setup, error) {
	f := &notifyFile{Reader: &yamldoc.Reader{}, env: env, channels: map[string]maker{}}
	root, ok := f.Parse(file, data, "notify file")
	if !ok {
		return nil, f.Problems.Err()
	}
	found := f.Object(root, "the notify file", yamldoc.Fields{"link": f.checked(&f.link, isURL), "channels": f.readChannels, "tiers": f.readTiers})
	f.Require(root, "the notify file", found, "link", "channels", "tiers")
	f.checkChannels(found["channels"] != nil)
	if len(f.Problems) > 0 {
		return nil, f.Problems.Err()
	}
	return f.setup()
}

// notifyFile is a notify file being read.
type notifyFile struct {
	*yamldoc.Reader
	env      environment
	link     string // where people reach the console
	channels map[string]maker
	tiers    []Tier
	names    []string     // of channels, also of those with mistakes
	used     []*yaml.Node // channels that tiers name
}

// maker makes a channel when the link, which every notice has, is known.
type maker func(link string) (Channel, error)

func (f *notifyFile) setup() (*Setup, error) {
	s := &Setup{Policy: Policy{Tiers: f.tiers}, Channels: map[string]Channel{}}
	for name, channel := range f.channels {
		var err error
		if s.Channels[name], err = channel(f.link); err != nil {
			return nil, fmt.Errorf("channel %s: %w", name, err)
		}
	}
	return s, nil
}

// checked reads a text that must satisfy check.
func (f *notifyFile) checked(into *string, check func(string) error) yamldoc.Field {
	return func(n *yaml.Node) {
		if s, ok := f.Text(n); ok {
			f.judge(n, check(s))
			*into = s
		}
	}
}

func (f *notifyFile) judge(n *yaml.Node, err error) {
	if err != nil {
		f.At(n, "", "%v", err)
	}
}

func (f *notifyFile) readTiers(n *yaml.Node) {
	f.List(n, "tiers", func(_ int, e *yaml.Node) {
		f.tiers = append(f.tiers, f.tier(e, slices.Clone(f.tiers)))
	})
	if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		f.At(n, "", "there are no tiers")
	}
}

// tier reads one tier; before are those that precede it.
func (f *notifyFile) tier(n *yaml.Node, before []Tier) (t Tier) {
	t.After = unread
	found := f.Object(n, "tier", yamldoc.Fields{
		"name": f.Checked(&t.Name, wire.ValidName, nameRule), "notify": f.channelNames(&t.Notify),
		"after": yamldoc.Duration(f.Reader, &t.After, 0), "remind": f.remind(&t.Remind),
	})
	f.Require(n, "tier", found, "name", "notify")
	if found["after"] == nil {
		t.After = 0
	}
	f.follows(n, t, before)
	return t
}

const nameRule = "letters, digits, _ and -, at most 64"

// unread stands for a time that could not be read; it was reported, and is not compared.
const unread = -1

func (f *notifyFile) follows(n *yaml.Node, t Tier, before []Tier) {
	for _, b := range before {
		if t.Name != "" && t.Name == b.Name {
			f.At(yamldoc.ValueOf(n, "name"), "", "two tiers have the name %q", t.Name)
		}
		if t.After != unread && t.After < b.After {
			f.At(n, "list tiers in the order in which they are notified", "tier %s is notified after %s, but tier %s before it after %s",
				t.Name, yamldoc.SpokenDuration(t.After), b.Name, yamldoc.SpokenDuration(b.After))
		}
	}
}

// remind reads the time between reminders: 0 = none, and at least a minute otherwise, because nobody reads more.
func (f *notifyFile) remind(into *time.Duration) yamldoc.Field {
	return func(n *yaml.Node) {
		yamldoc.Duration(f.Reader, into, 0)(n)
		if d := *into; d > 0 && d < time.Minute {
			f.At(n, "at least 1m, or 0s for none", "the duration %s is too short", yamldoc.SpokenDuration(d))
		}
	}
}

// channelNames reads the channels of a tier.
func (f *notifyFile) channelNames(into *[]string) yamldoc.Field {
	return func(n *yaml.Node) {
		f.List(n, "notify", func(_ int, e *yaml.Node) {
			s, ok := f.Text(e)
			switch {
			case !ok:
			case slices.Contains(*into, s):
				f.At(e, "", "the channel %q is listed twice", yamldoc.Shorten(s))
			default:
				*into, f.used = append(*into, s), append(f.used, e)
			}
		})
		if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
			f.At(n, "", "a tier without channels notifies nobody")
		}
	}
}

// checkChannels checks the channels that tiers name, at the end, because tiers may come before channels.
func (f *notifyFile) checkChannels(found bool) {
	for _, n := range f.used {
		if found && !slices.Contains(f.names, n.Value) {
			f.At(n, yamldoc.OneOf(n.Value, f.names), "there is no channel %q", yamldoc.Shorten(n.Value))
		}
	}
}
