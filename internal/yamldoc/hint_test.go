package yamldoc

import (
	"strings"
	"testing"
	"time"
)

func TestDurations(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]time.Duration{
		"0s": 0, "500ms": 500 * time.Millisecond, "24h": 24 * time.Hour, "30d": 720 * time.Hour, "1d12h": 36 * time.Hour, "1h30m": 90 * time.Minute, "1.5h": 90 * time.Minute,
	} {
		if got, err := ParseDuration(s); err != nil || got != want {
			t.Errorf("%s is %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "d", "1", "1.5d", "-1d", "1d-1h", "5 s", "1d1d", "99999999d", "9999999h", "106751d24h", "one", "1w"} {
		if got, err := ParseDuration(s); err == nil {
			t.Errorf("%q is %v", s, got)
		}
	}
	for d, want := range map[time.Duration]string{24 * time.Hour: "24h", 90 * time.Minute: "1h30m", 90 * time.Second: "1m30s", 10 * time.Second: "10s", time.Hour + time.Second: "1h0m1s"} {
		if got := SpokenDuration(d); got != want {
			t.Errorf("%v is spoken %s", d, got)
		}
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"orders.lookup", "payments.refund", "tool", "when"}
	for name, want := range map[string]string{
		"orders.lokup": "orders.lookup", "tol": "tool", "Tool": "tool", "wehn": "when", "whne": "when", "refund": "", "x": "", "toooool": "", strings.Repeat("x", 1000): "",
	} {
		if got := nearest(name, known); got != want {
			t.Errorf("nearest to %.20s is %q, want %q", name, got, want)
		}
	}
}
