package plan

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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

// judgement is a check that notes what it is asked, and finds wrong whatever contains "bad".
type judgement map[NotifyText][]string

func (j judgement) check(what NotifyText, text string) error {
	j[what] = append(j[what], text)
	if strings.Contains(strings.ToLower(text), "bad") {
		return errors.New("found wrong")
	}
	return nil
}

func TestNotifyFile(t *testing.T) {
	asked := judgement{}
	got, err := ParseNotify("notify.yaml", []byte(sampleNotify), asked.check)
	if err != nil {
		t.Fatal(err)
	}
	email := NotifyEmail{Host: "smtp.example.com", Port: 587, TLS: "starttls", UsernameEnv: "USER_NAME", PasswordEnv: "PASSWORD", From: "belay@example.com", To: []string{"lead@example.com", "b@example.com"}}
	want := &NotifyFile{
		Link: "https://belay.example.com",
		Channels: map[string]NotifyChannel{
			"ops":   {Slack: &NotifySlack{URLEnv: "SLACK_URL"}},
			"hook":  {Webhook: &NotifyWebhook{URL: "https://pager.example.com/hook", SecretEnv: []string{"NEW_SECRET", "OLD_SECRET"}}},
			"lead":  {Email: &email},
			"clear": {Email: &NotifyEmail{Host: "localhost", Port: 1025, TLS: "none", From: email.From, To: email.To[:1]}},
			"tls":   {Email: &NotifyEmail{Host: "smtp.example.com", Port: 465, TLS: "tls", From: email.From, To: email.To[:1]}},
		},
		Tiers: []NotifyTier{
			{Name: "ops", Notify: []string{"ops", "hook"}, Remind: 15 * time.Minute},
			{Name: "lead", Notify: []string{"lead", "clear"}, After: 24 * time.Hour},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	judged := judgement{
		NotifyLink: {"https://belay.example.com"}, NotifyURL: {"https://pager.example.com/hook"}, NotifyURLEnv: {"SLACK_URL"},
		NotifySecretEnv: {"NEW_SECRET", "OLD_SECRET"}, NotifyEnv: {"USER_NAME", "PASSWORD"}, NotifyOpenHost: {"localhost"},
		NotifyAddress: {"belay@example.com", "lead@example.com", "b@example.com", "belay@example.com", "lead@example.com", "belay@example.com", "lead@example.com"},
	}
	if diff := cmp.Diff(judged, asked); diff != "" {
		t.Error(diff)
	}
}

func TestEveryMistakeInANotifyFile(t *testing.T) {
	_, err := ParseNotify("n.yaml", []byte(`links: x
link: bad
channels:
  a b: {slack: {url_env: BAD_URL}}
  two: {slack: {url_env: A}, webhook: {url: bad, secret_env: "A,BAD"}}
  none: {}
  secret: {webhook: {url: https://x, secret_env: "whsec_c2VjcmV0, A"}}
  pasted: {slack: {url_env: "https://hooks.example.com/s3cret"}}
  mail: {email: {host: bad.example.com, port: 70000, tls: no, username_env: A, to: []}}
  open: {email: {host: bad.example.com, tls: none, from: bad, to: [bad, 7]}}
  list: [slack]
tiers:
  - {name: ops, notify: [ops, two, two], after: 5m, remind: 30s}
  - {name: ops, notify: [], after: 1m}
  - {notify: towo, after: 10}
`), judgement{}.check)
	problems, ok := errors.AsType[Problems](err)
	if !ok {
		t.Fatalf("%T %v", err, err)
	}
	want := `n.yaml:1:1: unknown key "links" in the notify file (did you mean "link"?)
n.yaml:2:7: found wrong
n.yaml:4:3: "a b" is no valid name (letters, digits, _ and -, at most 64)
n.yaml:4:26: found wrong
n.yaml:5:8: channel two says 2 ways to send, and needs one (one of: email, slack, webhook)
n.yaml:5:45: found wrong
n.yaml:5:62: found wrong
n.yaml:6:9: channel none says 0 ways to send, and needs one (one of: email, slack, webhook)
n.yaml:7:50: this is no name of an environment variable (letters, digits and _: the name, and not the secret itself)
n.yaml:8:29: this is no name of an environment variable (letters, digits and _: the name, and not the secret itself)
n.yaml:9:17: email has no "from"
n.yaml:9:17: email needs both username_env and password_env, or neither
n.yaml:9:47: 70000 is out of range (from 1 to 65535)
n.yaml:9:59: "no" is not possible here (one of: none, starttls, tls)
n.yaml:9:84: to has no address
n.yaml:10:24: found wrong
n.yaml:10:58: found wrong
n.yaml:10:68: found wrong
n.yaml:10:73: a string is needed here, not a number (quote it: "7")
n.yaml:11:9: channel list is a mapping of keys to values, not a list
n.yaml:13:26: there is no channel "ops" (one of: a b, list, mail, none, open, pasted, secret, two)
n.yaml:13:36: the channel "two" is here twice
n.yaml:13:61: the duration 30s is too short (at least 1m, or 0s for none)
n.yaml:14:5: tier ops is told after 1m, tier ops in front of it after 5m (tiers are in the order in which they are told)
n.yaml:14:12: two tiers have the name "ops"
n.yaml:14:25: a tier without channels tells nobody
n.yaml:15:5: tier has no "name"
n.yaml:15:14: notify is a list, not a string
n.yaml:15:27: 10 is no duration (a number needs its unit: 10s)`
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(problems.Error(), "\n")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestNotifyFilesThatSayTooLittle(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 `n.yaml:1:1: the notify file is empty`,
		"link: x":                          `n.yaml:1:1: the notify file has no "channels"` + "\n" + `n.yaml:1:1: the notify file has no "tiers"`,
		"link: x\nchannels: {}\ntiers: []": "n.yaml:2:11: there is no channel\nn.yaml:3:8: there is no tier",
		"link: x\ntiers: [{name: a, notify: [b]}]": `n.yaml:1:1: the notify file has no "channels"`,
	} {
		if _, err := ParseNotify("n.yaml", []byte(text), judgement{}.check); err == nil || err.Error() != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzParseNotify: whatever the text, there is a file in which all names are known, or problems with places in the text.
func FuzzParseNotify(f *testing.F) {
	f.Add([]byte(sampleNotify))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := ParseNotify("notify.yaml", data, judgement{}.check)
		if err != nil {
			checkProblems(t, data, err)
			return
		}
		for _, tier := range file.Tiers {
			for _, name := range tier.Notify {
				if c := file.Channels[name]; c == (NotifyChannel{}) {
					t.Fatalf("tier %s tells channel %q, which is none", tier.Name, name)
				}
			}
		}
	})
}
