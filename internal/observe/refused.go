package observe

import "github.com/prometheus/client_golang/prometheus"

// RefusalMetrics count requests about runs that were refused for who asked.
type RefusalMetrics struct{ refused *prometheus.CounterVec }

// NewRefusalMetrics registers the metrics of a dispatcher that is asked over NATS. All series exist from the start, because an alert
// would not see the first refusal of a series that begins with it. A kind is what was asked for, and why it was refused.
func NewRefusalMetrics(r prometheus.Registerer, kinds [][2]string) *RefusalMetrics {
	m := &RefusalMetrics{counter("belay_requests_refused_total", "Requests about runs over NATS that were refused: unproven (no token that counts) or forbidden (to who has asked).", "what", "why")}
	for _, k := range kinds {
		m.refused.WithLabelValues(k[0], k[1])
	}
	r.MustRegister(m.refused)
	return m
}

// Refused counts one request.
func (m *RefusalMetrics) Refused(what, why string) { m.refused.WithLabelValues(what, why).Inc() }
