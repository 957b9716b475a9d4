package bus

import (
	"strings"
	"testing"
	"time"
)

func TestWhatCannotBeReachedIsNamedWithoutSecrets(t *testing.T) {
	_, err := Connect(t.Context(), Options{Server: "nats://ann:secret@" + freePort(t), Timeout: time.Second})
	if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "nats://127.0.0.1") {
		t.Fatalf("got %v", err)
	}
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	if _, err := Connect(t.Context(), Options{Context: "nowhere"}); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Fatalf("unknown context: %v", err)
	}
	if _, err := Connect(t.Context(), Options{}); err == nil {
		t.Fatal("nothing named, and it connected")
	}
}

func TestVersions(t *testing.T) {
	for v, want := range map[string]bool{"2.14.9": true, "2.15.0": false, "2.15.2": false, "3.0.0": false, "v2.9.1-beta": true, "odd": false} {
		if older(v, oldest) != want {
			t.Errorf("older(%s) is not %v", v, want)
		}
	}
}
