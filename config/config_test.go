package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"belay/internal/yamldoc"
)

// settings are the flags of a small program: two global ones and a section.
type settings struct {
	server, token string
	wait          time.Duration
	only          []string
	limits        map[string]int
	loud          bool
	global, work  *pflag.FlagSet
}

func newSettings() *settings {
	s := &settings{global: pflag.NewFlagSet("", pflag.ContinueOnError), work: pflag.NewFlagSet("worker", pflag.ContinueOnError)}
	s.global.StringVar(&s.server, "server", "", "")
	s.global.StringVar(&s.token, "token", "", "")
	s.global.String("config", "", "")
	s.work.DurationVar(&s.wait, "ack-wait", 30*time.Second, "")
	s.work.StringSliceVar(&s.only, "only", nil, "")
	s.work.StringToIntVar(&s.limits, "tool-limits", nil, "")
	s.work.BoolVar(&s.loud, "loud", false, "")
	return s
}

func (s *settings) schema() Schema { return Schema{"": s.global, "worker": s.work} }

func (s *settings) all() *pflag.FlagSet {
	f := pflag.NewFlagSet("worker", pflag.ContinueOnError)
	f.AddFlagSet(s.global)
	f.AddFlagSet(s.work)
	return f
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "belay.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func none(string) string { return "" }

func TestEveryMistakeIsReportedWithItsPlace(t *testing.T) {
	t.Parallel()
	path := write(t, `server: 5
sever: x
worker:
  ack_wait: soon
  only: [a, [b]]
  tool_limits: {a: many}
  loud: perhaps
  loud: true
  token: x
config: other.yaml
token:
wrkr: {}
`)
	_, err := Load(path, newSettings().schema())
	var problems yamldoc.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("%T %v", err, err)
	}
	var got []string
	for _, p := range problems {
		if p.File != path {
			t.Errorf("%s", p)
		}
		p.File = "f"
		p.Hint = ""
		got = append(got, p.String())
	}
	want := []string{
		`f:2:1: unknown key "sever" in the settings`,
		`f:4:13: ack_wait: "soon" is not a duration like 30s, 5m or 720h`,
		`f:5:13: expected a single value, not a list`,
		`f:6:16: tool_limits: "a=many" is not a list of names with whole numbers, like a=1,b=2`,
		`f:7:9: loud: "perhaps" is not true or false`,
		`f:8:3: the key "loud" occurs twice, first in line 7`,
		`f:9:3: unknown key "token" in section worker`,
		`f:10:1: unknown key "config" in the settings`,
		`f:11:7: the value is missing`,
		`f:12:1: unknown key "wrkr" in the settings`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsNoSettingsFile(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"a list": "- server", "a word": "server", "no YAML": "server: [", "two documents": "server: a\n---\nserver: b"} {
		_, err := Load(write(t, text), newSettings().schema())
		var problems yamldoc.Problems
		if !errors.As(err, &problems) || problems[0].Line == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml"), newSettings().schema()); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	for _, text := range []string{"", "# server: x\n\n  # y: z\n"} {
		if f, err := Load(write(t, text), newSettings().schema()); err != nil || len(f.values) != 0 {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestWhichOneCounts goes down the order: whatever is above is taken away one by one.
func TestWhichOneCounts(t *testing.T) {
	t.Parallel()
	path := write(t, "server: from-file\nworker:\n  ack_wait: 3s\n  only: [a, b]\n  tool_limits: {pay: 2}\n")
	env := map[string]string{"BELAY_SERVER": "from-belay", "NATS_URL": "from-nats", "NATS_TOKEN": "t"}
	tests := []struct {
		args   []string
		drop   string
		file   string
		want   string
		origin Origin
	}{
		{args: []string{"--server", "from-flag"}, file: path, want: "from-flag", origin: "flag --server"},
		{file: path, want: "from-belay", origin: "BELAY_SERVER"},
		{file: path, drop: "BELAY_SERVER", want: "from-file", origin: Origin(path + ":1")},
		{want: "from-nats", origin: "NATS_URL"},
		{drop: "NATS_URL", want: "", origin: Default},
	}
	for _, tt := range tests {
		delete(env, tt.drop)
		s := newSettings()
		flags := s.all()
		if err := flags.Parse(tt.args); err != nil {
			t.Fatal(err)
		}
		file, err := Load(tt.file, newSettings().schema())
		if err != nil {
			t.Fatal(err)
		}
		origins, err := file.Fill(flags, "worker", func(k string) string { return env[k] })
		if err != nil {
			t.Fatal(err)
		}
		if s.server != tt.want || origins["server"] != tt.origin || s.token != "t" || origins["token"] != "NATS_TOKEN" {
			t.Errorf("server %q from %s, want %q from %s; token from %s", s.server, origins["server"], tt.want, tt.origin, origins["token"])
		}
		if tt.file != "" && (s.wait != 3*time.Second || strings.Join(s.only, " ") != "a b" || s.limits["pay"] != 2) {
			t.Errorf("%v %v %v", s.wait, s.only, s.limits)
		}
	}
}

// TestASectionIsForItsCommandOnly: what a worker is told is not what another command is told.
func TestASectionIsForItsCommandOnly(t *testing.T) {
	t.Parallel()
	file, err := Load(write(t, "worker: {ack_wait: 3s}\n"), newSettings().schema())
	if err != nil {
		t.Fatal(err)
	}
	s := newSettings()
	if _, err := file.Fill(s.all(), "serve", none); err != nil || s.wait != 30*time.Second {
		t.Errorf("%v %v", s.wait, err)
	}
}

func TestAWrongVariableIsNamed(t *testing.T) {
	t.Parallel()
	_, err := (&File{}).Fill(newSettings().all(), "worker", func(k string) string {
		return map[string]string{"BELAY_ACK_WAIT": "soon", "BELAY_LOUD": "x"}[k]
	})
	if err == nil || !strings.Contains(err.Error(), `BELAY_ACK_WAIT: "soon" is not a duration`) || !strings.Contains(err.Error(), "BELAY_LOUD") {
		t.Error(err)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	getenv := func(k string) string { return map[string]string{"XDG_CONFIG_HOME": dir}[k] }
	if got := Find("", getenv); got != "" {
		t.Errorf("found %s where nothing is", got)
	}
	if got := Find("x.yaml", getenv); got != "x.yaml" {
		t.Errorf("%s, and not what was named", got)
	}
	path := filepath.Join(dir, "belay", "config.yaml")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := Find("", getenv); got != path {
		t.Errorf("%q, want %s", got, path)
	}
}
