package notify

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"belay/internal/outbound"
	"belay/internal/yamldoc"
)

func variables() map[string]string {
	return map[string]string{
		"SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T/B/s3cr3t", "BELAY_WEBHOOK_SECRET": secretOf('n'), "SMTP_USER": "me", "SMTP_PASSWORD": "hunter22",
	}
}

func getter(env map[string]string) func(string) string {
	return func(name string) string { return env[name] }
}

// TestTheSampleFile: what is shipped works as it is.
func TestTheSampleFile(t *testing.T) {
	t.Parallel()
	s, err := Load("../../config/notify.yaml", getter(variables()), outbound.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	want := Policy{Tiers: []Tier{
		{Name: "ops", Notify: []string{"ops", "hook"}, Remind: 15 * time.Minute},
		{Name: "lead", Notify: []string{"lead"}, After: 15 * time.Minute, Remind: 30 * time.Minute},
	}}
	if diff := cmp.Diff(want, s.Policy); diff != "" {
		t.Error(diff)
	}
	chat, hook, lead := s.Channels["ops"].(*slack), s.Channels["hook"].(*webhook), s.Channels["lead"].(*email)
	if chat.url != variables()["SLACK_WEBHOOK_URL"] || hook.url != "https://pager.example.com/hook" || len(hook.signers) != 1 ||
		lead.user != "me" || lead.password != "hunter22" || lead.server.Port != 587 || lead.link != "https://belay.example.com" {
		t.Errorf("%+v %+v %+v", chat, hook, lead)
	}
}

func fileOf(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEveryMistakeOfMeaning(t *testing.T) {
	t.Parallel()
	path := fileOf(t, `link: javascript:alert(1)
channels:
  a: {slack: {url_env: NOT_SET}}
  b: {slack: {url_env: OPEN_URL}}
  c: {slack: {url_env: NO_URL}}
  d: {webhook: {url: http://pager.example.com/s3cr3t, secret_env: "BELAY_WEBHOOK_SECRET, SHORT, EMPTY"}}
  e: {webhook: {url: //pager, secret_env: NO_BASE64}}
  f: {email: {host: smtp.example.com, tls: none, from: nobody, to: ["x@example.com\r\nBcc: y@example.com"]}}
  g: {email: {host: smtp.example.com, username_env: SMTP_USER, password_env: NOT_SET, from: a@b.c, to: [a@b.c]}}
tiers: [{name: t, notify: [a]}]
`)
	env := variables()
	env["OPEN_URL"], env["NO_URL"], env["SHORT"], env["EMPTY"], env["NO_BASE64"] = "http://hooks.example.com/s3cr3t", "s3cr3t", "whsec_czNjcjN0", " ", "s3cr3t!"
	_, err := Load(path, getter(env), outbound.Policy{})
	problems, ok := errors.AsType[yamldoc.Problems](err)
	if !ok {
		t.Fatalf("%T %v", err, err)
	}
	const inClear = "it uses http, which others on the network can read: use https, except for this machine itself"
	const weak = "the secret is not base64 of at least 24 bytes: make one with: echo whsec_$(openssl rand -base64 32)"
	want := []string{
		"1:7: not a URL like https://belay.example.com",
		"3:24: the environment variable NOT_SET is not set",
		"4:24: the environment variable OPEN_URL: " + inClear,
		"5:24: the environment variable NO_URL: not a URL like https://belay.example.com",
		"6:22: " + inClear,
		"6:67: the environment variable EMPTY is not set",
		"6:67: the environment variable SHORT: " + weak,
		"7:22: not a URL like https://belay.example.com",
		"7:43: the environment variable NO_BASE64: " + weak,
		"8:21: without TLS others on the network can read the mail and the password: use tls: none only for this machine itself",
		"8:56: not a mail address like ops@example.com",
		"8:69: not a mail address like ops@example.com",
		"9:78: the environment variable NOT_SET is not set",
	}
	got := strings.Split(strings.ReplaceAll(problems.Error(), path+":", ""), "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, secret := range []string{"s3cr3t", "czNjcjN0", secretOf('n')} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error tells %s", secret)
		}
	}
}

// TestThisMachine: what does not leave it needs no TLS.
func TestThisMachine(t *testing.T) {
	t.Parallel()
	path := fileOf(t, `link: http://console.internal:8222
channels:
  hook: {webhook: {url: "http://127.0.0.1:9000/hook", secret_env: "BELAY_WEBHOOK_SECRET,OLD"}}
  six: {webhook: {url: "http://[::1]:9000/hook", secret_env: OLD}}
  mail: {email: {host: localhost, port: 1025, tls: none, from: Belay <belay@example.com>, to: [a@example.com]}}
tiers: [{name: t, notify: [hook, six, mail]}]
`)
	env := variables()
	env["OLD"] = secretOf('o')
	s, err := Load(path, getter(env), outbound.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	if hook := s.Channels["hook"].(*webhook); len(hook.signers) != 2 {
		t.Errorf("%d secrets sign", len(hook.signers))
	}
}

func TestNoFile(t *testing.T) {
	t.Parallel()
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml"), getter(nil), outbound.Policy{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
