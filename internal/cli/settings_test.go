package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"belay/config"
)

const sample = "../../config/belay.yaml"

var commented = regexp.MustCompile(`(?m)^# ?( *[a-z_]+:( .*)?)$`)

// TestTheSampleHasEverySetting: the shipped sample loads as it is, and with every setting taken out of its comment; it
// leaves out none.
func TestTheSampleHasEverySetting(t *testing.T) {
	t.Parallel()
	if _, err := config.Load(sample, settingsSchema()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "belay.yaml")
	if err := os.WriteFile(path, commented.ReplaceAll(text, []byte("$1")), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := config.Load(path, settingsSchema())
	if err != nil {
		t.Fatal(err)
	}
	for section, flags := range settingsSchema() {
		origins, err := file.Fill(flags, section, func(string) string { return "" })
		if err != nil {
			t.Fatal(err)
		}
		flags.VisitAll(func(fl *pflag.Flag) {
			if name := fl.Name; config.InFile(name) && !strings.HasPrefix(string(origins[name]), path) {
				t.Errorf("the sample leaves out %s of section %q", config.Key(name), section)
			}
		})
	}
}

func TestPasswordsInServerURLsAreHidden(t *testing.T) {
	t.Parallel()
	got := withoutPasswords("nats://ann:pw@a:4222, nats://s3cret@b, nats://c:4222")
	if strings.Contains(got, "pw") || strings.Contains(got, "s3cret") || !strings.Contains(got, "ann") || !strings.Contains(got, "nats://c:4222") {
		t.Error(got)
	}
}

// TestHintsTellNoPassword: what a hint repeats of --server is where it is, and not who connects.
func TestHintsTellNoPassword(t *testing.T) {
	t.Parallel()
	for servers, want := range map[string]string{
		"nats://mia:s3cr3t@a:4222, nats://t0ken@b:4222": "nats://a:4222,nats://b:4222", "a:4222": "a:4222", "nats://a:4222": "nats://a:4222", "nats://mia:s3%zz@a": "",
	} {
		if got := WithoutUsers(servers); got != want {
			t.Errorf("%s: %q, want %q", servers, got, want)
		}
	}
}
