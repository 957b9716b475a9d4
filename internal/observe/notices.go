package observe

import "github.com/prometheus/client_golang/prometheus"

// NoticeMetrics count what becomes of the notices by which people are told that something waits for them.
type NoticeMetrics struct{ attempts *prometheus.CounterVec }

// NewNoticeMetrics registers the metrics of a dispatcher that tells people. All series are there from the start: an
// alert does not see the first failure of one that begins with it.
func NewNoticeMetrics(r prometheus.Registerer, channels, outcomes []string) *NoticeMetrics {
	m := &NoticeMetrics{counter("belay_notifications_total", "Attempts to bring a notice to a channel: delivered, failed (tried again), given_up.", "channel", "outcome")}
	for _, c := range channels {
		for _, o := range outcomes {
			m.attempts.WithLabelValues(c, o)
		}
	}
	r.MustRegister(m.attempts)
	return m
}

// Attempted counts one.
func (m *NoticeMetrics) Attempted(channel, outcome string) {
	m.attempts.WithLabelValues(channel, outcome).Inc()
}
