package notify

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"belay/internal/yamldoc"
)

const sampleNotify = `
tiers:
  - {name: ops, notify: [ops, hook], after: 0s, remind: 15m}
  - {name: lead, notify: [lead, clear], after: 1d}
link: https://belay.example.com
channels:
  ops: {slack: {url_env: SLACK_URL}}
  hook: {webhook: {url: https://pager.example.com/hook, secret_env: "NEW_SECRET, OLD_SECRET"}}
  lead: {email: {host: smtp.example.com, username_env: USER_NAME, password_env: PASSWORD, from: belay@example.com, to: [lead@example.com, b@example.com]}}
  clear: {email: {host: localhost, port: 1025, tls: none, from: belay@example.com, to: [lead@example.com]}}
  tls: {email: {host: smtp.example.com, tls: tls, from: belay@example.com, to: [lead@example.com]}}
`

// variableOf has values for the variables of the sample; a variable with BAD in its name has one that nothing is right with.
func variableOf(name string) string {
	switch {
	case strings.Contains(name, "BAD"):
		return "bad"
	case strings.Contains(name, "URL"):
		return "https://hooks.example.com/" + name
	case strings.Contains(name, "SECRET"):
		return secretOf(name[0])
	}
	return "value of " + name
}

func TestNotifyFile(t *testing.T) {
	t.Parallel()
	got, err := parse("notify.yaml", []byte(sampleNotify), variableOf)
	if err != nil {
		t.Fatal(err)
	}
	want := []Tier{
		{Name: "ops", Notify: []string{"ops", "hook"}, Remind: 15 * time.Minute},
		{Name: "lead", Notify: []string{"lead", "clear"}, After: 24 * time.Hour},
	}
	if diff := cmp.Diff(want, got.Policy.Tiers); diff != "" {
		t.Error(diff)
	}
	if hook := got.Channels["hook"].(*webhook); hook.url != "https://pager.example.com/hook" || len(hook.signers) != 2 {
		t.Errorf("%+v", hook)
	}
	if chat := got.Channels["ops"].(*slack); chat.url != "https://hooks.example.com/SLACK_URL" || chat.link != "https://belay.example.com" {
		t.Errorf("%+v", chat)
	}
	to := []string{"lead@example.com", "b@example.com"}
	for name, want := range map[string]mailServer{
		"lead":  {Host: "smtp.example.com", Port: 587, TLS: "starttls", From: "belay@example.com", To: to},
		"clear": {Host: "localhost", Port: 1025, TLS: "none", From: "belay@example.com", To: to[:1]},
		"tls":   {Host: "smtp.example.com", Port: 465, TLS: "tls", From: "belay@example.com", To: to[:1]},
	} {
		if diff := cmp.Diff(want, got.Channels[name].(*email).server); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if lead := got.Channels["lead"].(*email); lead.user != "value of USER_NAME" || lead.password != "value of PASSWORD" {
		t.Errorf("%s %s", lead.user, lead.password)
	}
}

func TestEveryMistakeInANotifyFile(t *testing.T) {
	t.Parallel()
	_, err := parse("n.yaml", []byte(`links: x
link: bad
channels:
  a b: {slack: {url_env: BAD_URL}}
  two: {slack: {url_env: URL}, webhook: {url: bad, secret_env: "SECRET,BAD"}}
  none: {}
  secret: {webhook: {url: https://x, secret_env: "whsec_c2VjcmV0, SECRET"}}
  pasted: {slack: {url_env: "https://hooks.example.com/s3cret"}}
  mail: {email: {host: bad.example.com, port: 70000, tls: no, username_env: A, to: []}}
  open: {email: {host: bad.example.com, tls: none, from: bad, to: [bad, 7]}}
  list: [slack]
tiers:
  - {name: ops, notify: [ops, two, two], after: 5m, remind: 30s}
  - {name: ops, notify: [], after: 1m}
  - {notify: towo, after: 10}
`), variableOf)
	problems, ok := errors.AsType[yamldoc.Problems](err)
	if !ok {
		t.Fatalf("%T %v", err, err)
	}
	want := `n.yaml:1:1: unknown key "links" in the notify file (did you mean "link"?)
n.yaml:2:7: not a URL like https://belay.example.com
n.yaml:4:3: "a b" is not a valid name (letters, digits, _ and -, at most 64)
n.yaml:4:26: the environment variable BAD_URL: not a URL like https://belay.example.com
n.yaml:5:8: channel two has 2 ways to send, and needs exactly one (one of: email, slack, webhook)
n.yaml:5:47: not a URL like https://belay.example.com
n.yaml:5:64: the environment variable BAD: the secret is not base64 of at least 24 bytes: make one with: echo whsec_$(openssl rand -base64 32)
n.yaml:6:9: channel none has 0 ways to send, and needs exactly one (one of: email, slack, webhook)
n.yaml:7:50: this is not the name of an environment variable (letters, digits and _: the name, and not the secret itself)
n.yaml:8:29: this is not the name of an environment variable (letters, digits and _: the name, and not the secret itself)
n.yaml:9:17: email has no "from"
n.yaml:9:17: email needs both username_env and password_env, or neither
n.yaml:9:47: 70000 is out of range (from 1 to 65535)
n.yaml:9:59: "no" is not allowed here (one of: none, starttls, tls)
n.yaml:9:84: to has no addresses
n.yaml:10:24: without TLS others on the network can read the mail and the password: use tls: none only for this machine itself
n.yaml:10:58: not a mail address like ops@example.com
n.yaml:10:68: not a mail address like ops@example.com
n.yaml:10:73: expected a string, not a number (quote it: "7")
n.yaml:11:9: channel list must be a mapping of keys to values, not a list
n.yaml:13:26: there is no channel "ops" (one of: a b, list, mail, none, open, pasted, secret, two)
n.yaml:13:36: the channel "two" is listed twice
n.yaml:13:61: the duration 30s is too short (at least 1m, or 0s for none)
n.yaml:14:5: tier ops is notified after 1m, but tier ops before it after 5m (list tiers in the order in which they are notified)
n.yaml:14:12: two tiers have the name "ops"
n.yaml:14:25: a tier without channels notifies nobody
n.yaml:15:5: tier has no "name"
n.yaml:15:14: notify must be a list, not a string
n.yaml:15:27: 10 is not a duration (a number needs its unit: 10s)`
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(problems.Error(), "\n")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestNotifyFilesThatSayTooLittle(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                `n.yaml:1:1: the notify file is empty`,
		"link: https://x": `n.yaml:1:1: the notify file has no "channels"` + "\n" + `n.yaml:1:1: the notify file has no "tiers"`,
		"link: https://x\nchannels: {}\ntiers: []":         "n.yaml:2:11: there are no channels\nn.yaml:3:8: there are no tiers",
		"link: https://x\ntiers: [{name: a, notify: [b]}]": `n.yaml:1:1: the notify file has no "channels"`,
	} {
		if _, err := parse("n.yaml", []byte(text), variableOf); err == nil || err.Error() != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzParse: whatever the text, there is a file in which all names are known, or problems with places in the text.
func FuzzParse(f *testing.F) {
	f.Add([]byte(sampleNotify))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := parse("notify.yaml", data, variableOf)
		if err != nil {
			if problems, ok := errors.AsType[yamldoc.Problems](err); !ok || len(problems) == 0 {
				t.Fatalf("not problems: %v", err)
			}
			return
		}
		for _, tier := range file.Policy.Tiers {
			for _, name := range tier.Notify {
				if file.Channels[name] == nil {
					t.Fatalf("tier %s notifies channel %q, which does not exist", tier.Name, name)
				}
			}
		}
	})
}
