package observe

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestEveryChannelIsCountedFromTheStart: an alert on the increase of a series that begins with a failure never sees it.
func TestEveryChannelIsCountedFromTheStart(t *testing.T) {
	t.Parallel()
	r := prometheus.NewRegistry()
	m := NewNoticeMetrics(r, []string{"chat", "mail"}, []string{"delivered", "failed"})
	m.Attempted("chat", "failed")
	want := `
# HELP belay_notifications_total Attempts to deliver a notice to a channel: delivered, failed (and retried), given_up.
# TYPE belay_notifications_total counter
belay_notifications_total{channel="chat",outcome="delivered"} 0
belay_notifications_total{channel="chat",outcome="failed"} 1
belay_notifications_total{channel="mail",outcome="delivered"} 0
belay_notifications_total{channel="mail",outcome="failed"} 0
`
	if err := testutil.GatherAndCompare(r, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}
