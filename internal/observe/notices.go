package observe

import "github.com/prometheus/client_golang/prometheus"

// NoticeMetrics count attempts to deliver notices.
type NoticeMetrics struct{ attempts *prometheus.CounterVec }

// NewNoticeMetrics registers the metrics of a dispatcher that sends notices. All series exist from the start, because
// an alert would not see the first failure of a series that begins with it.
func NewNoticeMetrics(r prometheus.Registerer, channels, outcomes []string) *NoticeMetrics {
	m := &NoticeMetrics{counter("belay_notifications_total", "Attempts to deliver a notice to a channel: delivered, failed (and retried), given_up.", "channel", "outcome")}
	for _, c := range channels {
		for _, o := range outcomes {
			m.attempts.WithLabelValues(c, o)
		}
	}
	r.MustRegister(m.attempts)
	return m
}

// Attempted counts one attempt to deliver a notice.
func (m *NoticeMetrics) Attempted(channel, outcome string) {
	m.attempts.WithLabelValues(channel, outcome).Inc()
}
